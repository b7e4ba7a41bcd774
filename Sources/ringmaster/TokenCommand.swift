// `ringmaster token`: single-use tokens that let workers join.

import ArgumentParser
import Foundation
import RingCoordinator
import RingFormats

struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Make, list and revoke the tokens with which workers join.",
        subcommands: [TokenCreateCommand.self, TokenListCommand.self, TokenRevokeCommand.self])
}

struct TokenCreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a token for one worker and print it, once, with the authority's fingerprint.",
        discussion: "The token can be used once. Pass it on through a file or a pipe, not as an argument.")

    @OptionGroup var options: StateOptions
    @Option(
        help: ArgumentHelp("How long it is good for: 30m, 24h, 72h.", valueName: "time"), transform: { try DurationText(parsing: $0).value }
    )
    var ttl: Duration = .seconds(SecurityLimits.tokenHours * 3600)
    @Option(
        help: ArgumentHelp("Only for the worker of this name, which may have joined before.", valueName: "name"))
    var worker: String?

    func run() throws {
        try options.use { folder in
            let security = try ClusterSecurity(loading: folder)
            let (text, record) = try security.tokens.create(hours: seconds(ttl) / 3600, worker: worker)
            do {
                try security.audit.record(.tokenCreate, by: options.actor, target: record.id, detail: worker.map { "for \($0)" })
            } catch {
                try security.tokens.revoke(id: record.id)
                throw error
            }
            options.print(
                [
                    "token": .string(text), "id": .string(record.id), "authority_fingerprint": .string(security.authority.fingerprint),
                    "worker": worker.map { .string($0) } ?? .null, "expires_at": .integer(record.expiresAt),
                ], "\(text) --authority-fingerprint \(security.authority.fingerprint)")
        }
    }
}

struct TokenListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the tokens; never their secrets.")

    @OptionGroup var options: StateOptions

    func run() throws {
        try options.use { folder in
            let tokens = try ClusterSecurity(loading: folder).tokens.list()
            let now = Date()
            var table = Table(["token", "state", "for", "made", "good until", "used by"], textual: [0, 1, 2, 3, 4, 5])
            for token in tokens {
                table.add([
                    token.id, token.state(at: now), token.worker ?? "any", moment(token.createdAt), moment(token.expiresAt),
                    token.usedBy ?? "",
                ])
            }
            options.print(["tokens": .array(tokens.map { Self.object($0, now) })], table.text)
        }
    }

    private static func object(_ token: JoinTokenRecord, _ now: Date) -> JSONValue {
        [
            "id": .string(token.id), "state": .string(token.state(at: now)), "worker": token.worker.map { .string($0) } ?? .null,
            "created_at": .integer(token.createdAt), "expires_at": .integer(token.expiresAt),
            "used_at": token.usedAt.map { .integer($0) } ?? .null, "used_by": token.usedBy.map { .string($0) } ?? .null,
        ]
    }
}

struct TokenRevokeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "revoke", abstract: "Take a token back.")

    @OptionGroup var options: StateOptions
    @Argument(help: "The token's id: its six letters before the point.") var id: String

    func run() throws {
        try options.use { folder in
            let security = try ClusterSecurity(loading: folder)
            // Somebody may paste the whole token; only its public part is used, and written down.
            let id = String(id.prefix { $0 != "." })
            guard try security.tokens.list().contains(where: { $0.id == id }) else {
                throw SecurityError.notFound("there is no join token \(id)")
            }
            try security.audit.record(.tokenRevoke, by: options.actor, target: id)
            try security.tokens.revoke(id: id)
            options.print(["revoked": .string(id)], "token \(id) is revoked")
        }
    }
}

// `ringmaster key`: bearer keys of clients.

import ArgumentParser
import Foundation
import RingCoordinator
import RingFormats

struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Make, list and revoke the keys of clients.",
        subcommands: [KeyCreateCommand.self, KeyListCommand.self, KeyRevokeCommand.self])
}

extension Role: ExpressibleByArgument {}

struct KeyCreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a key and print it, once.",
        discussion: """
            read looks; submit also submits jobs and cancels its own; admin does everything. Keep the key in a file that only its \
            owner may read: (umask 077; ringmaster key create --name you --role submit > key).
            """)

    @OptionGroup var options: StateOptions
    @Option(help: ArgumentHelp("Its owner, under whose name its jobs are queued.", valueName: "name"))
    var name: String
    @Option(help: ArgumentHelp("What it may do: read, submit or admin.", valueName: "role"))
    var role: Role

    func run() throws {
        try options.use { folder in
            let security = try ClusterSecurity(loading: folder)
            let (text, record) = try security.keys.create(name: name, role: role)
            do {
                try security.audit.record(.keyCreate, by: options.actor, target: record.id, detail: "\(role.rawValue) for \(name)")
            } catch {
                _ = try security.keys.revoke(id: record.id)
                throw error
            }
            options.print(
                ["key": .string(text), "id": .string(record.id), "name": .string(name), "role": .string(role.rawValue)], text)
            if !options.json { Console.message("key \(record.id) of \(name), role \(role.rawValue): it is not shown again") }
        }
    }
}

struct KeyListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the keys by their ids; never the keys.")

    @OptionGroup var options: StateOptions

    func run() throws {
        try options.use { folder in
            let keys = try ClusterSecurity(loading: folder).keys.list()
            var table = Table(["key", "owner", "role", "made"], textual: [0, 1, 2, 3])
            for key in keys { table.add([key.id, key.name, key.role.rawValue, moment(key.createdAt)]) }
            options.print(
                [
                    "keys": .array(
                        keys.map {
                            [
                                "id": .string($0.id), "name": .string($0.name), "role": .string($0.role.rawValue),
                                "created_at": .integer($0.createdAt),
                            ]
                        })
                ], table.text)
        }
    }
}

struct KeyRevokeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Take a key back.", discussion: "A running coordinator turns it away within a second.")

    @OptionGroup var options: StateOptions
    @Argument(help: "The key's id, as 'ringmaster key list' shows it.") var id: String

    func run() throws {
        try options.use { folder in
            let security = try ClusterSecurity(loading: folder)
            guard let key = try security.keys.list().first(where: { $0.id == id }) else {
                throw SecurityError.notFound("there is no key with the id \(printable(id.count > 16 ? "that was given" : id))")
            }
            try security.audit.record(.keyRevoke, by: options.actor, target: id, detail: "of \(key.name)")
            _ = try security.keys.revoke(id: id)
            options.print(["revoked": .string(id), "name": .string(key.name)], "key \(id) of \(key.name) is revoked")
        }
    }
}

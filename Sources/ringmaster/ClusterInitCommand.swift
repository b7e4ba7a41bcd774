// `ringmaster cluster`: the certificate authority of a cluster, the workers that hold its certificates, and the audit log.

import ArgumentParser
import Foundation
import RingCoordinator
import RingFormats

struct ClusterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster", abstract: "Make a cluster's certificate authority; look at its workers' certificates and its audit log.",
        subcommands: [ClusterInitCommand.self, ClusterWorkersCommand.self, ClusterRevokeCommand.self, ClusterAuditCommand.self])
}

struct ClusterInitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make the certificate authority, so that the coordinator may listen beyond loopback.",
        discussion: "Name every host name and address under which workers and clients reach the coordinator; loopback is always among them."
    )

    @OptionGroup var options: StateOptions
    @Option(
        name: .customLong("name"), parsing: .upToNextOption,
        help: ArgumentHelp("Host names and addresses of the coordinator.", valueName: "host"))
    var names: [String] = []

    func run() throws {
        try options.use(creating: true) { folder in
            if ClusterAuthority.exists(in: folder) {
                throw SecurityError.exists("\(folder.path) has an authority already: every worker trusts it, so it is not replaced")
            }
            let authority = try ClusterAuthority.create(in: folder, hosts: names)
            try AuditLog(in: folder).record(
                .clusterInit, by: options.actor, target: authority.fingerprint, detail: names.joined(separator: " "))
            let path = folder.path + "/authority.pem"
            options.print(
                [
                    "authority": .string(path), "fingerprint": .string(authority.fingerprint),
                    "hosts": .array(authority.hosts.map { .string($0) }),
                ], "authority    \(path)\nfingerprint  \(authority.fingerprint)")
            guard !options.json else { return }
            Console.message(
                """
                Keep \(folder.path)/authority-key.pem secret: whoever has it is the cluster. Next, with this state folder:
                  ringmaster key create --name you --role admin    a key for a client
                  ringmaster token create                          lets one worker join
                """)
        }
    }
}

struct ClusterWorkersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "workers", abstract: "List the workers that hold certificates.")

    @OptionGroup var options: StateOptions

    func run() throws {
        try options.use { folder in
            let workers = try ClusterSecurity(loading: folder).roll.list()
            var table = Table(["worker", "joined", "certificate until"], textual: [0, 1, 2])
            for worker in workers { table.add([worker.name, moment(worker.joinedAt), moment(worker.expiresAt)]) }
            options.print(
                [
                    "workers": .array(
                        workers.map {
                            ["name": .string($0.name), "joined_at": .integer($0.joinedAt), "expires_at": .integer($0.expiresAt)]
                        })
                ], table.text)
        }
    }
}

struct ClusterRevokeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Shut a worker out: its certificates open nothing from now on.",
        discussion: "A running coordinator turns its requests away within a second. It may join again with a new token.")

    @OptionGroup var options: StateOptions
    @Argument(help: "Name of the worker.") var worker: String

    func run() throws {
        try options.use { folder in
            let security = try ClusterSecurity(loading: folder)
            guard try security.roll.list().contains(where: { $0.name == worker }) else {
                throw SecurityError.notFound("there is no worker \(worker)")
            }
            try security.audit.record(.workerRevoke, by: options.actor, target: worker)
            try security.roll.remove(worker)
            options.print(["revoked": .string(worker)], "worker \(worker) is shut out")
        }
    }
}

struct ClusterAuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Check the audit log's chain and print it.",
        discussion: "Exit code 78 if a line was changed, taken out or put in. Each line with --json is as it is in the file.")

    @OptionGroup var options: StateOptions

    func run() throws {
        try options.use { folder in
            let entries = try AuditLog(in: folder).verified()
            var table = Table(["seq", "when", "who", "what", "whom", "detail"], textual: [1, 2, 3, 4, 5])
            for entry in entries {
                table.add([
                    "\(entry.seq)", moment(entry.at), printable(entry.actor), entry.action.rawValue, printable(entry.target),
                    printable(entry.detail ?? ""),
                ])
            }
            options.print(["entries": .array(entries.map(Self.object))], table.text)
        }
    }

    private static func object(_ entry: AuditEntry) -> JSONValue {
        [
            "seq": .integer(Int64(entry.seq)), "at": .integer(entry.at), "actor": .string(entry.actor),
            "action": .string(entry.action.rawValue), "target": .string(entry.target),
            "detail": entry.detail.map { .string($0) } ?? .null, "previous": .string(entry.previous), "hash": .string(entry.hash),
        ]
    }
}

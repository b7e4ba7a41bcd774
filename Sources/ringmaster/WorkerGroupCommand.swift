// `ringmaster worker --per-numa-node`: the same command once for each node, as child processes. What a person typed is passed on as it is;
// only what must differ is added behind it, where it counts.

import Foundation
import Logging
import RingClient
import RingFormats
import RingTransport
import RingWorker

extension WorkerCommand {
    /// Starts a worker on each node and stays until all are gone.
    func runGroup() async throws {
        let log = try log.open()
        let logger = log.logger("ringmaster.worker")
        let members = try members()
        var environment = ProcessInfo.processInfo.environment
        // The parent speaks for all: systemd listens to the main process alone.
        environment["NOTIFY_SOCKET"] = nil
        let group = WorkerGroup(binary: try JobFollower.ownBinary(), members: members, environment: environment, logger: logger)
        Interrupts.daemon.withLock { $0 = { _ in group.signal(SIGTERM) } }
        await ServiceNotice.send("READY=1\nSTATUS=\(members.count) workers")
        try await log.keep(logger) {
            let code = await group.run()
            await ServiceNotice.send("STOPPING=1")
            if code != 0 { throw CommandError(message: "a worker ended with exit code \(code), and the others with it", exitCode: code) }
        }
    }

    private func members() throws -> [WorkerGroup.Member] {
        let facts = MachineFacts()
        let homes = facts.topology.homes(for: PinnedThread.cpus)
        guard !homes.isEmpty else {
            throw CommandError.configuration(
                "--per-numa-node: no NUMA node of this machine has both cores and memory: see ringmaster doctor")
        }
        let given = CommandLine.arguments.dropFirst().filter { $0 != "--per-numa-node" }
        let tokens = try joinTokens()
        return try homes.enumerated().map { place, node in
            let name = "\(self.name ?? facts.hostName)-node\(node.id)"
            var own = ["--name", name, "--numa-node", "\(node.id)", "--end-with-parent"]
            if let address = try dataAddress(place) { own += ["--data-listen", address] }
            if let folder = state ?? DaemonSettings.variable("RINGMASTER_STATE") { own += ["--state", "\(folder)/node\(node.id)"] }
            if !tokens.isEmpty { own += ["--join-token-file", "-"] }
            return WorkerGroup.Member(name: name, arguments: given + own, greeting: place < tokens.count ? tokens[place] : "")
        }
    }

    /// A port for each: the given one for the first node, the next one for the second.
    private func dataAddress(_ place: Int) throws -> String? {
        guard let dataListen else { return nil }
        guard let address = SocketAddress(dataListen) else {
            throw CommandError.usage("--data-listen takes HOST:PORT, not \(dataListen.debugDescription)")
        }
        let port = address.port == 0 ? 0 : address.port + place
        guard port <= 65535 else { throw CommandError.usage("--data-listen \(dataListen) leaves no port for worker \(place + 1)") }
        return SocketAddress(host: address.host, port: port).description
    }

    /// A join token lets one worker in, so the file holds one a line, in the order of the nodes.
    private func joinTokens() throws -> [String] {
        guard let joinTokenFile else { return [] }
        let path = joinTokenFile == "-" ? "/dev/stdin" : joinTokenFile
        guard let bytes = try? FileHandle(forReadingFrom: URL(filePath: path)).readToEnd(), bytes.count <= 64 << 10 else {
            throw CommandError.configuration("cannot read the join tokens in \(joinTokenFile)")
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    }
}

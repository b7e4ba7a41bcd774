// What this worker tells the coordinator of its machine, and how it comes by it: facts are read, clocks compared over a request's round
// trip, other workers' ports looked at. None of it is waited for, and nothing of a job hangs on it.

import Foundation
import RingClient
import RingControl
import RingTransport

/// Where a worker reads its facts.
public struct FactsSource: Sendable {
    /// The host of its data address.
    public var dataHost: String
    /// Folders that it writes to, by what they are for.
    public var folders: [(name: String, path: String)]

    /// A source of its parts.
    public init(dataHost: String, folders: [(name: String, path: String)]) {
        (self.dataHost, self.folders) = (dataHost, folders)
    }

    /// Reads everything now.
    func facts() -> WorkerFacts {
        let machine = MachineFacts()
        var facts = WorkerFacts(clock: Date().timeIntervalSince1970)
        facts.interface = Reach.interface(of: dataHost)
        facts.mtu = facts.interface.flatMap { SystemTree(root: SystemTree.standardRoot).text("class/net/\($0)/mtu") }.flatMap { Int($0) }
        facts.lockedBytesMax = machine.lockedMemoryLimit
        facts.rdma = machine.topology.adapters.filter { $0.kind == .rdma }.map { RDMAFacts(device: $0.name, gids: $0.gids) }
        facts.transparentHugePages = machine.transparentHugePages
        facts.hugePageBytes = machine.topology.nodes.flatMap(\.hugePages).reduce(0) { $0 + $1.total * $1.pageBytes }
        facts.disks = folders.compactMap { Self.disk($0.name, $0.path) }
        facts.numaProblems = machine.topology.problems.filter(\.isFault).map(\.description)
        return facts
    }

    /// The file system of a folder, or of the nearest one above it that is there.
    private static func disk(_ name: String, _ path: String) -> DiskFacts? {
        var folder = URL(filePath: path)
        while !FileManager.default.fileExists(atPath: folder.path(percentEncoded: false)), folder.pathComponents.count > 1 {
            folder.deleteLastPathComponent()
        }
        guard let system = try? FileManager.default.attributesOfFileSystem(forPath: folder.path(percentEncoded: false)),
            let free = system[.systemFreeSize] as? NSNumber, let total = system[.systemSize] as? NSNumber
        else { return nil }
        return DiskFacts(folder: name, freeBytes: free.intValue, totalBytes: total.intValue)
    }
}

/// Tells a worker's facts as long as its session lasts.
struct FactsReport: Sendable {
    let source: FactsSource
    let client: CoordinatorClient
    let worker: WorkerID

    /// Until the task is cancelled: at once, again when the answer to that has been looked into, and then from time to time. Requests that
    /// fail are left at that, since the session notices by itself when its coordinator is gone.
    func run() async {
        var facts = source.facts()
        // The answer to the first is told at once, then at growing distances.
        var pause = 0.0
        while !Task.isCancelled {
            let asked = ContinuousClock.now
            let sent = Date().timeIntervalSince1970
            facts.clock = sent
            if let answer = try? await client.tell(facts, of: worker) {
                let trip = ContinuousClock.now - asked
                let seconds = Double(trip.components.seconds) + Double(trip.components.attoseconds) / 1e18
                // Halfway through the round trip, as NTP has it; how far off that is, the trip bounds.
                facts.clockAheadSeconds = sent + seconds / 2 - answer.clock
                facts.clockErrorSeconds = seconds / 2
                (facts.peersTried, facts.unreachable) = (answer.peers.count, await Self.unreachable(answer.peers))
            }
            guard (try? await Task.sleep(for: .seconds(pause))) != nil else { return }
            pause = min(max(2 * pause, WorkerLimits.factsSecondsAtFirst), WorkerLimits.factsSeconds)
            var fresh = source.facts()
            (fresh.clockAheadSeconds, fresh.clockErrorSeconds) = (facts.clockAheadSeconds, facts.clockErrorSeconds)
            (fresh.peersTried, fresh.unreachable) = (facts.peersTried, facts.unreachable)
            facts = fresh
        }
    }

    /// Tries each on a thread of its own, since a connection to nowhere waits.
    private static func unreachable(_ peers: [Peer]) async -> [UnreachablePeer] {
        await withTaskGroup(of: UnreachablePeer?.self) { group in
            for peer in peers {
                group.addTask {
                    await withCheckedContinuation { continuation in
                        let thread = Thread {
                            let address = PeerAddress(peer.host, UInt16(clamping: peer.port))
                            let reason = Reach.refusal(at: address, seconds: WorkerLimits.reachSeconds)
                            continuation.resume(
                                returning: reason.map {
                                    UnreachablePeer(worker: peer.worker, reason: "\(peer.host) port \(peer.port): \($0)")
                                })
                        }
                        thread.stackSize = 256 << 10
                        thread.start()
                    }
                }
            }
            var found: [UnreachablePeer] = []
            for await peer in group { if let peer { found.append(peer) } }
            return found.sorted { $0.worker < $1.worker }
        }
    }
}

// Where on its machine a worker lives. It moves in before the process has a second thread, because a thread's memory policy is its
// own and passes on to those that it starts: later nobody could set it for Swift's threads.

import ArgumentParser
import Foundation
import RingTransport
import RingWorker
import Synchronization

extension HomeNodes.Taking: ExpressibleByArgument {}

/// A worker's NUMA nodes.
struct NodeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Run on the cores of this NUMA node, or of several (0-1), and take memory from there.", valueName: "node"))
    var numaNode: String?
    @Option(
        help: ArgumentHelp(
            "What to do when the node has no memory left: prefer takes it elsewhere, bind ends the worker.", valueName: "how"))
    var numaMemory: HomeNodes.Taking = .prefer

    @Flag(help: "Start one worker for each NUMA node that has cores and memory, and stay with them.")
    var perNumaNode = false
    @Flag(help: ArgumentHelp("Drain when stdin ends.", visibility: .private))
    var endWithParent = false

    mutating func validate() throws {
        if perNumaNode && numaNode != nil { throw ValidationError("--per-numa-node starts a worker on every node: leave --numa-node out") }
        if let numaNode, (NumberList.parse(numaNode, below: 1024) ?? []).isEmpty {
            throw ValidationError("--numa-node takes the number of a node, or several as in 0-1,4, not \(numaNode.debugDescription)")
        }
    }

    /// Options for each of `workers` worker processes of one command; none where there is one node, or where a worker gets all of them.
    static func dealt(_ workers: Int) -> [[String]] {
        let homes = NUMATopology(root: nil).homes(for: PinnedThread.cpus).map(\.id)
        guard homes.count > 1, workers > 1 else { return [] }
        return NUMATopology.deal(homes, to: workers).map { ["--numa-node", NumberList.text($0)] }
    }

    private static let here = Mutex<HomeNodes?>(nil)

    /// Where this process is bound to; `nil` if it runs anywhere.
    static var home: HomeNodes? { here.withLock { $0 } }

    /// Binds this process if it is to be a worker with a node of its own. Arguments that are wrong are told about later.
    static func moveIn(_ arguments: [String]) throws(CommandError) {
        guard arguments.first == "worker", arguments.contains(where: { $0.hasPrefix("--numa-node") }),
            let command = (try? Ringmaster.parseAsRoot(arguments)) as? WorkerCommand, let text = command.node.numaNode
        else { return }
        let nodes = NumberList.parse(text, below: 1024) ?? []
        switch NUMATopology(root: nil).home(nodes, cpus: PinnedThread.cpus, taking: command.node.numaMemory) {
        case .failure(let refusal): throw .configuration("--numa-node \(text): \(refusal.reason)")
        case .success(var home):
            do throws(TransportError) { try home.moveIn() } catch { throw .configuration("--numa-node \(text): \(error)") }
            let settled = home
            here.withLock { $0 = settled }
        }
    }

    /// Memory that this worker may count on: its nodes', or the machine's.
    static func memoryBytes(_ facts: MachineFacts) -> Int {
        guard let home else { return facts.memoryBytes }
        return home.nodes.reduce(0) { $0 + (facts.topology[$1]?.memoryBytes ?? 0) }
    }
}

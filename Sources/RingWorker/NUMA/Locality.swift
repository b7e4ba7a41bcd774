// A home on a machine's nodes, and what becomes of it: found by number or dealt to a worker, and looked at when a run is over.

import Foundation
import RingControl
import RingEngine
import RingTransport

extension NUMATopology {
    /// Nodes `ids` as a home for a process that may use `cpus`; the reason if they cannot be one.
    public func home(_ ids: [Int], cpus: [Int], taking: HomeNodes.Taking) -> Result<HomeNodes, HomeRefusal> {
        if nodes.isEmpty { return .failure(HomeRefusal(reason: "the kernel of this machine tells of no NUMA node")) }
        var cores: [Int] = []
        for id in ids {
            guard let node = self[id] else {
                return .failure(HomeRefusal(reason: "this machine has no node \(id): it has \(NumberList.text(nodes.map(\.id)))"))
            }
            guard node.memoryBytes > 0 else { return .failure(HomeRefusal(reason: NUMAProblem.withoutMemory(id).description)) }
            cores += node.cpus.filter(cpus.contains)
        }
        guard !cores.isEmpty else {
            return .failure(
                HomeRefusal(
                    reason: "none of the cores that this process may use (\(NumberList.text(cpus))) is on node \(NumberList.text(ids))"))
        }
        return .success(HomeNodes(nodes: ids, cpus: cores, taking: taking))
    }
}

/// Why nodes cannot be a home.
public struct HomeRefusal: Error, Hashable, Sendable {
    /// A sentence.
    public let reason: String
}

extension HomeNodes {
    /// Where the engine's memory lies now; `nil` where the kernel does not tell, as in many containers.
    func locality() -> MemoryLocality? {
        guard let count = try? MemoryPlaces.look() else { return nil }
        return MemoryLocality(nodes: nodes, pages: count.touched, pagesLocal: count.on(nodes), hugeBytes: MachineFacts.hugeBytesHeld())
    }
}

// Models and clusters small enough to count by hand.

import RingPlacement

enum PlanCases {
    /// 2 layers of 4:2 heads of 8, width 32, feed-forward 64, vocabulary 100: one dense, one with 8 experts of 16, 2 chosen, 16 shared.
    static let small = ModelSpec(
        name: "small", hidden: 32, vocabulary: 100, contextMax: 1 << 20,
        layers: [LayerGroup(2, .grouped(GroupedAttention(heads: 4, kvHeads: 2, headDim: 8)))], denseLayers: 1, denseWidth: 64,
        experts: ExpertsSpec(count: 8, chosen: 2, width: 16, sharedWidth: 16), expertType: .fp8, denseType: .bf16)

    /// Machines on which every figure is a round one: 1 GFLOP/s, 1 GB/s from memory, 100 MB/s on the link, 1 ms.
    static func machines(_ count: Int, workers: Int = 1, memory: Double = 1e9) -> MachineShape {
        MachineShape(
            name: "toy", count: count, memoryBytes: memory, workers: workers, flopsPerSecond: 1e9, memoryBytesPerSecond: 1e9,
            linkBytesPerSecond: 1e8, latencySeconds: 1e-3)
    }

    /// Everything is reached in full, so that seconds are figures divided.
    static var exact: PlanAssumptions {
        var assumptions = PlanAssumptions()
        (assumptions.attention, assumptions.linear, assumptions.experts) = (1, 1, 1)
        (assumptions.memory, assumptions.link, assumptions.nvme, assumptions.balance) = (1, 1, 1, 1)
        return assumptions
    }

    /// Sixteen servers such as cluster-configs/plan-servers.yaml has.
    static func servers(_ count: Int = 16) -> ClusterShape {
        ClusterShape(machines: [
            MachineShape(
                name: "server", count: count, memoryBytes: 768 * 0x1p30, reservedBytes: 24 * 0x1p30, workers: 2, flopsPerSecond: 12e12,
                memoryBytesPerSecond: 460e9, linkBytesPerSecond: 12.5e9, latencySeconds: 20e-6, pricePerHour: 4)
        ])
    }

    /// A question about a model by name.
    static func question(_ name: String, tokens: Int = 1 << 20, cluster: ClusterShape = servers()) throws(PlanningError) -> PlanQuestion {
        PlanQuestion(model: try ModelCatalogue.find(name), tokens: tokens, cluster: cluster)
    }
}

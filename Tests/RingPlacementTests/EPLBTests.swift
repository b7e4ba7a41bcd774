// The baseline against what its authors publish.

import RingPlacement
import Testing

@Suite("EPLB")
struct EPLBTests {
    private static let weights: [Double] = [
        90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86,
        20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27,
    ]

    @Test("the example of its documentation comes out: 12 experts in 4 groups, 2 nodes, 8 hosts of 2 slots")
    func documented() throws {
        let loads = try ExpertLoads(layers: 2, experts: 12, values: Self.weights)
        var options = PlacementOptions()
        options.policy = .eplbHierarchical
        options.expertGroups = 4
        let placement = try place(loads, on: alike(8, slots: 2, perNode: 4), options: options)
        confirm(placement, loads)
        let expected = [
            [[5, 6], [5, 7], [8, 4], [3, 4], [10, 9], [10, 2], [0, 1], [11, 1]],
            [[7, 10], [6, 8], [6, 11], [8, 9], [2, 4], [5, 1], [5, 0], [3, 1]],
        ]
        for layer in 0..<2 {
            let bundles = (0..<8).map { host in placement.plan.slots(layer: layer, host: host).compactMap { $0?.expert }.sorted() }
            let sorted = { (list: [[Int]]) in list.map { $0.sorted() }.sorted { $0.lexicographicallyPrecedes($1) } }
            #expect(sorted(bundles) == sorted(expected[layer]), "layer \(layer): \(bundles)")
        }
    }

    @Test("copies split evenly, and two on one host are merged into one")
    func merged() throws {
        var options = PlacementOptions()
        options.policy = .eplb
        let loads = try oneLayer([100, 1])
        let placement = try place(loads, on: alike(2, slots: 3), options: options)
        confirm(placement, loads)
        #expect(placement.plan.layers[0].experts.contains(-1))
    }

    @Test("groups that cannot be dealt evenly fall back to global mode")
    func fallback() throws {
        let loads = try ExpertLoads(layers: 2, experts: 12, values: Self.weights)
        var options = PlacementOptions()
        options.policy = .eplbHierarchical
        options.expertGroups = 5
        let grouped = try place(loads, on: alike(8, slots: 2, perNode: 4), options: options)
        options.policy = .eplb
        #expect(try grouped.plan == place(loads, on: alike(8, slots: 2, perNode: 4), options: options).plan)
    }
}

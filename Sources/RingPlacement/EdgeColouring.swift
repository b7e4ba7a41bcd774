// Colours for the edges of a bipartite multigraph such that no two edges at one node share a colour, with as many colours as the busiest
// node has edges: Koenig's theorem. Each edge takes a colour that is free at both ends; if there is none, the two colours that are free at
// one end each change places along the chain that begins at the other.

/// A proper colouring of edges between sources and targets.
package struct EdgeColouring {
    /// The colour of each edge, in the order given.
    package private(set) var colours: [Int]
    /// Colours used.
    package let count: Int
    /// Edges at the busiest node.
    package let degreeMax: Int

    /// Colours `edges` between `nodes` sources and as many targets. An edge with a negative source is only bound to its target.
    package init(_ edges: [(Int, Int)], nodes: Int) {
        var degrees = [Int](repeating: 0, count: 2 * nodes)
        for (source, target) in edges {
            if source >= 0 { degrees[source] += 1 }
            degrees[nodes + target] += 1
        }
        let width = degrees.max() ?? 0
        degreeMax = width
        colours = Array(repeating: -1, count: edges.count)
        // The edge at each node by colour.
        var at = [Int32](repeating: -1, count: 2 * nodes * width)
        for (edge, ends) in edges.enumerated() {
            let target = (nodes + ends.1) * width
            let free = Self.firstFree(at, target, width)
            guard ends.0 >= 0 else {
                Self.set(edge, free, &colours, &at, nil, target)
                continue
            }
            let source = ends.0 * width
            let mine = Self.firstFree(at, source, width)
            var both = 0
            while both < width, at[source + both] >= 0 || at[target + both] >= 0 { both += 1 }
            if both < width {
                Self.set(edge, both, &colours, &at, source, target)
            } else {
                Self.flip(from: nodes + ends.1, mine, free, edges, nodes, width, &colours, &at)
                Self.set(edge, mine, &colours, &at, source, target)
            }
        }
        count = (colours.max() ?? -1) + 1
    }

    /// A node has at most `width` edges, so while one of them has no colour yet a colour is free.
    private static func firstFree(_ at: [Int32], _ node: Int, _ width: Int) -> Int {
        var colour = 0
        while at[node + colour] >= 0 { colour += 1 }
        return colour
    }

    private static func set(_ edge: Int, _ colour: Int, _ colours: inout [Int], _ at: inout [Int32], _ source: Int?, _ target: Int) {
        colours[edge] = colour
        if let source { at[source + colour] = Int32(edge) }
        at[target + colour] = Int32(edge)
    }

    /// Exchanges `one` and `other` along the chain that leaves `start` with colour `one`. In a bipartite graph it never comes back to the
    /// node at which `one` is free.
    private static func flip(
        from start: Int, _ one: Int, _ other: Int, _ edges: [(Int, Int)], _ nodes: Int, _ width: Int, _ colours: inout [Int],
        _ at: inout [Int32]
    ) {
        var chain: [Int] = []
        var (node, colour) = (start, one)
        while node >= 0, at[node * width + colour] >= 0 {
            let edge = Int(at[node * width + colour])
            chain.append(edge)
            let ends = (edges[edge].0, nodes + edges[edge].1)
            node = node == ends.1 ? ends.0 : ends.1
            colour = colour == one ? other : one
        }
        for edge in chain {
            if edges[edge].0 >= 0 { at[edges[edge].0 * width + colours[edge]] = -1 }
            at[(nodes + edges[edge].1) * width + colours[edge]] = -1
        }
        for edge in chain {
            let changed = colours[edge] == one ? other : one
            colours[edge] = changed
            if edges[edge].0 >= 0 { at[edges[edge].0 * width + changed] = Int32(edge) }
            at[(nodes + edges[edge].1) * width + changed] = Int32(edge)
        }
    }
}

// Routes of queries as the ranks work them out for themselves: what one sends, another expects, and nothing that sees anything is left out.
import RingCore
import Testing

@Suite("Routes of queries")
struct QueryRouteTests {
    @Test("500 random masks, plans and queries: both ends agree, rounds hold every query once and are bounded")
    func random() throws {
        var generator = SeededGenerator(seed: 31)
        for index in 0..<500 {
            let tokens = Int.random(in: 1...200, using: &generator)
            let test = try MaskCase(tokens: tokens, using: &generator)
            let plan = try ShardPlan.random(tokens: tokens, world: Int.random(in: 1...6, using: &generator), using: &generator)
            let positions = index % 3 == 0 ? nil : (0..<tokens).filter { _ in Int.random(in: 0..<3, using: &generator) > 0 }
            let queries = plan.queryRuns(at: positions)
            let most = Int.random(in: 1...40, using: &generator)
            let routes = plan.world.ranks.map { QueryRoute(for: $0, under: plan, test.mask, queries: queries, roundRows: most) }
            for route in routes {
                let story = "case \(index), seed 31: \(test), \(plan), \(route.rank)"
                let rows = route.own.flatMap { own in own.round.runs.flatMap { Array($0.chunk.range) } }
                #expect(rows == plan.owned(positions ?? Array(0..<tokens), by: route.rank), "\(story)")
                for own in route.own {
                    #expect(
                        own.round.rows.count <= most && own.round.rows.count == own.round.runs.reduce(0) { $0 + $1.chunk.length },
                        "\(story)")
                    for peer in plan.world.ranks where peer != route.rank {
                        let sees = own.round.runs.contains { run in
                            plan.chunks(of: peer).contains { keys in
                                run.chunk.range.contains { query in keys.range.contains { test.sees(query, $0) } }
                            }
                        }
                        #expect(own.peers.contains(peer) == sees, "\(story)")
                        #expect(routes[peer.index].guests.contains(own.round) == sees, "\(story)")
                    }
                }
                #expect(route.guests.count == routes.reduce(0) { $0 + $1.own.count(where: { $0.peers.contains(route.rank) }) }, "\(story)")
                #expect(zip(route.guests, route.guests.dropFirst()).allSatisfy { $0.index <= $1.index }, "\(story)")
            }
        }
    }

    @Test("chunks with queries are those that hold a position")
    func active() throws {
        let plan = try ShardPlan(.zigzag, tokens: 40, over: WorldSize(2))
        #expect(plan.active(at: [0, 39]) == [[true, true], [false, false]])
        #expect(plan.active(at: [15]) == [[false, false], [true, false]])
        #expect(plan.active(at: []) == [[false, false], [false, false]])
        #expect(
            plan.queryRuns(at: [8, 9, 10, 12, 25])[1] == [
                QueryRun(chunk: Chunk(start: 10, length: 1), firstRow: 0), QueryRun(chunk: Chunk(start: 12, length: 1), firstRow: 1),
                QueryRun(chunk: Chunk(start: 25, length: 1), firstRow: 2),
            ])
    }
}

// A question that only an exact ring answers rightly. One key is planted many times with three values; the first leads by a
// single copy over both others. Where the copies stand is chosen so that for every shard of every world in a range
// - losing the shard makes the second or the third value win,
// - counting the shard twice makes the other of the two win,
// - giving every shard equal weight makes one of them win.
// Chains of facts cannot show the second and third fault, and a vote between two values cannot show the first two at once: a shard
// that holds more copies of the winner is noticed when it is lost, one that holds fewer when it is doubled.

import RingCore

/// Copies of the three values in some stretch of the context.
package struct HaystackTally: Hashable, Sendable {
    /// Copies of the value that wins.
    package var lead: Int
    /// Copies of the two that lose.
    package var second: Int, third: Int

    package init(lead: Int = 0, second: Int = 0, third: Int = 0) {
        self.lead = lead
        self.second = second
        self.third = third
    }

    /// Copies of all three.
    package var total: Int { lead + second + third }

    package static func + (left: HaystackTally, right: HaystackTally) -> HaystackTally {
        HaystackTally(lead: left.lead + right.lead, second: left.second + right.second, third: left.third + right.third)
    }

    package static func - (left: HaystackTally, right: HaystackTally) -> HaystackTally {
        HaystackTally(lead: left.lead - right.lead, second: left.second - right.second, third: left.third - right.third)
    }

    /// Whether the right value has strictly the most copies.
    package var isRight: Bool { lead > max(second, third) }
    /// Whether one of the wrong values has strictly more copies: a tie would leave the answer to rounding.
    package var isWrong: Bool { lead < max(second, third) }
}

/// The stretches of a context that the chunk edges of several plans cut out, and which of them each shard owns.
package struct HaystackGround: Sendable {
    /// Positions of each cell, without `<begin>` and the question.
    package let cells: [Range<Int>]
    /// For each plan, for each rank, the cells it owns.
    package let partitions: [[[Int]]]
    /// Every set of cells that may get lost or doubled as one: shards, and single chunks of shards.
    package let parts: [[Int]]

    /// Ground for both layouts of every world in `worlds`.
    package init(tokens: Int, worlds: ClosedRange<Int>) throws(PlanError) {
        var plans: [ShardPlan] = []
        for world in worlds {
            for layout in ShardPlan.Layout.allCases { plans.append(try ShardPlan(layout, tokens: tokens, over: WorldSize(world))) }
        }
        let edges = Set(plans.flatMap { $0.chunks.flatMap { [$0.start, $0.end] } }).sorted()
        let cells = zip(edges, edges.dropFirst()).map { $0..<$1 }
        func inside(_ chunks: [Chunk]) -> [Int] {
            cells.indices.filter { cell in chunks.contains { $0.start <= cells[cell].lowerBound && cells[cell].upperBound <= $0.end } }
        }
        partitions = plans.map { plan in plan.world.ranks.map { inside(plan.chunks(of: $0)) } }
        let chunks = plans.flatMap { plan in plan.chunks.map { inside([$0]) } }
        let all = (partitions.flatMap { $0 } + chunks).filter { $0.count < cells.count && !$0.isEmpty }
        parts = Set(all).sorted { $0.lexicographicallyPrecedes($1) }
        let usable = 1..<(tokens - 2)
        self.cells = cells.map { $0.clamped(to: usable) }
    }

    /// Whether a vote of these tallies, one a cell, shows every fault of every part.
    package func showsFaults(_ tallies: [HaystackTally]) -> Bool {
        func sum(_ cells: [Int]) -> HaystackTally { cells.reduce(HaystackTally()) { $0 + tallies[$1] } }
        let whole = sum(Array(cells.indices))
        guard whole.isRight else { return false }
        for part in parts {
            let inside = sum(part)
            guard (whole - inside).isWrong, (whole + inside).isWrong else { return false }
        }
        return partitions.allSatisfy { ranks in
            let shares = ranks.map(sum).filter { $0.total > 0 }
            func mean(_ count: KeyPath<HaystackTally, Int>) -> Double {
                shares.reduce(0) { $0 + Double($1[keyPath: count]) / Double($1.total) } / Double(shares.count)
            }
            // As clear as the right answer is: by one copy.
            return max(mean(\.second), mean(\.third)) - mean(\.lead) >= 1 / Double(whole.total)
        }
    }
}

/// Draws votes.
package struct HaystackVote: Sendable {
    /// Where copies may stand.
    package let cells: [Range<Int>]
    /// For each round and cell, how many copies of each value.
    package let rounds: [[HaystackTally]]
    /// The worlds in which every fault shows.
    package let worlds: ClosedRange<Int>

    /// Votes for all of `worlds`, or for fewer when the context is too short for so many edges.
    package static func draw(
        rounds: Int, tokens: Int, worlds: ClosedRange<Int>, random: inout NeedleRandom
    ) throws(NeedleError) -> HaystackVote {
        guard rounds >= 1, rounds <= 16 else { throw .request("a vote has 1 to 16 rounds, not \(rounds)") }
        guard worlds.lowerBound >= 2, worlds.upperBound <= 16 else {
            throw .request("a vote can be laid out for worlds of 2 to 16, not \(worlds.lowerBound) to \(worlds.upperBound)")
        }
        for most in stride(from: worlds.upperBound, through: worlds.lowerBound, by: -1) {
            let ground: HaystackGround
            do {
                ground = try HaystackGround(tokens: tokens, worlds: worlds.lowerBound...most)
            } catch {
                throw .request(error.description)
            }
            // Two tokens a copy, and two for the last fact, which any cell must have room for.
            let room = ground.cells.map { max(0, ($0.count / 2 - 1) / rounds) }
            var found: [[HaystackTally]] = []
            while found.count < rounds, let tallies = HaystackBallot.search(ground, room: room, random: &random) { found.append(tallies) }
            if found.count == rounds, room.allSatisfy({ $0 > 0 }) {
                return HaystackVote(cells: ground.cells, rounds: found, worlds: worlds.lowerBound...most)
            }
        }
        throw .request("\(tokens) tokens are too few for a vote of \(rounds) rounds in \(worlds.lowerBound) shards: give more tokens")
    }
}

// The search behind a vote. Write x for the lead of the second value over the first in a cell, and let the third value's lead be
// -x: then a part whose sum of x is at least 2 in size is noticed both when it is lost and when it is doubled, and all that is
// needed is one number a cell with a total of -1. These are found by local search, a few thousand cheap moves.

/// One round's search.
package enum HaystackBallot {
    /// Largest |x| of a cell.
    private static let size = 6
    /// Moves of one attempt, attempts from which the best is taken, and attempts before giving up: a millisecond each.
    private static let moves = 12_000, attempts = 24, attemptsMost = 120
    /// Costs: a unit of a part's or the total's shortfall against a copy.
    private static let shortfall = 40

    /// Copies of the three values for each cell, at most `room` a cell: the fewest of several attempts, because a lead of one
    /// copy is the clearer the fewer there are. Nil when none were found.
    package static func search(_ ground: HaystackGround, room: [Int], random: inout NeedleRandom) -> [HaystackTally]? {
        func copies(_ tallies: [HaystackTally]) -> Int { tallies.reduce(0) { $0 + $1.total } }
        var best: [HaystackTally]?
        for attempt in 0..<attemptsMost where attempt < attempts || best == nil {
            guard let leads = leads(ground, room: room, random: &random) else { continue }
            guard let tallies = complete(leads, ground, room: room, random: &random) else { continue }
            if best.map({ copies(tallies) < copies($0) }) ?? true { best = tallies }
        }
        return best
    }

    /// x for each cell: the total is -1 and every part's sum is at least 2 in size.
    private static func leads(_ ground: HaystackGround, room: [Int], random: inout NeedleRandom) -> [Int]? {
        let cells = ground.cells.indices.filter { room[$0] >= 3 }
        guard !cells.isEmpty else { return nil }
        let partsOf = ground.cells.indices.map { cell in ground.parts.indices.filter { ground.parts[$0].contains(cell) } }
        var leads = [Int](repeating: 0, count: room.count)
        var sums = [Int](repeating: 0, count: ground.parts.count)
        var total = 0
        func lack(_ sum: Int) -> Int { max(0, 2 - abs(sum)) }
        for move in 0..<moves {
            let cell = cells[random.below(cells.count)]
            let step = random.below(2) * 2 - 1
            let next = leads[cell] + step
            if abs(next) > size || 3 * abs(next) > room[cell] { continue }
            var change = shortfall * (abs(total + step + 1) - abs(total + 1)) + abs(next) - abs(leads[cell])
            for part in partsOf[cell] { change += shortfall * (lack(sums[part] + step) - lack(sums[part])) }
            // Threshold accepting (Dueck and Scheuer, 1990): integers only, so that every machine finds the same vote.
            let threshold = 2 * shortfall * (moves - move) / moves
            if change > random.below(threshold + 1) { continue }
            leads[cell] = next
            total += step
            for part in partsOf[cell] { sums[part] += step }
        }
        return total == -1 && sums.allSatisfy { lack($0) == 0 } ? leads : nil
    }

    /// Turns leads into copies: |x| of the first value, 2|x| of the second or third. The third value's total is then two
    /// too high, and equal weights need not hurt yet; two copies less and a crowd of all three values somewhere settle that.
    private static func complete(
        _ leads: [Int], _ ground: HaystackGround, room: [Int], random: inout NeedleRandom
    ) -> [HaystackTally]? {
        let tallies = leads.map { HaystackTally(lead: abs($0), second: max(0, 2 * $0), third: max(0, -2 * $0)) }
        let order = random.shuffled(Array(leads.indices))
        for corrected in order where leads[corrected] < 0 {
            var base = tallies
            base[corrected].third -= 2
            for crowd in [0, 2, 4, 8, 16] {
                for cell in order where base[cell].total + 3 * crowd <= room[cell] {
                    var candidate = base
                    candidate[cell] = candidate[cell] + HaystackTally(lead: crowd, second: crowd, third: crowd)
                    if ground.showsFaults(candidate) { return candidate }
                    if crowd == 0 { break }
                }
            }
        }
        return nil
    }
}

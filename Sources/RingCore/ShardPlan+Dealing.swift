// Who owns which tokens under any mask, on ranks of any speed: visible pairs in proportion to speed, tokens nearly so. Neighbours stay
// together where that balances, since what lies on its own rank does not move; only what does not balance is cut finer and dealt.
// Docs/MATH.md says why each of the three ways balances.

extension ShardPlan {
    /// The most work of a rank over its fair part that is taken for balanced.
    public static let imbalanceMax = 1.02
    /// The same of tokens: memory stays nearly even too.
    public static let tokenImbalanceMax = 1.05
    /// Most pieces that are dealt in all: every rank is told of each, and works out who needs what of it.
    static let piecesMax = 4096

    /// Deals `tokens` to ranks of the relative `speeds` (`nil`: all alike) so that they need about the same time for the visible pairs of
    /// `mask`, and to cut no tile of `grain` tokens. Throws where there are no tokens, or where a speed is not positive.
    public init(
        for mask: Mask, tokens: Int, over world: WorldSize, speeds: [Double]? = nil, grain: Int? = nil
    ) throws(PlanError) {
        let alike = ShardPlan.alike(speeds)
        if alike, mask.isPlainCausal || mask.isFull {
            try self.init(mask.isFull ? .contiguous : .zigzag, tokens: tokens, over: world, grain: grain)
            return
        }
        guard tokens >= 1, tokens <= Limits.tokens else { throw .tokens(tokens) }
        let speeds = speeds ?? Array(repeating: 1, count: world.count)
        guard speeds.count == world.count, speeds.allSatisfy({ $0 > 0 && $0.isFinite }) else {
            throw .shares("each of \(world.count) ranks has a speed above 0, got \(speeds)")
        }
        let layouts: [Layout] = mask.isFull ? [.contiguous] : mask.isPlainCausal ? [.zigzag] : [.contiguous, .zigzag]
        var best: (plan: ShardPlan, excess: Double)?
        /// Keeps the better one, and says whether it is good enough.
        func settles(_ chunks: [[Chunk]]) throws(PlanError) -> Bool {
            let table = chunks.map { $0.map { Share(start: $0.start, length: $0.length, layers: 0) } }
            let plan = try ShardPlan(shares: table, tokens: tokens, grain: grain)
            let excess = max(
                plan.imbalance(under: mask, speeds: speeds) - Self.imbalanceMax, plan.tokenImbalance(speeds) - Self.tokenImbalanceMax)
            if best.map({ excess < $0.excess }) ?? true { best = (plan, excess) }
            return excess <= 0
        }
        for layout in layouts where try settles(Self.cut(tokens, layout, by: speeds, grain)) { break }
        if !mask.isFull, !mask.isPlainCausal, best.map({ $0.excess > 0 }) ?? true {
            // Few large pieces move less than many small ones.
            var piecesPerRank = 4
            while piecesPerRank <= 64, piecesPerRank == 4 || piecesPerRank * world.count <= Self.piecesMax {
                let pieces = mask.pieces(of: tokens, atMost: max(1, tokens / (piecesPerRank * world.count)), grain)
                if try settles(Self.deal(pieces, of: tokens, under: mask, by: speeds)) { break }
                piecesPerRank *= 2
            }
        }
        guard let best else { preconditionFailure("a context of \(tokens) tokens has no plan") }
        self = best.plan
    }

    /// The speeds by which nobody gets more than `most` of `tokens` tokens: who would is held there, and the others share what is left by
    /// their speeds. `nil` if all have room for less than that.
    public static func bounded(_ speeds: [Double], tokens: Int, atMost most: [Int]) -> [Double]? {
        precondition(speeds.count == most.count, "\(speeds.count) speeds with \(most.count) bounds")
        var (shares, open) = (most.map(Double.init), Array(speeds.indices))
        var left = Double(tokens)
        while !open.isEmpty {
            let whole = open.reduce(0) { $0 + speeds[$1] }
            let full = open.filter { left * speeds[$0] / whole > shares[$0] }
            if full.isEmpty {
                for rank in open { shares[rank] = left * speeds[rank] / whole }
                return shares
            }
            left -= full.reduce(0) { $0 + shares[$1] }
            open.removeAll { full.contains($0) }
        }
        return left <= 0 ? shares : nil
    }

    /// Whether speeds make no difference.
    private static func alike(_ speeds: [Double]?) -> Bool {
        guard let speeds, let first = speeds.first else { return true }
        return speeds.allSatisfy { $0 == first }
    }

    /// The work of the rank that is done last over what it were if all were done at once; 1 is perfect.
    public func imbalance(under mask: Mask, speeds: [Double]? = nil) -> Double {
        let work = world.ranks.map { rank in
            Double(chunks(of: rank).reduce(0) { $0 + mask.pairs(queries: $1.range, keys: 0..<tokens) })
        }
        let speeds = speeds ?? work.map { _ in 1 }
        let last = zip(work, speeds).map { $0 / $1 }.max() ?? 0
        return last * speeds.reduce(0, +) / max(work.reduce(0, +), 1)
    }

    /// The most tokens of a rank over what is fair by speed.
    private func tokenImbalance(_ speeds: [Double]) -> Double {
        let most = world.ranks.map { Double(self.tokens(of: $0)) / speeds[$0.index] }.max() ?? 0
        return most * speeds.reduce(0, +) / Double(tokens)
    }

    /// The runs of a layout, as wide as their ranks are fast: contiguous, or a low and a high run each that mirror one another.
    private static func cut(_ tokens: Int, _ layout: Layout, by speeds: [Double], _ grain: Int?) -> [[Chunk]] {
        let widths = layout == .zigzag ? speeds + speeds.reversed() : speeds
        let (whole, narrowest) = (widths.reduce(0, +), widths.min() ?? 1)
        let tile = grain ?? (Double(tokens) * narrowest / whole >= Double(Limits.tileTokens) ? Limits.tileTokens : 1)
        var (edges, sum): ([Int], Double) = ([0], 0)
        for width in widths.dropLast() {
            sum += width
            let ideal = Int((Double(tokens) * sum / whole).rounded())
            edges.append(min(max((ideal + tile / 2) / tile * tile, edges[edges.count - 1]), tokens))
        }
        edges.append(tokens)
        return speeds.indices.map { rank in
            let places = layout == .zigzag ? [rank, widths.count - 1 - rank] : [rank]
            return places.map { Chunk(start: edges[$0], length: edges[$0 + 1] - edges[$0]) }.filter { !$0.isEmpty }
        }
    }

    /// Gives each piece, the dearest first, to the rank that would be done with it first, as long as it has room for more tokens.
    private static func deal(_ pieces: [Range<Int>], of tokens: Int, under mask: Mask, by speeds: [Double]) -> [[Chunk]] {
        let costs = pieces.map { Double(mask.pairs(queries: $0, keys: 0..<tokens)) }
        let whole = speeds.reduce(0, +)
        let largest = pieces.map(\.count).max() ?? 0
        // A little more than what is fair; where that lets a rank go beyond the bound, the caller cuts finer.
        let room = speeds.map { Int(Double(tokens) * $0 / whole * (1 + (tokenImbalanceMax - 1) / 2)) + largest / 4 }
        var work = [Double](repeating: 0, count: speeds.count)
        var held = [Int](repeating: 0, count: speeds.count)
        var owned = [[Int]](repeating: [], count: speeds.count)
        for piece in pieces.indices.sorted(by: { (-costs[$0], $0) < (-costs[$1], $1) }) {
            var (chosen, least): (Int?, Double) = (nil, .infinity)
            for rank in speeds.indices where held[rank] + pieces[piece].count <= room[rank] {
                let end = (work[rank] + costs[piece]) / speeds[rank]
                if end < least { (chosen, least) = (rank, end) }
            }
            // Nobody has room for so large a piece: then whoever has most of it.
            let rank = chosen ?? speeds.indices.max { room[$0] - held[$0] < room[$1] - held[$1] } ?? 0
            work[rank] += costs[piece]
            held[rank] += pieces[piece].count
            owned[rank].append(piece)
        }
        return owned.map { places in
            var chunks: [Chunk] = []
            for piece in places.sorted().map({ pieces[$0] }) {
                if let last = chunks.last, last.end == piece.lowerBound {
                    chunks[chunks.count - 1] = Chunk(start: last.start, length: last.length + piece.count)
                } else {
                    chunks.append(Chunk(start: piece.lowerBound, length: piece.count))
                }
            }
            return chunks
        }
    }
}

extension Mask {
    /// A context of `tokens` cut into pieces of at most `size` tokens: whole documents where they are small, parts of one document, on
    /// the grid of tiles from its start, where it is not. With a `grain`, whole tiles of that, wherever documents begin.
    func pieces(of tokens: Int, atMost size: Int, _ grain: Int? = nil) -> [Range<Int>] {
        if let grain {
            return stride(from: 0, to: tokens, by: max(grain, size / grain * grain)).map {
                $0..<min(tokens, $0 + max(grain, size / grain * grain))
            }
        }
        var (pieces, first): ([Range<Int>], Int) = ([], 0)
        for (start, end) in zip(edges ?? [0], (edges ?? [0, tokens]).dropFirst()) {
            if end - first <= size { continue }
            if start > first { pieces.append(first..<start) }
            first = start
            guard end - start > size else { continue }
            let parts = (end - start + size - 1) / size
            let tile = size >= Limits.tileTokens ? Limits.tileTokens : 1
            for part in 1..<parts {
                let to = start + (end - start) * part / parts / tile * tile
                if to > first { pieces.append(first..<to) }
                first = max(first, to)
            }
            pieces.append(first..<end)
            first = end
        }
        if first < tokens { pieces.append(first..<tokens) }
        return pieces
    }
}

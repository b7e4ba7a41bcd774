// The grid on which a context is cut where its result must have the same bits on however many ranks (Docs/MATH.md, "The same bits").
// Attention over one tile of keys is then always computed by one rank and in one piece, and all that differs is in which order tiles are
// summed up, which bins do not show.

extension ShardPlan {
    /// Tokens of a tile in a context of `tokens`: a function of that alone, never of ranks or threads. Larger tiles cost balance and
    /// smaller ones speed, since each begins afresh and ends in a deposit (Docs/PERFORMANCE.md).
    public static func grain(ofTokens tokens: Int) -> Int {
        var grain = Limits.grainMin
        while grain < Limits.grainMax, 2 * grain * Limits.grainCount <= tokens { grain *= 2 }
        return grain
    }
}

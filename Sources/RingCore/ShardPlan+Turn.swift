// A turn of a conversation: new tokens over a long past that has keys and values only. Dealt as one context, the new ones would all be the
// last rank's; dealt apart, every rank has an equal part of both, so that either schedule balances.

extension ShardPlan {
    /// Deals the first `past` of `tokens` tokens in equal runs and the rest, which alone have queries, by `layout`. With a `grain`, the
    /// tile in which the new tokens begin is dealt with them.
    public init(past: Int, tokens: Int, by layout: Layout, over world: WorldSize, grain: Int? = nil) throws(PlanError) {
        precondition(past > 0 && past < tokens, "\(past) tokens before a turn of \(tokens - past)")
        let past = past / (grain ?? 1) * (grain ?? 1)
        if past == 0 {
            try self.init(layout, tokens: tokens, over: world, grain: grain)
            return
        }
        let (before, new) = (
            try ShardPlan(.contiguous, tokens: past, over: world, grain: grain),
            try ShardPlan(layout, tokens: tokens - past, over: world, grain: grain)
        )
        let shares = world.ranks.map { rank in
            before.chunks(of: rank).map { Share(start: $0.start, length: $0.length, layers: 0) }
                + new.chunks(of: rank).map { Share(start: past + $0.start, length: $0.length, layers: 0) }
        }
        try self.init(shares: shares, tokens: tokens, grain: grain)
    }
}

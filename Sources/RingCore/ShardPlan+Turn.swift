// A turn of a conversation: new tokens over a long past that has keys and values only. Dealt as one context, the new ones would all be the
// last rank's; dealt apart, every rank has an equal part of both, so that either schedule balances.

extension ShardPlan {
    /// Deals the first `past` of `tokens` tokens in equal runs and the rest, which alone have queries, by `layout`.
    public init(past: Int, tokens: Int, by layout: Layout, over world: WorldSize) throws(PlanError) {
        precondition(past > 0 && past < tokens, "\(past) tokens before a turn of \(tokens - past)")
        let (before, new) = (
            try ShardPlan(.contiguous, tokens: past, over: world), try ShardPlan(layout, tokens: tokens - past, over: world)
        )
        let shares = world.ranks.map { rank in
            before.chunks(of: rank).map { Share(start: $0.start, length: $0.length, layers: 0) }
                + new.chunks(of: rank).map { Share(start: past + $0.start, length: $0.length, layers: 0) }
        }
        try self.init(shares: shares, tokens: tokens)
    }
}

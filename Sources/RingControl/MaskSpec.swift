// The mask of an attention job as it is asked for: at most one rule beyond causal or full, and the lengths of packed documents.

import RingCore

/// Which keys a query sees, beyond whether later ones are hidden.
public struct MaskSpec: Hashable, Sendable, Codable {
    /// Only the last `window` keys up to a query's own are seen, and the document's first `sinks`.
    public var window: Int?
    /// First keys of a document that stay in sight of a window; `nil` is none.
    public var sinks: Int?
    /// The first `prefix` tokens of a document are seen by all of it.
    public var prefix: Int?
    /// Only keys in a query's own run of `chunk` tokens are seen.
    public var chunk: Int?
    /// Lengths of the documents that lie packed in the context, each of which sees only itself; `nil` is one document.
    public var documents: [Int]?

    /// Nothing beyond causal or full.
    public init() {}

    /// The mask itself. Throws where the parts contradict one another or do not fit `tokens`.
    public func mask(causal: Bool, tokens: Int) throws(MaskError) -> Mask {
        let named = [("window", window), ("prefix", prefix), ("chunk", chunk)].filter { $0.1 != nil }.map(\.0)
        if named.count > 1 { throw .rule("a mask has one rule, got \(named.joined(separator: " and "))") }
        if sinks != nil, window == nil { throw .rule("sinks are the keys that a window keeps in sight: they need a window") }
        if let rule = named.first, !causal { throw .rule("a \(rule) hides what comes after a query: it does not go with causal off") }
        if let documents, documents.count > ControlLimits.documents {
            throw .documents("at most \(ControlLimits.documents) documents, got \(documents.count)")
        }
        let rule: Mask.Rule =
            window.map { .window(size: $0, sinks: sinks ?? 0) } ?? prefix.map { .prefix(length: $0) } ?? chunk.map { .chunked(length: $0) }
            ?? (causal ? .causal : .full)
        return try Mask(rule, documents: documents, tokens: tokens)
    }
}

extension AttendSpec {
    /// Which keys a query sees. Throws for a mask that was never checked.
    public func resolvedMask() throws(MaskError) -> Mask {
        guard let mask else { return causal ? .causal : .full }
        return try mask.mask(causal: causal, tokens: shape.tokens)
    }
}

extension JobSpec {
    /// Which keys a query sees. Throws for a mask that was never checked.
    public func resolvedMask() throws(MaskError) -> Mask {
        switch self {
        case .generate: .causal
        case .attend(let spec): try spec.resolvedMask()
        case .measure: .full
        }
    }

    /// Who owns which tokens when `world` workers of these relative `speeds` share them; `nil` is all alike.
    public func plan(over world: WorldSize, speeds: [Double]? = nil) throws(PlanError) -> ShardPlan {
        let mask: Mask
        do throws(MaskError) { mask = try resolvedMask() } catch { throw .shares("\(error)") }
        if speeds == nil, case .attend(let spec) = self, let past = spec.past, mask.isPlainCausal || mask.isFull {
            // Where the past is so long, later new tokens see hardly more than earlier ones, and neighbours are one run of rows.
            let isShort = (spec.shape.tokens - past) * 32 <= past
            return try ShardPlan(past: past, tokens: tokens, by: mask.isFull || isShort ? .contiguous : .zigzag, over: world, grain: grain)
        }
        return try ShardPlan(for: mask, tokens: tokens, over: world, speeds: speeds, grain: grain)
    }
}

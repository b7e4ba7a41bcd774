// The model that simulated workers run: attention in integers. A row's partial is an exact sum of one hash a visible
// (query, key) pair, and the next layer's row depends on it, so that a pair which is left out, done twice or done with the
// wrong key changes everything behind it. Sums are commutative, as the merge of real partials is up to rounding.

import RingControl
import RingCore

/// What a model computes, as plain functions.
enum IntegerModel {
    /// A row of layer 0.
    static func embed(_ id: UInt32, at position: Int) -> UInt64 { scramble(UInt64(id) &+ 1, UInt64(position)) }

    /// What one visible pair adds.
    static func weight(_ query: UInt64, _ key: UInt64, layer: Int) -> UInt64 {
        scramble(query ^ (key << 17 | key >> 47) &+ UInt64(layer))
    }

    /// The row of the next layer.
    static func next(_ row: UInt64, _ partial: Partial) -> UInt64 { scramble(row &+ partial.sum, UInt64(partial.pairs)) }

    /// The token that follows on a last row.
    static func token(_ row: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: row >> 40) % 50_000 }

    /// Layers of a specification's model.
    static func layers(of spec: JobSpec) -> Int {
        switch spec {
        case .generate(let spec): 1 + Int(spec.seed % 3)
        case .attend, .measure: 1
        }
    }

    /// Token ids of an attention problem, which any rank can make.
    static func seededID(_ spec: AttendSpec, at position: Int) -> UInt32 {
        guard case .seeded(let seed) = spec.input else { return 0 }
        return UInt32(truncatingIfNeeded: scramble(seed, UInt64(position)) >> 32)
    }
}

/// Attention of one row, not yet merged; zero is its identity.
struct Partial: Hashable, Sendable {
    var pairs = 0
    var sum: UInt64 = 0

    static func += (left: inout Partial, right: Partial) {
        left.pairs += right.pairs
        left.sum &+= right.sum
    }
}

/// Rows of one owner that one rank needs, in order of position.
struct Block: Hashable, Sendable {
    var owner: Int
    var parts: [Part]

    /// A run of tokens and its rows.
    struct Part: Hashable, Sendable {
        var positions: Range<Int>
        var rows: [UInt64]
    }

    /// Adds what came from another sender.
    mutating func add(_ other: Block) {
        parts = (parts + other.parts).sorted { $0.positions.lowerBound < $1.positions.lowerBound }
    }

    /// The rows of `runs`, each of which lies in one part; `nil` if they are not there.
    func cut(to runs: [BlockRun]) -> Block? {
        var found: [Part] = []
        for run in runs {
            guard let part = parts.first(where: { $0.positions.clamped(to: run.positions) == run.positions }) else { return nil }
            let first = run.positions.lowerBound - part.positions.lowerBound
            found.append(Part(positions: run.positions, rows: Array(part.rows[first..<first + run.positions.count])))
        }
        return Block(owner: owner, parts: found)
    }
}

/// Every row of every layer and the whole answer of a job, computed in one place and in the plainest way.
struct Oracle: Sendable {
    let layers: Int
    let mask: Mask
    /// Prompt and answer.
    private(set) var ids: [UInt32]
    private(set) var answer: [UInt32] = []
    /// By layer, 0 ... layers, and position.
    private(set) var rows: [[UInt64]]

    init(_ spec: JobSpec, prompt: [UInt32]) {
        layers = IntegerModel.layers(of: spec)
        rows = Array(repeating: [], count: layers + 1)
        ids = prompt
        guard case .generate(let generate) = spec else {
            guard case .attend(let attend) = spec else { preconditionFailure("a job of neither kind") }
            guard let resolved = try? attend.resolvedMask() else { preconditionFailure("a job whose mask was never checked") }
            mask = resolved
            for (position, id) in prompt.enumerated() { rows[0].append(IntegerModel.embed(id, at: position)) }
            for query in prompt.indices { extend(layer: 0, query: query, keys: Self.keys(of: query, under: mask, tokens: prompt.count)) }
            return
        }
        mask = .causal
        for position in 0..<prompt.count + generate.maxTokens {
            if position == ids.count { appendToken(after: position - 1) }
            rows[0].append(IntegerModel.embed(ids[position], at: position))
            for layer in 0..<layers { extend(layer: layer, query: position, keys: Array(0...position)) }
        }
    }

    private mutating func appendToken(after position: Int) {
        let token = IntegerModel.token(rows[layers][position])
        answer.append(token)
        ids.append(token)
    }

    private mutating func extend(layer: Int, query: Int, keys: [Int]) {
        var partial = Partial()
        for key in keys {
            partial += Partial(pairs: 1, sum: IntegerModel.weight(rows[layer][query], rows[layer][key], layer: layer))
        }
        rows[layer + 1].append(IntegerModel.next(rows[layer][query], partial))
    }

    private static func keys(of query: Int, under mask: Mask, tokens: Int) -> [Int] {
        let seen = mask.runs(of: query)
        return Array(seen.sinks) + Array(seen.main.clamped(to: 0..<tokens))
    }

    /// Pairs that a query sees in a context of `tokens`.
    func pairs(of query: Int, tokens: Int) -> Int { Self.keys(of: query, under: mask, tokens: tokens).count }
}

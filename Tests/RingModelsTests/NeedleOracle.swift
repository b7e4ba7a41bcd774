// A second, deliberately plain implementation of the needle model: double precision, one token at a time, attention as a ring
// computes it (one partial a rank, merged by log-sum-exp), with faults to order.
import Glibc
import RingCore
import RingModels
import Testing

/// What goes wrong in the ring.
enum NeedleFault: Hashable, Sendable, CustomTestStringConvertible {
    case none
    case dropped(Rank)
    case doubled(Rank)
    /// Partials are averaged. In layer 1 only, because in layer 0 it destroys every answer by itself.
    case unweighted

    var testDescription: String { "\(self)" }
}

/// How keys and values are stored.
enum NeedleStorage: Sendable { case exact, bfloat16 }

/// The model and one growing context.
struct NeedleOracle {
    private struct Sparse {
        let rows: [[(column: Int, weight: Double)]]

        init(_ matrix: NeedleMatrix) {
            rows = (0..<matrix.rows).map { row in
                (0..<matrix.columns).compactMap { matrix[row, $0] == 0 ? nil : ($0, Double(matrix[row, $0])) }
            }
        }

        func callAsFunction(_ input: [Double]) -> [Double] {
            rows.map { row in row.reduce(0) { $0 + $1.weight * input[$1.column] } }
        }
    }

    private struct Layer {
        let query, key, value, output, gate, up, down: Sparse

        init(_ weights: NeedleLayerWeights) {
            (query, key, value) = (Sparse(weights.query), Sparse(weights.key), Sparse(weights.value))
            (output, gate) = (Sparse(weights.output), Sparse(weights.gate))
            (up, down) = (Sparse(weights.up), Sparse(weights.down))
        }
    }

    private let weights: NeedleWeights
    private let layers: [Layer]
    private let head: Sparse
    private let turns = (0..<NeedleHead.pairCount).map(NeedleHead.turn(ofPair:))
    private let plan: ShardPlan
    private let fault: NeedleFault
    private let storage: NeedleStorage
    /// Added to the position of the second half of the prompt: a short context that spans millions of tokens.
    private let gap: Int

    private var owners: [Int] = []
    private var keys: [[[Double]]] = [[], []]
    private var values: [[[Double]]] = [[], []]

    init(
        _ weights: NeedleWeights, plan: ShardPlan, fault: NeedleFault = .none, storage: NeedleStorage = .exact, gap: Int = 0
    ) {
        self.weights = weights
        self.plan = plan
        self.fault = fault
        self.storage = storage
        self.gap = gap
        layers = weights.layers.map(Layer.init)
        head = Sparse(weights.head)
    }

    /// Greedy continuation until `end` or `most` tokens, and the smallest gap between the best and the next logit.
    mutating func answer(_ prompt: [UInt32], end: UInt32, most: Int) -> (ids: [UInt32], margin: Double) {
        for token in prompt.dropLast() { _ = step(token, wantsLogits: false) }
        var next = prompt[prompt.count - 1]
        var ids: [UInt32] = []
        var margin = Double.infinity
        while ids.count < most, ids.last != end {
            let logits = step(next, wantsLogits: true)
            let best = logits.indices.max { logits[$0] < logits[$1] } ?? 0
            for (id, logit) in logits.enumerated() where id != best { margin = min(margin, logits[best] - logit) }
            next = UInt32(best)
            ids.append(next)
        }
        return (ids, margin)
    }

    /// One token through both layers. Without logits the last attention is left out: nothing depends on it.
    private mutating func step(_ token: UInt32, wantsLogits: Bool) -> [Double] {
        let index = owners.count
        owners.append(index < plan.tokens ? plan.owner(of: index).index : index % plan.world.count)
        let position = index >= plan.tokens / 2 ? index + gap : index
        var stream = (0..<NeedleStream.width).map { Double(weights.embedding[Int(token), $0]) }
        for (number, layer) in layers.enumerated() {
            let input = normalised(stream)
            keys[number].append(stored(turned(layer.key(input), position)))
            values[number].append(stored(layer.value(input)))
            if number == 1 && !wantsLogits { break }
            let query = layer.query(input)
            let found = (0..<NeedleHead.queryHeads).flatMap { head in
                let first = head * NeedleHead.width
                return attend(turned(Array(query[first..<first + NeedleHead.width]), position), number)
            }
            add(layer.output(found), to: &stream)
            let inner = normalised(stream)
            let gated = zip(layer.gate(inner), layer.up(inner)).map { gate, up in gate / (1 + exp(-gate)) * up }
            add(layer.down(gated), to: &stream)
        }
        return wantsLogits ? head(normalised(stream)) : []
    }

    private func attend(_ query: [Double], _ layer: Int) -> [Double] {
        var partials: [(out: [Double], logSum: Double)] = []
        for rank in plan.world.ranks where fault != .dropped(rank) {
            let mine = owners.indices.filter { owners[$0] == rank.index }
            guard !mine.isEmpty else { continue }
            let scores = mine.map { dot(query, keys[layer][$0]) / sqrt(Double(NeedleHead.width)) }
            let top = scores.max() ?? 0
            let logSum = top + log(scores.reduce(0) { $0 + exp($1 - top) })
            var out = [Double](repeating: 0, count: NeedleHead.width)
            for (place, score) in zip(mine, scores) where score - logSum > -700 {
                let weight = exp(score - logSum)
                for column in out.indices { out[column] += weight * values[layer][place][column] }
            }
            partials += Array(repeating: (out, logSum), count: fault == .doubled(rank) ? 2 : 1)
        }
        let top = partials.map(\.logSum).max() ?? 0
        let equal = fault == .unweighted && layer == 1
        let shares = partials.map { equal ? 1 : exp($0.logSum - top) }
        let total = shares.reduce(0, +)
        return (0..<NeedleHead.width).map { column in
            zip(partials, shares).reduce(0) { $0 + $1.0.out[column] * $1.1 } / total
        }
    }

    private func turned(_ vector: [Double], _ position: Int) -> [Double] {
        var result = vector
        for pair in 0..<NeedleHead.pairCount {
            let (c, s) = (cos(Double(position) * turns[pair]), sin(Double(position) * turns[pair]))
            let (x, y) = (vector[pair], vector[pair + NeedleHead.pairCount])
            result[pair] = x * c - y * s
            result[pair + NeedleHead.pairCount] = y * c + x * s
        }
        return result
    }

    private func stored(_ vector: [Double]) -> [Double] {
        storage == .exact ? vector : vector.map { Double(roundedToBFloat16(Float($0))) }
    }

    private func normalised(_ vector: [Double]) -> [Double] {
        let scale = 1 / sqrt(dot(vector, vector) / Double(vector.count) + 1e-6)
        return vector.map { $0 * scale }
    }

    private func add(_ update: [Double], to stream: inout [Double]) {
        for place in stream.indices { stream[place] += update[place] }
    }

    private func dot(_ left: [Double], _ right: [Double]) -> Double {
        var sum = 0.0
        for place in left.indices { sum += left[place] * right[place] }
        return sum
    }
}

/// Round to nearest even, as every bfloat16 store does.
func roundedToBFloat16(_ value: Float) -> Float {
    let bits = value.bitPattern
    return Float(bitPattern: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) & 0xFFFF_0000)
}

// A Llama in double precision, as plainly as it can be written: what the layers of a random checkpoint are compared with.
import Glibc
import RingFormats

/// The logits of every position of a prompt, by a checkpoint whose names are those of Llama.
struct LayerOracle {
    let config: ModelConfig
    private let checkpoint: Checkpoint

    init(folder: String) throws {
        config = try ModelConfig(folder: folder)
        checkpoint = try Checkpoint(folder: folder)
    }

    private func matrix(_ name: String) throws -> [Double] { try checkpoint.require(name).floats().map(Double.init) }

    /// x [rows][inputs] times the transpose of the weight of that name.
    private func linear(_ x: [[Double]], _ name: String) throws -> [[Double]] {
        let (weight, inputs) = (try matrix(name + ".weight"), x[0].count)
        return x.map { row in
            (0..<weight.count / inputs).map { output in
                var sum = 0.0
                for input in 0..<inputs { sum += row[input] * weight[output * inputs + input] }
                return sum
            }
        }
    }

    private func normed(_ x: [[Double]], _ name: String) throws -> [[Double]] {
        let weight = try matrix(name + ".weight")
        return x.map { row in
            let factor = 1 / (row.reduce(0) { $0 + $1 * $1 } / Double(row.count) + config.normEpsilon).squareRoot()
            return zip(row, weight).map { $0 * factor * $1 }
        }
    }

    private func rotated(_ x: [[Double]], _ frequencies: [Double]) -> [[Double]] {
        let (dim, half) = (config.headDimension, config.headDimension / 2)
        return x.enumerated().map { position, row in
            var row = row
            for start in stride(from: 0, to: row.count, by: dim) {
                for (pair, frequency) in frequencies.enumerated() {
                    let (c, s) = (cos(Double(position) * frequency), sin(Double(position) * frequency))
                    let (a, b) = (row[start + pair], row[start + pair + half])
                    (row[start + pair], row[start + pair + half]) = (a * c - b * s, b * c + a * s)
                }
            }
            return row
        }
    }

    private func attended(_ q: [[Double]], _ k: [[Double]], _ v: [[Double]]) -> [[Double]] {
        let (dim, group) = (config.headDimension, config.headCount / config.keyValueHeadCount)
        return q.indices.map { row in
            (0..<config.headCount).flatMap { head -> [Double] in
                let (from, shared) = (head * dim, head / group * dim)
                let scores = (0...row).map { key in
                    (0..<dim).reduce(0.0) { $0 + q[row][from + $1] * k[key][shared + $1] } / Double(dim).squareRoot()
                }
                let top = scores.max() ?? 0
                let weights = scores.map { exp($0 - top) }
                let sum = weights.reduce(0, +)
                return (0..<dim).map { column in
                    zip(weights, v).reduce(0.0) { $0 + $1.0 * $1.1[shared + column] } / sum
                }
            }
        }
    }

    func logits(_ prompt: [UInt32]) throws -> [[Double]] {
        let embedding = try matrix("model.embed_tokens.weight")
        let width = config.hiddenSize
        let frequencies = RopeFrequencies(config).inverseFrequencies
        var x = prompt.map { Array(embedding[Int($0) * width..<Int($0) * width + width]) }
        func add(_ y: [[Double]]) { for row in x.indices { x[row] = zip(x[row], y[row]).map { $0 + $1 } } }
        for layer in 0..<config.layerCount {
            let name = "model.layers.\(layer)."
            let before = try normed(x, name + "input_layernorm")
            let q = rotated(try linear(before, name + "self_attn.q_proj"), frequencies)
            let k = rotated(try linear(before, name + "self_attn.k_proj"), frequencies)
            add(try linear(attended(q, k, try linear(before, name + "self_attn.v_proj")), name + "self_attn.o_proj"))
            let inner = try normed(x, name + "post_attention_layernorm")
            let (gate, up) = (try linear(inner, name + "mlp.gate_proj"), try linear(inner, name + "mlp.up_proj"))
            let product = zip(gate, up).map { zip($0, $1).map { $0 / (1 + exp(-$0)) * $1 } }
            add(try linear(product, name + "mlp.down_proj"))
        }
        return try linear(try normed(x, "model.norm"), "lm_head")
    }
}

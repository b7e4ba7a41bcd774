// A model's weights in memory: bf16 matrices packed for the tile unit where the kernels have one, else widened to f32 as norms
// always are; the embedding is left in its file and read row by row. Every rank of a ring holds the layers, because it is the
// context that is cut, not the model.
import RingFormats
import RingKernels

/// A weight [outputs, inputs] with its optional bias [1, outputs].
public struct LinearWeight: Sendable {
    /// f32 or packed bf16.
    public let weight: LinearMatrix
    /// Added to every output row.
    public let bias: FloatRows?

    /// Some of the outputs.
    func outputs(_ range: Range<Int>) -> LinearWeight {
        LinearWeight(weight: weight.outputs(range), bias: bias?.columns(range))
    }

    /// Some of the inputs; the bias goes with the first of them, so that the parts add up.
    func inputs(_ range: Range<Int>) -> LinearWeight {
        LinearWeight(weight: weight.inputs(range), bias: range.lowerBound == 0 ? bias : nil)
    }
}

/// The weights of one block.
public struct LayerWeights: Sendable {
    /// By `ModelFamily.Linear`.
    public let linear: [ModelFamily.Linear: LinearWeight]
    /// By `ModelFamily.Norm`, each [1, width]; query and key norms only where the family has them.
    public let norm: [ModelFamily.Norm: FloatRows]

    subscript(_ name: ModelFamily.Linear) -> LinearWeight {
        guard let weight = linear[name] else { preconditionFailure("a loaded layer has every linear weight, \(name) too") }
        return weight
    }

    subscript(_ name: ModelFamily.Norm) -> FloatRows {
        guard let weight = norm[name] else { preconditionFailure("norm \(name) was asked for and never loaded") }
        return weight
    }
}

/// A loaded model.
public struct ModelWeights: Sendable {
    /// What the folder says about itself.
    public let config: ModelConfig
    /// Blocks in order.
    public let layers: [LayerWeights]
    /// [1, hidden].
    public let finalNorm: FloatRows
    /// Output projection [vocabulary, hidden]; `nil` on ranks that never make logits.
    public let head: LinearMatrix?
    private let embedding: CheckpointTensor

    /// Reads `folder` for `kernels`, which must be those that run it. `withHead` says whether this rank will make logits.
    /// `progress` gets layers done and layers in all.
    public init(
        folder: String, withHead: Bool, kernels: Kernels, progress: (Int, Int) -> Void = { _, _ in }
    ) throws(ModelError) {
        do throws(FormatError) {
            config = try ModelConfig(folder: folder)
        } catch { throw .format(error) }
        let reader = WeightReader(checkpoint: try Self.open(folder), config: config, packs: kernels.packsWeights)
        let family = ModelFamily.table(of: config.architecture)
        embedding = try reader.tensor(family.embedding, shape: [config.vocabularySize, config.hiddenSize])
        finalNorm = try reader.row(family.finalNorm, columns: config.hiddenSize)
        let headName = config.tiesEmbeddings ? family.embedding : family.head
        head = withHead ? try reader.matrix(headName, rows: config.vocabularySize, columns: config.hiddenSize) : nil
        var layers: [LayerWeights] = []
        for index in 0..<config.layerCount {
            layers.append(try reader.layer(family, index: index))
            progress(index + 1, config.layerCount)
        }
        self.layers = layers
    }

    private static func open(_ folder: String) throws(ModelError) -> Checkpoint {
        do throws(FormatError) { return try Checkpoint(folder: folder) } catch { throw .format(error) }
    }

    /// Writes the embeddings of `ids` to the rows of `rows` [ids.count, hidden]. `firstPosition` is for errors alone.
    public func embed(_ ids: ArraySlice<UInt32>, firstPosition: Int, into rows: FloatRows) throws(ModelError) {
        precondition(rows.rows == ids.count && rows.columns == config.hiddenSize, "one row of hidden size a token")
        for (place, id) in ids.enumerated() {
            guard Int(id) < config.vocabularySize else {
                throw .tokenOutOfRange(id: id, position: firstPosition + place, vocabulary: config.vocabularySize)
            }
            let first = Int(id) * config.hiddenSize
            do throws(FormatError) {
                try rows.rows(place..<place + 1).withMutableSpan { (span) throws(FormatError) in
                    try embedding.copyFloats(elements: first..<first + config.hiddenSize, into: &span)
                }
            } catch { throw .format(error) }
        }
        if let bad = rows.firstNonFiniteRow {
            throw .nonFiniteWeight(tensor: embedding.info.name, row: Int(ids[ids.startIndex + bad]))
        }
    }

    /// Bytes that a rank's weights take with `kernels`, said before anything is read: by the type that the configuration names, f32
    /// where it names none.
    public static func byteCount(_ config: ModelConfig, withHead: Bool, kernels: Kernels) -> Int {
        let packs = kernels.packsWeights && config.storedType == .bf16
        func bytes(_ rows: Int, _ columns: Int) -> Int {
            packs ? PackedWeight.byteCount(outputs: rows, inputs: columns) : 4 * rows * columns
        }
        var sum = 4 * config.hiddenSize + (withHead ? bytes(config.vocabularySize, config.hiddenSize) : 0)
        for linear in ModelFamily.Linear.allCases {
            let shape = ModelFamily.shape(of: linear, in: config)
            sum += config.layerCount * (bytes(shape.rows, shape.columns) + (ModelFamily.hasBias(linear, in: config) ? 4 * shape.rows : 0))
        }
        return sum + 4 * config.layerCount * (2 * config.hiddenSize + (config.hasQueryKeyNorm ? 2 * config.headDimension : 0))
    }
}

/// Reads tensors of a checkpoint into f32 or tiles, checks their shapes and that every value is finite.
struct WeightReader {
    let checkpoint: Checkpoint
    let config: ModelConfig
    /// Whether bf16 matrices are packed.
    let packs: Bool

    func tensor(_ name: String, shape: [Int]) throws(ModelError) -> CheckpointTensor {
        do throws(FormatError) {
            return try checkpoint.require(name, shape: shape, types: [.f32, .f16, .bf16])
        } catch { throw .format(error) }
    }

    func matrix(_ name: String, rows: Int, columns: Int) throws(ModelError) -> LinearMatrix {
        let tensor = try tensor(name, shape: [rows, columns])
        guard packs && tensor.info.type == .bf16 else { return .f32(try read(tensor, rows: rows, columns: columns)) }
        return .bf16(try readPacked(tensor, rows: rows, columns: columns))
    }

    /// A panel at a time, so that the f32 in between never takes more than one.
    private func readPacked(_ tensor: CheckpointTensor, rows: Int, columns: Int) throws(ModelError) -> PackedWeight {
        let (weight, panel): (PackedWeight, FloatRows)
        do throws(KernelError) {
            weight = try .allocate(outputs: rows, inputs: columns)
            panel = try .allocate(rows: PackedWeight.panelOutputs, columns: columns)
        } catch { throw .kernel(error) }
        for first in stride(from: 0, to: rows, by: PackedWeight.panelOutputs) {
            let some = panel.rows(0..<min(rows - first, PackedWeight.panelOutputs))
            do throws(FormatError) {
                try some.withMutableSpan { (span) throws(FormatError) in
                    try tensor.copyFloats(elements: first * columns..<(first + some.rows) * columns, into: &span)
                }
            } catch { throw .format(error) }
            if let bad = some.firstNonFiniteRow { throw .nonFiniteWeight(tensor: tensor.info.name, row: first + bad) }
            weight.set(outputs: first, rows: some)
        }
        return weight
    }

    func row(_ name: String, columns: Int) throws(ModelError) -> FloatRows {
        try read(tensor(name, shape: [columns]), rows: 1, columns: columns)
    }

    private func read(_ tensor: CheckpointTensor, rows: Int, columns: Int) throws(ModelError) -> FloatRows {
        let buffer: FloatRows
        do throws(KernelError) { buffer = try .allocate(rows: rows, columns: columns) } catch { throw .kernel(error) }
        do throws(FormatError) {
            try buffer.withMutableSpan { (span) throws(FormatError) in try tensor.copyFloats(elements: 0..<rows * columns, into: &span) }
        } catch { throw .format(error) }
        if let bad = buffer.firstNonFiniteRow { throw .nonFiniteWeight(tensor: tensor.info.name, row: bad) }
        return buffer
    }

    func layer(_ family: ModelFamily, index: Int) throws(ModelError) -> LayerWeights {
        let prefix = family.layerPrefix(index)
        var linear: [ModelFamily.Linear: LinearWeight] = [:]
        for name in ModelFamily.Linear.allCases {
            guard let path = family.linear[name] else { preconditionFailure("a family names every linear layer") }
            let shape = ModelFamily.shape(of: name, in: config)
            let weight = try matrix("\(prefix)\(path).weight", rows: shape.rows, columns: shape.columns)
            let bias = ModelFamily.hasBias(name, in: config) ? try row("\(prefix)\(path).bias", columns: shape.rows) : nil
            linear[name] = LinearWeight(weight: weight, bias: bias)
        }
        var norm: [ModelFamily.Norm: FloatRows] = [:]
        for name in ModelFamily.Norm.allCases {
            let perHead = name == .query || name == .key
            if perHead && !config.hasQueryKeyNorm { continue }
            guard let path = family.norm[name] else { preconditionFailure("a family names every norm") }
            norm[name] = try row("\(prefix)\(path).weight", columns: perHead ? config.headDimension : config.hiddenSize)
        }
        return LayerWeights(linear: linear, norm: norm)
    }
}

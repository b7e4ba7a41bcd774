// A checkpoint of random weights in the shape of a Llama: what a prefill costs does not depend on what the weights say.
import RingFormats
import RingKernels

/// A random Llama-shaped checkpoint.
public struct RandomModel: Hashable, Sendable {
    /// Shape and the rest of config.json.
    public let config: ModelConfig
    /// Decides the weights, value by value.
    public let seed: UInt64

    /// A model of that shape whose matrices are stored as `type`, f32 or bf16.
    public init(
        hidden: Int, layers: Int, heads: Int, kvHeads: Int, headDim: Int, intermediate: Int, vocabulary: Int, stored type: TensorType,
        maximumPositions: Int, seed: UInt64
    ) {
        precondition(type == .f32 || type == .bf16, "random weights are f32 or bf16")
        var config = ModelConfig(
            architecture: .llama, vocabularySize: vocabulary, hiddenSize: hidden, intermediateSize: intermediate, layerCount: layers,
            headCount: heads, keyValueHeadCount: kvHeads, headDimension: headDim, maximumPositions: maximumPositions)
        config.storedType = type
        self.config = config
        self.seed = seed
    }

    /// Writes config.json and model.safetensors into `folder`, which is created if need be.
    public func write(to folder: String, kernels: Kernels) throws(ModelError) {
        let tensors = Self.tensors(of: config)
        do throws(FormatError) {
            try FileText.makeFolder(path: folder)
            try FileText.write(config.json().text(pretty: true) + "\n", path: folder + "/config.json")
            let writer = try SafetensorsWriter(
                creating: folder + "/model.safetensors",
                tensors: tensors.map { TensorSpec($0.name, config.storedType ?? .f32, $0.isNorm ? [$0.columns] : [$0.rows, $0.columns]) })
            for (index, tensor) in tensors.enumerated() {
                try write(tensor, number: UInt64(index), to: writer, kernels: kernels)
            }
        } catch { throw .format(error) }
    }

    private struct Tensor {
        let name: String
        let rows: Int, columns: Int
        var isNorm: Bool { rows == 0 }
    }

    private static func tensors(of config: ModelConfig) -> [Tensor] {
        let family = ModelFamily.table(of: config.architecture)
        var tensors = [
            Tensor(name: family.embedding, rows: config.vocabularySize, columns: config.hiddenSize),
            Tensor(name: family.head, rows: config.vocabularySize, columns: config.hiddenSize),
            Tensor(name: family.finalNorm, rows: 0, columns: config.hiddenSize),
        ]
        for layer in 0..<config.layerCount {
            let prefix = family.layerPrefix(layer)
            for linear in ModelFamily.Linear.allCases {
                let shape = ModelFamily.shape(of: linear, in: config)
                tensors.append(Tensor(name: prefix + (family.linear[linear] ?? "") + ".weight", rows: shape.rows, columns: shape.columns))
            }
            for norm in [ModelFamily.Norm.beforeAttention, .beforeFeedForward] {
                tensors.append(Tensor(name: prefix + (family.norm[norm] ?? "") + ".weight", rows: 0, columns: config.hiddenSize))
            }
        }
        return tensors
    }

    /// Rows of normals brought to a length of 1, so that a layer keeps the size of what goes through it; norms are ones.
    private func write(_ tensor: Tensor, number: UInt64, to writer: SafetensorsWriter, kernels: Kernels) throws(FormatError) {
        guard !tensor.isNorm else { return try writer.write([Float](repeating: 1, count: tensor.columns), to: tensor.name) }
        let run = 64
        let (rows, scale, narrow): (FloatRows, FloatRows, ByteRegion)
        do throws(KernelError) {
            rows = try .allocate(rows: run, columns: tensor.columns)
            scale = try FloatRows(row: [Float](repeating: 1 / Float(tensor.columns).squareRoot(), count: tensor.columns))
            narrow = try .allocate(byteCount: 2 * run * tensor.columns)
        } catch { throw .invalid("\(error)") }
        for first in stride(from: 0, to: tensor.rows, by: run) {
            let some = rows.rows(0..<min(run, tensor.rows - first))
            let element = first * tensor.columns
            kernels.fillNormals(some, seed: seed, tensor: number, firstElement: UInt64(element))
            kernels.rmsNorm(some, weight: scale, epsilon: 0, into: some)
            if config.storedType == .bf16 {
                let bytes = narrow[0..<2 * some.rows * some.columns]
                kernels.narrow(some, intoBF16: bytes)
                try writer.writeBytes(bytes.bytes, to: tensor.name, atElement: element)
            } else {
                try writer.writeBytes(some.region.bytes, to: tensor.name, atElement: element)
            }
        }
    }
}

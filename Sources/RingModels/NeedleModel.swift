// A demo model without downloads: a standard Llama checkpoint whose weights are constructed so that facts planted anywhere
// in a context are retrieved exactly, at any length. NeedleWeights.swift says how; this file writes the folder.

import RingFormats

/// The constructed retrieval model of a seed.
public struct NeedleModel: Sendable {
    /// How weights are stored.
    public enum WeightType: String, CaseIterable, Sendable {
        /// 32-bit floats.
        case f32
        /// bfloat16. Only the layer that looks back loses anything by it: about a nat of its margin of 45.
        case bf16

        var tensorType: TensorType { self == .f32 ? .f32 : .bf16 }
    }

    /// Positions to which the margins were shown to hold (they are computed by a test).
    public static let maximumPositions = 1 << 24

    /// Decides the secret permutation and the digits of ordinary text. The same seed gives the same bytes.
    public let seed: UInt64

    /// The model of `seed`.
    public init(seed: UInt64) { self.seed = seed }

    /// Writes config.json, generation_config.json, model.safetensors, tokenizer.json, tokenizer_config.json and needle.json
    /// into `folder`, which is created if need be; files of these names are replaced.
    public func write(to folder: String, as type: WeightType = .f32) throws(NeedleError) {
        do throws(FormatError) { try FileText.makeFolder(path: folder) } catch { throw .format(error) }
        let (definition, vocabulary) = NeedleTokenizer.make()
        do {
            try definition.write(to: folder + "/tokenizer.json")
            let files: [(String, JSONValue)] = [
                ("tokenizer_config.json", NeedleTokenizer.configuration(maximumPositions: Self.maximumPositions)),
                ("config.json", Self.configuration(vocabulary, type).json()),
                ("generation_config.json", Self.generation(vocabulary).json()),
                (NeedleRecord.fileName, NeedleRecord(seed: seed, vocabulary: vocabulary).json()),
            ]
            for (name, value) in files { try FileText.write(value.text(pretty: true) + "\n", path: folder + "/" + name) }
            let tensors = Self.tensors(of: NeedleWeights(seed: seed, vocabulary: vocabulary))
            let writer = try SafetensorsWriter(
                creating: folder + "/model.safetensors",
                tensors: tensors.map { TensorSpec($0.name, type.tensorType, $0.shape) }
            )
            for tensor in tensors { try writer.write(tensor.elements, to: tensor.name) }
            try writer.finish()
        } catch {
            throw .format(error)
        }
    }

    private static func configuration(_ vocabulary: NeedleVocabulary, _ type: WeightType) -> ModelConfig {
        var config = ModelConfig(
            architecture: .llama,
            vocabularySize: vocabulary.count,
            hiddenSize: NeedleStream.width,
            intermediateSize: NeedleWeights.feedForwardWidth,
            layerCount: NeedleWeights.layerCount,
            headCount: NeedleHead.queryHeads,
            keyValueHeadCount: 1,
            headDimension: NeedleHead.width,
            maximumPositions: maximumPositions
        )
        config.normEpsilon = 1e-6
        config.tiesEmbeddings = false
        config.rope = RopeParameters(theta: NeedleHead.ropeBase)
        config.storedType = type.tensorType
        config.beginToken = vocabulary.begin
        config.endTokens = [vocabulary.end]
        config.padToken = vocabulary.pad
        return config
    }

    private static func generation(_ vocabulary: NeedleVocabulary) -> GenerationConfig {
        var config = GenerationConfig()
        config.beginToken = vocabulary.begin
        config.endTokens = [vocabulary.end]
        config.padToken = vocabulary.pad
        config.doSample = false
        return config
    }

    /// Every tensor under the name that LlamaForCausalLM gives it.
    package static func tensors(of weights: NeedleWeights) -> [(name: String, shape: [Int], elements: [Float])] {
        let ones = [Float](repeating: 1, count: NeedleStream.width)
        func matrix(_ name: String, _ matrix: NeedleMatrix) -> (name: String, shape: [Int], elements: [Float]) {
            (name + ".weight", [matrix.rows, matrix.columns], matrix.elements)
        }
        var result = [matrix("model.embed_tokens", weights.embedding), matrix("lm_head", weights.head)]
        result.append(("model.norm.weight", [ones.count], ones))
        for (index, layer) in weights.layers.enumerated() {
            let prefix = "model.layers.\(index)."
            for norm in ["input_layernorm", "post_attention_layernorm"] {
                result.append((prefix + norm + ".weight", [ones.count], ones))
            }
            result += [
                matrix(prefix + "self_attn.q_proj", layer.query), matrix(prefix + "self_attn.k_proj", layer.key),
                matrix(prefix + "self_attn.v_proj", layer.value), matrix(prefix + "self_attn.o_proj", layer.output),
                matrix(prefix + "mlp.gate_proj", layer.gate), matrix(prefix + "mlp.up_proj", layer.up),
                matrix(prefix + "mlp.down_proj", layer.down),
            ]
        }
        return result
    }
}

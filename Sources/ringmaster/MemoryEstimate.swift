// What a run will hold in memory, said in bytes before any work starts. Estimates on the safe side, from shapes alone.

import RingControl
import RingFormats
import RingWorker

/// The memory of a generate job on one machine.
struct MemoryEstimate {
    /// Weights, widened to f32 in every worker.
    let weights: Int
    /// Keys and values of the whole context, over all workers.
    let keysAndValues: Int
    /// Two receive buffers a worker, each as large as a shard's keys and values of one layer.
    let buffers: Int
    /// Hidden states of the whole context and the slices in flight.
    let activations: Int

    /// Process images, tokenizer, tables: what a worker costs before it has a token.
    private static let workerBaseBytes = 64 << 20

    init(_ config: ModelConfig, checkpointBytes: Int, spec: GenerateSpec, workers: Int) {
        let stored = max(1, (config.storedType?.bitWidth ?? 16) / 8)
        weights = workers * (checkpointBytes / stored * 4 + Self.workerBaseBytes)
        let tokens = spec.promptTokenCount + spec.maxTokens
        let tokenBytes = 2 * config.keyValueHeadCount * config.headDimension * spec.kvElement.byteCount
        keysAndValues = tokens * tokenBytes * config.layerCount
        buffers = workers > 1 ? 2 * tokens * tokenBytes : 0
        activations = tokens * config.hiddenSize * 4
    }

    var total: Int { weights + keysAndValues + buffers + activations }

    /// Refuses a run that the machine's available memory cannot hold.
    func check(available: Int = MachineFacts.memoryAvailableNow()) throws(CommandError) {
        guard available > 0, total > available else { return }
        throw .failed("the run needs about \(total) bytes (\(humanBytes(total)): keys and values \(humanBytes(keysAndValues)), weights "
            + "\(humanBytes(weights)), activations \(humanBytes(activations)), buffers \(humanBytes(buffers))) and the machine has "
            + "\(available) bytes (\(humanBytes(available))) available: use fewer tokens, --kv-dtype bf16, or more memory")
    }
}

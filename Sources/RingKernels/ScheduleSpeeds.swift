// The speeds that decide between schedules, measured in a fraction of a second: attention of a task like those of the job, and the merge of
// partials.
import Synchronization

/// Measures what a rank of a job will do most.
public enum ScheduleSpeeds {
    /// A task of a job: some rows of one head against the keys of one rank.
    public struct Task: Hashable, Sendable {
        /// Query rows of a task, and keys that it meets.
        public var rows: Int, keys: Int
        /// KV heads that a thread reads one after another, each with keys of its own.
        public var kvHeads: Int
        /// Dimensions and storage.
        public var headDim: Int, valueDim: Int, element: ElementType

        /// A task of its parts.
        public init(rows: Int, keys: Int, kvHeads: Int, headDim: Int, valueDim: Int, element: ElementType) {
            (self.rows, self.keys, self.kvHeads) = (rows, keys, kvHeads)
            (self.headDim, self.valueDim, self.element) = (headDim, valueDim, element)
        }
    }

    /// Most keys of the measured task: more do not change the speed, and would take memory.
    static let keysMax = 8192
    /// Bytes of keys and values that a thread goes through before it meets the same again: more than caches hold, since few rows are bound by
    /// the reading of memory.
    static let bytesMax = 64 << 20

    /// Operations per second of one of `threads` threads that work side by side for about `seconds`.
    public static func flopsPerThread(_ task: Task, threads: Int, seconds: Double, kernels: Kernels) throws(KernelError) -> Double {
        let keys = min(max(task.keys, 1), keysMax)
        var work: [ThreadWork] = []
        for thread in 0..<threads { work.append(try ThreadWork(task, keys: keys, seed: UInt64(thread), kernels)) }
        let all = work
        let rates = Mutex<[Double]>([])
        let operations = 2 * Double(task.rows * keys * (task.headDim + task.valueDim))
        try runThreads(threads) { index in
            all[index].run(kernels, round: 0)
            let begun = MonotonicClock.now
            var rounds = 0
            repeat {
                rounds += 1
                all[index].run(kernels, round: rounds)
            } while MonotonicClock.now - begun < seconds
            let rate = Double(rounds) * operations / (MonotonicClock.now - begun)
            rates.withLock { $0.append(rate) }
        }
        return rates.withLock { $0.reduce(0, +) } / Double(threads)
    }

    /// Bytes of partials per second that one thread merges, `rows` of them at a time.
    public static func mergeBytesPerSecond(rows: Int, valueDim: Int, seconds: Double) throws(KernelError) -> Double {
        let (one, other) = (
            try AttentionPartial.allocate(rows: rows, valueDim: valueDim), try AttentionPartial.allocate(rows: rows, valueDim: valueDim)
        )
        one.logSumExp.fill(0)
        other.logSumExp.fill(0)
        let begun = MonotonicClock.now
        var rounds = 0.0
        repeat {
            _ = one.merge(other)
            rounds += 1
        } while MonotonicClock.now - begun < seconds
        return rounds * Double(4 * rows * (valueDim + 1)) / (MonotonicClock.now - begun)
    }

    /// What one thread works on: memory of its own, as tasks of different heads have.
    private struct ThreadWork: Sendable {
        let queries: FloatRows, state: AttentionState, keys: [KVBlocks], scratch: AttentionScratch, scale: Float

        init(_ task: Task, keys count: Int, seed: UInt64, _ kernels: Kernels) throws(KernelError) {
            let layout = try KVLayout(kvHeads: 1, headDim: task.headDim, valueDim: task.valueDim, element: task.element)
            var blocks = try KVBlocks.allocate(layout: layout, capacity: count, firstPosition: 0)
            blocks.tokens = count
            let (keyRows, valueRows) = (
                try FloatRows.allocate(rows: count, columns: task.headDim), try FloatRows.allocate(rows: count, columns: task.valueDim)
            )
            kernels.fillNormals(keyRows, seed: seed, tensor: 0)
            kernels.fillNormals(valueRows, seed: seed, tensor: 1)
            _ = blocks.packKeys(keyRows, head: 0, at: 0)
            _ = blocks.packValues(valueRows, head: 0, at: 0)
            queries = try .allocate(rows: task.rows, columns: task.headDim)
            kernels.fillNormals(queries, seed: seed, tensor: 2)
            state = try .allocate(rows: task.rows, valueDim: task.valueDim)
            // One head's keys are as good as another's, but must lie elsewhere.
            let heads = max(min(task.kvHeads, ScheduleSpeeds.bytesMax / max(blocks.region.byteCount, 1)), 1)
            var keys = [blocks]
            for _ in 1..<heads {
                var more = try KVBlocks.allocate(layout: layout, capacity: count, firstPosition: 0)
                more.tokens = count
                more.region.copy(from: blocks.region)
                keys.append(more)
            }
            self.keys = keys
            scratch = try AttentionScratch()
            scale = Float(1 / Double(task.headDim).squareRoot())
        }

        func run(_ kernels: Kernels, round: Int) {
            let keys = keys[round % keys.count]
            // As the engine does.
            if queries.rows <= KernelLimits.decodeRows {
                return kernels.decode(queries: queries, keys: keys, kvHead: 0, scale: scale, into: state, scratch: scratch)
            }
            kernels.attend(
                queries: queries, firstPosition: 0, keys: keys, kvHead: 0, causal: false, scale: scale, into: state, scratch: scratch)
        }
    }
}

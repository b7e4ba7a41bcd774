// An attend job on one rank: read the shard of Q, K, V, go round the ring once, write the rows of the result in place.
import RingControl
import RingCore
import RingEngine
import RingFormats
import RingKernels
import RingModels
import RingTransport

/// One rank of one attend job.
struct AttendExecution {
    let assignment: Assignment
    let spec: AttendSpec
    let context: ExecutionContext
    let cpus: [Int]
    let home: HomeNodes?

    func run() throws(ExecutionError) -> WorkerSummary? {
        let begun = MonotonicClock.now()
        var summary = WorkerSummary(rank: assignment.rank)
        let kernels = try ExecutionParts.kernels(spec.isa)
        let plan = try ExecutionParts.plan(assignment)
        let pool = try ExecutionParts.pool(assignment, cpus: cpus)
        defer { pool.shutdown() }
        let source = try source(kernels)
        var rank = try prepare(source, plan: plan, kernels: kernels, pool: pool)
        let recorder = ExecutionParts.recorder(assignment)
        rank.engine.trace = recorder
        let begins = try closing(&rank) { (rank) throws(ExecutionError) in try begin(&rank, begun: begun, &summary) }
        guard begins else {
            rank.engine.close()
            return nil
        }
        if let tolerance = spec.errorTolerance, let bound = summary.errorBound, !(bound <= tolerance) {
            rank = try finer(rank, &summary)
        }
        try closing(&rank) { (rank) throws(ExecutionError) in try drive(&rank, shape: source.shape, &summary) }
        rank.engine.close()
        summary.isa = kernels.instructionSet.rawValue
        guard !context.isCancelled() else { return nil }
        ExecutionParts.handOver(recorder, of: assignment, context)
        return summary
    }

    /// Does `work`. Where that fails the transport's thread, which reads KV memory until it is told to stop, is told so before anything
    /// else ends.
    private func closing<Value>(
        _ rank: inout AttentionRank<TCPTransport>,
        _ work: (inout AttentionRank<TCPTransport>) throws(ExecutionError) -> Value
    ) throws(ExecutionError) -> Value {
        do throws(ExecutionError) { return try work(&rank) } catch {
            rank.engine.close()
            throw error
        }
    }

    /// Loads, and when all have, learns what int8 can change; false when the job was cancelled before it began.
    private func begin(
        _ rank: inout AttentionRank<TCPTransport>, begun: Moment, _ summary: inout WorkerSummary
    ) throws(ExecutionError) -> Bool {
        do throws(ModelError) { try rank.load() } catch { throw ExecutionParts.error(error) }
        summary.tokensOwned = rank.engine.shard.tokenCount
        summary.loadSeconds = MonotonicClock.now().seconds(since: begun)
        guard context.awaitStart() else { return false }
        guard spec.kvElement == .int8 else { return true }
        summary.kvElement = .int8
        do throws(ModelError) { summary.errorBound = try rank.errorBound() } catch { throw ExecutionParts.error(error) }
        return true
    }

    /// The same rank with bf16 keys and values. All ranks have compared the same numbers, so all of them do this or none.
    private func finer(
        _ rank: consuming AttentionRank<TCPTransport>, _ summary: inout WorkerSummary
    ) throws(ExecutionError) -> AttentionRank<TCPTransport> {
        let begun = MonotonicClock.now()
        var changed: AttentionRank<TCPTransport>
        do throws(ModelError) { changed = try rank.kept(as: .bf16) } catch { throw ExecutionParts.error(error) }
        try closing(&changed) { (rank) throws(ExecutionError) in
            do throws(ModelError) { try rank.load() } catch { throw ExecutionParts.error(error) }
        }
        summary.kvElement = .bf16
        summary.loadSeconds += MonotonicClock.now().seconds(since: begun)
        return changed
    }

    /// Attends and writes.
    private func drive(
        _ rank: inout AttentionRank<TCPTransport>, shape: AttentionSource.Shape, _ summary: inout WorkerSummary
    ) throws(ExecutionError) {
        let owned = summary.tokensOwned
        // The word to start comes to each rank by another connection: without this the clock of one ran while it waited for the others.
        do throws(EngineError) { try rank.engine.barrier() } catch { throw ExecutionParts.error(error) }
        let start = MonotonicClock.now()
        let pass: PassReport
        do throws(ModelError) {
            pass = try rank.attend(by: spec.schedule ?? .passKV, at: spec.queryRows) { report($0, owned: owned) }
        } catch { throw ExecutionParts.error(error) }
        summary.prefillSeconds = MonotonicClock.now().seconds(since: start)
        try write(&rank, shape: shape)
        do throws(EngineError) { try rank.engine.barrier() } catch { throw ExecutionParts.error(error) }
        fill(&summary, from: pass, counters: rank.engine.wire.counters, shape: shape)
    }

    private func source(_ kernels: Kernels) throws(ExecutionError) -> AttentionSource {
        switch spec.input {
        case .seeded(let seed):
            return AttentionSource(seed: seed, shape: AttentionSource.Shape(spec.shape), kernels: kernels)
        case .file(let path):
            do throws(FormatError) { return try AttentionSource(path: path, kernels: kernels) } catch { throw Self.inputError(error) }
        }
    }

    /// A damaged input file is the submitter's input here, not a model.
    private static func inputError(_ error: FormatError) -> ExecutionError {
        let mapped = ExecutionParts.error(error)
        return mapped.code == .invalidModel ? ExecutionError(.invalidInput, mapped.message) : mapped
    }

    private func prepare(
        _ source: AttentionSource, plan: ShardPlan, kernels: Kernels, pool: ComputePool
    ) throws(ExecutionError) -> AttentionRank<TCPTransport> {
        let mask: Mask
        do throws(MaskError) { mask = try spec.resolvedMask() } catch { throw ExecutionError(.invalidInput, "\(error)") }
        let shape: EngineShape
        let buffers: AttentionBuffers
        do throws(KernelError) {
            shape = try AttentionRank<TCPTransport>.shape(
                source.shape, plan: plan, element: ElementType(spec.kvElement), scale: spec.scale)
            buffers = try AttentionBuffers(source.shape, of: Rank(assignment.rank), under: plan, positions: spec.queryRows)
        } catch { throw ExecutionParts.error(error) }
        var wire = try ExecutionParts.connect(assignment, context)
        let memory: EngineMemory
        do throws(EngineError) {
            memory = try EngineMemory(shape, for: &wire, threads: assignment.threads)
        } catch { throw ExecutionParts.error(error) }
        let engine = RingEngine(memory, wire: wire, pool: pool, kernels: kernels, isCancelled: context.isCancelled)
        return AttentionRank(source, mask: mask, engine: engine, buffers: buffers)
    }

    private func report(_ pass: PassProgress, owned: Int) {
        let progress = WorkerProgress(
            phase: .attend, layer: 0, layers: 1, step: pass.step, steps: pass.steps,
            tokensDone: Int(Double(owned) * pass.fraction), tokensTotal: owned, computeSeconds: pass.computeSeconds,
            exposedSeconds: pass.exposedSeconds)
        context.report(.progress(assignment.run, progress))
    }

    private func write(_ rank: inout AttentionRank<TCPTransport>, shape: AttentionSource.Shape) throws(ExecutionError) {
        do throws(ModelError) {
            guard let path = spec.outputPath else {
                // Nobody keeps the result, but a result that is not finite is still an error.
                return try rank.collect { _, _, _ in }
            }
            let file: SafetensorsWriter
            do throws(FormatError) { file = try SafetensorsWriter(opening: path) } catch { throw ModelError.format(error) }
            let width = shape.heads * shape.valueDim
            try rank.collect { (position, out, lse) throws(FormatError) in
                for row in wantedRows(position..<position + out.rows) {
                    let local = row.lowerBound - position..<row.upperBound - position
                    try out.rows(local).withSpan { (span) throws(FormatError) in
                        try file.write(span, to: "out", atElement: row.lowerBound * width)
                    }
                    try lse.rows(local).withSpan { (span) throws(FormatError) in
                        try file.write(span, to: "lse", atElement: row.lowerBound * shape.heads)
                    }
                }
            }
        } catch { throw ExecutionParts.error(error) }
    }

    /// The runs of `positions` that are to be written: all, or those the submitter asked for.
    private func wantedRows(_ positions: Range<Int>) -> [Range<Int>] {
        guard let wanted = spec.outputRows else { return [positions] }
        return wanted.filter(positions.contains).map { $0..<$0 + 1 }
    }

    private func fill(_ summary: inout WorkerSummary, from pass: PassReport, counters: TransportCounters, shape: AttentionSource.Shape) {
        summary.computeSeconds = pass.computeSeconds
        summary.exposedSeconds = pass.exposedSeconds
        summary.flops = Double(pass.pairs) * 2 * Double(shape.headDim + shape.valueDim)
        summary.steps = pass.steps.count
        var totals = StepTotals()
        totals.add(pass)
        summary.ringSteps = ExecutionParts.ringSteps(totals, flopsPerPair: 2 * Double(shape.headDim + shape.valueDim))
        summary.bytesSent = Int(clamping: counters.bytesSent)
        summary.bytesReceived = Int(clamping: counters.bytesReceived)
        summary.retransmissions = Int(clamping: counters.retransmissions)
        summary.peakResidentBytes = ProcessMemory.peakResidentBytes
        summary.locality = home?.locality()
    }
}

// A generate job on one rank: load the model, prefill the shard, then lead or follow the decoding.
import RingControl
import RingCore
import RingEngine
import RingFormats
import RingKernels
import RingModels
import RingTransport

/// One rank of one generate job.
struct GenerateExecution {
    let assignment: Assignment
    let spec: GenerateSpec
    let context: ExecutionContext
    let cpus: [Int]
    let keeper: Keeper
    let home: HomeNodes?

    private var leads: Bool { assignment.rank == 0 }

    func run(_ prompt: [PromptChunk]) throws(ExecutionError) -> WorkerSummary? {
        let begun = MonotonicClock.now()
        var summary = WorkerSummary(rank: assignment.rank)
        let kernels = try ExecutionParts.kernels()
        let plan = try ExecutionParts.plan(assignment)
        let pool = try ExecutionParts.pool(assignment, cpus: cpus)
        defer { pool.shutdown() }
        var model: ModelRank<TCPTransport>
        do throws(ExecutionError) {
            model = try prepare(plan: plan, kernels: kernels, pool: pool)
        } catch {
            // What an earlier run left is as good as before.
            if let left = keeper.take(assignment.resumes) { keep(left) }
            throw error
        }
        try adopt(into: &model)
        let recorder = ExecutionParts.recorder(assignment)
        model.engine.trace = recorder
        summary.tokensOwned = model.engine.shard.tokenCount
        summary.isa = kernels.instructionSet.rawValue
        summary.loadSeconds = MonotonicClock.now().seconds(since: begun)
        let driven: Result<Void, ExecutionError>
        do throws(ExecutionError) {
            guard context.awaitStart() else { throw ExecutionParts.error(EngineError.cancelled) }
            driven = .success(try drive(&model, prompt, &summary))
        } catch { driven = .failure(error) }
        // Before anything else ends: the transport's thread reads KV memory until it is told to stop.
        model.engine.close()
        if case .failure(let error) = driven, error.code.mayPass, let left = model.keep() { keep(left) }
        try driven.get()
        if context.isCancelled() { return nil }
        ExecutionParts.handOver(recorder, of: assignment, context)
        return summary
    }

    /// Prefill, logits, decode, and the figures of all three.
    private func drive(
        _ model: inout ModelRank<TCPTransport>, _ prompt: [PromptChunk], _ summary: inout WorkerSummary
    ) throws(ExecutionError) {
        do throws(ModelError) {
            let (start, owned) = (MonotonicClock.now(), model.engine.shard.tokenCount)
            try model.prefill(prompt.map { $0.ids[...] }, firstLayer: firstLayer) { report(prefill: $0, owned: owned) }
            summary.prefillSeconds = MonotonicClock.now().seconds(since: start)
        } catch { throw ExecutionParts.error(error) }
        try writeLogits(model)
        let decoding = MonotonicClock.now()
        summary.generatedTokens = try decode(&model, last: prompt.last?.ids.last)
        summary.decodeSeconds = MonotonicClock.now().seconds(since: decoding)
        do throws(EngineError) { try model.engine.barrier() } catch { throw ExecutionParts.error(error) }
        fill(&summary, from: model)
    }

    /// The first layer that any rank's tokens have yet to go through.
    private var firstLayer: Int { assignment.shares.flatMap { $0 }.map(\.layers).min() ?? 0 }

    /// Holds what is left, and says so.
    private func keep(_ left: KeptContext) {
        keeper.put(left, of: assignment.run)
        context.report(.kept(assignment.run, left.shares))
    }

    /// Takes up what this worker kept of the run that this one goes on from. If that is gone, nobody is at fault: the coordinator
    /// is told, and another run goes on without it.
    private func adopt(into model: inout ModelRank<TCPTransport>) throws(ExecutionError) {
        guard !assignment.shares.isEmpty, assignment.shares[assignment.rank].contains(where: { $0.layers > 0 }) else { return }
        if let kept = keeper.take(assignment.resumes), model.adopt(kept, shares: assignment.shares[assignment.rank]) { return }
        model.engine.close()
        throw ExecutionError(.shuttingDown, "what was kept of the broken run is gone: the job goes on without it")
    }

    private func prepare(plan: ShardPlan, kernels: Kernels, pool: ComputePool) throws(ExecutionError) -> ModelRank<TCPTransport> {
        let owned = plan.tokens(of: Rank(assignment.rank))
        let weights: ModelWeights
        let shape: EngineShape
        let buffers: ModelBuffers
        do throws(ModelError) {
            weights = try ModelWeights(folder: spec.modelFolder, withHead: leads || spec.logitsPath != nil, kernels: kernels) {
                done, count in
                let progress = WorkerProgress(
                    phase: .loading, layer: done, layers: count, step: 0, steps: assignment.world, tokensDone: 0, tokensTotal: owned)
                context.report(.progress(assignment.run, progress))
            }
        } catch { throw ExecutionParts.error(error) }
        do throws(KernelError) {
            shape = try ModelRank<TCPTransport>.shape(
                weights.config, plan: plan, element: ElementType(spec.kvElement), decodeTokensMax: spec.maxTokens)
            buffers = try ModelBuffers(weights.config, tokens: owned, threads: assignment.threads, kernels: kernels)
        } catch { throw ExecutionParts.error(error) }
        var wire = try ExecutionParts.connect(assignment, context)
        let memory: EngineMemory
        do throws(EngineError) {
            memory = try EngineMemory(shape, for: &wire, threads: assignment.threads)
        } catch { throw ExecutionParts.error(error) }
        let engine = RingEngine(memory, wire: wire, pool: pool, kernels: kernels, isCancelled: context.isCancelled)
        return ModelRank(weights, engine: engine, buffers: buffers, kernels: kernels)
    }

    private func report(prefill: PrefillProgress, owned: Int) {
        let progress = WorkerProgress(
            phase: .prefill, layer: prefill.layer, layers: prefill.layers, step: prefill.step, steps: prefill.steps,
            tokensDone: Int(prefill.fraction * Double(owned)), tokensTotal: owned, computeSeconds: prefill.computeSeconds,
            exposedSeconds: prefill.exposedSeconds)
        context.report(.progress(assignment.run, progress))
    }

    /// Goes on behind the prompt, whose last token is `last`.
    private func decode(_ model: inout ModelRank<TCPTransport>, last: UInt32?) throws(ExecutionError) -> [UInt32]? {
        do throws(ModelError) {
            guard leads else {
                try model.follow()
                return nil
            }
            // An answer that was told whole, but whose run failed before it could say so, is not gone on with.
            let isWhole = spec.answered > 0 && !spec.ignoreEOS && last.map { spec.stopTokens.contains($0) } ?? false
            let sampling = SamplingOptions(temperature: spec.temperature, topK: spec.topK, topP: spec.topP, seed: spec.seed)
            return try model.generate(
                tokensMax: isWhole ? 0 : spec.maxTokens, stops: spec.stopTokens, ignoreStops: spec.ignoreEOS, sampling: sampling,
                answered: spec.answered
            ) { index, id in
                context.report(.token(assignment.run, index: index, id: id))
            }
        } catch { throw ExecutionParts.error(error) }
    }

    /// Writes the wanted rows among this rank's own tokens to their places in the submitter's file.
    private func writeLogits(_ model: borrowing ModelRank<TCPTransport>) throws(ExecutionError) {
        guard let path = spec.logitsPath else { return }
        let wanted = spec.logitsRows ?? [RowRange(start: 0, count: spec.promptTokenCount)]
        do throws(ModelError) {
            let file: SafetensorsWriter
            do throws(FormatError) { file = try SafetensorsWriter(opening: path) } catch { throw ModelError.format(error) }
            var row = 0
            for range in wanted {
                for position in range.start..<range.start + range.count {
                    defer { row += 1 }
                    guard let own = ownRow(of: position, in: model.engine.shard) else { continue }
                    let logits = try model.logits(row: own)
                    do throws(FormatError) {
                        try file.write(logits, to: "logits", atElement: row * logits.count)
                    } catch { throw ModelError.format(error) }
                }
            }
        } catch { throw ExecutionParts.error(error) }
    }

    private func ownRow(of position: Int, in shard: ShardBlocks) -> Int? {
        for run in shard.runs where run.chunk.range.contains(position) { return run.firstRow + position - run.chunk.start }
        return nil
    }

    private func fill(_ summary: inout WorkerSummary, from model: borrowing ModelRank<TCPTransport>) {
        let counters = model.engine.wire.counters
        summary.computeSeconds = model.figures.computeSeconds
        summary.exposedSeconds = model.figures.exposedSeconds
        summary.flops = model.figures.flops
        summary.steps = model.figures.steps
        summary.ringSteps = ExecutionParts.ringSteps(model.ringSteps, flopsPerPair: model.flopsPerPair)
        summary.bytesSent = Int(clamping: counters.bytesSent)
        summary.bytesReceived = Int(clamping: counters.bytesReceived)
        summary.retransmissions = Int(clamping: counters.retransmissions)
        summary.peakResidentBytes = ProcessMemory.peakResidentBytes
        summary.locality = home?.locality()
    }
}

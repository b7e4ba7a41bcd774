// What a pass of queries says when the ring breaks: the same words as a pass of keys.
import RingCore
import RingEngine
import RingKernels
import RingTransport
import Synchronization
import Testing

@Suite("Broken passes of queries", .timeLimit(.minutes(2)))
struct QueryPassTests {
    /// Runs `body` on every rank of a ring of three and returns each rank's error.
    private func ring(
        faults: [TransportFault] = [], isCancelled: @escaping @Sendable () -> Bool = { false },
        _ body: @escaping @Sendable (inout RingEngine<InProcessRanks.Wire>) throws(EngineError) -> Void
    ) throws -> [EngineError?] {
        let plan = try ShardPlan(.zigzag, tokens: 3000, over: WorldSize(3))
        let layout = try KVLayout(kvHeads: 1, headDim: 32, valueDim: 32, element: .f32)
        let shape = EngineShape(plan: plan, layout: layout, heads: 2, layers: 1, decodeTokensMax: 0)
        let kernels = try Kernels.selected()
        let errors = Mutex([EngineError?](repeating: nil, count: 3))
        try InProcessRanks.run(plan.world, faults: faults) { rank, wire in
            do throws(EngineError) {
                var wire = wire
                let memory = try EngineMemory(shape, for: &wire, threads: 1)
                let pool = try ComputePool.make(threads: 1)
                defer { pool.shutdown() }
                var engine = RingEngine(memory, wire: wire, pool: pool, kernels: kernels, isCancelled: isCancelled)
                engine.roundRowsMax = 64
                engine.stallSeconds = 1
                try body(&engine)
                engine.close()
            } catch { errors.withLock { $0[rank.index] = error } }
        }
        return errors.withLock { $0 }
    }

    /// Attends all queries of a rank, each of which is `fill` throughout.
    private static func attend(_ engine: inout RingEngine<InProcessRanks.Wire>, fill: Float = 1) throws(EngineError) {
        let (queries, state): (FloatRows, HeadStates)
        do throws(KernelError) {
            queries = try .allocate(rows: engine.shard.tokenCount, columns: 64)
            state = try HeadStates(tokens: engine.shard.tokenCount, heads: 2, valueDim: 32)
        } catch { throw .memory(error) }
        queries.fill(fill)
        let input = AttentionInput(queries: queries, state: state, mask: .causal)
        _ = try engine.attendByQueries(layer: 0, input, of: engine.plan.queryRuns(at: nil))
    }

    @Test("a ring that holds together has no error")
    func sound() throws {
        let errors = try ring { (engine) throws(EngineError) in
            try Self.attend(&engine)
            try engine.barrier()
        }
        #expect(errors == [nil, nil, nil])
    }

    @Test("a rank that never begins is named as lost by those that wait for it")
    func absence() throws {
        let errors = try ring { (engine) throws(EngineError) in
            if engine.rank == Rank(2) { return }
            try Self.attend(&engine)
        }
        #expect(errors[2] == nil)
        for error in errors[..<2] {
            guard case .lost(_, layer: 0, _, _)? = error else { return #expect(Bool(false), "\(errors)") }
        }
    }

    @Test("a link that breaks in the middle is a loss, wherever it strikes", arguments: [0, 1, 5, 12, 20])
    func severed(message: Int) throws {
        let errors = try ring(faults: [TransportFault(.sever, message: message, from: Rank(2), to: Rank(0))]) {
            (engine) throws(EngineError) in
            try Self.attend(&engine)
            try engine.barrier()
        }
        guard case .lost(Rank(2), layer: 0, _, _)? = errors[0], case .lost(Rank(0), layer: 0, _, _)? = errors[2] else {
            return #expect(Bool(false), "message \(message): \(errors)")
        }
    }

    @Test("a payload that stays damaged is named as damage")
    func damaged() throws {
        let errors = try ring(faults: [TransportFault(.damage(times: 100), message: 3, from: Rank(0), to: Rank(1))]) {
            (engine) throws(EngineError) in try Self.attend(&engine)
        }
        guard case .damaged(Rank(0), layer: 0, _)? = errors[1] else { return #expect(Bool(false), "\(errors)") }
    }

    @Test("a message that never comes ends the wait")
    func stalled() throws {
        let errors = try ring(faults: [TransportFault(.drop, message: 2, from: Rank(1), to: Rank(0))]) { (engine) throws(EngineError) in
            try Self.attend(&engine)
        }
        #expect(
            errors.contains { error in
                if case .stalled(layer: 0, _, _)? = error { return true }
                return false
            }, "\(errors)")
    }

    @Test("a query that is not a number is named by its owner, with its position")
    func notFinite() throws {
        let errors = try ring { (engine) throws(EngineError) in
            try Self.attend(&engine, fill: engine.rank == Rank(1) ? .nan : 1)
        }
        guard case .nonFinite(layer: 0, _, _, position: let position, head: 0)? = errors[1] else {
            return #expect(Bool(false), "\(errors)")
        }
        let plan = try ShardPlan(.zigzag, tokens: 3000, over: WorldSize(3))
        #expect(position == plan.chunks(of: Rank(1))[0].start)
    }

    @Test("a cancelled job ends the pass")
    func cancelled() throws {
        let errors = try ring(isCancelled: { true }) { (engine) throws(EngineError) in try Self.attend(&engine) }
        #expect(errors.contains(.cancelled), "\(errors)")
    }
}

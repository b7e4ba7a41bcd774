// How long a rank waits for the others, and what it says when it stops waiting.
import Glibc
import RingCore
import RingEngine
import RingKernels
import RingTransport
import Synchronization
import Testing

@Suite("Waits of the engine", .timeLimit(.minutes(2)))
struct WaitTests {
    /// Runs `body` on both ranks of a small ring and returns each rank's error.
    private func ring(
        faults: [TransportFault] = [],
        _ body: @escaping @Sendable (inout RingEngine<InProcessRanks.Wire>) throws(EngineError) -> Void
    ) throws -> [EngineError?] {
        let plan = try ShardPlan(.zigzag, tokens: 512, over: WorldSize(2))
        let layout = try KVLayout(kvHeads: 1, headDim: 32, valueDim: 32, element: .f32)
        let shape = EngineShape(plan: plan, layout: layout, heads: 1, layers: 1, decodeTokensMax: 0)
        let kernels = try Kernels.selected()
        let errors = Errors()
        try InProcessRanks.run(plan.world, faults: faults) { rank, wire in
            do throws(EngineError) {
                var wire = wire
                let memory = try EngineMemory(shape, for: &wire, threads: 1)
                let pool = try ComputePool.make(threads: 1)
                defer { pool.shutdown() }
                var engine = RingEngine(memory, wire: wire, pool: pool, kernels: kernels)
                try body(&engine)
                engine.close()
            } catch { errors.set(error, at: rank.index) }
        }
        return errors.all
    }

    @Test("a wait without progress ends, and says where it stood")
    func stalls() throws {
        let errors = try ring { (engine) throws(EngineError) in
            engine.stallSeconds = 0.2
            if engine.rank == Rank(1) { usleep(900_000) } else { try engine.barrier() }
        }
        guard case .stalled(_, _, let seconds) = errors[0] else { return #expect(Bool(false), "\(errors)") }
        #expect(seconds > 0.2 && seconds < 0.9)
    }

    @Test("a rank waits as long as it has worked itself, since its peers may be half as fast")
    func patience() throws {
        let errors = try ring { (engine) throws(EngineError) in
            engine.stallSeconds = 0.2
            usleep(engine.rank == Rank(1) ? 1_300_000 : 900_000)
            try engine.barrier()
        }
        #expect(errors == [nil, nil])
    }

    @Test("a payload that stays damaged is named as damage, not as a lost peer")
    func damage() throws {
        let errors = try ring(faults: [TransportFault(.damage(times: 100), message: 0, from: Rank(0), to: Rank(1))]) {
            (engine) throws(EngineError) in
            let (queries, state): (FloatRows, HeadStates)
            do throws(KernelError) {
                queries = try .allocate(rows: engine.shard.tokenCount, columns: 32)
                state = try HeadStates(tokens: engine.shard.tokenCount, heads: 1, valueDim: 32)
            } catch { throw .memory(error) }
            _ = try engine.attend(layer: 0, AttentionInput(queries: queries, state: state, mask: .causal))
        }
        #expect(errors[1] == .damaged(Rank(0), layer: 0, step: 1) || errors[1] == .damaged(Rank(0), layer: 0, step: 0), "\(errors)")
    }
}

private final class Errors: Sendable {
    private let stored = Mutex<[EngineError?]>([nil, nil])
    var all: [EngineError?] { stored.withLock { $0 } }
    func set(_ error: EngineError, at rank: Int) { stored.withLock { $0[rank] = error } }
}

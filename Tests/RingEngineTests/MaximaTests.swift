// What the ranks of a ring compare before they decide something together.
import RingCore
import RingEngine
import RingKernels
import Synchronization
import Testing

@Suite("The largest of what all ranks have", .timeLimit(.minutes(2)))
struct MaximaTests {
    /// What each rank learns when it gives `own(rank)`, twice in a row and with a barrier behind it.
    private func compare(_ world: Int, own: @escaping @Sendable (Int) -> [Float]) throws -> [Result<[[Float]], EngineError>?] {
        let plan = try ShardPlan(.zigzag, tokens: 100, over: WorldSize(world))
        let layout = try KVLayout(kvHeads: 1, headDim: 32, valueDim: 32, element: .f32)
        let shape = EngineShape(plan: plan, layout: layout, heads: 1, layers: 1, decodeTokensMax: 0)
        let kernels = try Kernels(.scalar)
        let outcomes = Outcomes(world)
        try InProcessRanks.run(plan.world) { rank, wire in
            do throws(EngineError) {
                var wire = wire
                let memory = try EngineMemory(shape, for: &wire, threads: 1)
                let pool = try ComputePool.make(threads: 1)
                defer { pool.shutdown() }
                var engine = RingEngine(memory, wire: wire, pool: pool, kernels: kernels)
                let first = try engine.largest(of: own(rank.index))
                let second = try engine.largest(of: own(rank.index).map { $0 + 1 })
                try engine.barrier()
                engine.close()
                outcomes.all.withLock { $0[rank.index] = .success([first, second]) }
            } catch { outcomes.all.withLock { $0[rank.index] = .failure(error) } }
        }
        return outcomes.all.withLock { $0 }
    }

    @Test("every rank learns the largest at each place, however many numbers there are", arguments: [1, 2, 5], [0, 1, 40, 20_000])
    func largest(world: Int, count: Int) throws {
        @Sendable func number(_ rank: Int, _ place: Int) -> Float { Float((place * 7 + rank * 13) % 101) }
        let outcomes = try compare(world) { rank in (0..<count).map { number(rank, $0) } }
        let expected = (0..<count).map { place -> Float in (0..<world).map { number($0, place) }.max() ?? 0 }
        for outcome in outcomes { #expect(try #require(outcome).get() == [expected, expected.map { $0 + 1 }]) }
    }

    @Test("a number that is no size is refused by whoever is told it")
    func refused() throws {
        let outcomes = try compare(2) { [1, $0 == 1 ? .nan : 2] }
        guard case .failure(.protocolViolation(let what)) = outcomes[0] else { return #expect(Bool(false), "\(outcomes)") }
        #expect(what.contains("rank 1"))
    }
}

private final class Outcomes: Sendable {
    let all: Mutex<[Result<[[Float]], EngineError>?]>
    init(_ world: Int) { all = Mutex(Array(repeating: nil, count: world)) }
}

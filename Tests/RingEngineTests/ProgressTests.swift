// What a pass says of itself while it runs: it never goes back, and it ends where its report does.
import RingCore
import RingEngine
import RingKernels
import RingTransport
import Synchronization
import Testing

@Suite("Progress of a pass", .timeLimit(.minutes(2)))
struct ProgressTests {
    @Test("parts and seconds grow from task to task, and the seconds are part of those of the report")
    func grows() throws {
        let plan = try ShardPlan(.zigzag, tokens: 4096, over: WorldSize(2))
        let layout = try KVLayout(kvHeads: 1, headDim: 32, valueDim: 32, element: .f32)
        let shape = EngineShape(plan: plan, layout: layout, heads: 2, layers: 1, decodeTokensMax: 0)
        let kernels = try Kernels.selected()
        let told = Mutex<[[PassProgress]]>([[], []])
        let reports = Mutex<[PassReport?]>([nil, nil])
        let failures = Mutex<[String]>([])
        try InProcessRanks.run(plan.world) { rank, wire in
            do {
                var wire = wire
                let memory = try EngineMemory(shape, for: &wire, threads: 1)
                let pool = try ComputePool.make(threads: 1)
                defer { pool.shutdown() }
                var engine = RingEngine(memory, wire: wire, pool: pool, kernels: kernels)
                let queries = try FloatRows.allocate(rows: engine.shard.tokenCount, columns: 64)
                let state = try HeadStates(tokens: engine.shard.tokenCount, heads: 2, valueDim: 32)
                var mine: [PassProgress] = []
                let report = try engine.attend(layer: 0, AttentionInput(queries: queries, state: state, mask: .causal)) { mine.append($0) }
                let all = mine
                told.withLock { $0[rank.index] = all }
                reports.withLock { $0[rank.index] = report }
                engine.close()
            } catch { failures.withLock { $0.append("\(rank): \(error)") } }
        }
        #expect(failures.withLock { $0 } == [])
        for rank in 0..<2 {
            let (mine, report) = (told.withLock { $0[rank] }, try #require(reports.withLock { $0[rank] }))
            #expect(mine.count > 4)
            for (before, after) in zip(mine, mine.dropFirst()) {
                #expect(before.fraction <= after.fraction && before.step <= after.step)
                #expect(before.computeSeconds < after.computeSeconds && before.exposedSeconds <= after.exposedSeconds)
            }
            let last = try #require(mine.last)
            #expect(last.fraction == 1 && last.computeSeconds > 0 && last.computeSeconds <= report.computeSeconds)
            #expect(last.exposedSeconds <= report.exposedSeconds)
        }
    }
}

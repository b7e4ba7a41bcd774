// What the steps of a pass say of their time and their bytes, and what a trace notes of them: the two are of one piece, on every rank.
import RingCore
import RingEngine
import RingKernels
import RingTransport
import Synchronization
import Testing

/// What one rank of a pass told.
private struct Told: Sendable {
    let report: PassReport
    let events: [TraceEvent]
    let droppedCount: Int
}

@Suite("Figures of ring steps", .timeLimit(.minutes(2)))
struct StepFiguresTests {
    /// One causal pass over `world` ranks whose shards need several pieces each.
    private static func pass(world: Int, tokens: Int, kvHeads: Int, threads: Int) throws -> [Told] {
        let plan = try ShardPlan(.zigzag, tokens: tokens, over: WorldSize(world))
        let layout = try KVLayout(kvHeads: kvHeads, headDim: 128, valueDim: 128, element: .f32)
        let shape = EngineShape(plan: plan, layout: layout, heads: kvHeads, layers: 3, decodeTokensMax: 0)
        let kernels = try Kernels.selected()
        let told = Mutex(Array(repeating: Told?.none, count: world))
        let failures = Mutex<[String]>([])
        try InProcessRanks.run(plan.world) { rank, wire in
            do {
                var wire = wire
                let memory = try EngineMemory(shape, for: &wire, threads: threads)
                let pool = try ComputePool.make(threads: threads)
                defer { pool.shutdown() }
                var engine = RingEngine(memory, wire: wire, pool: pool, kernels: kernels)
                let recorder = TraceRecorder(threads: threads)
                engine.trace = recorder
                let queries = try FloatRows.allocate(rows: engine.shard.tokenCount, columns: kvHeads * 128)
                let state = try HeadStates(tokens: engine.shard.tokenCount, heads: kvHeads, valueDim: 128)
                let report = try engine.attend(layer: 2, AttentionInput(queries: queries, state: state, mask: .causal))
                let (events, dropped) = recorder.result
                told.withLock { $0[rank.index] = Told(report: report, events: events, droppedCount: dropped) }
                engine.close()
            } catch { failures.withLock { $0.append("\(rank): \(error)") } }
        }
        #expect(failures.withLock { $0 } == [])
        return try told.withLock { try $0.map { try #require($0) } }
    }

    private static let ring = Result { try pass(world: 3, tokens: 6000, kvHeads: 12, threads: 2) }

    @Test("each step moves the blocks that its route names, and both ends count them alike")
    func bytes() throws {
        let ranks = try Self.ring.get()
        let plan = try ShardPlan(.zigzag, tokens: 6000, over: WorldSize(3))
        let block = try KVLayout(kvHeads: 12, headDim: 128, valueDim: 128, element: .f32).blockByteCount
        func bytes(_ runs: [BlockRun]) -> Int { runs.reduce(0) { $0 + $1.blocks.count } * block }
        for (rank, told) in ranks.enumerated() {
            let (route, steps) = (RingRoute(for: Rank(rank), under: plan, .causal).steps, told.report.steps)
            #expect(steps.map(\.step) == [0, 1, 2])
            for step in 0..<3 {
                #expect(steps[step].bytesReceived == bytes(step == 0 ? [] : route[step].needed))
                // What leaves during a step is for the receiver's next one.
                let served = step == 2 ? [] : route[step + 1].serve?.runs ?? []
                #expect(steps[step].bytesSent == bytes(route[step].onward.flatMap(\.transfer.runs)) + bytes(served))
                #expect(step == 2 || steps[step].bytesSent > 8 << 20, "several pieces")
            }
            #expect(steps.reduce(0) { $0 + $1.bytesSent } == told.report.bytesSent)
            #expect(steps.reduce(0) { $0 + $1.bytesReceived } == told.report.bytesReceived)
        }
        #expect(ranks.reduce(0) { $0 + $1.report.bytesSent } == ranks.reduce(0) { $0 + $1.report.bytesReceived })
    }

    @Test("a step that sends takes time to send, and the steps' seconds add up to the pass's")
    func seconds() throws {
        for told in try Self.ring.get() {
            let (report, steps) = (told.report, told.report.steps)
            for step in 0..<2 { #expect(steps[step].sendSeconds > 0 && steps[step + 1].receiveSeconds > 0) }
            #expect(steps[2].sendSeconds == 0 && steps[0].receiveSeconds == 0)
            #expect(steps.allSatisfy { $0.computeSeconds > 0 && $0.sendSeconds <= report.seconds && $0.receiveSeconds <= report.seconds })
            #expect(abs(steps.reduce(0) { $0 + $1.exposedSeconds } - report.exposedSeconds) < 1e-9)
            #expect(abs(report.computeSeconds + report.exposedSeconds - report.seconds) < 1e-9)
        }
    }

    @Test("passes are added up step by step")
    func totals() throws {
        let report = try Self.ring.get()[1].report
        var totals = StepTotals()
        for _ in 0..<3 { totals.add(report) }
        #expect(totals.passes == 3 && totals.steps.count == 3)
        for (total, one) in zip(totals.steps, report.steps) {
            #expect(total.step == one.step && total.kvOwner == one.kvOwner && total.pairs == 3 * one.pairs)
            #expect(total.bytesSent == 3 * one.bytesSent && total.bytesReceived == 3 * one.bytesReceived)
            #expect(abs(total.computeSeconds - 3 * one.computeSeconds) < 1e-9 && abs(total.sendSeconds - 3 * one.sendSeconds) < 1e-9)
        }
    }

    @Test("the compute slices of a trace are the computing of the report, and tasks lie inside them")
    func slices() throws {
        for (rank, told) in try Self.ring.get().enumerated() {
            let (steps, events) = (told.report.steps, told.events)
            #expect(told.droppedCount == 0 && events.allSatisfy { $0.layer == 2 && $0.start <= $0.end })
            let computing = events.filter { $0.kind == .compute }
            #expect(computing.map(\.step) == [0, 1, 2])
            for (slice, step) in zip(computing, steps) { #expect(slice.end.seconds(since: slice.start) == step.computeSeconds) }
            let pass = try #require(events.first { $0.kind == .pass })
            #expect(pass.end.seconds(since: pass.start) == told.report.seconds)
            let waiting = events.filter { $0.kind == .wait }.reduce(0) { $0 + $1.end.seconds(since: $1.start) }
            #expect(waiting <= told.report.exposedSeconds + 1e-9)
            let tasks = events.filter { $0.kind == .task }
            #expect(Set(tasks.map(\.thread)) == [0, 1] && tasks.allSatisfy { $0.peer == Rank(rank) })
            for task in tasks { #expect(computing[task.step].start <= task.start && task.end <= computing[task.step].end) }
        }
    }

    @Test("every piece that is sent is received once, not before it was sent")
    func pieces() throws {
        let ranks = try Self.ring.get()
        var receivesLeft = ranks.map { $0.events.count { $0.kind == .receive } }
        for (rank, told) in ranks.enumerated() {
            let sends = told.events.filter { $0.kind == .send }
            #expect(sends.count >= 4)
            for send in sends {
                #expect(send.peer != Rank(rank) && send.byteCount > 0)
                let matching = ranks[send.peer.index].events.filter {
                    $0.kind == .receive && $0.peer == Rank(rank) && $0.step == send.step && $0.piece == send.piece
                }
                #expect(matching.count == 1 && matching.allSatisfy { $0.byteCount == send.byteCount && send.start <= $0.end })
                receivesLeft[send.peer.index] -= 1
            }
        }
        #expect(receivesLeft == [0, 0, 0])
    }

    @Test("a recorder that is full keeps the newest and counts the others")
    func full() {
        let recorder = TraceRecorder(threads: 1)
        let count = EngineLimits.traceSteps + 10
        for place in 0..<count {
            let moment = Moment(nanoseconds: Int64(place))
            recorder.note(TraceEvent(.wait, from: moment, to: moment, layer: 0, step: 0, peer: Rank(0)))
        }
        let (events, dropped) = recorder.result
        #expect(dropped == 10 && events.count == EngineLimits.traceSteps)
        #expect(events.map(\.start.nanoseconds).min() == 10)
    }
}

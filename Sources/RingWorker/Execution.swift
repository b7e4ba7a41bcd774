// Carries a job out on the engine thread: memory, model, connections, ring, figures. The control session knows nothing of
// tensors and this file nothing of HTTP; they meet in JobExecutor.
import RingControl
import RingCore
import RingEngine
import RingKernels
import RingTransport
import Synchronization

/// Runs jobs with the attention engine over a mesh of connections.
public struct EngineExecutor: JobExecutor {
    private let roots: FolderRoots
    private let lane: LaneKind?
    private let rdma: RDMAOptions
    private let home: HomeNodes?
    private let keeper = Keeper()

    /// An executor whose jobs read and write below `roots`; between jobs it holds at most what is left of a broken one. Its rings'
    /// data travels by `lane`, or by the best that each pair can have. `home` is where this process is bound to: each run then tells
    /// where its memory really lay.
    public init(
        roots: FolderRoots = .anywhere, lane: LaneKind? = nil, rdma: RDMAOptions = RDMAOptions(), home: HomeNodes? = nil
    ) {
        (self.roots, self.lane, self.rdma, self.home) = (roots, lane, rdma, home)
    }

    /// See `JobExecutor`. When the machine's cores go round, the job's threads are pinned, each to a core of its own.
    public func execute(
        _ assignment: Assignment, prompt: [PromptChunk], context: ExecutionContext
    ) throws(ExecutionError) -> WorkerSummary? {
        var context = context
        let (lanes, report) = (RingLanes(wanted: lane, rdma: rdma), context.report)
        context.lanes = lanes
        context.report = { report(lanes.add(to: $0)) }
        var summary = try executePinned(assignment, prompt: prompt, context: context)
        summary?.transport = lanes.transport
        return summary
    }

    private func executePinned(
        _ assignment: Assignment, prompt: [PromptChunk], context: ExecutionContext
    ) throws(ExecutionError) -> WorkerSummary? {
        let cpus = Self.cpus(for: assignment)
        guard let first = cpus.first else { return try run(assignment, prompt: prompt, context: context, cpus: []) }
        let box = ResultBox()
        do throws(TransportError) {
            let thread = try PinnedThread.start(name: "engine", cpu: first) {
                do throws(ExecutionError) {
                    box.set(.success(try run(assignment, prompt: prompt, context: context, cpus: cpus)))
                } catch { box.set(.failure(error)) }
            }
            thread.join()
        } catch {
            throw ExecutionError(.internalError, "\(error)")
        }
        guard let outcome = box.value else { throw ExecutionError(.internalError, "the engine thread ended without a result") }
        return try outcome.get()
    }

    /// The cores of this worker, one a thread, or none when there are fewer cores than the machine's workers have threads.
    static func cpus(for assignment: Assignment) -> [Int] {
        let all = PinnedThread.cpus
        let first = assignment.localIndex * assignment.threads
        guard assignment.threads * assignment.localCount <= all.count else { return [] }
        return Array(all[first..<first + assignment.threads])
    }

    /// See `JobExecutor`.
    public func forget(_ run: Run) { keeper.forget(run) }

    private func run(
        _ assignment: Assignment, prompt: [PromptChunk], context: ExecutionContext, cpus: [Int]
    ) throws(ExecutionError) -> WorkerSummary? {
        // Before anything takes memory.
        keeper.giveBackAll(but: assignment.resumes)
        do throws(ExecutionError) {
            switch try roots.resolved(assignment.spec) {
            case .generate(let spec):
                return try GenerateExecution(assignment: assignment, spec: spec, context: context, cpus: cpus, keeper: keeper, home: home)
                    .run(prompt)
            case .attend(let spec):
                return try AttendExecution(assignment: assignment, spec: spec, context: context, cpus: cpus, home: home).run()
            case .measure(let spec):
                return try MeasureExecution(assignment: assignment, spec: spec, context: context).run()
            }
        } catch {
            // A cancelled job breaks connections all over the ring; what broke first is of no interest.
            if context.isCancelled() { return nil }
            throw error
        }
    }
}

private final class ResultBox: Sendable {
    private let stored = Mutex<Result<WorkerSummary?, ExecutionError>?>(nil)
    var value: Result<WorkerSummary?, ExecutionError>? { stored.withLock { $0 } }
    func set(_ value: Result<WorkerSummary?, ExecutionError>) { stored.withLock { $0 = value } }
}

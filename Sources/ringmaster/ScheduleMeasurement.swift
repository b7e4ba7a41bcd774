// What this machine can do for a job, measured in less than a second before the job is shared out: so that the choice goes by figures and
// not by opinion.

import RingControl
import RingCore
import RingKernels
import RingTransport
import RingWorker

enum ScheduleMeasurement {
    /// Seconds for which attention is measured, and merging.
    private static let (attentionSeconds, mergeSeconds) = (0.15, 0.02)

    /// Where a ring runs: workers, compute threads of each, machines like this one over which they are spread, and what the link of each
    /// carries in Gbit/s; `nil` is what this machine has, by this lane or the best.
    struct Rings {
        let workers: Int, threads: Int, nodes: Int, linkGigabits: Double?, lane: LaneKind?
    }

    /// Weighs the schedules of `spec` over `rings`, and takes the one that is asked for or else the soonest.
    static func explain(
        _ spec: AttendSpec, _ wish: Schedule?, over rings: Rings, kernels: Kernels
    ) throws(CommandError) -> Explanation {
        let problem: ScheduleProblem
        do {
            let plan = try JobSpec.attend(spec).plan(over: WorldSize(rings.workers))
            problem = try spec.scheduleProblem(under: plan)
        } catch { throw .failed("\(error)") }
        let figures = try figures(spec, problem.plan, rings, kernels: kernels)
        let choice = ScheduleChoice(for: problem, on: figures)
        return Explanation(figures: figures, choice: choice, schedule: wish ?? choice.chosen)
    }

    private static func figures(
        _ spec: AttendSpec, _ plan: ShardPlan, _ rings: Rings, kernels: Kernels
    ) throws(CommandError) -> ScheduleFigures {
        let (shape, threads, cores) = (spec.shape, rings.threads, MachineFacts().cpus)
        let runs = plan.queryRuns(at: spec.queryRows).flatMap { $0 }
        // The rows of a usual task: those of the runs that hold most queries.
        let rows = min(runs.map(\.chunk.length).max() ?? 1, Limits.taskRows)
        let task = ScheduleSpeeds.Task(
            rows: max(rows, 1), keys: plan.tokensMax, kvHeads: max(shape.kvHeads / threads, 1), headDim: shape.headDim,
            valueDim: shape.valueDim, element: ElementType(spec.kvElement))
        let workersHere = (rings.workers + rings.nodes - 1) / rings.nodes
        let busy = min(workersHere * threads, cores)
        let (rate, merging) = try fromKernels { () throws(KernelError) in
            (
                try ScheduleSpeeds.flopsPerThread(task, threads: busy, seconds: attentionSeconds, kernels: kernels),
                try ScheduleSpeeds.mergeBytesPerSecond(rows: max(rows, 1), valueDim: shape.valueDim, seconds: mergeSeconds)
            )
        }
        let link: TransportBenchmark.Link
        // A link between machines is TCP.
        let lane = rings.linkGigabits == nil ? rings.lane : .tcp
        do throws(TransportError) { link = try TransportBenchmark.link(lane: lane) } catch {
            throw .failed("this machine's link: \(error)")
        }
        // No link is faster than what this machine's own stack moves.
        let wire = min(rings.linkGigabits.map(ScheduleFigures.payload(gigabits:)) ?? .infinity, link.bytesPerSecond)
        return ScheduleFigures(
            flopsPerSecond: rate * Double(threads), bytesPerSecond: wire, latencySeconds: link.roundTripSeconds,
            mergeBytesPerSecond: merging, threads: threads, moveSecondsPerByte: link.coreSecondsPerByte,
            sharedCores: Double(cores * rings.nodes))
    }
}

// The schedule of an attention job: asked for, or weighed once when the job is placed, so that all its ranks do the same.

import RingCore

extension Schedule: Codable {}

extension AttendSpec {
    /// What the job costs under `plan`, for weighing schedules. Throws for a mask that was never checked.
    public func scheduleProblem(under plan: ShardPlan) throws(MaskError) -> ScheduleProblem {
        let row = kvElement.byteCount(ofRow: shape.headDim) + kvElement.byteCount(ofRow: shape.valueDim)
        let block = Limits.tileTokens * shape.kvHeads * row
        return ScheduleProblem(
            plan: plan, mask: try resolvedMask(), positions: queryRows, heads: shape.heads, headDim: shape.headDim,
            valueDim: shape.valueDim, blockBytes: block)
    }

    /// Tokens before the first query, where the queries are all those from there on; `nil` where all tokens have queries, or some between
    /// have none.
    public var past: Int? {
        guard let first = queryRows?.first, first > 0, queryRows?.count == shape.tokens - first else { return nil }
        return first
    }
}

extension Coordinator {
    /// The job with the schedule that suits its ranks, where only some tokens have queries and nobody has chosen: with the speeds that the
    /// workers have measured, over links as somebody said that they are, as the workers have measured them, or else as they are assumed to be.
    static func scheduled(
        _ spec: JobSpec, under plan: ShardPlan?, of workers: [WorkerRegistration], threads: [Int], linkBytesPerSecond: Double?,
        linkSeconds: Double? = nil
    ) -> JobSpec {
        guard case .attend(var attend) = spec, attend.schedule == nil, attend.queryRows != nil, let plan, plan.world.count > 1,
            let problem = try? attend.scheduleProblem(under: plan)
        else { return spec }
        let speeds = zip(workers, threads).map { ($0.speed ?? ControlLimits.speedAssumed) * Double($1) * 1e9 }
        let figures = ScheduleFigures(
            flopsPerSecond: speeds.reduce(0, +) / Double(max(speeds.count, 1)),
            bytesPerSecond: linkBytesPerSecond ?? ControlLimits.linkBytesPerSecondAssumed,
            latencySeconds: linkSeconds ?? ControlLimits.linkSecondsAssumed,
            mergeBytesPerSecond: ControlLimits.mergeBytesPerSecondAssumed,
            threads: threads.min() ?? 1)
        attend.schedule = ScheduleChoice(for: problem, on: figures).chosen
        return .attend(attend)
    }
}

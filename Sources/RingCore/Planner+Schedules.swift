// How long each schedule takes: the ranks' steps played through once, with the seconds that each computes and each message travels.
// O(ranks x steps), whatever the number of tokens.

extension ScheduleChoice {
    /// Keys and values go round.
    static func passKV(_ problem: ScheduleProblem, _ figures: ScheduleFigures) -> ScheduleEstimate {
        var estimate = ScheduleEstimate(.passKV)
        let (plan, world) = (problem.plan, problem.plan.world)
        let active = problem.positions.map { plan.active(at: $0) }
        let queries = plan.queryRuns(at: problem.positions)
        let routes = world.ranks.map { RingRoute(for: $0, under: plan, problem.mask, active: active) }
        var ends = [Double](repeating: 0, count: world.count)
        var (computed, received) = (ends, [Int](repeating: 0, count: world.count))
        // By step and rank.
        var arrivals = [[Double]](repeating: ends, count: world.count)
        // The ends of the last two steps that used a receive buffer: a step arrives when the one before the last has been attended to.
        // Shards that enter a group have two buffers of their own.
        var freed = [[Double]](repeating: [0, 0], count: 2 * world.count)
        for index in 0..<world.count {
            for rank in world.ranks {
                let (step, place) = (routes[rank.index].steps[index], rank.index)
                let bytes = step.blocksReceived * problem.blockBytes
                let buffers = plan.tour.entersGroup(atStep: index) ? place + world.count : place
                if index > 0 { arrivals[index][place] = arrivals[index - 1][place] }
                if bytes > 0 {
                    let source = plan.tour.source(for: rank, atStep: index)
                    let passing = source.flatMap { source in
                        source.rank != step.kvOwner && step.receives.contains { $0.peer == source.rank } ? source : nil
                    }
                    let posted = max(freed[buffers][0], passing.map { arrivals[$0.step][$0.rank.index] } ?? 0)
                    arrivals[index][place] =
                        max(posted, arrivals[index][place]) + Double(bytes) / figures.bytesPerSecond + figures.latencySeconds
                    received[place] += bytes
                    estimate.memoryBytes = max(estimate.memoryBytes, plan.tour.buffersMax * bytes)
                }
                let work = Work(queries[place], step.needed.map(\.positions), problem)
                let begins = bytes > 0 ? max(ends[place], arrivals[index][place]) : ends[place]
                ends[place] = begins + work.seconds(figures)
                computed[place] += work.seconds(figures)
                if bytes > 0 { freed[buffers] = [freed[buffers][1], ends[place]] }
                estimate.add(work.flops, of: place)
            }
        }
        estimate.settle(ends: ends, computed: computed, received: received, figures)
        return estimate
    }

    /// Queries go out, partials come back.
    static func passQ(_ problem: ScheduleProblem, _ figures: ScheduleFigures) -> ScheduleEstimate {
        var estimate = ScheduleEstimate(.passQ)
        let (plan, world) = (problem.plan, problem.plan.world)
        let queries = plan.queryRuns(at: problem.positions)
        let rowsMax = queries.map { $0.reduce(0) { $0 + $1.chunk.length } }.max() ?? 0
        let roundRows = QueryRounds.rows(
            rowsMax: rowsMax, heads: problem.heads, headDim: problem.headDim, valueDim: problem.valueDim, world: world)
        // Few rounds tell as much as many.
        let played = max(roundRows, (rowsMax + Self.roundsPlayed - 1) / Self.roundsPlayed)
        let none = [Double](repeating: 0, count: world.count)
        var (ends, computed, partials, received) = (none, none, none, [Int](repeating: 0, count: world.count))
        var results = [[Double]](repeating: none, count: world.count)
        for rank in world.ranks {
            let place = rank.index
            let keys = plan.chunks(of: rank).map(\.range)
            let route = QueryRoute(for: rank, under: plan, problem.mask, queries: queries, roundRows: max(played, 1))
            let own = Work(queries[place], keys, problem)
            estimate.add(own.flops, of: place)
            (ends[place], computed[place]) = (own.seconds(figures), own.seconds(figures))
            var (arrival, freed) = (0.0, [0.0, 0.0])
            for guest in route.guests {
                let rows = guest.rows.count
                arrival = max(arrival, freed[0]) + Double(rows * problem.queryBytes) / figures.bytesPerSecond + figures.latencySeconds
                let work = Work(guest.runs, keys, problem)
                let finish = Double(rows * problem.partialBytes) / figures.mergeBytesPerSecond
                ends[place] = max(ends[place], arrival) + work.seconds(figures) + finish
                computed[place] += work.seconds(figures) + finish
                freed = [freed[1], ends[place]]
                let back = ends[place] + Double(rows * problem.partialBytes) / figures.bytesPerSecond + figures.latencySeconds
                results[guest.owner.index][place] = max(results[guest.owner.index][place], back)
                partials[guest.owner.index] += Double(rows * problem.partialBytes)
                received[place] += rows * problem.queryBytes
                received[guest.owner.index] += rows * problem.partialBytes
                estimate.add(work.flops, of: place)
            }
        }
        for rank in world.ranks.map(\.index) {
            let merging = partials[rank] / figures.mergeBytesPerSecond
            // The last rows' merge comes after the last partial; the others' while something else is waited for or computed.
            ends[rank] = max(ends[rank] + merging, results[rank].max() ?? 0)
            computed[rank] += merging
        }
        if world.count > 1, rowsMax > 0 {
            estimate.memoryBytes = QueryRounds.byteCount(
                rows: roundRows, heads: problem.heads, headDim: problem.headDim, valueDim: problem.valueDim, world: world)
        }
        estimate.settle(ends: ends, computed: computed, received: received, figures)
        return estimate
    }

    /// Rounds of a rank that are played through at most.
    private static let roundsPlayed = 16
}

/// Some queries against some keys.
private struct Work {
    private(set) var flops = 0.0
    /// Tasks of equal size that the threads of a rank share.
    private var tasks = 0

    init(_ queries: [QueryRun], _ keys: [Range<Int>], _ problem: ScheduleProblem) {
        var pairs = 0
        for run in queries {
            let visible = keys.reduce(0) { $0 + problem.mask.pairs(queries: run.chunk.range, keys: $1) }
            if visible > 0 { tasks += (run.chunk.length + Limits.taskRows - 1) / Limits.taskRows * problem.heads }
            pairs += visible
        }
        flops = Double(pairs) * problem.flopsPerPair
    }

    /// A few tasks do not fill all threads.
    func seconds(_ figures: ScheduleFigures) -> Double {
        guard tasks > 0 else { return 0 }
        let turns = (tasks + figures.threads - 1) / figures.threads
        return flops / figures.flopsPerSecond * Double(turns * figures.threads) / Double(tasks)
    }
}

extension ScheduleEstimate {
    fileprivate mutating func add(_ work: Double, of rank: Int) {
        flops += work
        while flopsByRank.count <= rank { flopsByRank.append(0) }
        flopsByRank[rank] += work
        flopsMax = max(flopsMax, flopsByRank[rank])
    }

    /// Sums up what was played through. On one machine the ranks share its cores, and what moves bytes takes turns with what computes.
    fileprivate mutating func settle(
        ends: [Double], computed: [Double], received: [Int], _ figures: ScheduleFigures
    ) {
        bytes = received.reduce(0, +)
        bytesMax = received.max() ?? 0
        let last = ends.indices.max { ends[$0] < ends[$1] } ?? 0
        seconds = ends[last]
        if let cores = figures.sharedCores {
            let busy = computed.reduce(0, +) * Double(figures.threads) + Double(bytes) * figures.moveSecondsPerByte
            seconds = max(seconds, busy / cores)
        }
        exposedSeconds = seconds - computed[last]
    }
}

// How fast a rank computes beside the others of its ring. A ring goes at the pace of its slowest rank, and what each rank reports
// of its progress says which one that is: the seconds that it has computed, over the part of its own share that they have done.

import RingCore

/// A rank for which the others of its ring wait.
public struct Straggler: Hashable, Sendable, Codable {
    /// The worker's name.
    public var worker: String
    /// Its rank.
    public var rank: Int
    /// How many times as long as the median rank of its ring it needs for its share.
    public var pace: Double

    /// A straggler of its parts.
    public init(worker: String, rank: Int, pace: Double) {
        self.worker = worker
        self.rank = rank
        self.pace = pace
    }
}

extension WorkerProgress {
    /// Seconds of computing that the whole share takes at the speed so far; `nil` while too little is done to say.
    func shareSeconds(_ policy: CoordinatorPolicy) -> Double? {
        guard phase == .prefill || phase == .attend, tokensTotal > 0, tokensDone >= min(policy.paceTokens, tokensTotal) else { return nil }
        // In the first of several layers nobody knows yet what follows on attention.
        guard layers <= 1 || layer > 0 else { return nil }
        let part = min(1, Double(tokensDone) / Double(tokensTotal))
        guard part >= policy.paceFraction, computeSeconds >= policy.paceSeconds else { return nil }
        return computeSeconds / part
    }

    /// The same within what an honest worker can say: sums over ranks then stay in range, and every view can be written as JSON.
    var bounded: WorkerProgress {
        func count(_ number: Int) -> Int { min(max(number, 0), ControlLimits.progressCount) }
        func seconds(_ number: Double) -> Double {
            number.isFinite ? min(max(number, 0), ControlLimits.progressSeconds) : 0
        }
        var bounded = WorkerProgress(
            phase: phase, layer: count(layer), layers: count(layers), step: count(step), steps: count(steps),
            tokensDone: count(tokensDone), tokensTotal: count(tokensTotal), computeSeconds: seconds(computeSeconds),
            exposedSeconds: seconds(exposedSeconds))
        bounded.transport = transport.map { String($0.prefix(ControlLimits.transportLetters)) }
        bounded.transportRemark = transportRemark.map { String($0.prefix(ControlLimits.remarkLetters)) }
        return bounded
    }
}

extension Coordinator {
    /// Compares the ranks of a run, now and then, once each of them has done enough. Ranks without tokens have nothing to be slow at.
    mutating func judgePaces(_ index: Int, _ now: Moment, _ directives: inout [Directive]) {
        let job = jobs[index]
        // Where a broken run is gone on from, shares of the first layers differ by what each rank kept.
        guard job.phase == .running, job.places.count > 1, !job.isResumed,
            job.judgedAt.map({ now.seconds(since: $0) >= policy.paceIntervalSeconds }) ?? true
        else { return }
        // What each measured rank's share takes, side by side.
        var (ranks, seconds): ([Int], [Double]) = ([], [])
        for (rank, place) in job.places.enumerated() where place.progress?.tokensTotal != 0 {
            guard let needed = place.progress?.shareSeconds(policy) else { return }
            ranks.append(rank)
            seconds.append(needed)
        }
        guard ranks.count > 1 else { return }
        jobs[index].judgedAt = now
        // The lower median: of two ranks the slower one is measured against the faster.
        let median = seconds.sorted()[(seconds.count - 1) / 2]
        for (rank, needed) in zip(ranks, seconds) { note(pace: needed / median, of: rank, in: index, now, &directives) }
    }

    private mutating func note(pace: Double, of rank: Int, in index: Int, _ now: Moment, _ directives: inout [Directive]) {
        // Two bounds, so that a worker at one of them is not called slow and well by turns.
        let isSlow = pace >= (jobs[index].places[rank].isSlow ? policy.slowPaceEnd : policy.slowPace)
        jobs[index].places[rank].isSlow = isSlow
        jobs[index].places[rank].pace = pace
        if let member = place(of: jobs[index].places[rank].worker) {
            members[member].pace = pace
            members[member].isSlow = isSlow
        }
        guard isSlow, !jobs[index].places[rank].wasNamed else { return }
        jobs[index].places[rank].wasNamed = true
        emit(.slow(Straggler(worker: jobs[index].places[rank].name, rank: rank, pace: pace)), of: index, now, &directives)
    }
}

extension Job {
    /// The slowest of the ranks that are slow and not through.
    var straggler: Straggler? {
        guard isPlaced else { return nil }
        let behind = places.indices.filter { rank in
            places[rank].isSlow && places[rank].progress.map { $0.tokensDone < $0.tokensTotal } ?? false
        }
        guard let rank = behind.max(by: { places[$0].pace ?? 0 < places[$1].pace ?? 0 }) else { return nil }
        return Straggler(worker: places[rank].name, rank: rank, pace: places[rank].pace ?? 0)
    }
}

// What is left of a broken run: which workers still hold keys and values of it, and how the next run goes on from there.

import RingCore

/// Where a run goes on from a broken one.
struct Inherited {
    /// The broken run.
    let run: Run
    /// What every rank owns, and how far it is.
    let shares: [[Share]]
    /// Which of the chosen workers is which rank: first the one that owns the last token, since it leads decoding.
    let order: [Int]

    var event: JobEvent {
        let all = shares.flatMap { $0 }
        let held = all.filter { $0.layers > 0 }
        return .resumed(tokensKept: held.reduce(0) { $0 + $1.length }, layers: held.map(\.layers).min() ?? 0)
    }
}

extension Coordinator {
    /// Notes what a worker still holds of a broken run. What nobody will go on from is to be given back at once: it may be
    /// gigabytes.
    mutating func noteKept(_ run: Run, _ shares: [Share], by worker: WorkerID, _ directives: inout [Directive]) {
        guard let index = openJob(run.job), jobs[index].record.epoch == run.epoch, jobs[index].formerRing.contains(worker),
            shares.count <= ControlLimits.sharesKept, !shares.isEmpty
        else {
            directives.append(.send(.forget(run), to: worker))
            return
        }
        jobs[index].kept[worker] = shares
    }

    /// Whether workers of a job's broken run are still giving it up: what they keep of it is known only then, and a run that does not
    /// wait for them starts from the beginning, or without them.
    func isBetweenRuns(_ job: Job) -> Bool {
        guard job.phase == .queued, job.handoverUntil != nil else { return false }
        return job.formerRing.contains { worker in place(of: worker).map { members[$0].run == job.run } ?? false }
    }

    /// The workers that hold something for a job which will go on in a moment: others do not get them meanwhile.
    func promised() -> Set<WorkerID> { Set(jobs.lazy.filter { isBetweenRuns($0) }.flatMap(\.kept.keys)) }

    /// What the next run of a job inherits from its broken one on these workers; those that hold something and are not among
    /// them are told to give it back.
    mutating func inherit(_ index: Int, by members: [Int], _ directives: inout [Directive]) -> Inherited? {
        let chosen = members.map { self.members[$0].id }
        let (run, kept) = (jobs[index].run, jobs[index].kept)
        guard !kept.isEmpty else { return nil }
        let table = Inheritance.shares(tokens: jobs[index].specOfNextRun.tokens, kept: chosen.map { kept[$0] ?? [] })
        let shares = table.flatMap { $0.reduce(0) { $0 + $1.count } <= ControlLimits.sharesKept ? $0 : nil }
        // A worker that is chosen finds out by its assignment.
        if shares != nil { for worker in chosen { jobs[index].kept[worker] = nil } }
        forgetKept(of: index, &directives)
        return shares.map { shares in
            let first = shares.firstIndex { $0.last?.end == jobs[index].specOfNextRun.tokens } ?? 0
            let order = Self.order(of: members.map { self.members[$0].newestRegistration }, leading: first)
            return Inherited(run: run, shares: order.map { shares[$0] }, order: order)
        }
    }

    /// Nobody goes on from what is still held.
    mutating func forgetKept(of index: Int, _ directives: inout [Directive]) {
        for worker in jobs[index].kept.keys.sorted(by: { $0 < $1 }) where place(of: worker) != nil {
            directives.append(.send(.forget(jobs[index].run), to: worker))
        }
        jobs[index].kept = [:]
    }
}

// How a job moves from phase to phase: placing, reports, suspicion, deadlines, the end.

import RingCore

extension Coordinator {
    /// Starts every queued job that has its prompt and enough idle workers, oldest first.
    mutating func startQueued(_ now: Moment, _ directives: inout [Directive]) {
        for index in jobs.indices where jobs[index].phase == .queued && jobs[index].hasPrompt {
            let idle = members.indices.filter { members[$0].job == nil }
            guard idle.count >= jobs[index].submission.workers else { return }
            place(index, on: Array(idle.sorted { members[$0].registration.name < members[$1].registration.name }), now, &directives)
        }
    }

    private mutating func place(_ index: Int, on idle: [Int], _ now: Moment, _ directives: inout [Directive]) {
        let submission = jobs[index].submission
        let chosen = Array(idle.prefix(submission.workers))
        epoch += 1
        jobs[index].epoch = Epoch(epoch)
        jobs[index].phase = .preparing
        jobs[index].deadline = now.advanced(bySeconds: policy.prepareSeconds)
        jobs[index].places = chosen.map { Job.Place(worker: members[$0].id, name: members[$0].registration.name) }
        let registrations = chosen.map { members[$0].registration }
        let peers = registrations.map { Peer(host: $0.dataHost, port: $0.dataPort, worker: $0.name) }
        let number = jobs[index].number
        directives.append(.emit(number, .placed(workers: registrations.map(\.name), epoch: Epoch(epoch))))
        directives.append(.emit(number, .phase(.preparing)))
        for (rank, member) in chosen.enumerated() {
            members[member].job = number
            let neighbours = registrations.indices.filter { registrations[$0].machine == registrations[rank].machine }
            let assignment = Assignment(
                job: number, epoch: Epoch(epoch), rank: rank, peers: peers, secret: submission.secret,
                threads: submission.threads ?? max(1, registrations[rank].cpus / neighbours.count),
                localIndex: neighbours.firstIndex(of: rank) ?? 0, localCount: neighbours.count, spec: submission.spec)
            directives.append(.send(.prepare(assignment), to: members[member].id))
        }
    }

    /// Applies what a member reported.
    mutating func apply(_ report: WorkerReport, from worker: WorkerID, _ now: Moment, _ directives: inout [Directive]) {
        release(worker, after: report)
        // A report about a settled job, or from a worker that has no place in it, is late news.
        guard let index = openJob(report.job), let rank = jobs[index].rank(of: worker) else { return }
        switch report {
        case .ready:
            jobs[index].places[rank].isReady = true
            guard jobs[index].phase == .preparing, jobs[index].places.allSatisfy(\.isReady) else { return }
            jobs[index].phase = .running
            directives.append(.emit(report.job, .phase(.running)))
            for place in jobs[index].places { directives.append(.send(.start(report.job), to: place.worker)) }
        case .progress(_, let progress):
            jobs[index].places[rank].progress = progress
            guard let whole = JobProgress(of: jobs[index].places.compactMap(\.progress)) else { return }
            directives.append(.emit(report.job, .progress(whole)))
        case .token(_, let place, let id):
            // In order and once each, whatever a worker that repeats itself says.
            guard place == jobs[index].tokensGenerated, place < ControlLimits.tokensGenerated else { return }
            jobs[index].tokensGenerated += 1
            directives.append(.emit(report.job, .token(index: place, id: id)))
        case .finished(_, let summary):
            jobs[index].places[rank].summary = summary
            let summaries = jobs[index].places.compactMap(\.summary)
            guard summaries.count == jobs[index].places.count else { return }
            settle(index, as: .succeeded, .succeeded(summaries), reason: "", &directives)
        case .failed(_, let code, let message, let lostRank):
            suspect(index, rank: rank, code, message, lostRank: lostRank, now, &directives)
        case .stopped:
            let message = "\(jobs[index].describe(rank)) gave the job up \(jobs[index].whereabouts(of: rank)) without being told to"
            fail(index, Failure(.internalError, message, rank: rank), &directives)
        }
    }

    private mutating func release(_ worker: WorkerID, after report: WorkerReport) {
        switch report {
        case .finished, .failed, .stopped:
            for index in members.indices where members[index].id == worker && members[index].job == report.job {
                members[index].job = nil
            }
        case .ready, .progress, .token: break
        }
    }

    /// A rank failed. If it blames another that is still a member, wait a moment for that one's own word: every
    /// neighbour of a rank that dies or fails says "connection reset", and often says it first.
    private mutating func suspect(
        _ index: Int, rank: Int, _ code: FailureCode, _ message: String, lostRank: Int?, _ now: Moment,
        _ directives: inout [Directive]
    ) {
        let job = jobs[index]
        guard let lost = lostRank, job.places.indices.contains(lost), lost != rank else {
            let whole = "\(job.describe(rank)): \(message)"
            fail(index, Failure(code, whole, rank: rank), &directives)
            return
        }
        guard job.suspicion == nil else { return }
        jobs[index].suspicion = Job.Suspicion(
            lostRank: lost, code: code, message: message, deadline: now.advanced(bySeconds: policy.suspicionSeconds))
    }

    /// Acts on every deadline that has passed.
    mutating func expire(_ now: Moment, _ directives: inout [Directive]) {
        let silent = members.filter { now.seconds(since: $0.heardAt) >= policy.silenceSeconds }
        for member in silent {
            lose(member.id, reason: "has been silent for \(Int(policy.silenceSeconds)) s and counts as lost", now, &directives)
        }
        for index in jobs.indices where !jobs[index].phase.isSettled {
            let job = jobs[index]
            if let suspicion = job.suspicion, suspicion.deadline <= now {
                let lost = suspicion.lostRank
                let message = "\(job.describe(lost)) was lost \(job.whereabouts(of: lost)) (\(suspicion.message)): run the job again"
                fail(index, Failure(suspicion.code, message, rank: lost), &directives)
            } else if job.phase == .queued && job.isOverdue(now) && !mayYetBePlaced(job) {
                let here = members.count
                let message =
                    "the job needs \(job.submission.workers) workers and \(here) joined within "
                    + "\(Int(policy.joinSeconds)) s: start more, or ask for fewer"
                fail(index, Failure(.workersMissing, message), &directives)
            } else if job.phase == .preparing && job.isOverdue(now) {
                let late = job.places.indices.filter { !job.places[$0].isReady }
                let names = late.map { job.describe($0) }.joined(separator: ", ")
                let message = "not ready after \(Int(policy.prepareSeconds)) s: \(names); look at its disk and its memory"
                fail(index, Failure(.prepareTimeout, message, rank: late.first), &directives)
            }
        }
    }

    /// A job that only waits for its turn (its workers are here, but busy) has no deadline.
    private func mayYetBePlaced(_ job: Job) -> Bool { members.count >= job.submission.workers && job.hasPrompt }

    /// The next moment at which `expire` has something to do, given what is known now.
    var nextDeadline: Moment? {
        var next: Moment?
        func consider(_ moment: Moment) { next = min(next ?? moment, moment) }
        for member in members { consider(member.heardAt.advanced(bySeconds: policy.silenceSeconds)) }
        for job in jobs where !job.phase.isSettled {
            if let suspicion = job.suspicion { consider(suspicion.deadline) }
            if job.phase == .preparing || (job.phase == .queued && !mayYetBePlaced(job)) { consider(job.deadline) }
        }
        return next
    }

    /// Settles a job as failed, naming the worker and where it last was.
    mutating func fail(_ index: Int, _ cause: Failure, _ directives: inout [Directive]) {
        var failure = cause
        if let rank = cause.rank {
            let place = jobs[index].places[rank]
            failure.worker = place.name
            failure.layer = place.progress?.layer
            failure.step = place.progress?.step
        }
        jobs[index].failure = failure
        settle(index, as: .failed, .failed(failure), reason: failure.message, &directives)
    }

    /// Settles a job once and tells the workers that still hold it to give it up.
    mutating func settle(_ index: Int, as phase: JobPhase, _ event: JobEvent, reason: String, _ directives: inout [Directive]) {
        let number = jobs[index].number
        jobs[index].phase = phase
        jobs[index].suspicion = nil
        for place in jobs[index].places where members.contains(where: { $0.id == place.worker && $0.job == number }) {
            directives.append(.send(.abort(number, reason: reason), to: place.worker))
        }
        directives.append(.emit(number, event))
    }
}

extension Job {
    /// Whether the deadline of its phase has passed.
    func isOverdue(_ now: Moment) -> Bool { deadline <= now }
}

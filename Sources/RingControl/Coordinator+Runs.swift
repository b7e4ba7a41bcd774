// How a run goes: reports, suspicion between ranks, the end of a run, another attempt or the end of the job.

import RingCore

extension Coordinator {
    /// Applies what a member reported.
    mutating func apply(_ report: WorkerReport, from worker: WorkerID, _ now: Moment, _ directives: inout [Directive]) {
        switch report {
        case .finished, .failed, .stopped: release(worker, from: report.run, &directives)
        case .kept(let run, let shares): return noteKept(run, shares, by: worker, &directives)
        case .ready, .progress, .token: break
        }
        // A report about a run that is over, or from a worker that has no place in it, is late news.
        guard let index = openJob(report.run.job), jobs[index].isPlaced, jobs[index].record.epoch == report.run.epoch,
            let rank = jobs[index].rank(of: worker)
        else { return }
        jobs[index].movedAt = now
        switch report {
        case .ready: noteReady(index, rank, now, &directives)
        case .progress(_, let progress):
            jobs[index].places[rank].progress = progress.bounded
            guard let whole = JobProgress(of: jobs[index].places.compactMap(\.progress)) else { return }
            emit(.progress(whole), of: index, now, &directives)
            judgePaces(index, now, &directives)
        case .token(_, let place, let id):
            // In order and once each, whatever a worker that repeats itself says.
            guard place == jobs[index].tokensGenerated, place < ControlLimits.tokensGenerated else { return }
            jobs[index].tokensGenerated += 1
            totals.tokensGenerated += 1
            emit(.token(index: place, id: id), of: index, now, &directives)
        case .finished(_, let summary):
            if jobs[index].places[rank].summary == nil { count(summary.ringSteps ?? []) }
            jobs[index].places[rank].summary = summary
            if let locality = summary.locality, let place = place(of: worker) { members[place].locality = locality }
            let told = jobs[index].places.compactMap(\.summary)
            guard told.count == jobs[index].places.count else { return }
            let summaries = believed(told, of: jobs[index])
            jobs[index].record.summaries = summaries
            learnSpeeds(index, summaries)
            links.note(summaries)
            settle(index, as: .succeeded, .succeeded(summaries), reason: "", now, &directives)
        case .failed(_, let code, let message, let lostRank):
            suspect(index, rank: rank, code, message, lostRank: lostRank, now, &directives)
        case .kept: break
        case .stopped:
            let message = "\(jobs[index].describe(rank)) gave the job up \(jobs[index].whereabouts(of: rank)) without being told to"
            end(index, Failure(.internalError, message, rank: rank), now, &directives)
        }
    }

    /// Counts a rank's ring steps, no more of them than a rank may tell.
    private mutating func count(_ steps: [RingStepFigures]) {
        var ring = totals.ring ?? RingTotals()
        for figures in steps.prefix(ControlLimits.stepFigures) { ring.add(figures) }
        totals.ring = ring
    }

    private mutating func noteReady(_ index: Int, _ rank: Int, _ now: Moment, _ directives: inout [Directive]) {
        jobs[index].places[rank].isReady = true
        guard jobs[index].phase == .admitted, jobs[index].places.allSatisfy(\.isReady) else { return }
        jobs[index].record.phase = .running
        watch(now.advanced(bySeconds: policy.stallSeconds))
        directives.append(.keep(.job(jobs[index].record)))
        emit(.phase(.running), of: index, now, &directives)
        for place in jobs[index].places { directives.append(.send(.start(jobs[index].run), to: place.worker)) }
    }

    /// A rank failed. If it blames another that is still a member, wait a moment for that one's own word: every
    /// neighbour of a rank that dies or fails says "connection reset", and often says it first.
    private mutating func suspect(
        _ index: Int, rank: Int, _ code: FailureCode, _ message: String, lostRank: Int?, _ now: Moment,
        _ directives: inout [Directive]
    ) {
        let job = jobs[index]
        guard let lost = lostRank, job.places.indices.contains(lost), lost != rank else {
            end(index, Failure(code, "\(job.describe(rank)): \(message)", rank: rank), now, &directives)
            return
        }
        guard job.suspicion == nil else { return }
        let deadline = now.advanced(bySeconds: policy.suspicionSeconds)
        jobs[index].suspicion = Job.Suspicion(lostRank: lost, code: code, message: message, deadline: deadline)
        watch(deadline)
    }

    /// Ends a run by a failure: another attempt is made if one may help and is left, else the job has failed.
    mutating func end(_ index: Int, _ cause: Failure, _ now: Moment, _ directives: inout [Directive]) {
        let failure = name(cause, in: jobs[index])
        // A worker that hands its run back because it is to leave is nobody's fault.
        if failure.code != .shuttingDown { jobs[index].record.faults += 1 }
        let isLast = jobs[index].record.faults > jobs[index].submission.retries || jobs[index].record.attempt > ControlLimits.attempts
        guard failure.code.mayPass, !isLast, !isStopping else {
            var last = failure
            if failure.code.mayPass && !isStopping { last.message += "; run the job again" }
            settle(index, last, now, &directives)
            return
        }
        // One that leaves may come back under its name, as good as new.
        if let worker = failure.worker, failure.code != .shuttingDown { jobs[index].avoided.append(worker) }
        totals.retries += 1
        emit(.retrying(attempt: jobs[index].record.attempt, cause: failure), of: index, now, &directives)
        requeue(index, reason: failure.message, now, &directives)
    }

    /// Puts a job that was placed back into the queue.
    mutating func requeue(_ index: Int, reason: String, _ now: Moment, _ directives: inout [Directive]) {
        abort(index, reason: reason, now, &directives)
        jobs[index].record.phase = .queued
        jobs[index].places = []
        jobs[index].suspicion = nil
        jobs[index].since = now
        if case .generate = jobs[index].submission.spec {
            jobs[index].handoverUntil = now.advanced(bySeconds: policy.handoverSeconds)
            watch(now.advanced(bySeconds: policy.handoverSeconds))
        }
        directives.append(.keep(.job(jobs[index].record)))
        emit(.phase(.queued), of: index, now, &directives)
        watchQueued(jobs[index])
        mayPlace = true
    }

    /// The failure with the worker that is at fault and where it last was.
    private func name(_ cause: Failure, in job: Job) -> Failure {
        var failure = cause
        if let rank = cause.rank, job.places.indices.contains(rank) {
            failure.worker = job.places[rank].name
            failure.layer = job.places[rank].progress?.layer
            failure.step = job.places[rank].progress?.step
        }
        return failure
    }

    /// Settles a job as failed.
    mutating func settle(_ index: Int, _ failure: Failure, _ now: Moment, _ directives: inout [Directive]) {
        jobs[index].record.failure = name(failure, in: jobs[index])
        settle(index, as: .failed, .failed(jobs[index].record.failure ?? failure), reason: failure.message, now, &directives)
    }

    /// Settles a job once and tells the workers that still hold it to give it up.
    mutating func settle(
        _ index: Int, as phase: JobPhase, _ event: JobEvent, reason: String, _ now: Moment, _ directives: inout [Directive]
    ) {
        abort(index, reason: reason, now, &directives)
        jobs[index].record.phase = phase
        jobs[index].record.settledAt = now
        jobs[index].suspicion = nil
        switch phase {
        case .succeeded: totals.jobsSucceeded += 1
        case .failed: totals.jobsFailed += 1
        case .cancelled: totals.jobsCancelled += 1
        case .queued, .admitted, .running: preconditionFailure("job \(jobs[index].number) settled as \(phase)")
        }
        forgetKept(of: index, &directives)
        directives.append(.keep(.job(jobs[index].record)))
        if case .generate = jobs[index].submission.spec { directives.append(.keep(.dropPrompt(jobs[index].number))) }
        emit(event, of: index, now, &directives)
        mayPlace = true
    }

    private mutating func abort(_ index: Int, reason: String, _ now: Moment, _ directives: inout [Directive]) {
        let run = jobs[index].run
        for place in jobs[index].places {
            guard let member = self.place(of: place.worker), members[member].run == run else { continue }
            members[member].releaseBy = now.advanced(bySeconds: policy.abortSeconds)
            watch(now.advanced(bySeconds: policy.abortSeconds))
            directives.append(.send(.abort(run, reason: reason), to: place.worker))
        }
    }
}

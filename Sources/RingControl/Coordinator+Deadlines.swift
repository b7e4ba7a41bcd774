// What happens when nothing happens: every wait of a job has a deadline, and a coordinator that starts goes on from its store.

import RingCore

extension Coordinator {
    /// Goes on from the stored state: a job that was placed is run again, since its workers belong to a coordinator that is
    /// gone. That costs it none of its retries.
    public mutating func resume(at now: Moment, into directives: inout [Directive]) {
        numberWorkers(from: now)
        for index in jobs.indices where !jobs[index].phase.isSettled {
            (jobs[index].since, jobs[index].movedAt) = (now, now)
            if jobs[index].isPlaced {
                let cause = Failure(.shuttingDown, "the coordinator was started again while the job ran")
                totals.retries += 1
                emit(.retrying(attempt: jobs[index].record.attempt, cause: cause), of: index, now, &directives)
                requeue(index, reason: cause.message, now, &directives)
            } else {
                watchQueued(jobs[index])
            }
        }
        handle(.tick, at: now, into: &directives)
    }

    /// Sets the deadlines of a queued job.
    mutating func watchQueued(_ job: Job) {
        for moment in [queueDeadline(of: job), job.timeout].compactMap({ $0 }) { watch(moment) }
    }

    /// Until when a queued job's prompt or, where that is limited, its workers must have come.
    private func queueDeadline(of job: Job) -> Moment? {
        if !job.record.hasPrompt { return job.since.advanced(bySeconds: policy.promptSeconds) }
        let here = members.count(where: \.isLasting)
        guard let joinSeconds = policy.joinSeconds, here < wantedWorkers(job) ?? 1 else { return nil }
        return job.since.advanced(bySeconds: joinSeconds)
    }

    /// Acts on every deadline that has passed.
    mutating func expire(_ now: Moment, _ directives: inout [Directive]) {
        expireMembers(now, &directives)
        for index in jobs.indices where !jobs[index].phase.isSettled {
            if let timeout = jobs[index].timeout, timeout <= now {
                let seconds = jobs[index].submission.timeoutSeconds ?? 0
                let message = "the job did not end within its \(Int(seconds)) s: give it more time, or more workers"
                settle(index, Failure(.timeout, message), now, &directives)
                continue
            }
            switch jobs[index].phase {
            case .queued: expireQueued(index, now, &directives)
            case .admitted, .running: expirePlaced(index, now, &directives)
            case .succeeded, .failed, .cancelled: break
            }
        }
        mayPlace = true
    }

    private mutating func expireQueued(_ index: Int, _ now: Moment, _ directives: inout [Directive]) {
        if let until = jobs[index].handoverUntil, until <= now { jobs[index].handoverUntil = nil }
        let job = jobs[index]
        guard let deadline = queueDeadline(of: job), deadline <= now else { return }
        if job.record.hasPrompt {
            let message =
                "the job needs \(wantedWorkers(job) ?? 1) workers and \(members.count) joined within "
                + "\(Int(policy.joinSeconds ?? 0)) s: start more, or ask for fewer"
            settle(index, Failure(.workersMissing, message), now, &directives)
        } else {
            let message = "the job's prompt did not arrive within \(Int(policy.promptSeconds)) s: submit it again"
            settle(index, Failure(.invalidInput, message), now, &directives)
        }
    }

    private mutating func expirePlaced(_ index: Int, _ now: Moment, _ directives: inout [Directive]) {
        let job = jobs[index]
        if let suspicion = job.suspicion, suspicion.deadline <= now {
            let lost = suspicion.lostRank
            let message = "\(job.describe(lost)) was lost \(job.whereabouts(of: lost)) (\(suspicion.message))"
            end(index, Failure(suspicion.code, message, rank: lost), now, &directives)
        } else if job.phase == .admitted && now.seconds(since: job.since) >= policy.prepareSeconds {
            let late = job.places.indices.filter { !job.places[$0].isReady }
            let names = late.map { job.describe($0) }.joined(separator: ", ")
            let message = "not ready after \(Int(policy.prepareSeconds)) s: \(names); look at its disk and its memory"
            end(index, Failure(.prepareTimeout, message, rank: late.first), now, &directives)
        } else if job.phase == .running && now.seconds(since: job.movedAt) >= policy.stallSeconds {
            let message = "no rank has told anything new for \(Int(policy.stallSeconds)) s; the least far is \(job.describe(job.leastFar))"
            end(index, Failure(.stalled, message, rank: job.leastFar), now, &directives)
        }
    }

    /// The next moment at which `expire` has something to do, given what is known now.
    var nextDeadline: Moment? {
        var next: Moment?
        func consider(_ moment: Moment?) { if let moment { next = min(next ?? moment, moment) } }
        for member in members { consider(member.nextDeadline(policy)) }
        for job in jobs where !job.phase.isSettled {
            consider(job.timeout)
            consider(job.suspicion?.deadline)
            switch job.phase {
            case .queued:
                consider(queueDeadline(of: job))
                consider(job.handoverUntil)
            case .admitted: consider(job.since.advanced(bySeconds: policy.prepareSeconds))
            case .running: consider(job.movedAt.advanced(bySeconds: policy.stallSeconds))
            case .succeeded, .failed, .cancelled: break
            }
        }
        return next
    }
}

extension Job {
    /// The rank that has done the smallest part of its work.
    var leastFar: Int {
        func share(_ rank: Int) -> Double {
            guard let progress = places[rank].progress, progress.tokensTotal > 0 else { return 0 }
            return Double(progress.tokensDone) / Double(progress.tokensTotal)
        }
        return places.indices.min { share($0) < share($1) } ?? 0
    }
}

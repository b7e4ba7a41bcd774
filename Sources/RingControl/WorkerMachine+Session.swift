// The session with the coordinator: joining with backoff, the stream of directives, silence, leaving.

import RingCore

extension WorkerMachine {
    mutating func join(_ directives: inout [Directive]) {
        session = .joining
        directives.append(.join)
    }

    mutating func waitToJoin(_ now: Moment) {
        session = .apart(until: now.advanced(bySeconds: policy.backoff(failures, most: policy.backoffSecondsMax)))
        failures += 1
    }

    mutating func noteJoined(_ worker: WorkerID, _ now: Moment, _ directives: inout [Directive]) {
        guard session == .joining else { return }
        session = .joined(worker)
        (stream, sequence, heardAt) = (.opening, 0, now)
        directives.append(.openStream(worker, after: 0))
    }

    mutating func noteTurnedAway(_ reason: String, _ isTemporary: Bool, _ now: Moment, _ directives: inout [Directive]) {
        guard session == .joining else { return }
        if isTemporary && policy.rejoins {
            waitToJoin(now)
        } else {
            leave(.turnedAway(reason), now, &directives)
        }
    }

    mutating func noteStreamOpened(_ now: Moment) {
        guard worker != nil, stream == .opening else { return }
        (stream, failures, heardAt) = (.open, 0, now)
    }

    mutating func noteStreamClosed(_ now: Moment) {
        guard worker != nil, stream == .opening || stream == .open else { return }
        stream = .closed(retryAt: now.advanced(bySeconds: policy.backoff(failures, most: policy.streamBackoffSecondsMax)))
        failures += 1
    }

    /// The coordinator is gone, or another: what it asked for is given up, and a daemon looks for it again.
    mutating func endSession(_ reason: String, _ now: Moment, _ directives: inout [Directive]) {
        giveUpAll(&directives)
        directives.append(.closeSession(reason: reason))
        apartSince = now
        if let leaving {
            session = .apart(until: leaving.by)
        } else if graceEnds != nil {
            leave(.drained, now, &directives)
        } else if policy.rejoins {
            waitToJoin(now)
        } else {
            leave(.coordinatorGone(reason), now, &directives)
        }
    }

    /// Takes leave of the coordinator; what runs has until the grace is over.
    mutating func drain(_ now: Moment, _ directives: inout [Directive]) {
        guard graceEnds == nil, leaving == nil else { return }
        graceEnds = now.advanced(bySeconds: policy.graceSeconds)
        if let worker {
            directives.append(.drainSelf(worker))
        } else {
            leave(.drained, now, &directives)
        }
    }

    /// Leaves at once; the run goes back to the coordinator.
    mutating func interrupt(_ now: Moment, _ directives: inout [Directive]) {
        handBack("the worker was told to end", &directives)
        session = .over
        directives.append(.leave(.interrupted))
    }

    /// Leaves when the engine has ended, or soon.
    mutating func leave(_ why: Departure, _ now: Moment, _ directives: inout [Directive]) {
        guard leaving == nil else { return }
        giveUpAll(&directives)
        leaving = (why, held == nil ? now : now.advanced(bySeconds: policy.giveUpSeconds))
        // Without a session it must not ask for another one meanwhile.
        if worker == nil, let leaving { session = .apart(until: leaving.by) }
    }

    /// Acts on every deadline that has passed.
    mutating func expire(_ now: Moment, _ directives: inout [Directive]) {
        if let kept, kept.until <= now { forget(kept.run, &directives) }
        if let grace = graceEnds, grace <= now, leaving == nil {
            handBack("the worker leaves and the run did not end within \(Int(policy.graceSeconds)) s", &directives)
            leave(.drained, now, &directives)
        }
        if let leaving {
            if held == nil || leaving.by <= now {
                session = .over
                directives.append(.leave(leaving.why))
            }
            return
        }
        switch session {
        case .apart(let until):
            if let limit = policy.joinSeconds, now.seconds(since: apartSince) >= limit {
                leave(.coordinatorGone("it did not let this worker in within \(Int(limit)) s"), now, &directives)
                expire(now, &directives)
            } else if until <= now {
                join(&directives)
            }
        case .joined(let worker):
            if now.seconds(since: heardAt) >= policy.silenceSeconds {
                endSession("it has been silent for \(Int(policy.silenceSeconds)) s", now, &directives)
                if leaving != nil { expire(now, &directives) }
            } else if case .closed(let retryAt) = stream, retryAt <= now {
                stream = .opening
                directives.append(.openStream(worker, after: sequence))
            }
        case .joining, .over: break
        }
    }

    /// The next moment at which `expire` has something to do.
    var nextDeadline: Moment? {
        if let leaving { return leaving.by }
        var next = graceEnds
        func consider(_ moment: Moment) { next = min(next ?? moment, moment) }
        if let kept { consider(kept.until) }
        switch session {
        case .apart(let until): consider(until)
        case .joined:
            consider(heardAt.advanced(bySeconds: policy.silenceSeconds))
            if case .closed(let retryAt) = stream { consider(retryAt) }
        case .joining, .over: break
        }
        return next
    }
}

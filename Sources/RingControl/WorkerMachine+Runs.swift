// What directives mean for the run that is held. One engine at a time: a run that follows on one that was given up waits
// until that one's engine has ended.

import RingCore

extension WorkerMachine {
    /// Obeys a directive once, in the order of numbers.
    mutating func obey(_ number: UInt64, _ directive: WorkerDirective, _ now: Moment, _ directives: inout [Directive]) {
        // Sent again after a reconnect, or meant for a session that is over.
        guard worker != nil, number > sequence else { return }
        heardAt = now
        guard number == sequence + 1 else {
            endSession("its directive \(number) follows on \(sequence)", now, &directives)
            return
        }
        sequence = number
        switch directive {
        case .prepare(let assignment): prepare(assignment, &directives)
        case .start(let run):
            guard let held, held.run == run, !held.isFetching, !held.isReleased, !held.isGivenUp else { return }
            self.held?.isReleased = true
            directives.append(.releaseEngine(run))
        case .abort(let run, _): abort(run, &directives)
        case .forget(let run): forget(run, &directives)
        case .stop: leave(graceEnds == nil ? .toldToStop : .drained, now, &directives)
        }
    }

    private mutating func prepare(_ assignment: Assignment, _ directives: inout [Directive]) {
        let run = assignment.run
        // Placed before the coordinator knew that the worker leaves.
        if isDraining {
            directives.append(.report(.failed(run, .shuttingDown, message: "the worker is about to leave", lostRank: nil)))
            return
        }
        guard let held else {
            begin(assignment, &directives)
            return
        }
        if held.run == run || next?.run == run { return }
        guard held.run.epoch < run.epoch, (next?.epoch ?? Epoch(0)) < run.epoch else {
            directives.append(.report(.stopped(run)))
            return
        }
        if let skipped = next { directives.append(.report(.stopped(skipped.run))) }
        next = assignment
        // The coordinator has moved on from the held run, told or not.
        giveUp(&directives)
    }

    /// Begins a run, its prompt first where it has one.
    private mutating func begin(_ assignment: Assignment, _ directives: inout [Directive]) {
        // The engine goes on from what it kept, or gives it back before it takes memory for something else.
        if let kept, kept.run != assignment.resumes { directives.append(.dropKept(kept.run)) }
        kept = nil
        if case .generate = assignment.spec {
            held = Held(assignment: assignment, isFetching: true)
            directives.append(.fetchPrompt(assignment))
        } else {
            held = Held(assignment: assignment, isFetching: false)
            directives.append(.startEngine(assignment))
        }
    }

    private mutating func beginNext(_ directives: inout [Directive]) {
        guard held == nil, let assignment = next else { return }
        next = nil
        begin(assignment, &directives)
    }

    private mutating func abort(_ run: Run, _ directives: inout [Directive]) {
        if held?.run == run {
            giveUp(&directives)
        } else {
            // Of a run that is not known, or has not begun, there is nothing to wait for.
            if next?.run == run { next = nil }
            directives.append(.report(.stopped(run)))
        }
    }

    /// Gives the held run up. That it has stopped is reported when its engine has ended.
    private mutating func giveUp(_ directives: inout [Directive]) {
        guard let held, !held.isGivenUp else { return }
        self.held?.isGivenUp = true
        if held.isFetching {
            directives.append(.cancelFetch(held.run))
            end(&directives)
        } else {
            directives.append(.cancelEngine(held.run))
        }
    }

    /// Gives up everything; nobody is told.
    mutating func giveUpAll(_ directives: inout [Directive]) {
        next = nil
        if let kept { forget(kept.run, &directives) }
        held?.isSettled = true
        giveUp(&directives)
    }

    /// Gives the held run back to the coordinator, which is nobody's fault.
    mutating func handBack(_ message: String, _ directives: inout [Directive]) {
        for run in [held.flatMap { $0.isSettled || $0.isGivenUp ? nil : $0.run }, next?.run].compactMap({ $0 }) where worker != nil {
            directives.append(.report(.failed(run, .shuttingDown, message: message, lostRank: nil)))
        }
        giveUpAll(&directives)
    }

    mutating func notePrompt(_ run: Run, _ directives: inout [Directive]) {
        guard let held, held.run == run, held.isFetching else { return }
        self.held?.isFetching = false
        directives.append(.startEngine(held.assignment))
    }

    mutating func notePromptFailed(_ run: Run, _ message: String, _ now: Moment, _ directives: inout [Directive]) {
        guard let held, held.run == run, held.isFetching else { return }
        let sentence = "cannot fetch its part of the prompt: \(message)"
        directives.append(.report(.failed(run, .transport, message: sentence, lostRank: nil)))
        self.held?.isSettled = true
        end(&directives)
    }

    /// Passes on what the engine says of a run that is wanted, up to its last word.
    mutating func forward(_ report: WorkerReport, _ now: Moment, _ directives: inout [Directive]) {
        if case .kept(let run, _) = report { return noteKept(run, report, now, &directives) }
        guard let held, held.run == report.run, !held.isGivenUp, !held.isSettled else { return }
        switch report {
        case .finished, .failed, .stopped: self.held?.isSettled = true
        case .ready, .progress, .token, .kept: break
        }
        directives.append(.report(report))
    }

    /// The engine kept something of the held run: good to know for who may go on with it, if anybody is left.
    private mutating func noteKept(_ run: Run, _ report: WorkerReport, _ now: Moment, _ directives: inout [Directive]) {
        guard let held, held.run == run, !held.isSettled, worker != nil, !isDraining else {
            directives.append(.dropKept(run))
            return
        }
        kept = (run, now.advanced(bySeconds: policy.keepSeconds))
        directives.append(.report(report))
    }

    /// What was kept of a run is not wanted, by who decides that or because the time for it is over.
    mutating func forget(_ run: Run, _ directives: inout [Directive]) {
        guard kept?.run == run else { return }
        kept = nil
        directives.append(.dropKept(run))
    }

    mutating func noteEnded(_ run: Run, _ now: Moment, _ directives: inout [Directive]) {
        guard let held, held.run == run, !held.isFetching else { return }
        end(&directives)
    }

    /// The held run is over: its last word, if that is still to be said, and then the next run.
    private mutating func end(_ directives: inout [Directive]) {
        guard let ended = held else { return }
        held = nil
        if !ended.isSettled {
            let last: WorkerReport =
                ended.isGivenUp
                ? .stopped(ended.run)
                : .failed(ended.run, .internalError, message: "the engine ended without a word", lostRank: nil)
            directives.append(.report(last))
        }
        beginNext(&directives)
    }
}

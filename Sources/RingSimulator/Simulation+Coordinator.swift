// The coordinator's shell, modelled: it gives the machine events and the time, keeps what is to be kept before anything
// that follows from it goes out, and carries directives out in order.

import RingControl
import RingCore

extension Simulation {
    mutating func startCoordinator() {
        processes[0].isUp = true
        // Moments that are kept mean the same to the next coordinator, as far as clocks agree.
        processes[0].clockOffset = 1_000_000_000_000_000_000 + (plan.hasSkew ? work.span(-3, 3) : 0)
        processes[0].clockRate = plan.hasSkew ? work.between(0.999, 1.001) : 1
        coordinator.reset()
        let jobs = coordinator.store.jobs.count
        note(0, "starts with \(jobs) jobs in its store")
        checkStore()
        var directives: [Coordinator.Directive] = []
        coordinator.machine.resume(at: clock(of: 0), into: &directives)
        put(directives)
        flush()
        after(1, 0, .heartbeat)
    }

    mutating func coordinatorTimer(_ timer: Timer) {
        switch timer {
        case .wake(let number):
            if number == processes[0].wakes { decide([.tick]) }
        case .heartbeat:
            for session in coordinator.sessions { if let connection = session.connection { write(.keepAlive, to: connection) } }
            for follower in coordinator.followers { write(.keepAlive, to: follower.connection) }
            after(1, 0, .heartbeat)
        case .written: noteWritten()
        case .synced: noteSynced()
        case .timeout, .again, .engine, .engineEnded, .submit, .cancel: break
        }
    }

    /// Lets the machine decide; a reply without consequences goes out at once, any other with them.
    mutating func decide(_ events: [Coordinator.Event], reply: (node: Int, request: UInt64, Response)? = nil) {
        var directives: [Coordinator.Directive] = []
        let before = cpuSeconds?() ?? 0
        for event in events { coordinator.machine.handle(event, at: clock(of: 0), into: &directives) }
        if let cpuSeconds { outcome.machineSeconds += cpuSeconds() - before }
        outcome.machineEvents += events.count
        if let reply {
            if directives.isEmpty {
                answer(reply.node, reply.request, reply.2)
            } else {
                coordinator.open.replies.append(reply)
            }
        }
        put(directives)
        flush()
    }

    /// Sorts directives into what is for this process alone, what is to be kept, and what goes out after that.
    private mutating func put(_ directives: [Coordinator.Directive]) {
        for directive in directives {
            switch directive {
            case .wake(let moment): wake(0, at: moment)
            case .keep(let change):
                if !isDropped(change) { coordinator.open.changes.append(change) }
            case .emit(let job, let sequence?, let at, let event):
                let change = StoreChange.event(job, sequence: sequence, at: at, event)
                if !isDropped(change) { coordinator.open.changes.append(change) }
                coordinator.open.directives.append(directive)
            default: coordinator.open.directives.append(directive)
            }
        }
        if coordinator.open.directives.count > SimulationLimits.directivesWaiting {
            fail("bounded", "\(SimulationLimits.directivesWaiting) directives wait for the disk")
        }
    }

    private mutating func isDropped(_ change: StoreChange) -> Bool {
        switch (options.mutation, change) {
        case (.dropJobRecord, .job(let record)): record.phase.isSettled
        case (.dropEvent, .event(_, let sequence, _, _)): sequence % 8 == 7
        case (.dropReservation, .reserve), (.dropPrompt, .prompt): true
        default: false
        }
    }

    mutating func flush() {
        guard coordinator.writing == nil, !coordinator.open.isEmpty else { return }
        let batch = coordinator.open
        coordinator.open = CoordinatorNode.Batch()
        if batch.changes.isEmpty {
            carryOut(batch)
            return
        }
        coordinator.writing = batch
        coordinator.isWritten = false
        if options.mutation == .answerBeforeSync { carryOut(batch) }
        after(now < diskSlowUntil ? work.between(0.02, 0.3) : work.between(0.0001, 0.002), 0, .written)
    }

    private mutating func noteWritten() {
        guard coordinator.writing != nil else { return }
        if diskFullUntil > now {
            note(0, "cannot write: the disk is full")
            if options.mutation == .tellWhenFull, let batch = coordinator.writing { tellUnkept(batch) }
            after(0.25, 0, .written)
            return
        }
        if crashIfTold(at: 0) { return }
        coordinator.isWritten = true
        if crashIfTold(at: 1) { return }
        after(work.between(0.0001, 0.004), 0, .synced)
    }

    /// Breaks the rule that nothing is told before it is kept.
    private mutating func tellUnkept(_ batch: CoordinatorNode.Batch) {
        for directive in batch.directives {
            guard case .emit(let job, let sequence?, _, let event) = directive else { continue }
            for place in coordinator.followers.indices
            where coordinator.followers[place].job == job
                && coordinator.followers[place].told == sequence - 1
            {
                coordinator.followers[place].told = sequence
                write(.news(sequence: sequence, event), to: coordinator.followers[place].connection)
            }
        }
    }

    private mutating func noteSynced() {
        guard let batch = coordinator.writing else { return }
        commit(batch)
        coordinator.writing = nil
        if crashIfTold(at: 2) { return }
        carryOut(options.mutation == .answerBeforeSync ? CoordinatorNode.Batch() : batch)
        flush()
    }

    mutating func commit(_ batch: CoordinatorNode.Batch) {
        if let objection = coordinator.store.commit(batch.changes), options.mutation == nil { fail("store", objection) }
    }

    private mutating func crashIfTold(at stage: Int) -> Bool {
        guard let crash = coordinator.crashAtWrite, crash.stage == stage else { return false }
        coordinator.crashAtWrite = nil
        note(0, "dies at step \(stage) of a write")
        self.crash(0, withMachine: false, seconds: crash.seconds)
        return true
    }

    private mutating func carryOut(_ batch: CoordinatorNode.Batch) {
        let life = processes[0].life
        for directive in batch.directives {
            carryOut(directive)
            if processes[0].life != life { return }
        }
        for (node, request, response) in batch.replies { answer(node, request, response) }
        for place in coordinator.followers.indices.reversed() { tellFollower(place) }
    }

    private mutating func carryOut(_ directive: Coordinator.Directive) {
        switch directive {
        case .welcome(let ticket, let id):
            guard let asked = take(ticket) else { return }
            if coordinator.place(of: id) == nil { coordinator.sessions.append(CoordinatorNode.Session(id: id, node: asked.node)) }
            answer(asked.node, asked.request, .welcome(id))
        case .turnAway(let ticket, let reason, let isTemporary):
            guard let asked = take(ticket) else { return }
            answer(asked.node, asked.request, .turnedAway(reason: reason, isTemporary: isTemporary))
        case .accepted(let ticket, let job, _):
            guard let asked = take(ticket) else { return }
            answer(asked.node, asked.request, .accepted(job))
        case .refused(let ticket, let refusal):
            guard let asked = take(ticket) else { return }
            answer(asked.node, asked.request, .refused(refusal))
        case .send(let message, let id): send(message, to: id)
        case .dismiss(let id): dismiss(id)
        case .emit(let job, let sequence, _, let event): tell(job, sequence, event)
        case .drained:
            note(0, "has drained")
            crash(0, withMachine: false, seconds: work.between(0.05, 1))
        case .keep, .forget, .wake, .remark: break
        }
    }

    private mutating func take(_ ticket: Ticket) -> (node: Int, request: UInt64)? {
        guard let place = coordinator.tickets.firstIndex(where: { $0.ticket == ticket }) else { return nil }
        let asked = coordinator.tickets.remove(at: place)
        return (asked.node, asked.request)
    }

    private mutating func send(_ message: WorkerDirective, to id: WorkerID) {
        guard let place = coordinator.place(of: id) else { return }
        coordinator.sessions[place].sequence += 1
        let sequence = coordinator.sessions[place].sequence
        coordinator.sessions[place].unseen.append((sequence, message))
        if coordinator.sessions[place].unseen.count > SimulationLimits.directivesUnseen {
            fail("bounded", "worker \(id) has \(SimulationLimits.directivesUnseen) directives that it has not seen")
        }
        if let connection = coordinator.sessions[place].connection { write(.directive(sequence, message), to: connection) }
    }

    private mutating func dismiss(_ id: WorkerID) {
        guard let place = coordinator.place(of: id) else { return }
        let session = coordinator.sessions.remove(at: place)
        let name = workers[session.node - 1].name
        note(0, "dismisses worker \(id) (\(name))")
        checkDismissal(session)
        if let connection = session.connection { write(.closed, to: connection) }
    }

    /// An event for followers; what is kept they get from the store, in order.
    private mutating func tell(_ job: JobNumber, _ sequence: Int?, _ event: JobEvent) {
        let kind = sequence.map { "event \($0)" } ?? "progress"
        note(0, "job \(job) \(kind): \(Describe.event(event))")
        if case .retrying = event { outcome.retries += 1 }
        if case .resumed = event { outcome.resumed += 1 }
        if case .slow(let straggler) = event { checkStraggler(job, straggler) }
        guard sequence == nil else { return }
        for follower in coordinator.followers where follower.job == job { write(.news(sequence: nil, event), to: follower.connection) }
    }

    mutating func tellFollower(_ place: Int) {
        let follower = coordinator.followers[place]
        guard let entry = coordinator.store.place(of: follower.job).map({ coordinator.store.jobs[$0] }) else { return }
        while coordinator.followers[place].told < entry.events.count {
            let event = entry.events[coordinator.followers[place].told].event
            coordinator.followers[place].told += 1
            write(.news(sequence: coordinator.followers[place].told, event), to: follower.connection)
        }
        if entry.events.last?.event.isFinal ?? false {
            write(.closed, to: follower.connection)
            coordinator.followers.remove(at: place)
        }
    }
}

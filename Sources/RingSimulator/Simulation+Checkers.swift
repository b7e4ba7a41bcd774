// The claims: each has a name, and a simulation ends at the first that does not hold.

import RingControl
import RingCore

/// What followers have been told of a job, whoever they are.
struct JobTold {
    /// The job's number, once its submitter has it.
    var job: JobNumber?
    /// Its durable events, as first told.
    var events: [JobEvent] = []
}

/// The death of a worker's process, until it is noticed.
struct Death {
    let worker: WorkerID
    let name: String
    let at: Int64
    let coordinatorLife: Int
    var noticedAt: Int64?
}

extension Simulation {
    // MARK: acknowledged: no acknowledged job is lost

    mutating func noteAcknowledged(_ client: Int, _ job: JobNumber) {
        if let known = clients[client].job, known != job { fail("acknowledged", "\(known) and \(job) were given for one key") }
        if told.contains(where: { $0.job == job }) { fail("acknowledged", "number \(job) was given to two jobs") }
        clients[client].job = job
        told[client].job = job
        outcome.jobs += 1
        if coordinator.store.job(job)?.record.submission != clients[client].submission, options.mutation == nil {
            fail("acknowledged", "job \(job) was acknowledged and is not in the store")
        }
    }

    /// A coordinator that starts must find every acknowledged job, and every event that somebody was told.
    mutating func checkStore() {
        for known in told {
            guard let job = known.job else { continue }
            guard let entry = coordinator.store.job(job) else {
                fail("acknowledged", "job \(job) was acknowledged and is not in the store after a restart")
                continue
            }
            if entry.events.count < known.events.count {
                fail("followers", "of job \(job) \(known.events.count) events were told and \(entry.events.count) are in the store")
            }
        }
    }

    // MARK: followers, one-run: everybody sees the same events, and one run's effect

    mutating func noteNews(_ client: Int, _ sequence: Int, _ event: JobEvent) {
        let owner = clients[client].watches ?? client
        let job = Describe.job(clients[client].job)
        note(node(ofClient: client), "reads event \(sequence) of job \(job): \(Describe.event(event))")
        guard sequence == clients[client].seen + 1 else {
            fail("followers", "event \(sequence) of job \(job) follows on \(clients[client].seen)")
            return
        }
        clients[client].seen = sequence
        if told[owner].events.count >= sequence {
            if told[owner].events[sequence - 1] != event {
                let other = Describe.event(told[owner].events[sequence - 1])
                fail("followers", "event \(sequence) of job \(job) is \(Describe.event(event)) to one and \(other) to another")
            }
        } else {
            told[owner].events.append(event)
        }
        if clients[client].isFinal { fail("one-run", "job \(job) goes on after its last event: \(Describe.event(event))") }
        clients[client].isFinal = event.isFinal
        switch event {
        case .placed(_, let epoch):
            if epoch.number <= clients[client].epoch {
                fail("one-run", "job \(job) has epoch \(epoch.number) after \(clients[client].epoch)")
            }
            clients[client].epoch = epoch.number
        case .token(let index, let id): checkToken(client, owner, index, id)
        case .succeeded(let summaries): checkSuccess(client, owner, summaries)
        case .failed(let failure):
            // Faults have names of their own; this one means that somebody broke the rules.
            if failure.code == .internalError { fail("blame", "job \(job) failed by a bug: \(failure.message)") }
            if plan.isHarmless || clients[owner].isProbe, clients[owner].mustSucceed {
                fail("no-fault", "job \(job) failed without a fault: \(failure.message)")
            }
        case .retrying(_, let cause):
            if clients[owner].isProbe { fail("recovery", "job \(job) was tried again long after the last fault: \(cause.message)") }
        case .phase, .resumed, .progress, .slow, .cancelled: break
        }
    }

    private mutating func checkToken(_ client: Int, _ owner: Int, _ index: Int, _ id: UInt32) {
        let job = Describe.job(clients[client].job)
        guard let answer = clients[owner].oracle?.answer else { return }
        if index != clients[client].tokens { fail("one-run", "token \(index) of job \(job) follows on \(clients[client].tokens) tokens") }
        if index >= answer.count || answer[index] != id { fail("pairs", "token \(index) of job \(job) is \(id), not what the oracle says") }
        clients[client].tokens += 1
    }

    private mutating func checkSuccess(_ client: Int, _ owner: Int, _ summaries: [WorkerSummary]) {
        let job = Describe.job(clients[client].job)
        // Engines write their epoch into the summary's steps.
        if summaries.contains(where: { UInt64($0.steps) != clients[client].epoch }) {
            fail(
                "one-run", "job \(job) succeeded by results of epochs \(summaries.map(\.steps)), and its newest is \(clients[client].epoch)"
            )
        }
        guard let answer = clients[owner].oracle?.answer else { return }
        if clients[client].tokens != answer.count {
            fail("one-run", "job \(job) succeeded with \(clients[client].tokens) of \(answer.count) tokens")
        }
    }

    // MARK: pairs: every visible (query, key) pair exactly once

    mutating func checkLayer(_ assignment: Assignment, _ layer: Int, _ places: [Int], _ rows: [UInt64], _ partials: [Partial]) {
        guard let owner = told.firstIndex(where: { $0.job == assignment.job }), let oracle = clients[owner].oracle,
            let plan = try? assignment.plan()
        else { return }
        let positions = plan.chunks(of: Rank(assignment.rank)).flatMap { Array($0.range) }
        for (place, (row, partial)) in zip(places, zip(rows, partials)) {
            let position = positions[place]
            let wanted = oracle.pairs(of: position, tokens: assignment.tokens)
            if partial.pairs != wanted {
                fail("pairs", "\(assignment.run) layer \(layer) row \(position): \(partial.pairs) pairs of \(wanted)")
            } else if row != oracle.rows[layer][position] {
                fail("pairs", "\(assignment.run) layer \(layer) row \(position): the right number of pairs, and not the right ones")
            }
        }
    }

    // MARK: death, false-death

    mutating func noteDeath(_ place: Int, withMachine: Bool) {
        guard !withMachine, now > disturbedUntil, processes[0].isUp, let id = workers[place].machine.worker,
            let session = coordinator.place(of: id), coordinator.sessions[session].node == 1 + place,
            coordinator.sessions[session].connection != nil
        else { return }
        deaths.append(Death(worker: id, name: workers[place].name, at: now, coordinatorLife: processes[0].life))
        queue.push(.deathDue(deaths.count - 1), at: now + Int64(SimulationLimits.deathSeconds * 1e9))
    }

    mutating func checkDismissal(_ session: CoordinatorNode.Session) {
        for place in deaths.indices
        where deaths[place].worker == session.id && deaths[place].noticedAt == nil
            && deaths[place].coordinatorLife == processes[0].life
        { deaths[place].noticedAt = now }
        let isAlive = processes[session.node].isUp && workers[session.node - 1].machine.worker == session.id
        if isAlive, options.hours != nil {
            outcome.falseDeaths += 1
        } else if isAlive, plan.isHarmless {
            fail("false-death", "\(name(of: session.node)) is alive and was taken for dead")
        }
    }

    mutating func checkDeath(_ place: Int) {
        let death = deaths[place]
        guard processes[0].life == death.coordinatorLife, disturbedUntil < death.at else { return }
        guard let noticedAt = death.noticedAt else {
            fail("death", "the death of \(death.name) at \(seconds(death.at)) s was not noticed within \(SimulationLimits.deathSeconds) s")
            return
        }
        outcome.deathsTimed += 1
        outcome.deathSecondsMax = max(outcome.deathSecondsMax, Double(noticedAt - death.at) / 1e9)
    }

    // MARK: straggler: who is named as slow has been slow

    mutating func checkStraggler(_ job: JobNumber, _ straggler: Straggler) {
        outcome.stragglers += 1
        if !hindered.contains(where: { $0.job == job && $0.worker == straggler.worker }) {
            fail("straggler", "\(straggler.worker) was as fast as the others at job \(job) and is said to have pace \(straggler.pace)")
        }
    }

    // MARK: identity: a worker's number means one process, for ever

    mutating func checkIdentity(_ session: CoordinatorNode.Session, _ node: Int) {
        guard session.node != node else { return }
        fail("identity", "\(name(of: node)) speaks as worker \(session.id), which is \(name(of: session.node))")
    }

    // MARK: liveness, and the end

    /// Whether every client and every job has come to its end.
    var isSettled: Bool {
        clients.allSatisfy { $0.stage == .done } && coordinator.store.jobs.allSatisfy { $0.record.phase.isSettled }
            && coordinator.open.isEmpty && coordinator.writing == nil
    }

    /// Who has not.
    var unsettled: String {
        let open = coordinator.store.jobs.filter { !$0.record.phase.isSettled }.map { "job \($0.record.number) is \($0.record.phase)" }
        let waiting = clients.indices.filter { clients[$0].stage != .done }.map {
            "\(name(of: node(ofClient: $0))) is \(clients[$0].stage)"
        }
        return (open + waiting).joined(separator: ", ")
    }

    mutating func conclude() {
        outcome.virtualSeconds = Double(now) / 1e9
        outcome.queueMax = queue.countMax
        if options.hours != nil {
            outcome.nodeHours = Double(workers.count) * outcome.virtualSeconds / 3600
            outcome.falseSuspicions = coordinator.machine.suspicions
        }
        for entry in coordinator.store.jobs {
            switch entry.record.phase {
            case .succeeded: outcome.succeeded += 1
            case .failed: outcome.failed += 1
            case .cancelled: outcome.cancelled += 1
            case .queued, .admitted, .running: break
            }
        }
        guard outcome.violation == nil, isDone else { return }
        checkStore()
        for entry in coordinator.store.jobs {
            let finals = entry.events.count(where: \.event.isFinal)
            if entry.record.phase.isSettled, finals != 1 || !(entry.events.last?.event.isFinal ?? false) {
                fail("one-run", "job \(entry.record.number) has \(finals) last events in the store")
            }
        }
        let keys = coordinator.store.jobs.map { "\($0.record.submission.owner) \($0.record.submission.idempotencyKey ?? "")" }.sorted()
        for (key, next) in zip(keys, keys.dropFirst()) where key == next { fail("acknowledged", "two jobs have the key \(key)") }
    }
}

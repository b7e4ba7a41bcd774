// Who is a member: joining, coming back, falling silent, leaving, being lost.

import RingCore

extension Coordinator {
    mutating func join(_ registration: WorkerRegistration, _ ticket: Ticket, _ now: Moment, _ directives: inout [Directive]) {
        if let reason = objection(to: registration) {
            directives.append(.turnAway(ticket, reason: reason, isTemporary: false))
            return
        }
        if let earlier = members.first(where: { $0.registration.name == registration.name }) {
            let isSame = !registration.instance.isEmpty && earlier.registration.instance == registration.instance
            // A request that was given up and comes through all the same must not end the session, and the run, that followed on it.
            if isSame, let attempt = registration.attempt, let newest = earlier.registration.attempt, attempt <= newest {
                let isRepeated = attempt == newest
                directives.append(
                    isRepeated
                        ? .welcome(ticket, earlier.id)
                        : .turnAway(ticket, reason: "a later request of this worker came first", isTemporary: true))
                return
            }
            let isSilent = earlier.disconnectedAt != nil || now.seconds(since: earlier.heardAt) >= policy.suspectSeconds
            guard isSame || isSilent else {
                let reason = "a worker named \(registration.name) is here already: give each its own --name"
                directives.append(.turnAway(ticket, reason: reason, isTemporary: true))
                return
            }
            lose(earlier.id, reason: "was started again", now, &directives)
        }
        if members.count >= ControlLimits.members {
            let reason = "the coordinator has \(ControlLimits.members) workers, and takes no more"
            directives.append(.turnAway(ticket, reason: reason, isTemporary: true))
            return
        }
        let member = Member(id: nextWorkerID(), registration: registration, now: now)
        members.append(member)
        totals.workersJoined += 1
        watch(member.nextDeadline(policy))
        mayPlace = true
        directives.append(.welcome(ticket, member.id))
    }

    private func objection(to registration: WorkerRegistration) -> String? {
        if isStopping { return "the coordinator is going down" }
        if registration.version != version {
            return "worker \(registration.name) has version \(registration.version) and the coordinator \(version): use one version"
        }
        if registration.name.isEmpty || registration.name.utf8.count > ControlLimits.textBytes {
            return "a worker's name has 1 to \(ControlLimits.textBytes) bytes"
        }
        if let rack = registration.rack, rack.isEmpty || rack.utf8.count > ControlLimits.textBytes {
            return "a rack's name has 1 to \(ControlLimits.textBytes) bytes"
        }
        return nil
    }

    /// Notes a sign of life; false for a worker that is not a member.
    @discardableResult
    mutating func hear(_ worker: WorkerID, _ now: Moment, _ directives: inout [Directive]) -> Bool {
        guard let index = place(of: worker) else { return false }
        members[index].heardAt = now
        if members[index].isSuspected {
            members[index].isSuspected = false
            directives.append(.remark(worker, .heardAgain))
            mayPlace = true
        }
        return true
    }

    mutating func connect(_ worker: WorkerID, _ now: Moment, _ directives: inout [Directive]) {
        guard hear(worker, now, &directives), let index = place(of: worker) else { return }
        members[index].disconnectedAt = nil
        mayPlace = true
    }

    mutating func disconnect(_ worker: WorkerID, _ now: Moment, _ directives: inout [Directive]) {
        guard let index = place(of: worker) else { return }
        if members[index].isStopping && members[index].run == nil {
            directives.append(.remark(worker, .left))
            remove(index, &directives)
            return
        }
        members[index].disconnectedAt = members[index].disconnectedAt ?? now
        watch(members[index].nextDeadline(policy))
    }

    /// A worker is to leave: at once if it holds no run, else when it has settled the one it holds.
    mutating func drain(_ worker: WorkerID, _ directives: inout [Directive]) {
        guard let index = place(of: worker) else { return }
        if !members[index].isDraining { directives.append(.remark(worker, .draining)) }
        members[index].isDraining = true
        stopIfDrained(index, &directives)
    }

    private mutating func stopIfDrained(_ index: Int, _ directives: inout [Directive]) {
        guard members[index].isDraining, members[index].run == nil, !members[index].isStopping else { return }
        members[index].isStopping = true
        directives.append(.send(.stop, to: members[index].id))
    }

    /// A worker has settled the run that held it.
    mutating func release(_ worker: WorkerID, from run: Run, _ directives: inout [Directive]) {
        guard let index = place(of: worker), members[index].run == run else { return }
        members[index].run = nil
        members[index].releaseBy = nil
        mayPlace = true
        stopIfDrained(index, &directives)
    }

    private mutating func remove(_ index: Int, _ directives: inout [Directive]) {
        directives.append(.dismiss(members.remove(at: index).id))
        mayPlace = true
        // Where jobs wait for workers only so long, that wait may begin now.
        for job in jobs where job.phase == .queued { watchQueued(job) }
    }

    mutating func lose(_ worker: WorkerID, reason: String, _ now: Moment, _ directives: inout [Directive]) {
        guard let index = place(of: worker) else { return }
        if !members[index].isStopping { totals.workersLost += 1 }
        directives.append(.remark(worker, members[index].isStopping ? .left : .lost(reason: reason)))
        remove(index, &directives)
        for index in jobs.indices where jobs[index].isPlaced {
            guard let rank = jobs[index].rank(of: worker) else { continue }
            let job = jobs[index]
            // What it wrote of itself before it went says more than that it went; but a rank that has finished its part
            // and goes before the others have is lost all the same: they may still need its shard.
            let message = "\(job.describe(rank)) \(reason) \(job.whereabouts(of: rank)): its shard is lost with it"
            end(index, Failure(.workerLost, message, rank: rank), now, &directives)
        }
    }

    /// Ends everything: the open jobs fail.
    mutating func stop(reason: String, _ now: Moment, _ directives: inout [Directive]) {
        isStopping = true
        for index in jobs.indices where !jobs[index].phase.isSettled {
            settle(index, Failure(.shuttingDown, "the coordinator is going down: \(reason)"), now, &directives)
        }
        for index in members.indices {
            members[index].isStopping = true
            directives.append(.send(.stop, to: members[index].id))
        }
    }

    /// Looks at every member's deadlines.
    mutating func expireMembers(_ now: Moment, _ directives: inout [Directive]) {
        for index in members.indices
        where !members[index].isSuspected && now.seconds(since: members[index].heardAt) >= policy.suspectSeconds {
            directives.append(.remark(members[index].id, .suspected))
            members[index].isSuspected = true
            suspicions += 1
        }
        let lost = members.compactMap { member in member.lossReason(policy, at: now).map { (member.id, $0) } }
        for (worker, reason) in lost { lose(worker, reason: reason, now, &directives) }
    }
}

// The queue: what is taken in, whose turn it is, and which workers a job gets.
//
// Turns go by priority, then to the owner who holds the fewest workers, then to the one served longest ago, then in the order of
// submission. A job that does not fit lets others go first for `patienceSeconds` and then keeps what becomes idle for itself.

import RingCore

extension Coordinator {
    mutating func submit(_ submission: Submission, _ ticket: Ticket, _ now: Moment, _ directives: inout [Directive]) {
        if let key = submission.idempotencyKey,
            let known = jobs.first(where: { $0.submission.idempotencyKey == key && $0.submission.owner == submission.owner })
        {
            let isSame = known.submission == submission
            directives.append(
                isSame ? .accepted(ticket, known.number, isNew: false) : .refused(ticket, .keyTaken(known.number)))
            return
        }
        if isStopping || isDraining {
            directives.append(.refused(ticket, .stopping))
            return
        }
        let open = jobs.count(where: { !$0.phase.isSettled })
        if open >= ControlLimits.jobsOpen {
            directives.append(.refused(ticket, .full(open: open)))
            return
        }
        let pathObjection = policy.takesRelativePathsOnly ? submission.spec.pathObjection : nil
        if let objection = submission.objection ?? pathObjection {
            directives.append(.refused(ticket, .invalid(objection)))
            return
        }
        let number = JobNumber(reserved.nextJob)
        reserved.nextJob += 1
        let record = JobRecord(number: number, submission: submission, submittedAt: now)
        jobs.append(Job(record, now: now))
        totals.jobsSubmitted += 1
        directives.append(.accepted(ticket, number, isNew: true))
        directives.append(.keep(.reserve(reserved)))
        directives.append(.keep(.job(record)))
        emit(.phase(.queued), of: jobs.count - 1, now, &directives)
        forgetOldest(&directives)
        watchQueued(jobs[jobs.count - 1])
        mayPlace = true
    }

    private mutating func forgetOldest(_ directives: inout [Directive]) {
        while jobs.count > ControlLimits.jobsKept, let oldest = jobs.firstIndex(where: { $0.phase.isSettled }) {
            let number = jobs.remove(at: oldest).number
            directives.append(.keep(.forget(number)))
            directives.append(.forget(number))
        }
    }

    /// Appends an event of a job, numbered if it is durable.
    mutating func emit(_ event: JobEvent, of index: Int, _ now: Moment, _ directives: inout [Directive]) {
        if event.isDurable { jobs[index].events += 1 }
        directives.append(.emit(jobs[index].number, sequence: event.isDurable ? jobs[index].events : nil, at: now, event))
    }

    /// Starts every queued job that can start, in the order of turns.
    mutating func startQueued(_ now: Moment, _ directives: inout [Directive]) {
        guard !isDraining && !isStopping else { return }
        refuseMixedSets(now, &directives)
        while let (index, chosen) = nextStart(now) { place(index, on: chosen, now, &directives) }
    }

    private func nextStart(_ now: Moment) -> (job: Int, members: [Int])? {
        let waiting = jobs.indices.filter { jobs[$0].phase == .queued && jobs[$0].record.hasPrompt }
        guard !waiting.isEmpty else { return nil }
        let idle = members.indices.filter { members[$0].isIdle }
        guard !idle.isEmpty else { return nil }
        let turns = waiting.map { (turn: turn(of: $0), index: $0) }.sorted { $0.turn < $1.turn }
        let promised = promised()
        for (_, index) in turns {
            if isBetweenRuns(jobs[index]) { continue }
            let free = idle.filter { mayServe(members[$0], jobs[index]) && !promised.contains(members[$0].id) }
            let candidates = ofOneSet(free, for: jobs[index])
            let wanted = wantedWorkers(jobs[index]) ?? min(candidates.count, jobs[index].submission.spec.workersMax)
            if wanted > 0 && candidates.count >= wanted { return (index, choose(wanted, of: candidates, for: jobs[index])) }
            // Smaller jobs go first only for so long, and only past one that can start at all.
            let canStart = members.count(where: \.isLasting) >= wanted
            if canStart && now.seconds(since: jobs[index].since) >= policy.patienceSeconds { return nil }
        }
        return nil
    }

    /// How many workers a job must have; `nil` is as many as there are. A run that follows on a failed one makes do with
    /// the workers that are left.
    func wantedWorkers(_ job: Job) -> Int? {
        guard let wanted = job.submission.workers else { return nil }
        guard job.record.faults > 0 else { return wanted }
        // One that is only suspected counts: it is back, or lost, before long.
        return min(wanted, max(1, members.count { $0.isLasting && mayServe($0, job) }))
    }

    /// Whether a job may have this worker: not one at whose fault an earlier run ended, while there are others.
    private func mayServe(_ member: Member, _ job: Job) -> Bool {
        guard job.avoided.contains(member.registration.name) else { return true }
        return !members.contains { $0.isLasting && !job.avoided.contains($0.registration.name) }
    }

    private struct Turn: Comparable {
        let priority: Int
        let ownersWorkers: Int
        let ownersEpoch: Epoch
        let number: JobNumber

        static func < (left: Turn, right: Turn) -> Bool {
            (-left.priority, left.ownersWorkers, left.ownersEpoch.number, left.number.number)
                < (-right.priority, right.ownersWorkers, right.ownersEpoch.number, right.number.number)
        }
    }

    private func turn(of index: Int) -> Turn {
        let owner = jobs[index].submission.owner
        var workers = 0
        var newest = Epoch(0)
        for job in jobs where job.submission.owner == owner {
            if job.isPlaced { workers += job.places.count }
            if job.record.epoch.number > newest.number { newest = job.record.epoch }
        }
        return Turn(
            priority: jobs[index].submission.priority, ownersWorkers: workers, ownersEpoch: newest, number: jobs[index].number)
    }

    /// First those that hold what is left of the job's broken run, then by nearness and name, those that were slow in their last run only
    /// after all others: a ring goes at the pace of its slowest.
    /// Ranks are given in that order. The few that are wanted are kept in order while all are looked at: sorting ten
    /// thousand names for each job took four times as long as everything else together.
    private func choose(_ count: Int, of candidates: [Int], for job: Job) -> [Int] {
        func isBefore(_ one: Int, _ other: Int) -> Bool { members[one].registration.isBefore(members[other].registration) }
        func holds(_ member: Int) -> Bool { !job.kept.isEmpty && job.kept[members[member].id] != nil }
        func isBetter(_ one: Int, _ other: Int) -> Bool {
            if holds(one) != holds(other) { return holds(one) }
            return members[one].isSlow == members[other].isSlow ? isBefore(one, other) : members[other].isSlow
        }
        var best: [Int] = []
        for member in candidates where best.count < count || best.last.map({ isBetter(member, $0) }) ?? false {
            best.insert(member, at: best.firstIndex { isBetter(member, $0) } ?? best.count)
            if best.count > count { best.removeLast() }
        }
        return best.sorted(by: isBefore)
    }

    private mutating func place(_ index: Int, on candidates: [Int], _ now: Moment, _ directives: inout [Directive]) {
        let inheritance = inherit(index, by: candidates, &directives)
        let chosen = inheritance.map { $0.order.map { candidates[$0] } } ?? candidates
        epoch += 1
        if epoch > reserved.epochs {
            reserved.epochs = epoch + ControlLimits.epochsReserved
            directives.append(.keep(.reserve(reserved)))
        }
        jobs[index].record.epoch = Epoch(epoch)
        jobs[index].record.phase = .admitted
        jobs[index].record.attempt += 1
        jobs[index].record.startedAt = now
        (jobs[index].since, jobs[index].movedAt, jobs[index].judgedAt) = (now, now, nil)
        jobs[index].places = chosen.map { Job.Place(worker: members[$0].id, name: members[$0].registration.name) }
        jobs[index].groupSize = Self.groupSize(of: chosen.map { members[$0].newestRegistration })
        jobs[index].isResumed = inheritance != nil
        jobs[index].formerRing = jobs[index].places.map(\.worker)
        directives.append(.keep(.job(jobs[index].record)))
        watch(now.advanced(bySeconds: policy.prepareSeconds))
        emit(.placed(workers: jobs[index].places.map(\.name), epoch: Epoch(epoch)), of: index, now, &directives)
        if let inheritance { emit(inheritance.event, of: index, now, &directives) }
        emit(.phase(.admitted), of: index, now, &directives)
        let assignments = self.assignments(of: jobs[index], on: chosen, inheriting: inheritance)
        totals.promptTokens += jobs[index].specOfNextRun.tokens
        for (member, assignment) in zip(chosen, assignments) {
            members[member].run = assignment.run
            directives.append(.send(.prepare(assignment), to: members[member].id))
        }
    }

    /// Who owns what; a job without tokens, which only measures, has no plan.
    private func plan(of spec: JobSpec, over workers: [WorkerRegistration], threads: [Int], sharing: [Int]) -> ShardPlan? {
        guard spec.tokens > 0 else { return nil }
        let speeds = Self.speeds(of: workers, threads: threads, sharing: sharing, spec)
        // Only a mask that was refused has no plan, and a job that was refused never comes here.
        return try? spec.plan(over: WorldSize(workers.count), speeds: speeds)
    }

    private func assignments(of job: Job, on chosen: [Int], inheriting inheritance: Inherited?) -> [Assignment] {
        let registrations = chosen.map { members[$0].newestRegistration }
        let peers = registrations.map { Peer(host: $0.dataHost, port: $0.dataPort, worker: $0.name) }
        let spec = job.specOfNextRun.settled(for: registrations)
        let machines = registrations.map { rank in registrations.indices.filter { registrations[$0].sharesCores(with: rank) } }
        let threads = zip(registrations, machines).map { job.threads(of: $0, sharing: $1.count) }
        let plan = plan(of: spec, over: registrations, threads: threads, sharing: machines.map(\.count))
        let link = links.slowest(round: registrations.map(\.name), groupSize: job.groupSize)
        let scheduled = Self.scheduled(
            spec, under: plan, of: registrations, threads: threads,
            linkBytesPerSecond: policy.linkBytesPerSecond ?? link?.bytesPerSecond, linkSeconds: link?.seconds)
        return registrations.indices.map { rank in
            let neighbours = machines[rank]
            var assignment = Assignment(
                job: job.number, epoch: job.record.epoch, rank: rank, peers: peers, threads: threads[rank],
                localIndex: neighbours.firstIndex(of: rank) ?? 0, localCount: neighbours.count, spec: scheduled)
            assignment.isEncrypted = policy.encryptsDataPlane
            assignment.traces = job.submission.traces
            assignment.groupSize = job.groupSize
            if let plan { assignment.take(plan) }
            if let inheritance { (assignment.shares, assignment.resumes) = (inheritance.shares, inheritance.run) }
            return assignment
        }
    }
}

// Instruction sets and deterministic jobs: each set has bits of its own, so that all workers of such a job must compute by the same one.

import RingCore

extension Coordinator {
    /// Those of `candidates` that a job may be shared among: all, but for a deterministic one the most that compute by one set, of equally
    /// many those whose set's name comes first.
    func ofOneSet(_ candidates: [Int], for job: Job) -> [Int] {
        guard job.submission.spec.mustChooseSet else { return candidates }
        func set(_ member: Int) -> String { members[member].registration.isa }
        let sorted = candidates.sorted { (set($0), $0) < (set($1), $1) }
        var (best, first): (Range<Int>, Int) = (0..<0, 0)
        for place in sorted.indices where place + 1 == sorted.count || set(sorted[place + 1]) != set(sorted[first]) {
            if place + 1 - first > best.count { best = first..<place + 1 }
            first = place + 1
        }
        return sorted[best].sorted()
    }

    /// Fails the jobs in the queue for which there are workers enough, but never enough of one set.
    mutating func refuseMixedSets(_ now: Moment, _ directives: inout [Directive]) {
        for index in jobs.indices where jobs[index].phase == .queued && jobs[index].submission.spec.mustChooseSet {
            guard let wanted = wantedWorkers(jobs[index]) else { continue }
            let lasting = members.indices.filter { members[$0].isLasting }
            guard lasting.count >= wanted, ofOneSet(lasting, for: jobs[index]).count < wanted else { continue }
            let some = lasting[0]
            guard let other = lasting.first(where: { members[$0].registration.isa != members[some].registration.isa }) else { continue }
            let names = [some, other].map { "\(members[$0].registration.name) (\(members[$0].registration.isa))" }
            let message =
                "a deterministic job of \(wanted) workers needs as many that compute by one instruction set, and there are not so many: "
                + "\(names[0]) and \(names[1]) differ, and so would the result's last bits. Start workers with the same RINGMASTER_ISA, "
                + "ask for fewer, or name a set that all of them have"
            settle(index, Failure(.invalidInput, message), now, &directives)
        }
    }
}

extension JobSpec {
    /// Whether the coordinator is to see to it that all workers compute by one set.
    var mustChooseSet: Bool {
        guard case .attend(let spec) = self else { return false }
        return spec.deterministic == true && spec.isa == nil
    }

    /// A deterministic job as its workers get it: the set by which all of them compute, and the schedule that leaves no trace.
    func settled(for workers: [WorkerRegistration]) -> JobSpec {
        guard case .attend(var spec) = self, spec.deterministic == true else { return self }
        spec.isa = spec.isa ?? workers.first?.isa
        spec.schedule = .passKV
        return .attend(spec)
    }
}

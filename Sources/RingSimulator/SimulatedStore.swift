// The coordinator's disk: transactions are all there or not at all, and only what was synced is sure to survive.

import RingControl
import RingCore

/// A durable event as it is kept.
struct KeptEvent: Hashable, Sendable {
    let at: Moment
    let event: JobEvent
}

/// What survives a coordinator.
struct SimulatedStore: Sendable {
    /// A job with its events and its prompt.
    struct Entry: Sendable {
        var record: JobRecord
        var events: [KeptEvent] = []
        var prompt: [UInt32?] = []

        /// Tokens of the answer that are kept.
        var answer: [UInt32] {
            events.compactMap {
                if case .token(_, let id) = $0.event { return id }
                return nil
            }
        }
        var isWhole: Bool { prompt.allSatisfy { $0 != nil } }
    }

    private(set) var reservation = Reservation()
    /// By number.
    private(set) var jobs: [Entry] = []

    /// What a coordinator goes on from.
    var state: StoredState {
        StoredState(
            reservation: reservation,
            jobs: jobs.map { StoredJob(record: $0.record, events: $0.events.count, tokensGenerated: $0.answer.count) })
    }

    func job(_ number: JobNumber) -> Entry? { place(of: number).map { jobs[$0] } }

    func place(of number: JobNumber) -> Int? {
        var (low, high) = (0, jobs.count)
        while low < high {
            let middle = (low + high) / 2
            if jobs[middle].record.number < number { low = middle + 1 } else { high = middle }
        }
        return low < jobs.count && jobs[low].record.number == number ? low : nil
    }

    /// Makes all changes; says of one that cannot follow on what is there, which a real store would refuse.
    mutating func commit(_ changes: [StoreChange]) -> String? {
        var objection: String?
        for change in changes { if let found = make(change) { objection = objection ?? found } }
        return objection
    }

    private mutating func make(_ change: StoreChange) -> String? {
        switch change {
        case .reserve(let reservation): self.reservation = reservation
        case .job(let record):
            if let place = place(of: record.number) {
                if jobs[place].record.submission != record.submission { return "job \(record.number) became another one" }
                jobs[place].record = record
            } else {
                var entry = Entry(record: record)
                if case .generate(let spec) = record.submission.spec { entry.prompt = Array(repeating: nil, count: spec.promptTokenCount) }
                jobs.insert(entry, at: jobs.firstIndex { $0.record.number > record.number } ?? jobs.count)
            }
        case .event(let number, let sequence, let at, let event):
            guard let place = place(of: number) else { return "an event of job \(number), which is not there" }
            jobs[place].events.append(KeptEvent(at: at, event: event))
            if jobs[place].events.count != sequence {
                return "event \(sequence) of job \(number) comes as number \(jobs[place].events.count)"
            }
        case .prompt(let number, let start, let ids):
            guard let place = place(of: number), jobs[place].prompt.count >= start + ids.count else {
                return "a piece of a prompt of job \(number), which has no room for it"
            }
            for (offset, id) in ids.enumerated() { jobs[place].prompt[start + offset] = id }
        case .dropPrompt(let number):
            if let place = place(of: number) { jobs[place].prompt = [] }
        case .forget(let number):
            if let place = place(of: number) { jobs.remove(at: place) }
        }
        return nil
    }
}

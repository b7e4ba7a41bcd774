// The daemon's store: what is committed is there for the next coordinator, all of a batch or nothing, one coordinator at a time.

import Foundation
import RingControl
import RingCoordinator
import RingCore
import Synchronization
import Testing

@Suite("SQLite store", .timeLimit(.minutes(1)))
struct SQLiteStoreTests {
    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/ringmaster-store-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    private func record(_ number: UInt64, _ phase: JobPhase = .queued) -> JobRecord {
        var submission = Submission(
            spec: .generate(GenerateSpec(modelFolder: "m", promptTokenCount: 5, maxTokens: 3)), workers: 2, threads: nil)
        (submission.owner, submission.idempotencyKey, submission.retries) = ("ann", "k\(number)", 3)
        var record = JobRecord(number: JobNumber(number), submission: submission, submittedAt: Moment(nanoseconds: 17))
        record.phase = phase
        return record
    }

    @Test("everything that was committed is there after reopening")
    func reopened() async throws {
        try await withFolder { folder in
            do {
                let store = try SQLiteJobStore(folder: folder)
                #expect(try store.load() == StoredState())
                try store.commit([
                    .reserve(Reservation(nextJob: 8, epochs: 1024)), .job(record(7)), .job(record(9)),
                    .event(JobNumber(7), sequence: 1, at: Moment(nanoseconds: 5_000_000_000), .phase(.queued)),
                    .event(JobNumber(7), sequence: 2, at: Moment(nanoseconds: 6_000_000_000), .token(index: 0, id: .max)),
                    .prompt(JobNumber(7), start: 0, ids: [1, 2, .max]), .prompt(JobNumber(7), start: 3, ids: [4, 5]),
                    .prompt(JobNumber(9), start: 0, ids: [9]),
                ])
                try store.commit([.job(record(7, .running)), .dropPrompt(JobNumber(9))])
            }
            let store = try SQLiteJobStore(folder: folder)
            let state = try store.load()
            #expect(state.reservation == Reservation(nextJob: 8, epochs: 1024))
            #expect(
                state.jobs == [
                    StoredJob(record: record(7, .running), events: 2, tokensGenerated: 1),
                    StoredJob(record: record(9), events: 0, tokensGenerated: 0),
                ])
            let events = try store.events(of: JobNumber(7))
            #expect(
                events == [
                    JobNews(sequence: 1, at: 5, event: .phase(.queued)), JobNews(sequence: 2, at: 6, event: .token(index: 0, id: .max)),
                ])
            let pieces = try store.prompt(of: JobNumber(7))
            #expect(pieces.map(\.start) == [0, 3] && pieces.map(\.ids) == [[1, 2, .max], [4, 5]])
            #expect(try store.prompt(of: JobNumber(9)).isEmpty)
            try store.commit([.forget(JobNumber(7))])
            #expect(try store.load().jobs.map(\.record.number) == [JobNumber(9)])
            #expect(try store.events(of: JobNumber(7)).isEmpty && store.prompt(of: JobNumber(7)).isEmpty)
        }
    }

    @Test("a batch with a change that cannot be made changes nothing")
    func atomic() async throws {
        try await withFolder { folder in
            let store = try SQLiteJobStore(folder: folder)
            try store.commit([.event(JobNumber(1), sequence: 1, at: Moment(nanoseconds: 0), .phase(.queued))])
            #expect(throws: StoreError.self) {
                try store.commit([.job(record(1)), .event(JobNumber(1), sequence: 1, at: Moment(nanoseconds: 0), .phase(.running))])
            }
            #expect(try store.load().jobs.isEmpty)
        }
    }

    @Test("a second coordinator is refused as long as the first lives")
    func locked() async throws {
        try await withFolder { folder in
            var first: SQLiteJobStore? = try SQLiteJobStore(folder: folder)
            #expect(try first?.load() == StoredState())
            let error = #expect(throws: StoreError.self) { try SQLiteJobStore(folder: folder) }
            #expect(error?.description.contains("another coordinator uses the state folder") == true)
            first = nil
            _ = try SQLiteJobStore(folder: folder)
        }
    }

    @Test("a job goes on under the next coordinator: its events, its prompt, its key, and its workers anew")
    func restarted() async throws {
        try await withFolder { folder in
            var policy = CoordinatorPolicy.daemon
            policy.takesRelativePathsOnly = false
            do {
                let store = try SQLiteJobStore(folder: folder)
                try await Bench.run(workers: ["a", "b"], executor: .endless, policy: policy, store: store) { bench in
                    try await bench.expect(201, "POST", "/v1/jobs", json: generateRequest(tokens: 50, workers: 2))
                    try await bench.expect(204, "PUT", "/v1/jobs/1/prompt?start=0", words(0..<50))
                    let runs = try await bench.wait { try await bench.ask("GET", "/v1/jobs/1").text.contains(#""state":"running""#) }
                    #expect(runs)
                    // Nobody says goodbye: the store is all that the next one has.
                    await bench.server.shell.close()
                }
            }
            let store = try SQLiteJobStore(folder: folder)
            try await Bench.run(workers: ["c", "d"], policy: policy, store: store) { bench in
                let lines = try await bench.events(of: 1)
                #expect(lines.contains { $0.contains(#""type":"retrying""#) && $0.contains("started again") }, "\(lines)")
                #expect(lines.last?.contains(#""type":"succeeded""#) == true, "\(lines)")
                let sequences = lines.compactMap { $0.firstMatch(of: /"seq":(\d+)/).flatMap { Int($0.1) } }
                #expect(sequences == Array(1...sequences.count), "\(sequences)")
                let second = try await bench.ask("POST", "/v1/jobs", json: attendRequest(workers: 1)).text
                #expect(second.contains(#""id":2"#), "job numbers go on: \(second)")
            }
        }
    }
}

/// A store whose disk can be full.
private final class FillingStore: JobStore {
    private let state = Mutex((isFull: false, kept: [StoreChange]()))

    func fill(_ isFull: Bool) { state.withLock { $0.isFull = isFull } }
    var kept: [StoreChange] { state.withLock { $0.kept } }

    func load() throws(StoreError) -> StoredState { StoredState() }
    func events(of job: JobNumber) throws(StoreError) -> [JobNews] { [] }
    func prompt(of job: JobNumber) throws(StoreError) -> [(start: Int, ids: [UInt32])] { [] }
    func commit(_ changes: [StoreChange]) throws(StoreError) {
        let isFull = state.withLock { state in
            if !state.isFull { state.kept += changes }
            return state.isFull
        }
        if isFull { throw .unwritable("disk full") }
    }
}

@Suite("Full disk", .timeLimit(.minutes(1)))
struct FullDiskTests {
    @Test("while the store cannot be written no job is taken and nobody sees what is not kept; afterwards all goes on")
    func fullDisk() async throws {
        let store = FillingStore()
        try await Bench.run(workers: ["a"], store: store) { bench in
            try await bench.expect(201, "POST", "/v1/jobs", json: generateRequest(tokens: 5, workers: 1))
            store.fill(true)
            try await bench.expect(503, "PUT", "/v1/jobs/1/prompt?start=0", words(0..<5))
            try await bench.expect(503, "POST", "/v1/jobs", json: attendRequest(workers: 1))
            try await bench.expect(503, "GET", "/readyz")
            let view = try await bench.ask("GET", "/v1/jobs/1").text
            #expect(view.contains(#""state":"queued""#), "\(view)")
            store.fill(false)
            let isReady = try await bench.wait { try await bench.ask("GET", "/readyz").status == 200 }
            #expect(isReady)
            try await bench.expect(204, "PUT", "/v1/jobs/1/prompt?start=0", words(0..<5))
            let lines = try await bench.events(of: 1)
            #expect(lines.last?.contains(#""type":"succeeded""#) == true, "\(lines)")
            let sequences = store.kept.compactMap { change -> Int? in
                if case .event(JobNumber(1), let sequence, _, _) = change { sequence } else { nil }
            }
            #expect(sequences == Array(1...sequences.count), "every event is kept once and in order: \(sequences)")
        }
    }
}

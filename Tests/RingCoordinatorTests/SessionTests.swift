// One job's way over HTTP: submission, prompt, workers, events. Real server, real sessions, scripted executors.

import Foundation
import RingControl
import RingCoordinator
import RingCore
import RingTransport
import RingWorker
import Synchronization
import Testing

@Suite("Session", .serialized, .timeLimit(.minutes(1)))
struct SessionTests {
    @Test("a posted job runs on three workers, each with its own chunks of a prompt that came in pieces")
    func wholeJob() async throws {
        try await Bench.run(workers: ["a", "b", "c"]) { bench in
            let (status, text) = try await bench.ask("POST", "/v1/jobs", json: generateRequest(tokens: 1000, workers: 3))
            #expect(status == 201, "\(text)")
            #expect(text.contains(#""id":1"#) && text.contains(#""state":"queued""#), "\(text)")
            try await bench.expect(204, "PUT", "/v1/jobs/1/prompt?start=400", words(400..<1000))
            try await bench.expect(204, "PUT", "/v1/jobs/1/prompt?start=0", words(0..<400))
            let events = try await bench.events(of: 1)
            #expect(events.contains { $0.contains(#""type":"placed""#) && $0.contains(#"["a","b","c"]"#) }, "\(events)")
            #expect(events.filter { $0.contains(#""type":"token""#) }.count == 3, "\(events)")
            #expect(events.last?.contains(#""type":"succeeded""#) == true, "\(events)")
            let counts = (events.last ?? "").matches(of: /"tokens_owned":(\d+)/).compactMap { Int($0.1) }
            #expect(counts.reduce(0, +) == 1000 && counts.count == 3, "\(counts)")
            let view = try await bench.ask("GET", "/v1/jobs/1").text
            #expect(view.contains(#""state":"succeeded""#) && view.contains(#""tokens_generated":3"#), "\(view)")
        }
    }

    @Test("a second job on the same workers, and one with fewer tokens than workers")
    func jobAfterJob() async throws {
        try await Bench.run(workers: ["a", "b", "c"]) { bench in
            for (job, tokens) in [(1, 7), (2, 1)] {
                try await bench.expect(201, "POST", "/v1/jobs", json: generateRequest(tokens: tokens, workers: 3))
                try await bench.expect(204, "PUT", "/v1/jobs/\(job)/prompt?start=0", words(0..<tokens))
                let last = try await bench.events(of: job).last?.contains("succeeded")
                #expect(last == true)
            }
        }
    }

    @Test("an executor's error fails the job with its code and its worker's name, and the others give up")
    func executorFails() async throws {
        let script = Script { assignment, prompt, context throws(ExecutionError) in
            guard context.awaitStart() else { return nil }
            if assignment.rank == 1 { throw ExecutionError(.nonFinite, "tensor k row 17 is not finite: repair the input") }
            while !context.isCancelled() { Thread.sleep(forTimeInterval: 0.005) }
            return nil
        }
        try await Bench.run(workers: ["a", "b"], executor: script) { bench in
            try await bench.expect(201, "POST", "/v1/jobs", json: attendRequest(workers: 2))
            let last = try await bench.events(of: 1).last ?? ""
            #expect(last.contains(#""code":"non_finite""#) && last.contains(#""worker":"b""#) && last.contains("row 17"), "\(last)")
            // Both are free again: the next job is placed at once.
            let isFree = try await bench.wait { !(try await bench.ask("GET", "/v1/workers").text.contains(#""job":"#)) }
            #expect(isFree)
        }
    }

    @Test("a trace that nobody asked for is refused, and its job goes on without")
    func unwantedTrace() async throws {
        let script = Script { assignment, _, context throws(ExecutionError) in
            guard context.awaitStart() else { return nil }
            let event = TraceEvent(.wait, from: Moment(nanoseconds: 1), to: Moment(nanoseconds: 2), layer: 0, step: 0, peer: Rank(0))
            let trace = RankTrace(rank: Rank(assignment.rank), machine: "m", clockOffset: 0, droppedCount: 0, events: [event])
            context.handOver(trace.bytes)
            return WorkerSummary(rank: assignment.rank)
        }
        try await Bench.run(workers: ["a", "b"], executor: script) { bench in
            try await bench.expect(201, "POST", "/v1/jobs", json: attendRequest(workers: 2))
            let last = try await bench.events(of: 1).last ?? ""
            #expect(last.contains(#""type":"succeeded""#), "\(last)")
            let worker = (try await bench.ask("GET", "/v1/workers").text.firstMatch(of: /"id":(\d+)/)?.1).map(String.init) ?? ""
            let answer = try await bench.ask("POST", "/v1/workers/\(worker)/trace?job=1&epoch=1", [1, 2, 3])
            #expect(answer.status == 409 && answer.text.contains("traced run"), "\(answer.text)")
        }
    }

    @Test("a deleted job is given up by its workers, which then take another")
    func cancel() async throws {
        try await Bench.run(workers: ["a", "b"], executor: .endless) { bench in
            try await bench.expect(201, "POST", "/v1/jobs", json: attendRequest(workers: 2))
            let runs = try await bench.wait { try await bench.ask("GET", "/v1/jobs/1").text.contains(#""tokens_done":2"#) }
            #expect(runs)
            let answer = try await bench.ask("DELETE", "/v1/jobs/1").text
            #expect(answer.contains(#""state":"cancelled""#), "\(answer)")
            let last = try await bench.events(of: 1).last?.contains(#""type":"cancelled""#)
            #expect(last == true)
            let isFree = try await bench.wait { !(try await bench.ask("GET", "/v1/workers").text.contains(#""job":"#)) }
            #expect(isFree)
        }
    }

    @Test("a silent worker loses its job: named, with what it last reported")
    func silence() async throws {
        let policy = CoordinatorPolicy(joinSeconds: 1, silenceSeconds: 1)
        try await Bench.run(policy: policy) { bench in
            let registration = """
                {"name":"mute","pid":1,"machine":"m","isa":"scalar","cpus":1,"numa_nodes":1,"memory_bytes":1,"data_host":"127.0.0.1",
                "data_port":1,"version":"\(RingmasterVersion.text)","instance":"i"}
                """
            let answer = try await bench.ask("POST", "/v1/workers", json: registration).text
            let id = try #require(answer.firstMatch(of: /\{"id":(\d+)\}/)?.1, "\(answer)")
            try await bench.expect(201, "POST", "/v1/jobs", json: attendRequest(workers: 1))
            let progress =
                #"{"type":"progress","job":1,"epoch":1,"progress":{"phase":"attend","layer":0,"layers":1,"step":2,"steps":4,"#
                + #""tokens_done":1,"tokens_total":4}}"#
            try await bench.expect(204, "POST", "/v1/workers/\(id)/reports?batch=1", json: progress + "\n")
            let last = try await bench.events(of: 1).last { $0.contains("retrying") } ?? ""
            #expect(last.contains("worker_lost") && last.contains("worker mute (rank 0 of 1) has been silent"), "\(last)")
            #expect(last.contains("ring step 3 of 4"), "\(last)")
        }
    }

    @Test("a batch that is sent again changes nothing")
    func repeatedBatch() async throws {
        try await Bench.run { bench in
            let id = try await bench.server.shell.join(sample("a"))
            _ = try await bench.ask("POST", "/v1/jobs", json: attendRequest(workers: 1))
            let token =
                #"{"type":"token","job":1,"epoch":1,"index":0,"id":5}"# + "\n" + #"{"type":"token","job":1,"epoch":1,"index":1,"id":6}"#
                + "\n"
            for _ in 0..<3 { try await bench.expect(204, "POST", "/v1/workers/\(id)/reports?batch=1", json: token) }
            let answer = try await bench.ask("GET", "/v1/jobs/1").text
            #expect(answer.contains(#""tokens_generated":2"#), "\(answer)")
            func progress(_ done: Int) -> String {
                #"{"type":"progress","job":1,"epoch":1,"progress":{"phase":"attend","layer":0,"layers":1,"step":0,"steps":1,"tokens_done":"#
                    + "\(done),\"tokens_total\":64}}\n"
            }
            for (batch, done) in [(2, 20), (3, 30), (2, 20)] {
                try await bench.expect(204, "POST", "/v1/workers/\(id)/reports?batch=\(batch)", json: progress(done))
            }
            let newest = try await bench.ask("GET", "/v1/jobs/1").text
            #expect(newest.contains(#""tokens_done":30"#), "a late batch went back: \(newest)")
        }
    }

    @Test("a worker with the wrong token is turned away and says so")
    func wrongToken() async throws {
        try await Bench.run { bench in
            await #expect(throws: SessionError.self) { try await bench.session("a", token: "guess").run() }
            let answer = try await bench.ask("GET", "/v1/workers").text
            #expect(answer == "{\"workers\":[]}\n")
        }
    }

    @Test("a session ends by itself when its coordinator is gone")
    func coordinatorGone() async throws {
        let session = try await Bench.run { bench in
            let session = try bench.session("a")
            let task = Task { try await session.run() }
            let joined = try await bench.wait { try await bench.ask("GET", "/v1/workers").text.contains("\"name\":\"a\"") }
            #expect(joined)
            return task
        }
        let started = ContinuousClock.now
        _ = await session.result
        #expect(ContinuousClock.now - started < .seconds(7))
    }

    private func sample(_ name: String) -> WorkerRegistration {
        WorkerRegistration(
            name: name, pid: 1, machine: "m", isa: "scalar", cpus: 2, numaNodes: 1, memoryBytes: 1 << 30, dataHost: "127.0.0.1",
            dataPort: 1, version: RingmasterVersion.text)
    }
}

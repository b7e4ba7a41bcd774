// Every message survives JSON and back, in the key style that the shells use.

import Foundation
import RingControl
import RingCore
import Testing

private func roundTrip<Message: Codable & Hashable>(_ message: Message) throws -> String {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let data = try encoder.encode(message)
    #expect(try decoder.decode(Message.self, from: data) == message)
    return String(decoding: data, as: UTF8.self)
}

@Suite("Messages")
struct MessageTests {
    private let run = Run(JobNumber(3), Epoch(2))

    private var assignment: Assignment {
        var spec = GenerateSpec(modelFolder: "/models/m", promptTokenCount: 100, maxTokens: 8)
        spec.ignoreEOS = true
        spec.topK = 5
        spec.logitsPath = "/l"
        spec.logitsRows = [RowRange(start: 1, count: 2)]
        spec.stopTokens = [1, 2]
        return Assignment(
            job: run.job, epoch: run.epoch, rank: 0, peers: [Peer(host: "127.0.0.1", port: 1, worker: "a")], threads: 2,
            localIndex: 0, localCount: 1, spec: .generate(spec))
    }

    @Test("directives")
    func directives() throws {
        #expect(try roundTrip(WorkerDirective.start(run)) == #"{"epoch":2,"job":3,"type":"start"}"#)
        #expect(try roundTrip(WorkerDirective.forget(run)) == #"{"epoch":2,"job":3,"type":"forget"}"#)
        #expect(
            try roundTrip(WorkerReport.kept(run, [Share(start: 1, length: 2, layers: 3)]))
                == #"{"epoch":2,"job":3,"shares":[{"layers":3,"length":2,"start":1}],"type":"kept"}"#)
        _ = try roundTrip(JobEvent.resumed(tokensKept: 5, layers: 1))
        #expect(try roundTrip(WorkerDirective.abort(run, reason: "r")) == #"{"epoch":2,"job":3,"reason":"r","type":"abort"}"#)
        #expect(try roundTrip(WorkerDirective.stop) == #"{"type":"stop"}"#)
        let prepare = try roundTrip(WorkerDirective.prepare(assignment))
        #expect(prepare.contains(#""ignore_eos":true"#) && prepare.contains(#""layout":"zigzag""#), "\(prepare)")
    }

    @Test("reports")
    func reports() throws {
        #expect(try roundTrip(WorkerReport.token(run, index: 4, id: 7)) == #"{"epoch":2,"id":7,"index":4,"job":3,"type":"token"}"#)
        _ = try roundTrip(WorkerReport.ready(run))
        _ = try roundTrip(WorkerReport.stopped(run))
        _ = try roundTrip(WorkerReport.progress(run, at(.decode, layer: 0, step: 1)))
        var summary = WorkerSummary(rank: 1)
        summary.generatedTokens = [1, 2]
        summary.computeSeconds = 0.125
        _ = try roundTrip(WorkerReport.finished(run, summary))
        let failed = try roundTrip(WorkerReport.failed(run, .workerLost, message: "m", lostRank: 2))
        #expect(failed == #"{"code":"worker_lost","epoch":2,"job":3,"lost_rank":2,"message":"m","type":"failed"}"#)
        _ = try roundTrip(WorkerReport.failed(run, .nonFinite, message: "m", lostRank: nil))
    }

    @Test("progress of a worker that counts no seconds is read as none, and an older reader skips them")
    func progressSeconds() throws {
        let old = #"{"layer":1,"layers":2,"phase":"prefill","step":0,"steps":3,"tokensDone":5,"tokensTotal":50}"#
        let progress = try JSONDecoder().decode(WorkerProgress.self, from: Data(old.utf8))
        #expect(progress == at(.prefill, layer: 1, step: 0, done: 5))
        #expect(progress.computeSeconds == 0 && progress.exposedSeconds == 0)
        var timed = progress
        (timed.computeSeconds, timed.exposedSeconds) = (2.5, 0.25)
        let text = try roundTrip(timed)
        #expect(text.contains(#""compute_seconds":2.5,"exposed_seconds":0.25"#), "\(text)")
        #expect(!text.contains("transport"), "what is not known is left out: \(text)")
        (timed.transport, timed.transportRemark) = ("shared-memory 1, tcp 2", "rank 3: it is elsewhere")
        let connected = try roundTrip(timed)
        #expect(connected.contains(#""transport":"shared-memory 1, tcp 2","transport_remark":"rank 3: it is elsewhere""#), "\(connected)")
        // What a reader that does not know the new fields takes from it.
        struct Older: Decodable { let tokensDone: Int, tokensTotal: Int }
        #expect(try JSONDecoder().decode(Older.self, from: JSONEncoder().encode(timed)).tokensTotal == 50)
    }

    @Test("events")
    func events() throws {
        _ = try roundTrip(JobEvent.phase(.running))
        _ = try roundTrip(JobEvent.placed(workers: ["a", "b"], epoch: Epoch(1)))
        _ = try roundTrip(JobEvent.token(index: 0, id: 1))
        _ = try roundTrip(JobEvent.succeeded([WorkerSummary(rank: 0)]))
        _ = try roundTrip(JobEvent.failed(Failure(.workerLost, "m", worker: "a", rank: 1, layer: 2, step: 3)))
        _ = try roundTrip(JobEvent.cancelled(reason: "r"))
        let slow = try roundTrip(JobEvent.slow(Straggler(worker: "b", rank: 1, pace: 1.75)))
        #expect(slow == #"{"pace":1.75,"rank":1,"type":"slow","worker":"b"}"#)
        _ = try roundTrip(JobEvent.retrying(attempt: 2, cause: Failure(.workerLost, "m", rank: 1)))
        let news = try roundTrip(JobNews(sequence: 7, at: 1.5, event: .token(index: 0, id: 1)))
        #expect(news == #"{"at":1.5,"id":1,"index":0,"seq":7,"type":"token"}"#)
        _ = try roundTrip(JobNews(sequence: nil, at: 1.5, event: .cancelled(reason: "r")))
    }

    @Test("token ids are little-endian words, there and back; a rest of a word is left out")
    func words() {
        #expect(TokenWords.bytes(of: [1, 0x0403_0201, .max]) == [1, 0, 0, 0, 1, 2, 3, 4, 255, 255, 255, 255])
        let ids: [UInt32] = [0, 7, 0x8000_0000, .max]
        #expect(TokenWords.ids(of: TokenWords.bytes(of: ids)) == ids && TokenWords.ids(of: []).isEmpty)
        #expect(TokenWords.ids(of: [9, 0, 0, 0, 1, 2]) == [9])
    }

    @Test("an unknown type is an error, not a guess")
    func unknown() {
        let bytes = Data(#"{"type":"jump","job":1}"#.utf8)
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(WorkerDirective.self, from: bytes) }
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(WorkerReport.self, from: bytes) }
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(JobEvent.self, from: bytes) }
    }

    @Test("attention inputs of both kinds")
    func inputs() throws {
        let seeded = try roundTrip(AttendSpec.Input.seeded(seed: .max))
        #expect(seeded == #"{"kind":"seeded","seed":18446744073709551615}"#)
        _ = try roundTrip(AttendSpec.Input.file(path: "/q"))
        _ = try roundTrip(attendSpec())
    }
}

// The worker's side of the control plane, a method a route: joining, directives, reports, its part of a prompt.

import Foundation
import RingClient
import RingControl
import RingCore

/// One coordinator, as a worker reaches it.
struct CoordinatorClient: Sendable {
    let connection: ClusterConnection

    /// Asks once to be let in.
    func join(_ registration: WorkerRegistration) async throws(ClientError) -> WorkerID {
        struct Welcome: Decodable { let id: WorkerID }
        let request = ClusterRequest("POST", "/v1/workers", "application/json", try Self.encode(registration))
        return try Self.decode(Welcome.self, try await exchange(request).body).id
    }

    /// A directive with its number.
    struct Numbered: Decodable {
        let sequence: UInt64
        let directive: WorkerDirective

        private enum Key: String, CodingKey { case seq }

        init(from decoder: any Decoder) throws {
            sequence = try decoder.container(keyedBy: Key.self).decode(UInt64.self, forKey: .seq)
            directive = try WorkerDirective(from: decoder)
        }
    }

    /// The lines of the stream of directives behind number `after`.
    func directives(of worker: WorkerID, after: UInt64) async throws(ClientError) -> LineStream {
        try await connection.lines("/v1/workers/\(worker)/directives?after=\(after)")
    }

    static func numbered(_ line: Data) throws(ClientError) -> Numbered { try decode(Numbered.self, line) }

    /// Sends a batch of reports; an empty one is a sign of life. Batches are numbered from 1, and a number that the
    /// coordinator has seen changes nothing, so that sending again is safe. `seen` is the newest directive that has come;
    /// `isLeaving` asks for no further run.
    func report(
        _ reports: [WorkerReport], batch: UInt64, seen: UInt64, isLeaving: Bool, of worker: WorkerID
    ) async throws(ClientError) {
        var body = Data()
        for report in reports { body += try Self.encode(report) + Data("\n".utf8) }
        let path = "/v1/workers/\(worker)/reports?batch=\(batch)&seen=\(seen)&leaving=\(isLeaving ? 1 : 0)"
        _ = try await exchange(ClusterRequest("POST", path, "application/x-ndjson", body))
    }

    /// Tells what is known of this machine.
    func tell(_ facts: WorkerFacts, of worker: WorkerID) async throws(ClientError) -> FactsAnswer {
        let request = ClusterRequest("POST", "/v1/workers/\(worker)/facts", "application/json", try Self.encode(facts))
        return try Self.decode(FactsAnswer.self, try await exchange(request).body)
    }

    /// Hands over what was noted of a run.
    func handOver(_ trace: [UInt8], of run: Run, by worker: WorkerID) async throws(ClientError) {
        let path = "/v1/workers/\(worker)/trace?job=\(run.job)&epoch=\(run.epoch.number)"
        var request = ClusterRequest("POST", path, "application/octet-stream", Data(trace))
        request.seconds = WorkerLimits.traceSeconds
        _ = try await exchange(request)
    }

    /// The token ids of one chunk of a prompt.
    func prompt(of job: JobNumber, _ chunk: Chunk) async throws(ClientError) -> PromptChunk {
        var ids: [UInt32] = []
        ids.reserveCapacity(chunk.length)
        while ids.count < chunk.length {
            let count = min(WorkerLimits.promptTokensPerRequest, chunk.length - ids.count)
            var request = ClusterRequest("GET", "/v1/jobs/\(job)/prompt?start=\(chunk.start + ids.count)&count=\(count)")
            (request.answerBytes, request.seconds) = (4 * count, WorkerLimits.promptSeconds)
            let body = [UInt8](try await exchange(request).body)
            guard body.count == 4 * count else { throw .garbled("\(body.count) bytes for \(count) prompt tokens") }
            ids += TokenWords.ids(of: body)
        }
        return PromptChunk(start: chunk.start, ids: ids)
    }

    private func exchange(_ request: ClusterRequest) async throws(ClientError) -> (status: Int, body: Data) {
        var request = request
        request.seconds = request.seconds == ClientLimits.requestSeconds ? WorkerLimits.requestSeconds : request.seconds
        return try await connection.exchange(request)
    }

    private static func encode(_ value: some Encodable) throws(ClientError) -> Data {
        do {
            return try ControlJSON.encode(value)
        } catch {
            throw .misconfigured("cannot be written as JSON: \(error)")
        }
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, _ bytes: Data) throws(ClientError) -> Value {
        do {
            return try ControlJSON.decode(type, from: bytes)
        } catch {
            throw .garbled("the coordinator sent something that is not understood: \(error)")
        }
    }
}

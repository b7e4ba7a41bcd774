// What can be asked of a coordinator, a method a route. A request whose connection breaks is sent again for a while: every one
// of them may be, since submissions carry a key by which the coordinator knows them.

import Foundation
import RingControl
import RingCore

/// A cluster, as its users see it.
public struct ClusterClient: Sendable {
    /// The connection that is used.
    public let connection: ClusterConnection
    /// Seconds for which a broken connection is tried again before the caller hears of it.
    public let patienceSeconds: Double

    /// A client over `connection`.
    public init(_ connection: ClusterConnection, patienceSeconds: Double = ClientLimits.patienceSeconds) {
        self.connection = connection
        self.patienceSeconds = patienceSeconds
    }

    // MARK: jobs

    /// Submits a job; when this returns, the coordinator will not forget it. `isNew` is false if the key was seen before.
    /// A job of kind `generate` then waits for its prompt. Two orders of one owner with the same key are the same job.
    public func submit(
        _ order: JobOrder, idempotencyKey: String = UUID().uuidString
    ) async throws(ClientError) -> (job: JobView, isNew: Bool) {
        var request = ClusterRequest("POST", "/v1/jobs", "application/json", try Self.encode(order))
        request.headers.append(("Idempotency-Key", idempotencyKey))
        let answer = try await exchange(request)
        return (try Self.decode(JobView.self, answer.body), answer.status == 201)
    }

    /// Submits a job with its prompt (empty for `attend`).
    public func submit(
        _ order: JobOrder, prompt: [UInt32], idempotencyKey: String = UUID().uuidString
    ) async throws(ClientError) -> JobView {
        let (job, isNew) = try await submit(order, idempotencyKey: idempotencyKey)
        guard !prompt.isEmpty, isNew || job.state == .queued else { return job }
        do {
            try await storePrompt(prompt, of: job.id)
        } catch {
            // A job that was submitted before may have its prompt and be on its way, or be through.
            if !isNew, case .refused(let refusal) = error, (400..<500).contains(refusal.status) { return try await self.job(job.id) }
            throw error
        }
        return job
    }

    /// Sends a prompt in pieces. A piece that is sent twice changes nothing.
    public func storePrompt(_ ids: [UInt32], of job: JobNumber) async throws(ClientError) {
        var start = 0
        while start < ids.count {
            let piece = ids[start..<min(start + ClientLimits.promptTokensPerRequest, ids.count)]
            var request = ClusterRequest(
                "PUT", "/v1/jobs/\(job)/prompt?start=\(start)", "application/octet-stream", Data(TokenWords.bytes(of: piece)))
            request.seconds = ClientLimits.promptSeconds
            _ = try await exchange(request)
            start = piece.endIndex
        }
    }

    /// One job.
    public func job(_ job: JobNumber) async throws(ClientError) -> JobView { try await ask("GET", "/v1/jobs/\(job)") }

    /// The newest jobs, newest last: at most `limit`, and only those in `state` if one is given.
    public func jobs(state: JobPhase? = nil, limit: Int? = nil) async throws(ClientError) -> [JobView] {
        struct List: Decodable { let jobs: [JobView] }
        var query: [String] = []
        if let state { query.append("state=\(state.rawValue)") }
        if let limit { query.append("limit=\(limit)") }
        let list: List = try await ask("GET", "/v1/jobs" + (query.isEmpty ? "" : "?" + query.joined(separator: "&")))
        return list.jobs
    }

    /// Asks for a job to be given up and tells where it stands then.
    public func cancel(_ job: JobNumber) async throws(ClientError) -> JobView { try await ask("DELETE", "/v1/jobs/\(job)") }

    /// The events of a job behind number `after`, to the one that settles it, whatever happens to the connection meanwhile.
    public func events(of job: JobNumber, after: Int = 0) -> JobEvents { JobEvents(client: self, job: job, after: after, follows: true) }

    /// The events of a job behind number `after` that are there now.
    public func eventsSoFar(of job: JobNumber, after: Int = 0) -> JobEvents {
        JobEvents(client: self, job: job, after: after, follows: false)
    }

    // MARK: the cluster

    /// Every worker.
    public func workers() async throws(ClientError) -> [WorkerView] {
        struct List: Decodable { let workers: [WorkerView] }
        let list: List = try await ask("GET", "/v1/workers")
        return list.workers
    }

    /// The cluster as a whole.
    public func cluster() async throws(ClientError) -> ClusterView { try await ask("GET", "/v1/cluster") }

    /// Gives a worker no further job and ends it when it is idle.
    public func drainWorker(_ name: String) async throws(ClientError) {
        _ = try await exchange(ClusterRequest("POST", "/v1/workers/\(Self.segment(name))/drain"))
    }

    /// Lets the coordinator take no further job and end when the running ones are through.
    public func drainCluster() async throws(ClientError) { _ = try await exchange(ClusterRequest("POST", "/v1/drain")) }

    /// The coordinator's version.
    public func version() async throws(ClientError) -> String {
        struct Answer: Decodable { let version: String }
        let answer: Answer = try await ask("GET", "/version")
        return answer.version
    }

    // MARK: what all share

    private func ask<Value: Decodable>(_ method: String, _ path: String) async throws(ClientError) -> Value {
        try Self.decode(Value.self, try await exchange(ClusterRequest(method, path)).body)
    }

    /// Sends a request, and again if its connection breaks. A coordinator that was never there is told of at once.
    private func exchange(_ request: ClusterRequest) async throws(ClientError) -> (status: Int, body: Data) {
        // Counted from the first break: a first attempt that takes long on a busy machine does not use the patience up.
        var deadline: ContinuousClock.Instant?
        var backoff = Backoff()
        var wasThere = false
        while true {
            do throws(ClientError) {
                return try await connection.exchange(request)
            } catch {
                switch error {
                case .broken: wasThere = true
                case .unreachable where wasThere: break
                default: throw error
                }
                let last = deadline ?? ContinuousClock.now + .seconds(patienceSeconds)
                deadline = last
                guard ContinuousClock.now < last else { throw error }
                guard await backoff.wait() else { throw .cancelled }
            }
        }
    }

    private static func encode(_ value: some Encodable) throws(ClientError) -> Data {
        do {
            return try ControlJSON.encode(value)
        } catch {
            throw .misconfigured("the request cannot be written as JSON: \(error)")
        }
    }

    static func decode<Value: Decodable>(_ type: Value.Type, _ bytes: Data) throws(ClientError) -> Value {
        do {
            return try ControlJSON.decode(type, from: bytes)
        } catch {
            throw .garbled("the coordinator's answer is not understood; is it of another version? \(error)")
        }
    }

    /// A name as one segment of a path: nothing in it can end the segment.
    private static func segment(_ name: String) -> String {
        let plain = CharacterSet(charactersIn: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~")
        return name.addingPercentEncoding(withAllowedCharacters: plain) ?? ""
    }
}

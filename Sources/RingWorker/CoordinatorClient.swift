// The worker's side of the control plane: every request has a deadline and every answer a byte limit.

import AsyncHTTPClient
import Foundation
import NIOCore
import RingControl
import RingCore
import Synchronization

/// Why a worker's session ended, or never began.
public enum SessionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The coordinator does not let this worker in; trying again does not help.
    case turnedAway(String)
    /// The coordinator cannot be reached, or has fallen silent.
    case coordinatorGone(String)
    /// What it says cannot be understood.
    case garbled(String)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .turnedAway(let reason): "the coordinator turned this worker away: \(reason)"
        case .coordinatorGone(let reason): "the coordinator is gone: \(reason)"
        case .garbled(let reason): "the coordinator sent something that is not understood: \(reason)"
        }
    }
}

/// One coordinator, as a worker reaches it.
struct CoordinatorClient: Sendable {
    private let http: HTTPClient
    private let address: String
    private let token: String
    private let heard: Contact

    init(address: String, token: String) {
        var configuration = HTTPClient.Configuration()
        configuration.timeout.connect = .seconds(WorkerLimits.requestSeconds)
        // Keep-alive lines come every second: a stream that is silent for this long has nobody at its other end.
        configuration.timeout.read = .seconds(Int64(WorkerLimits.coordinatorSilenceSeconds))
        configuration.redirectConfiguration = .disallow
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        self.address = address.hasSuffix("/") ? String(address.dropLast()) : address
        self.token = token
        heard = Contact()
    }

    /// Seconds since the coordinator was last heard.
    var silentSeconds: Double { heard.silentSeconds }

    func shutdown() async { try? await http.shutdown() }

    private func request(_ path: String) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: address + path)
        request.headers.add(name: "Authorization", value: "Bearer \(token)")
        return request
    }

    /// Sends a request and reads its whole answer; an answer that is not 2xx is an error with the server's sentence.
    private func exchange(_ request: HTTPClientRequest, limit: Int = WorkerLimits.answerBytes) async throws(SessionError) -> ByteBuffer {
        let status: UInt
        let body: ByteBuffer
        do {
            let response = try await http.execute(request, timeout: .seconds(WorkerLimits.requestSeconds))
            status = response.status.code
            body = try await response.body.collect(upTo: limit)
        } catch {
            throw .coordinatorGone("\(request.method) \(request.url): \(error)")
        }
        heard.note()
        guard (200..<300).contains(status) else { throw .turnedAway(Self.sentence(of: body, status)) }
        return body
    }

    private static func sentence(of body: ByteBuffer, _ status: UInt) -> String {
        struct Answer: Decodable {
            struct Inner: Decodable { let message: String }
            let error: Inner
        }
        let answer = try? ControlJSON.decode(Answer.self, from: Data(body.readableBytesView))
        return answer?.error.message ?? "HTTP status \(status)"
    }

    /// Joins; tries again while nobody answers, up to `WorkerLimits.joinSeconds`.
    func join(_ registration: WorkerRegistration) async throws -> WorkerID {
        struct Welcome: Decodable { let id: WorkerID }
        var request = request("/v1/workers")
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.body = .bytes(ByteBuffer(bytes: try ControlJSON.encode(registration)))
        let deadline = ContinuousClock.now + .seconds(WorkerLimits.joinSeconds)
        var pause = WorkerLimits.retryPauseSecondsMax / 10
        while true {
            do {
                let body = try await exchange(request)
                return try ControlJSON.decode(Welcome.self, from: Data(body.readableBytesView)).id
            } catch SessionError.coordinatorGone(let reason) {
                guard ContinuousClock.now < deadline else { throw SessionError.coordinatorGone(reason) }
                try await Task.sleep(for: .seconds(pause))
                pause = min(2 * pause, WorkerLimits.retryPauseSecondsMax)
            }
        }
    }

    /// Reads directives until the stream ends or `body` says that it is enough.
    func readDirectives(of worker: WorkerID, _ body: (WorkerDirective) async -> Bool) async throws {
        let response: HTTPClientResponse
        do {
            response = try await http.execute(request("/v1/workers/\(worker)/directives"), deadline: .distantFuture)
        } catch let error as CancellationError {
            throw error
        } catch {
            throw SessionError.coordinatorGone("\(error)")
        }
        guard response.status == .ok else {
            throw SessionError.turnedAway(
                Self.sentence(of: try await response.body.collect(upTo: WorkerLimits.answerBytes), response.status.code))
        }
        var line = Data()
        for try await part in response.body {
            heard.note()
            for byte in part.readableBytesView {
                if byte != UInt8(ascii: "\n") {
                    guard line.count < WorkerLimits.lineBytes else { throw SessionError.garbled("a line of more than \(line.count) bytes") }
                    line.append(byte)
                    continue
                }
                if line.isEmpty { continue }  // keep-alive
                let directive: WorkerDirective
                do {
                    directive = try ControlJSON.decode(WorkerDirective.self, from: line)
                } catch {
                    throw SessionError.garbled("\(error)")
                }
                line.removeAll(keepingCapacity: true)
                if !(await body(directive)) { return }
            }
        }
    }

    /// Sends a batch of reports; an empty one is a sign of life. Batches are numbered from 1, and a number that the
    /// coordinator has seen changes nothing, so that sending again is safe.
    func report(_ reports: [WorkerReport], batch: UInt64, of worker: WorkerID) async throws {
        var request = request("/v1/workers/\(worker)/reports?batch=\(batch)")
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/x-ndjson")
        var body = ByteBuffer()
        for report in reports {
            body.writeBytes(try ControlJSON.encode(report))
            body.writeString("\n")
        }
        request.body = .bytes(body)
        _ = try await exchange(request)
    }

    /// The token ids of one chunk of a prompt.
    func prompt(of job: JobNumber, _ chunk: Chunk) async throws -> PromptChunk {
        var ids: [UInt32] = []
        ids.reserveCapacity(chunk.length)
        while ids.count < chunk.length {
            let count = min(WorkerLimits.promptTokensPerRequest, chunk.length - ids.count)
            let path = "/v1/jobs/\(job)/prompt?start=\(chunk.start + ids.count)&count=\(count)"
            var body = try await exchange(request(path), limit: 4 * count)
            guard body.readableBytes == 4 * count else {
                throw SessionError.garbled("\(body.readableBytes) bytes for \(count) prompt tokens")
            }
            while let id = body.readInteger(endianness: .little, as: UInt32.self) { ids.append(id) }
        }
        return PromptChunk(start: chunk.start, ids: ids)
    }
}

/// When the coordinator was last heard.
private final class Contact: Sendable {
    private let last = Mutex(ContinuousClock.now)

    func note() { last.withLock { $0 = .now } }

    var silentSeconds: Double {
        let (seconds, attoseconds) = (ContinuousClock.now - last.withLock { $0 }).components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}

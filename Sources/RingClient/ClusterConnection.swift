// One coordinator, as a client reaches it over HTTP: every request has a deadline, every answer a byte limit, nothing is
// redirected, and what goes wrong has a name.

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOSSL
import Synchronization

/// A request of the control plane.
public struct ClusterRequest: Sendable {
    /// HTTP method.
    public var method: String
    /// Path and query, from the slash on.
    public var path: String
    /// Header fields beside those that every request has.
    public var headers: [(name: String, value: String)] = []
    /// The body.
    public var body: Data?
    /// Seconds that it may take, its answer included.
    public var seconds = ClientLimits.requestSeconds
    /// Most bytes of the answer.
    public var answerBytes = ClientLimits.answerBytes

    /// A request without a body.
    public init(_ method: String, _ path: String) {
        self.method = method
        self.path = path
    }

    /// A request with a body of this media type.
    public init(_ method: String, _ path: String, _ type: String, _ body: Data) {
        self.init(method, path)
        headers = [("Content-Type", type)]
        self.body = body
    }
}

/// A coordinator's address and how to prove who we are and who it is.
public struct ClusterConnection: Sendable {
    /// What a connection is made of.
    public struct Configuration: Sendable {
        /// `http://HOST:PORT` or `https://HOST:PORT`.
        public var address: String
        /// Sent as a bearer token; addresses are loopback or https, so that it never travels in clear.
        public var key: String?
        /// Who is trusted and which certificate is shown, for `https`; see `ClusterTLS`.
        public var tls: TLSConfiguration?
        /// Seconds of silence after which a stream counts as broken.
        public var silenceSeconds = ClientLimits.silenceSeconds

        /// The coordinator at `address`, which may end in a slash.
        public init(address: String, key: String? = nil, tls: TLSConfiguration? = nil) {
            self.address = address
            self.key = key
            self.tls = tls
        }
    }

    /// `http://HOST:PORT`, without a slash at its end.
    public let address: String
    private let http: HTTPClient
    private let key: String?
    private let contact = Contact()

    /// A connection, not yet made. It must be closed.
    public init(_ configuration: Configuration) throws(ClientError) {
        address = try ClusterAddress.checked(configuration.address)
        key = configuration.key
        var options = HTTPClient.Configuration(tlsConfiguration: configuration.tls)
        options.timeout.connect = .milliseconds(Int64(1000 * ClientLimits.connectSeconds))
        options.timeout.read = .milliseconds(Int64(1000 * configuration.silenceSeconds))
        options.redirectConfiguration = .disallow
        // Who tries again, and for how long, is decided above this: a refused connection is told at once.
        options.connectionPool.retryConnectionEstablishment = false
        options.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = ClientLimits.connections
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: options)
    }

    /// Ends every request and lets go of the sockets.
    public func close() async { try? await http.shutdown() }

    /// Seconds since the coordinator was last heard, or since this value was made.
    public var silentSeconds: Double { contact.silentSeconds }

    /// Sends a request and reads its whole answer; one that is not 2xx is thrown as a refusal with the server's sentence.
    public func exchange(_ request: ClusterRequest) async throws(ClientError) -> (status: Int, body: Data) {
        let outcome = await withTaskGroup(of: Result<(Int, Data), ClientError>.self) { group in
            group.addTask {
                do throws(ClientError) {
                    return .success(try await attempt(request))
                } catch {
                    return .failure(error)
                }
            }
            // The HTTP client's own deadline ends with the answer's head: a body that drips in needs another one.
            group.addTask {
                let isOver = (try? await Task.sleep(for: .seconds(request.seconds))) != nil
                return .failure(isOver ? .broken("\(address) did not answer within \(Int(request.seconds)) s") : .cancelled)
            }
            defer { group.cancelAll() }
            return await group.next() ?? .failure(.cancelled)
        }
        if Task.isCancelled, case .failure = outcome { throw .cancelled }
        return try outcome.get()
    }

    private func attempt(_ request: ClusterRequest) async throws(ClientError) -> (Int, Data) {
        let response = try await send(request)
        guard (200..<300).contains(response.status.code) else { throw .refused(await refusal(response)) }
        do {
            let body = try await response.body.collect(upTo: request.answerBytes)
            // A cancelled reader may be given less than all of it.
            if Task.isCancelled { throw ClientError.cancelled }
            contact.note()
            return (Int(response.status.code), Data(body.readableBytesView))
        } catch let error as ClientError {
            throw error
        } catch is NIOTooManyBytesError {
            throw .garbled("the answer to \(request.method) \(request.path) has more than \(request.answerBytes) bytes")
        } catch {
            throw explain(error, request)
        }
    }

    /// Opens a stream of lines; a status other than 200 is thrown as a refusal.
    public func lines(_ path: String) async throws(ClientError) -> LineStream {
        let request = ClusterRequest("GET", path)
        let response = try await send(request)
        guard response.status == .ok else { throw .refused(await refusal(response)) }
        return LineStream(response.body) { error in
            contact.note()
            return error.map { explain($0, request) }
        }
    }

    private func send(_ wanted: ClusterRequest) async throws(ClientError) -> HTTPClientResponse {
        var request = HTTPClientRequest(url: address + wanted.path)
        request.method = .init(rawValue: wanted.method)
        if let key { request.headers.add(name: "Authorization", value: "Bearer \(key)") }
        for (name, value) in wanted.headers { request.headers.add(name: name, value: value) }
        if let body = wanted.body { request.body = .bytes(ByteBuffer(bytes: body)) }
        do {
            let response = try await http.execute(request, timeout: .milliseconds(Int64(1000 * wanted.seconds)))
            contact.note()
            return response
        } catch {
            throw explain(error, wanted)
        }
    }

    /// The server's sentence, from a body in OpenAI's shape, or the bare status of whoever else answers there.
    private func refusal(_ response: HTTPClientResponse) async -> ClientError.Refusal {
        struct Body: Decodable {
            struct Inner: Decodable {
                let message: String
                let code: String?
                let param: String?
            }
            let error: Inner
        }
        let status = Int(response.status.code)
        let bytes = try? await response.body.collect(upTo: ClientLimits.refusalBytes)
        let body = bytes.flatMap { try? ControlJSON.decode(Body.self, from: Data($0.readableBytesView)) }
        let seconds = response.headers.first(name: "Retry-After").flatMap { Double($0) }.map { min(max($0, 0), 3600) }
        return ClientError.Refusal(
            status: status, code: body?.error.code ?? "", message: body?.error.message ?? "\(address) answers with HTTP status \(status)",
            parameter: body?.error.param, retryAfterSeconds: seconds)
    }

    /// Gives an error of the libraries below a name.
    private func explain(_ error: any Error, _ request: ClusterRequest) -> ClientError {
        if error is CancellationError { return .cancelled }
        if let error = error as? HTTPClientError { return explain(error, request) }
        let text = "\(error)"
        if error is NIOSSLError || error is NIOSSLExtraError || error is BoringSSLError || text.contains("CERTIFICATE") {
            return .untrusted("no trusted connection to \(address): \(text)")
        }
        // One attempt that failed, or a list of them, whose type is not ours to import; a name without an address; a time that was over.
        let failsToConnect: Set<Int32> = [ECONNREFUSED, ENETUNREACH, EHOSTUNREACH, ENETDOWN, ETIMEDOUT, EADDRNOTAVAIL]
        let isUnanswered = (error as? IOError).map { failsToConnect.contains($0.errnoCode) } ?? false
        let isAttempts = String(describing: type(of: error)) == "NIOConnectionError"
        let isLate = if case .connectTimeout = error as? ChannelError { true } else { false }
        if isUnanswered || isAttempts || isLate || error is SocketAddressError {
            return .unreachable("cannot reach \(address): \(Self.reason(text))")
        }
        return .broken("the connection to \(address) broke: \(text)")
    }

    private func explain(_ error: HTTPClientError, _ request: ClusterRequest) -> ClientError {
        switch error {
        case .cancelled: Task.isCancelled ? .cancelled : .broken("the request to \(address) was given up")
        case .alreadyShutdown: .cancelled
        case .connectTimeout, .getConnectionFromPoolTimeout:
            .unreachable("cannot reach \(address): no connection within \(Int(ClientLimits.connectSeconds)) s")
        case .tlsHandshakeTimeout: .untrusted("no trusted connection to \(address): the handshake did not end; does it speak TLS?")
        case .invalidURL, .emptyHost, .emptyScheme: .misconfigured("\(address) is not an address like http://127.0.0.1:7411")
        case .readTimeout: .broken("\(address) fell silent during \(request.method) \(request.path)")
        default: .broken("the connection to \(address) broke: \(error)")
        }
    }

    /// What people know of an error that lists its attempts.
    private static func reason(_ text: String) -> String {
        for (sign, words) in [
            ("ECONNREFUSED", "connection refused; is the coordinator running there?"),
            ("Connection refused", "connection refused; is the coordinator running there?"),
            ("ENETUNREACH", "no network leads there"), ("EHOSTUNREACH", "no route leads to that host"),
        ] where text.contains(sign) {
            return words
        }
        return text
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

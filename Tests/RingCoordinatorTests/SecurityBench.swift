// A server with certificates under test: its state folder, clients with every kind of credential, and a connection without any protocol.

import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import NIOSSL
import RingClient
import RingControl
import RingCoordinator
import RingTelemetry
import RingWorker
import Testing

/// A folder that is gone with the test.
func withStateFolder<Result>(_ body: (StateFolder) async throws -> Result) async throws -> Result {
    let path = NSTemporaryDirectory() + "ringmaster-security-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try await body(try StateFolder(path, creating: true))
}

/// A cluster with certificates on a free port.
struct SecurityBench: Sendable {
    let folder: StateFolder
    let security: ClusterSecurity
    let server: CoordinatorServer
    let port: Int
    var address: String { "https://127.0.0.1:\(port)" }

    static func run(
        patience: ClientPatience = ClientPatience(), logger: Logger = .silent, configure: (inout ClusterSecurity) -> Void = { _ in },
        _ body: @escaping @Sendable (SecurityBench) async throws -> Void
    ) async throws {
        try await withStateFolder { folder in
            _ = try ClusterAuthority.create(in: folder, hosts: [])
            var security = try ClusterSecurity(loading: folder)
            configure(&security)
            let made = security
            let shell = try CoordinatorShell(version: RingmasterVersion.text, policy: CoordinatorPolicy())
            var server = CoordinatorServer(shell: shell, security: .certificates(security))
            server.patience = patience
            server.logger = logger
            let running = server
            try await server.run { port in
                try await body(SecurityBench(folder: folder, security: made, server: running, port: port))
            }
        }
    }

    /// Trusts the cluster's authority and shows nothing.
    func trust() throws -> TLSConfiguration { try ClusterTLS.configuration(authority: Data(security.authority.certificatePEM.utf8)) }

    /// A worker that has joined. Its folder lies in the state folder.
    func worker(_ name: String, mayReplace: Bool = false) async throws -> WorkerIdentity {
        let (token, _) = try security.tokens.create(worker: mayReplace ? name : nil)
        return try await WorkerIdentity.join(
            address: address, token: token, fingerprint: security.authority.fingerprint, name: name, folder: folder.path + "/" + name)
    }

    func key(_ name: String, _ role: Role) throws -> String { try security.keys.create(name: name, role: role).text }

    /// One request on a connection of its own.
    func ask(
        _ method: String, _ path: String, _ body: [UInt8] = [], key: String? = nil, tls: TLSConfiguration? = nil,
        headers: [(String, String)] = []
    ) async throws -> (status: UInt, text: String) {
        let caller = Caller(address: address, tls: try tls ?? trust(), key: key)
        do {
            let answer = try await caller.ask(method, path, body, headers: headers)
            await caller.close()
            return answer
        } catch {
            await caller.close()
            throw error
        }
    }

    func ask(_ method: String, _ path: String, json: String, key: String? = nil, tls: TLSConfiguration? = nil) async throws -> (
        status: UInt, text: String
    ) {
        try await ask(method, path, Array(json.utf8), key: key, tls: tls)
    }
}

/// A client with one credential.
struct Caller: Sendable {
    let address: String
    let http: HTTPClient
    let key: String?

    init(address: String, tls: TLSConfiguration? = nil, key: String? = nil) {
        (self.address, self.key) = (address, key)
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: .init(tlsConfiguration: tls))
    }

    func close() async { try? await http.shutdown() }

    func ask(
        _ method: String, _ path: String, _ body: [UInt8] = [], headers: [(String, String)] = []
    ) async throws -> (status: UInt, text: String) {
        var request = HTTPClientRequest(url: address + path)
        request.method = .init(rawValue: method)
        if let key { request.headers.add(name: "Authorization", value: "Bearer \(key)") }
        for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
        if !body.isEmpty { request.body = .bytes(ByteBuffer(bytes: body)) }
        let response = try await http.execute(request, timeout: .seconds(10))
        return (response.status.code, String(buffer: try await response.body.collect(upTo: 1 << 20)))
    }
}

extension Caller {
    /// Reads a stream to its end, whatever ends it, and gives the seconds that it lasted after `cut` was done.
    func lasts(_ path: String, after cut: @Sendable () async throws -> Void) async throws -> Double {
        var request = HTTPClientRequest(url: address + path)
        if let key { request.headers.add(name: "Authorization", value: "Bearer \(key)") }
        let response = try await http.execute(request, timeout: .seconds(30))
        #expect(response.status == .ok)
        var parts = response.body.makeAsyncIterator()
        // It goes on for as long as the credential counts.
        for _ in 0..<3 { _ = try #require(try await parts.next()) }
        try await cut()
        let start = ContinuousClock.now
        while let _ = try? await parts.next() {}
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}

/// A TCP connection without any protocol, to this machine.
final class RawConnection: Sendable {
    private let descriptor: Int32

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(descriptor, $0, length) }
        }
        guard code == 0 else { throw CancellationError() }
    }

    deinit { Glibc.close(descriptor) }

    /// Sends what the kernel takes; false once the connection is gone.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        unsafe bytes.withUnsafeBytes {
            unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)) >= 0
                || errno == EAGAIN
        }
    }

    @discardableResult
    func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    /// What has come by now, and whether the other end has closed.
    func take() -> (bytes: [UInt8], isClosed: Bool) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT)) }
        if count > 0 { return (Array(buffer[..<count]), false) }
        return ([], count == 0 || (errno != EAGAIN && errno != EINTR))
    }

    /// Everything until the other end closes; `nil` if it has not after `seconds`.
    func untilClosed(seconds: Double) async throws -> [UInt8]? {
        var all: [UInt8] = []
        let deadline = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < deadline {
            let (bytes, isClosed) = take()
            all += bytes
            if isClosed { return all }
            if bytes.isEmpty { try await Task.sleep(for: .milliseconds(10)) }
        }
        return nil
    }
}

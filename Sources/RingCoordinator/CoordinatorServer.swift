// The HTTP server: where it listens, how it knows who asks, and which routes it has. The routes themselves are in Routes+*.swift, who may
// use them in AccessTable.swift.

import Foundation
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Logging
import NIOCore
import RingControl
import RingTelemetry

/// Why no server could be started.
public enum ServerError: Error, Sendable, CustomStringConvertible {
    /// The address is not one of this machine's own loopback addresses, and the server has no certificates.
    case notLoopback(String)
    /// The address cannot be bound.
    case cannotBind(String, reason: String)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .notLoopback(let host):
            "without certificates the coordinator listens on loopback only, not on \(host): use 127.0.0.1, or make certificates "
                + "(ringmaster cluster init)"
        case .cannotBind(let address, let reason): "cannot listen on \(address): \(reason)"
        }
    }
}

/// The coordinator's server: one shell behind HTTP routes.
public struct CoordinatorServer: Sendable {
    typealias Context = ControlContext

    /// The shell behind the routes.
    public let shell: CoordinatorShell
    /// How it knows who asks.
    public let security: ServerSecurity
    /// How long it waits for slow clients.
    public var patience = ClientPatience()
    /// Seconds that requests under way get when it stops.
    package var lingerSeconds = 2.0
    /// Where it writes who was refused and, at the level debug, every request.
    public var logger = Logger.silent
    /// Where the framework writes what goes wrong with its sockets.
    public var frameworkLogger = Logger.silent

    /// A server round `shell`, not yet listening.
    public init(shell: CoordinatorShell, security: ServerSecurity) { (self.shell, self.security) = (shell, security) }

    /// The server of an embedded cluster: every request but the health checks must carry the token.
    public init(shell: CoordinatorShell, token: JoinToken) { self.init(shell: shell, security: .embedded(token)) }

    /// The audit log, if this cluster has one.
    public var audit: AuditLog? { if case .certificates(let security) = security { security.audit } else { nil } }

    /// Listens on `host` and `port` (0: any free one), calls `body` with the port, and stops listening when it returns. Without
    /// certificates `host` must be a loopback address.
    public func run<Result: Sendable>(
        host: String = "127.0.0.1", port: Int = 0, _ body: @escaping @Sendable (_ port: Int) async throws -> Result
    ) async throws -> Result {
        if security.isForLoopbackOnly, !["127.0.0.1", "::1", "localhost"].contains(host) { throw ServerError.notLoopback(host) }
        let (ports, announce) = AsyncStream<Int>.makeStream()
        let application = Application(
            router: router(), server: try builder(),
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port), serverName: "ringmaster",
                availableConnectionsDelegate: MaximumAvailableConnections(Self.connections)),
            onServerRunning: { channel in
                announce.yield(channel.localAddress?.port ?? 0)
                announce.finish()
            },
            logger: FrameworkLog.logger(frameworkLogger))
        await shell.start()
        let serving = Serving(application, lingerSeconds: lingerSeconds, logger: FrameworkLog.logger(frameworkLogger))
        // No child of this task, so that it is not cancelled with it.
        let server = Task {
            defer { announce.finish() }
            try await serving.run()
        }
        var result: Swift.Result<Result, any Error>?
        for await bound in ports {
            do {
                result = .success(try await body(bound))
            } catch {
                result = .failure(error)
            }
        }
        await serving.end()
        let ended = await server.result
        if let result { return try result.get() }
        if case .failure(let error) = ended, !Task.isCancelled { throw ServerError.cannotBind("\(host):\(port)", reason: "\(error)") }
        throw CancellationError()
    }

    /// HTTP/1.1, within TLS if there are certificates, on connections that are watched.
    private func builder() throws -> HTTPServerBuilder {
        var patience = patience
        // Whoever comes from elsewhere finds room, however many connections one address opens.
        patience.connectionsPerAddress = min(patience.connectionsPerAddress, Self.connections / 2)
        guard case .certificates(let security) = security else {
            return HTTPServerBuilder { [patience] responder in WatchedChannel(responder: responder, patience: patience) }
        }
        let certificates = try ServerCertificates(security.authority, days: security.serverCertificateDays, logger)
        let configuration = TLSChannelConfiguration(tlsConfiguration: try certificates.configuration())
        return HTTPServerBuilder { [patience] responder in
            try TLSChannel(WatchedChannel(responder: responder, patience: patience), configuration: configuration)
        }
    }

    /// As many connections as the limit says and the process has descriptors for: one that cannot be accepted for want of a descriptor
    /// would be an error of the listening socket.
    private static var connections: Int {
        let limits = FileManager.default.contents(atPath: "/proc/self/limits") ?? Data()
        let line = String(decoding: limits, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("Max open files") } ?? ""
        let most = line.split(separator: " ").dropFirst(3).first.flatMap { Int($0) } ?? CoordinatorLimits.connections
        return max(16, min(CoordinatorLimits.connections, most - SecurityLimits.descriptorsReserved))
    }

    /// Every route, behind what every request passes.
    package func router() -> Router<ControlContext> {
        let router = Router(context: Context.self)
        let meter = RequestMeter()
        router.addMiddleware {
            RequestMeasuring(meter: meter)
            ErrorShape()
            RequestLogging(log: AccessLog(logger))
            Authentication(security: security)
        }
        addHealthRoutes(to: router)
        addMetricsRoute(to: router, meter: meter)
        addInterfaceRoute(to: router)
        let routes = router.group("v1")
        addClusterRoutes(to: routes)
        addWorkerRoutes(to: routes.group("workers").add(middleware: OwnSession(shell: shell)))
        addJobRoutes(to: routes.group("jobs").add(middleware: OwnJob(shell: shell)))
        if case .certificates(let security) = security { addJoiningRoutes(to: routes, security) }
        return router
    }

    private struct Readiness: Encodable {
        let ready: Bool
        let reasons: [String]
    }

    private func addHealthRoutes(to router: Router<Context>) {
        router.get("healthz") { _, _ in "ok\n" }
        router.get("readyz") { _, _ in
            let reasons = await shell.reasonsNotReady()
            return try Response.json(
                Readiness(ready: reasons.isEmpty, reasons: reasons), status: reasons.isEmpty ? .ok : .serviceUnavailable)
        }
        router.get("version") { _, _ in try Response.json(["version": RingmasterVersion.text]) }
    }
}

// The HTTP server: who may ask what, and where it listens. The routes themselves are in Routes+*.swift.

import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import RingControl

/// Why no server could be started.
public enum ServerError: Error, Sendable, CustomStringConvertible {
    /// The address is not one of this machine's own loopback addresses.
    case notLoopback(String)
    /// The address cannot be bound.
    case cannotBind(String, reason: String)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .notLoopback(let host):
            "the coordinator listens on loopback only in this version, not on \(host): use 127.0.0.1"
        case .cannotBind(let address, let reason): "cannot listen on \(address): \(reason)"
        }
    }
}

/// The coordinator's server: one shell behind HTTP routes.
public struct CoordinatorServer: Sendable {
    typealias Context = BasicRequestContext

    /// The shell behind the routes.
    public let shell: CoordinatorShell
    /// The secret that every request but the health checks must carry.
    public let token: JoinToken

    /// A server round `shell`, not yet listening.
    public init(shell: CoordinatorShell, token: JoinToken) {
        self.shell = shell
        self.token = token
    }

    /// Listens on `host` (a loopback address) and `port` (0: any free one), calls `body` with the port, and stops
    /// listening when it returns.
    public func run<Result: Sendable>(
        host: String = "127.0.0.1", port: Int = 0, _ body: @escaping @Sendable (_ port: Int) async throws -> Result
    ) async throws -> Result {
        guard ["127.0.0.1", "::1", "localhost"].contains(host) else { throw ServerError.notLoopback(host) }
        let (ports, announce) = AsyncStream<Int>.makeStream()
        let application = Application(
            router: router(),
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port), serverName: "ringmaster",
                availableConnectionsDelegate: MaximumAvailableConnections(CoordinatorLimits.connections)),
            onServerRunning: { channel in
                announce.yield(channel.localAddress?.port ?? 0)
                announce.finish()
            },
            logger: Logger(label: "ringmaster.http", factory: { _ in SwiftLogNoOpLogHandler() }))
        await shell.start()
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask {
                do {
                    try await application.run()
                } catch {
                    announce.finish()
                    if !Task.isCancelled { throw ServerError.cannotBind("\(host):\(port)", reason: "\(error)") }
                }
                return nil
            }
            group.addTask {
                for await bound in ports { return try await body(bound) }
                return nil
            }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw CancellationError()
        }
    }

    /// Every route. Health checks and the version are open; everything else needs the token.
    func router() -> Router<Context> {
        let router = Router(context: Context.self)
        router.addMiddleware { ErrorShape() }
        addHealthRoutes(to: router)
        let guarded = router.group("v1").add(middleware: BearerCheck(token: token))
        addWorkerRoutes(to: guarded.group("workers"))
        addJobRoutes(to: guarded.group("jobs"))
        return router
    }

    private func addHealthRoutes(to router: Router<Context>) {
        router.get("healthz") { _, _ in "ok\n" }
        router.get("readyz") { _, _ in "ok\n" }
        router.get("version") { _, _ in try Response.json(["version": RingmasterVersion.text]) }
    }

    // MARK: what routes share

    /// A number in the path.
    static func number(_ context: Context, _ name: String = "id") throws(APIError) -> UInt64 {
        guard let text = context.parameters.get(name), let number = UInt64(text) else {
            throw APIError(.badRequest, "the path needs a number for \(name)", parameter: name)
        }
        return number
    }

    /// A number in the query.
    static func query(_ request: Request, _ name: String) throws(APIError) -> Int {
        guard let text = request.uri.queryParameters[Substring(name)], let number = Int(text), number >= 0 else {
            throw APIError(.badRequest, "the query needs \(name)=NUMBER", parameter: name)
        }
        return number
    }

    /// A JSON body.
    static func body<Value: Decodable>(_ type: Value.Type, of request: Request, limit: Int) async throws -> Value {
        let buffer = try await request.body.collect(upTo: limit)
        do {
            return try ControlJSON.decode(type, from: .init(buffer.readableBytesView))
        } catch {
            throw APIError(.badRequest, "the body is not the JSON this route takes: \(error)")
        }
    }

    /// A response whose body is a line an element, `nil` being a blank line that only shows that somebody is there.
    static func lines<Items: AsyncSequence & Sendable>(_ items: Items) -> Response where Items.Element == String? {
        let body = ResponseBody { writer in
            // A first line at once, so that the reader knows that it is heard.
            try await writer.write(ByteBuffer(string: "\n"))
            for try await line in items { try await writer.write(ByteBuffer(string: (line ?? "") + "\n")) }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: [.contentType: "application/x-ndjson", .cacheControl: "no-store"], body: body)
    }
}

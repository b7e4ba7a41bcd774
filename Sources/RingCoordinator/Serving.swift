// How a server ends: it is asked to, and never cancelled. A cancelled one drops connections that were accepted a moment ago and
// not yet taken over, and SwiftNIO ends the process for that with a trap ("Deinited NIOAsyncWriter without calling finish()",
// apple/swift-nio issues 2637 and 3481): Ctrl-C while somebody connects was enough.

import Hummingbird
import Logging
import ServiceLifecycle

/// An HTTP server from its start to its graceful end.
struct Serving: Sendable {
    private let services: ServiceGroup

    /// A server that is not yet running; when it is asked to end, requests under way get `lingerSeconds`.
    init(_ application: some Service, lingerSeconds: Double, logger: Logger) {
        var configuration = ServiceGroupConfiguration(services: [application], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(lingerSeconds)
        services = ServiceGroup(configuration: configuration)
    }

    /// Serves until `end` is called. Throws if the server cannot begin.
    func run() async throws { try await services.run() }

    /// Takes no further connection, and closes those that are open as soon as their requests are answered.
    func end() async { await services.triggerGracefulShutdown() }
}

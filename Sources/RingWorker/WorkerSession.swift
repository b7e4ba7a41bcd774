// A worker's life as its process sees it: what decides is `WorkerMachine`; this starts, waits and speaks for it.

import Foundation
import Logging
import NIOSSL
import RingClient
import RingControl
import RingCore
import RingTelemetry
import RingTransport

/// Why a worker's session ended otherwise than by a word to stop.
public enum SessionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The coordinator does not let this worker in; trying again does not help.
    case turnedAway(String)
    /// The coordinator cannot be reached, or has fallen silent.
    case coordinatorGone(String)
    /// The address, the key or the certificate cannot be used.
    case misconfigured(String)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .turnedAway(let reason): "the coordinator turned this worker away: \(reason)"
        case .coordinatorGone(let reason): "the coordinator is gone: \(reason)"
        case .misconfigured(let reason): reason
        }
    }
}

/// One worker process.
public struct WorkerSession: Sendable {
    private let shell: WorkerShell
    private let configuration: ClusterConnection.Configuration

    /// A session, not yet begun. `listener` is bound; `registration` tells its port. `logger` is told of what an operator may
    /// want to know: joined, lost, joining again, and every run. What `facts` reads is told from time to time.
    public init(
        _ configuration: ClusterConnection.Configuration, registration: WorkerRegistration, listener: TCPListener,
        executor: any JobExecutor, policy: WorkerPolicy, logger: Logger = .silent, facts: FactsSource? = nil
    ) throws(SessionError) {
        self.configuration = configuration
        do throws(ClientError) {
            shell = WorkerShell(
                CoordinatorClient(connection: try ClusterConnection(configuration)), registration, listener, executor, policy, logger, facts
            )
        } catch {
            throw .misconfigured(error.description)
        }
    }

    /// Joins and works until told to stop, by the coordinator or by `drain` and `stop`. A cancelled task ends at once.
    public func run() async throws(SessionError) {
        let departure = await withTaskCancellationHandler {
            await shell.live()
        } onCancel: {
            Task { await shell.receive(.stopRequested) }
        }
        switch departure {
        case .toldToStop, .drained, .interrupted: return
        case .coordinatorGone(let reason): throw .coordinatorGone(reason)
        case .turnedAway(let reason): throw .turnedAway(reason)
        }
    }

    /// Leaves when the run that it holds is over, or is handed back after a grace.
    public func drain() async { await shell.receive(.drainRequested) }

    /// Shows another certificate from now on; what runs over connections that are open goes on.
    public func renew(_ tls: TLSConfiguration) async throws(ClientError) {
        var renewed = configuration
        renewed.tls = tls
        await shell.use(CoordinatorClient(connection: try ClusterConnection(renewed)))
    }

    /// Returns when the session has had a turn: a sign that it goes on.
    public func answer() async { await shell.answer() }

    /// Leaves at once.
    public func stop() async { await shell.receive(.stopRequested) }
}

// The listening socket of a rank's data plane. It outlives transports: each new epoch connects its mesh over the same port.
import CRingSystem
import RingCore
import Synchronization

/// A bound, listening TCP port. Connections wait in the kernel until a transport connects its mesh and takes them.
public final class TCPListener: Sendable {
    /// What strangers and misconfigured members did to a listener so far.
    public struct Refusals: Hashable, Sendable {
        /// Connections that did not speak the protocol or did not finish the handshake in time.
        public var strangers = 0
        /// Handshakes of the protocol that did not fit: version, ring, job, epoch or secret.
        public var unfit = 0
    }

    /// The host it is bound to, as given.
    public let host: String
    /// The port it is bound to.
    public let port: UInt16
    package let descriptor: Int32
    private let state = Mutex(State())
    private let report: @Sendable (String) -> Void

    private struct State {
        var isClosed = false
        var refusals = Refusals()
        var linesWritten = 0
    }

    /// Listens at `host` and `port`; port 0 takes a free one. At most `TransportLimits.refusalLines` lines about refused
    /// connections go to `report` (default: stderr). Throws `.system` with the address and the reason.
    public init(host: String = "127.0.0.1", port: UInt16 = 0, report: (@Sendable (String) -> Void)? = nil) throws(TransportError) {
        var bound: UInt16 = 0
        descriptor = unsafe ring_socket_listen(host, port, 1024, &bound)
        if descriptor < 0 {
            throw .system("the data plane cannot listen at \(host) port \(port): \(systemText(-descriptor))")
        }
        (self.host, self.port) = (host, bound)
        self.report = report ?? { line in unsafe ring_stderr_line("warning: \(line)") }
    }

    deinit { close() }

    /// The address for the other ranks.
    public var address: PeerAddress { PeerAddress(host, port) }

    /// What was refused so far.
    public var refusals: Refusals { state.withLock { $0.refusals } }

    /// Stops listening; transports that are connected go on.
    public func close() {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        if isFirst { _ = ring_socket_close(descriptor) }
    }

    /// Counts a refusal and, while there are few, writes a line about it.
    func refused(_ address: String, _ reason: String, isStranger: Bool) {
        let line: String? = state.withLock { state in
            if isStranger { state.refusals.strangers += 1 } else { state.refusals.unfit += 1 }
            state.linesWritten += 1
            if state.linesWritten > TransportLimits.refusalLines { return nil }
            let isLast = state.linesWritten == TransportLimits.refusalLines
            return "data-plane port \(port) refused a connection from \(address): \(reason)"
                + (isLast ? " (further refusals are only counted)" : "")
        }
        if let line { report(line) }
    }
}

// The listening socket of a rank's data plane. It outlives transports: each new epoch connects its mesh over the same port.
import CRingSystem
import RingCore
import Synchronization

/// A bound, listening TCP port with a thread that receives callers. Who speaks the protocol's first words waits here until a
/// transport connects its mesh and takes over; everybody else is sent away at once, or after a short while if they say
/// nothing. One mesh at a time is connected over a listener.
public final class TCPListener: Sendable {
    /// What strangers and misconfigured members did to a listener so far.
    public struct Refusals: Hashable, Sendable {
        /// Connections that did not speak the protocol or did not finish the handshake in time.
        public var strangers = 0
        /// Handshakes of the protocol that did not fit: version, ring, job, epoch or secret.
        public var unfit = 0

        /// Nothing so far.
        public init() {}
    }

    /// The host it is bound to, as given.
    public let host: String
    /// The port it is bound to.
    public let port: UInt16
    let reception: Reception
    private let ledger: RefusalLedger
    private let thread: PinnedThread

    /// Listens at `host` and `port`; port 0 takes a free one. A caller must say its first words within `greetingLimit`. At
    /// most `TransportLimits.refusalLines` lines about refused connections go to `report` (default: stderr). Throws
    /// `.system` with the address and the reason.
    public init(
        host: String = "127.0.0.1", port: UInt16 = 0, greetingLimit: Duration = .seconds(2),
        report: (@Sendable (String) -> Void)? = nil
    ) throws(TransportError) {
        var bound: UInt16 = 0
        let descriptor = unsafe ring_socket_listen(host, port, 1024, &bound)
        if descriptor < 0 {
            throw .system("the data plane cannot listen at \(host) port \(port): \(systemText(-descriptor))")
        }
        (self.host, self.port) = (host, bound)
        ledger = RefusalLedger(port: bound, report: report ?? { line in unsafe ring_stderr_line("warning: \(line)") })
        let reception: Reception
        do {
            reception = try Reception(descriptor: descriptor, greetingLimit: greetingLimit, ledger: ledger)
        } catch {
            _ = ring_socket_close(descriptor)
            throw error
        }
        self.reception = reception
        // From here on the reception closes the descriptor.
        thread = try PinnedThread.start(name: "ring-accept") { reception.run() }
    }

    deinit { close() }

    /// The address for the other ranks.
    public var address: PeerAddress { PeerAddress(host, port) }

    /// What was refused so far.
    public var refusals: Refusals { ledger.refusals }

    /// Stops listening and sends away who waits; transports that are connected go on. Closing again does nothing.
    public func close() {
        reception.stop()
        thread.join()
    }

    /// Counts a refusal and, while there are few, writes a line about it.
    func refused(_ address: String, _ reason: String, isStranger: Bool) {
        ledger.add(address, reason, isStranger: isStranger)
    }
}

/// Counts refusals and writes about the first ones.
final class RefusalLedger: Sendable {
    private let port: UInt16
    private let report: @Sendable (String) -> Void
    private let state = Mutex((refusals: TCPListener.Refusals(), lines: 0))

    init(port: UInt16, report: @escaping @Sendable (String) -> Void) { (self.port, self.report) = (port, report) }

    var refusals: TCPListener.Refusals { state.withLock { $0.refusals } }

    /// Counts a refusal and, unless it is a quiet one, writes about it while there are few.
    func add(_ address: String, _ reason: String, isStranger: Bool, isQuiet: Bool = false) {
        let count = state.withLock { state in
            if isStranger { state.refusals.strangers += 1 } else { state.refusals.unfit += 1 }
            if !isQuiet { state.lines += 1 }
            return state.lines
        }
        if isQuiet || count > TransportLimits.refusalLines { return }
        let end = count == TransportLimits.refusalLines ? " (further refusals are only counted)" : ""
        report("data-plane port \(port) refused a connection from \(address): \(reason)\(end)")
    }
}

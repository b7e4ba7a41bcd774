// How two ranks come to share memory. The handshake's connection says who they are; that they are on one host, in one
// network namespace and of one user shows in that the caller reaches the listener's Unix socket under a name that only it
// was told. Over that socket goes the memory, and it stays as the bell by which each wakes the other.
//
//     caller                                        listener
//     offer: host and user                     ->   the same as ours? opens a Unix socket of a random name
//     calls it, sends the memory and a proof   <-   answer: the name
//     confirmation                             ->   takes the memory, checks and maps it
//
// Later each side lends the other, over the same socket, memory from which it sends.
import CRingSystem
import RingCore

/// Shared memory between two processes of one user on one host.
package struct SharedMemorySource: LaneSource {
    package let kind = LaneKind.sharedMemory
    private let host: String
    /// What the transport lends, if the source belongs to one.
    private let loans: LoanBook?

    /// `host` is what this host is called since it was started; tests give others, to be on two.
    package init(host: String? = nil) { self.init(host: host, loans: nil) }

    private init(host: String?, loans: LoanBook?) { (self.host, self.loans) = (host ?? Self.bootIdentity, loans) }

    /// The same source for one transport, which lends what is in `loans`.
    func lending(_ loans: LoanBook) -> SharedMemorySource { SharedMemorySource(host: host, loans: loans) }

    package func maker() throws(LaneFailure) -> any LaneMaker {
        if host.isEmpty { throw LaneFailure("this host does not say what it is called (/proc/sys/kernel/random/boot_id)") }
        return SharedMemoryMaker(place: Array("\(host) user \(ring_user())".utf8.prefix(LaneMessage.parameterBytes)), loans)
    }

    /// Another one each time the machine is started, the same for everybody on it.
    private static let bootIdentity: String = {
        var text = [CChar](repeating: 0, count: 64)
        guard unsafe ring_host_identity(&text, text.count) else { return "" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).filter { !$0.isWhitespace }
    }()
}

/// One pair's way to shared memory.
package final class SharedMemoryMaker: LaneMaker {
    private let place: [UInt8]
    private let loans: LoanBook?
    private var name: [UInt8] = []
    private var listener: Int32 = -1
    private var bell: Int32 = -1
    private var segment: SharedSegment?

    private static let isSomewhereElse = "the two ranks are not on one host, or not of one user"

    init(place: [UInt8], _ loans: LoanBook?) { (self.place, self.loans) = (place, loans) }

    deinit {
        if listener >= 0 { _ = ring_socket_close(listener) }
        if bell >= 0 { _ = ring_socket_close(bell) }
    }

    package func offer() throws(LaneFailure) -> [UInt8] { place }

    package func answer(_ offer: [UInt8], session: HandshakeSession) throws(LaneFailure) -> [UInt8] {
        guard offer == place else { throw LaneFailure(Self.isSomewhereElse) }
        var random = [UInt8](repeating: 0, count: 16)
        let error = unsafe random.withUnsafeMutableBytes { raw in
            unsafe raw.baseAddress.map { unsafe ring_random_fill($0, raw.count) } ?? 0
        }
        if error != 0 { throw LaneFailure("the kernel's random source fails: \(systemText(error))") }
        name = Array(("ringmaster-" + random.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()).utf8)
        listener = unsafe ring_local_listen(Self.text(name))
        if listener < 0 { throw LaneFailure("no Unix socket: \(systemText(-listener))") }
        return name
    }

    package func confirm(_ answer: [UInt8], session: HandshakeSession) throws(LaneFailure) -> [UInt8] {
        name = answer
        bell = unsafe ring_local_dial(Self.text(name))
        if bell < 0 { throw LaneFailure("the peer's Unix socket cannot be reached, as between two containers: \(systemText(-bell))") }
        guard ring_local_is_same_user(bell) else { throw LaneFailure(Self.isSomewhereElse) }
        let memory = ring_shared_create(SharedSegment.byteCount)
        if memory < 0 { throw LaneFailure("no shared memory (memfd) of \(SharedSegment.byteCount) bytes: \(systemText(-memory))") }
        defer { _ = ring_socket_close(memory) }
        segment = try SharedSegment(memory, isDialer: true)
        let proof = session.proof(of: "shared memory", name)
        let error = unsafe proof.withUnsafeBytes { raw in
            unsafe raw.baseAddress.map { unsafe ring_local_send(bell, $0, raw.count, memory) } ?? 0
        }
        if error != 0 { throw LaneFailure("the memory cannot be handed over: \(systemText(error))") }
        return []
    }

    package func settle(_ confirmation: [UInt8], session: HandshakeSession) throws(LaneFailure) {
        let proof = session.proof(of: "shared memory", name)
        var failure = LaneFailure("nobody came to the Unix socket")
        // Whoever guessed the name may have come first: the right one brings the proof.
        while bell < 0 {
            let caller = ring_local_accept(listener)
            if caller < 0 { throw failure }
            do throws(LaneFailure) {
                segment = try take(from: caller, proof)
                bell = caller
            } catch {
                failure = error
                _ = ring_socket_close(caller)
            }
        }
        _ = ring_socket_close(listener)
        listener = -1
    }

    private func take(from caller: Int32, _ proof: [UInt8]) throws(LaneFailure) -> SharedSegment {
        guard ring_local_is_same_user(caller) else { throw LaneFailure(Self.isSomewhereElse) }
        var found = [UInt8](repeating: 0, count: proof.count)
        var memory: Int32 = -1
        let error = unsafe found.withUnsafeMutableBytes { raw in
            unsafe raw.baseAddress.map { unsafe ring_local_receive(caller, $0, raw.count, &memory) } ?? 0
        }
        if error != 0 { throw LaneFailure("the memory did not come: \(systemText(error))") }
        defer { _ = ring_socket_close(memory) }
        guard isSameProof(found, proof) else { throw LaneFailure("a stranger came to the Unix socket") }
        let wrong = ring_shared_check(memory, SharedSegment.byteCount)
        if wrong != 0 { throw LaneFailure("what came is not sealed memory of \(SharedSegment.byteCount) bytes: \(systemText(wrong))") }
        return try SharedSegment(memory, isDialer: false)
    }

    package func lane() -> any Lane {
        guard let segment, bell >= 0 else { preconditionFailure("a lane of shared memory was taken before it was made") }
        defer { bell = -1 }
        return SharedMemoryLane(segment, bell: bell, lending: loans)
    }

    /// A name for the C side; one with zeros in it would be another name.
    private static func text(_ name: [UInt8]) -> [CChar] { name.prefix { $0 != 0 }.map { CChar(bitPattern: $0) } + [0] }
}

// One connection during the handshake: a socket, a deadline, a handshake machine and then the choice of a lane. Their
// messages fit any socket buffer, so a write that does not go out whole is a failure, not something to wait for.
import CRingSystem
import Glibc
import RingCore

/// A connection that is not yet a link. Reads exactly the bytes of the handshake: what follows belongs to the link.
final class Conversation {
    enum Role {
        case dialer(DialerHandshake)
        case acceptor(AcceptorHandshake)
        /// The handshake is done; the pair chooses its lane.
        case talk(Rank, LaneTalk)
    }
    /// What became of it after reading.
    enum Outcome {
        case goesOn
        case established(Rank, MeshLink)
        /// The peer is who it says, but there is no lane that both can have.
        case laneless(Rank, String)
        /// The other side does not fit or does not speak the protocol; said to the peer where it understands.
        case refused(String, isStranger: Bool)
        /// The peer turned us down.
        case turnedDown(Refusal)
        /// The connection ended or failed.
        case ended(String)
    }

    let descriptor: Int32
    let key: UInt64
    /// Numeric address, for messages.
    let address: String
    let deadline: Moment
    /// The rank that was called, for dialers.
    let callee: Rank?
    /// True until the kernel has decided a call.
    private(set) var isConnecting: Bool
    private var role: Role
    private var received: [UInt8]
    private let wishes: LaneWishes
    private var sealKeys: SealKeys?

    /// `received` are bytes that were read from the socket before.
    init(
        descriptor: Int32, key: UInt64, address: String, deadline: Moment, callee: Rank?, role: Role, wishes: LaneWishes,
        received: [UInt8] = []
    ) {
        (self.descriptor, self.key, self.address, self.deadline) = (descriptor, key, address, deadline)
        (self.callee, self.role, self.wishes, self.received) = (callee, role, wishes, received)
        isConnecting = callee != nil
    }

    /// A call has been decided: greets the peer, or says why there is none.
    func connected() -> Outcome {
        let error = ring_socket_error(descriptor)
        if error != 0 { return .ended(systemText(error)) }
        isConnecting = false
        guard case .dialer(let handshake) = role else { preconditionFailure("only a dialer connects") }
        return write(handshake.greeting.bytes) ? .goesOn : .ended("the connection was closed")
    }

    /// Reads what is there and lets the handshake answer.
    func advance() -> Outcome {
        while true {
            if received.count < wantedByteCount {
                if let outcome = readMore() { return outcome }
                continue
            }
            let message = received
            received = []
            if case .talk(let rank, let talk) = role {
                if let outcome = advance(talk, with: rank, message) { return outcome }
                continue
            }
            switch step(message) {
            case .answer(let bytes):
                if !write(bytes) { return .ended("the connection was closed") }
            case .established(let rank, let bytes):
                if !write(bytes) || !beginTalk(with: rank) { return .ended("the connection was closed") }
            case .refuse(let refusal, let bytes):
                _ = write(bytes)
                return .refused(Self.sentence(refusal), isStranger: false)
            case .drop(let reason): return .refused(reason, isStranger: true)
            case .turnedDown(let refusal): return .turnedDown(refusal)
            }
        }
    }

    /// Reads towards the message that is wanted; an outcome when there is nothing more to read.
    private func readMore() -> Outcome? {
        var buffer = [UInt8](repeating: 0, count: wantedByteCount - received.count)
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            var run = unsafe ring_bytes(base: bytes.baseAddress, count: bytes.count)
            return unsafe ring_socket_read(descriptor, &run, 1)
        }
        if count == -Int64(EAGAIN) { return .goesOn }
        if count == 0 { return .ended("the connection was closed") }
        if count < 0 { return .ended(systemText(Int32(-count))) }
        received += buffer[..<Int(count)]
        if couldBeHandshake(received) { return nil }
        return .refused("it does not speak the ringmaster data plane", isStranger: true)
    }

    /// The peer is who it says: now the lane is chosen, the caller speaking first. False when the connection is gone.
    private func beginTalk(with rank: Rank) -> Bool {
        let (session, keys) =
            switch role {
            case .dialer(let handshake): (handshake.session, handshake.sealKeys)
            case .acceptor(let handshake): (handshake.session, handshake.sealKeys)
            case .talk: preconditionFailure("the lane is chosen once")
            }
        guard let session else { preconditionFailure("a handshake ended without a session") }
        sealKeys = keys
        let talk = LaneTalk(session, wishes, isDialer: callee != nil)
        role = .talk(rank, talk)
        return callee == nil || write(talk.offer())
    }

    /// The next word about the lane; an outcome when it was the last.
    private func advance(_ talk: LaneTalk, with rank: Rank, _ message: [UInt8]) -> Outcome? {
        switch talk.receive(message) {
        case .answer(let bytes): return write(bytes) ? nil : .ended("the connection was closed")
        case .chosen(let bytes, let lane, let choice):
            guard write(bytes) else {
                lane?.close()
                return .ended("the connection was closed")
            }
            return .established(rank, MeshLink(descriptor: descriptor, keys: sealKeys, lane: lane, choice: choice))
        case .failed(let bytes, let reason):
            _ = write(bytes)
            return .laneless(rank, reason)
        case .drop(let reason): return .ended(reason)
        }
    }

    func close() { _ = ring_socket_close(descriptor) }

    private var wantedByteCount: Int {
        switch role {
        case .dialer(let handshake): handshake.wantedByteCount
        case .acceptor(let handshake): handshake.wantedByteCount
        // A head that is none is handed over as it is, and found out there.
        case .talk: LaneMessage.byteCount(of: received) ?? received.count
        }
    }

    private func step(_ message: [UInt8]) -> HandshakeStep {
        switch role {
        case .dialer(var handshake):
            defer { role = .dialer(handshake) }
            return handshake.receive(message)
        case .acceptor(var handshake):
            defer { role = .acceptor(handshake) }
            return handshake.receive(message)
        case .talk: preconditionFailure("the handshake is over")
        }
    }

    private func write(_ bytes: [UInt8]) -> Bool {
        if bytes.isEmpty { return true }
        var copy = bytes
        let count = unsafe copy.withUnsafeMutableBytes { raw in
            var run = unsafe ring_bytes(base: raw.baseAddress, count: raw.count)
            return unsafe ring_socket_write(descriptor, &run, 1)
        }
        return count == Int64(bytes.count)
    }

    /// The refusal as the refusing side says it.
    private static func sentence(_ refusal: Refusal) -> String {
        switch refusal {
        case .version: "it speaks another version of the data plane"
        case .ring: "it claims a place in another ring"
        case .stale: "its job or epoch is over"
        case .early: "its job or epoch is newer than ours"
        case .secret: "it has another job secret"
        case .sealing: "it does not encrypt where we do, or the other way about"
        }
    }
}

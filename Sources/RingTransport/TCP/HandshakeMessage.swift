// The bytes of the handshake: one greeting of 64 bytes, then answers of 48. They differ in magic from frames, so that
// neither can be taken for the other.
import Crypto
import RingCore

/// What a rank claims, and what it must know, to join a mesh.
package struct HandshakeIdentity {
    package var rank: Rank
    package var world: WorldSize
    package var epoch: Epoch
    package var job: JobNumber
    package var secret: [UInt8]
    /// Whether what follows the handshake is encrypted.
    package var isSealed: Bool

    package init(rank: Rank, world: WorldSize, epoch: Epoch, job: JobNumber, secret: [UInt8], isSealed: Bool = false) {
        (self.rank, self.world, self.epoch, self.job, self.secret) = (rank, world, epoch, job, secret)
        self.isSealed = isSealed
    }
}

/// "RGMH" in this order on the wire.
private let handshakeMagic: UInt32 = 0x484D_4752

package let handshakeMagicBytes = (0..<4).map { UInt8(truncatingIfNeeded: handshakeMagic >> UInt32($0 * 8)) }

/// False when these first bytes, however few, cannot be the protocol's: then the rest need not be waited for.
package func couldBeHandshake(_ bytes: [UInt8]) -> Bool {
    zip(bytes, handshakeMagicBytes).allSatisfy(==)
}

/// The dialer's first words: who calls whom, for which job and epoch, and a fresh random number.
///
///     0 magic 4   4 version 1   5 kind 1 (1)   6 source 2   8 destination 2   10 world 2   12 flags 4 (1: sealed)
///     16 job 8    24 epoch 8    32 nonce 32
package struct Greeting: Hashable, Sendable {
    package static let byteCount = 64
    package var source: Int
    package var destination: Int
    package var world: Int
    package var job: JobNumber
    package var epoch: Epoch
    package var isSealed: Bool
    package var nonce: [UInt8]

    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        bytes.put(handshakeMagic)
        bytes.append(contentsOf: [FrameHeader.version, 1])
        for value in [source, destination, world] { bytes.put(UInt16(value)) }
        bytes.put(UInt32(isSealed ? 1 : 0))
        bytes.put(job.number)
        bytes.put(epoch.number)
        return bytes + nonce
    }

    package enum Failure: Error, Hashable { case stranger, version(UInt8) }

    package init(source: Rank, destination: Rank, world: WorldSize, job: JobNumber, epoch: Epoch, isSealed: Bool = false, nonce: [UInt8]) {
        precondition(nonce.count == 32, "a nonce has 32 bytes")
        (self.source, self.destination, self.world) = (source.index, destination.index, world.count)
        (self.job, self.epoch, self.isSealed, self.nonce) = (job, epoch, isSealed, nonce)
    }

    package init(decoding bytes: [UInt8]) throws(Failure) {
        guard bytes.count == Self.byteCount, bytes.get(UInt32.self, 0) == handshakeMagic, bytes[5] == 1 else { throw .stranger }
        guard bytes[4] == FrameHeader.version else { throw .version(bytes[4]) }
        source = Int(bytes.get(UInt16.self, 6))
        destination = Int(bytes.get(UInt16.self, 8))
        world = Int(bytes.get(UInt16.self, 10))
        job = JobNumber(bytes.get(UInt64.self, 16))
        epoch = Epoch(bytes.get(UInt64.self, 24))
        isSealed = bytes.get(UInt32.self, 12) & 1 != 0
        nonce = Array(bytes[32..<64])
    }
}

/// Every later word of the handshake.
///
///     0 magic 4   4 version 1   5 kind 1   6 refusal 2   8 zero 8   16 nonce or proof 32
package struct Answer: Hashable {
    package enum Kind: UInt8 {
        case challenge = 2
        case proof = 3
        case welcome = 4
        case refusal = 5
    }

    package static let byteCount = 48
    package var kind: Kind
    package var refusal: Refusal?
    package var value: [UInt8]

    package init(_ kind: Kind, _ value: [UInt8]) { (self.kind, self.value) = (kind, value) }

    package init(refusing refusal: Refusal) {
        self.init(.refusal, [UInt8](repeating: 0, count: 32))
        self.refusal = refusal
    }

    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        bytes.put(handshakeMagic)
        bytes.append(contentsOf: [FrameHeader.version, kind.rawValue])
        bytes.put(refusal?.rawValue ?? UInt16(0))
        bytes.put(UInt64(0))
        return bytes + value
    }

    package init?(decoding bytes: [UInt8]) {
        guard bytes.count == Self.byteCount, bytes.get(UInt32.self, 0) == handshakeMagic, let kind = Kind(rawValue: bytes[5])
        else { return nil }
        self.init(kind, Array(bytes[16..<48]))
        refusal = Refusal(rawValue: bytes.get(UInt16.self, 6))
    }
}

/// Why a member's handshake is turned down.
package enum Refusal: UInt16, Hashable {
    case version = 1
    case ring = 2
    case stale = 3
    /// The caller's job or epoch is newer than the listener's: it may call again.
    case early = 4
    case secret = 5
    /// One side encrypts and the other does not.
    case sealing = 6

    package var sentence: String {
        switch self {
        case .version: "the peer speaks another version of the data plane; run the same build on every rank"
        case .ring: "the peer's place or the size of its ring differs; both must come from the same plan"
        case .stale: "the peer is at a newer job or epoch; this one is over"
        case .early: "the peer is still at an older job or epoch"
        case .secret: "the peer has another job secret"
        case .sealing: "one side encrypts the data plane and the other does not; both must hear it from one coordinator"
        }
    }

    package var isFinal: Bool { self != .early }
}

/// What both ends of one connection know once its handshake is done, and nobody else.
package struct HandshakeSession: Hashable, Sendable {
    package let secret: [UInt8]
    package let greeting: Greeting
    package let challenge: [UInt8]

    package init(secret: [UInt8], greeting: Greeting, challenge: [UInt8]) {
        (self.secret, self.greeting, self.challenge) = (secret, greeting, challenge)
    }

    /// Proves that `bytes` come from this connection's other end, in that role. 32 bytes.
    package func proof(of role: String, _ bytes: [UInt8]) -> [UInt8] {
        handshakeProof(of: role, secret: secret, greeting: greeting, challenge: challenge + bytes)
    }
}

/// HMAC-SHA256 over who proves it, the greeting and the challenge: both random numbers and every claim are covered.
package func handshakeProof(of role: String, secret: [UInt8], greeting: Greeting, challenge: [UInt8]) -> [UInt8] {
    var code = HMAC<SHA256>(key: SymmetricKey(data: secret))
    code.update(data: Array("ringmaster data plane \(FrameHeader.version) \(role)".utf8))
    code.update(data: greeting.bytes)
    code.update(data: challenge)
    return Array(code.finalize())
}

/// Equality that takes the same time wherever the difference is.
package func isSameProof(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    if left.count != right.count { return false }
    return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
}

extension [UInt8] {
    fileprivate mutating func put<Value: FixedWidthInteger>(_ value: Value) {
        for index in 0..<Value.bitWidth / 8 { append(UInt8(truncatingIfNeeded: value >> Value(index * 8))) }
    }

    fileprivate func get<Value: FixedWidthInteger>(_ type: Value.Type, _ offset: Int) -> Value {
        (0..<Value.bitWidth / 8).reduce(Value(0)) { $0 | Value(truncatingIfNeeded: self[offset + $1]) << Value($1 * 8) }
    }
}

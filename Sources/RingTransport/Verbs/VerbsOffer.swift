// What each end of a pair tells the other while the two choose a lane, so that their queue pairs can meet. Bytes and a
// value; everything a peer may claim is checked here. That it is the peer who claims it, the lane messages prove.
import RingCore

/// One end of a queue pair, as the other end needs it. Little-endian:
///
///     0  magic "RGMV"     4   version 1    mtu 1    flags 1 (1: Ethernet)   zero 1
///     8  queue pair       4   first packet 4
///     16 GID              16
///     32 LID              2   zero 2       receives 4    bytes of a receive 4    zero 4
package struct VerbsOffer: Hashable, Sendable {
    package static let byteCount = 48
    /// "RGMV" in this order on the wire.
    package static let magic: UInt32 = 0x564D_4752

    /// What is wrong with an offer.
    package enum Failure: Error, Hashable, CustomStringConvertible {
        case stranger
        case version(UInt8)
        case field(String)

        package var description: String {
            switch self {
            case .stranger: "what the peer says about its queue pair is malformed"
            case .version(let found): "the peer's RDMA exchange has version \(found), ours \(FrameHeader.version)"
            case .field(let what): "the peer claims \(what)"
            }
        }
    }

    package var pair: UInt32
    package var firstPacket: UInt32
    package var gid: GID
    package var lid: UInt16
    package var isEthernet: Bool
    /// As the library counts: 1 is 256 bytes, 5 is 4096.
    package var mtu: UInt8
    /// Receives that are posted for the other end, and the bytes of each.
    package var receives: Int
    package var receiveBytes: Int

    package init(
        pair: UInt32, firstPacket: UInt32, gid: GID, lid: UInt16, isEthernet: Bool, mtu: UInt8, receives: Int, receiveBytes: Int
    ) {
        (self.pair, self.firstPacket, self.gid, self.lid) = (pair, firstPacket, gid, lid)
        (self.isEthernet, self.mtu, self.receives, self.receiveBytes) = (isEthernet, mtu, receives, receiveBytes)
    }

    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        bytes.put(Self.magic)
        bytes.append(contentsOf: [FrameHeader.version, mtu, isEthernet ? 1 : 0, 0])
        bytes.put(pair)
        bytes.put(firstPacket)
        bytes += gid.bytes
        bytes.put(lid)
        bytes.put(UInt16(0))
        bytes.put(UInt32(receives))
        bytes.put(UInt32(receiveBytes))
        bytes.put(UInt32(0))
        return bytes
    }

    /// Throws when it is no offer or claims what cannot be.
    package init(decoding bytes: [UInt8]) throws(Failure) {
        guard bytes.count == Self.byteCount, bytes.get(UInt32.self, 0) == Self.magic, let gid = GID(Array(bytes[16..<32]))
        else { throw .stranger }
        guard bytes[4] == FrameHeader.version else { throw .version(bytes[4]) }
        self.init(
            pair: bytes.get(UInt32.self, 8), firstPacket: bytes.get(UInt32.self, 12), gid: gid, lid: bytes.get(UInt16.self, 32),
            isEthernet: bytes[6] & 1 != 0, mtu: bytes[5], receives: Int(bytes.get(UInt32.self, 36)),
            receiveBytes: Int(bytes.get(UInt32.self, 40)))
        guard (1...5).contains(mtu) else { throw .field("MTU number \(mtu)") }
        guard pair > 0, pair < 1 << 24 else { throw .field("queue pair \(pair)") }
        guard firstPacket < 1 << 24 else { throw .field("packet number \(firstPacket)") }
        guard isEthernet ? !gid.isZero : (lid != 0 || !gid.isZero) else { throw .field("no address") }
        guard VerbsLimits.slotRange.contains(receives) else { throw .field("\(receives) receives") }
        guard receiveBytes == VerbsLimits.slotBytes else { throw .field("receives of \(receiveBytes) bytes") }
    }
}

extension [UInt8] {
    fileprivate mutating func put<Value: FixedWidthInteger>(_ value: Value) {
        for index in 0..<Value.bitWidth / 8 { append(UInt8(truncatingIfNeeded: value >> Value(index * 8))) }
    }

    fileprivate func get<Value: FixedWidthInteger>(_ type: Value.Type, _ offset: Int) -> Value {
        (0..<Value.bitWidth / 8).reduce(Value(0)) { $0 | Value(truncatingIfNeeded: self[offset + $1]) << Value($1 * 8) }
    }
}

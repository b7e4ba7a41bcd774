// What ranks tell each other before their queue pairs meet: it survives the trip, and nothing that cannot be is believed.
import RingTransport
import Testing

@Suite("RDMA exchange")
struct VerbsOfferTests {
    private static func offer(_ change: (inout VerbsOffer) -> Void = { _ in }) throws -> VerbsOffer {
        let gid = try #require(GID([UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 10, 77, 0, 1]))
        var offer = VerbsOffer(
            pair: 0x12_3456, firstPacket: 0xABCDEF, gid: gid, lid: 0, isEthernet: true, mtu: 5, receives: 64, receiveBytes: 4160)
        change(&offer)
        return offer
    }

    @Test("an offer arrives as it was sent")
    func roundTrip() throws {
        let bytes = try Self.offer().bytes
        #expect(bytes.count == VerbsOffer.byteCount)
        #expect(try VerbsOffer(decoding: bytes) == Self.offer())
    }

    @Test("bytes that are no offer are told from those of another version")
    func strangers() throws {
        let bytes = try Self.offer().bytes
        for count in [0, 1, bytes.count - 1, bytes.count + 1] {
            #expect(throws: VerbsOffer.Failure.stranger) { try VerbsOffer(decoding: Array((bytes + [0])[..<count])) }
        }
        var other = bytes
        other[0] ^= 1
        #expect(throws: VerbsOffer.Failure.stranger) { try VerbsOffer(decoding: other) }
        other = bytes
        other[4] = 99
        #expect(throws: VerbsOffer.Failure.version(99)) { try VerbsOffer(decoding: other) }
    }

    /// Whether a field of it is said to be impossible.
    private static func isRefused(_ bytes: [UInt8]) -> Bool {
        do {
            _ = try VerbsOffer(decoding: bytes)
            return false
        } catch {
            if case VerbsOffer.Failure.field = error { return true }
            return false
        }
    }

    @Test("claims that cannot be are refused")
    func claims() throws {
        let nowhere = try #require(GID([UInt8](repeating: 0, count: 16)))
        let wrong: [(inout VerbsOffer) -> Void] = [
            { $0.pair = 0 }, { $0.pair = 1 << 24 }, { $0.firstPacket = 1 << 24 }, { $0.mtu = 0 }, { $0.mtu = 6 }, { $0.gid = nowhere },
            { $0.receives = 7 }, { $0.receives = 4097 }, { $0.receiveBytes = 64 }, { $0.receiveBytes = 1 << 20 },
        ]
        for change in wrong {
            let bytes = try Self.offer(change).bytes
            #expect(Self.isRefused(bytes), "\(bytes)")
        }
    }
}

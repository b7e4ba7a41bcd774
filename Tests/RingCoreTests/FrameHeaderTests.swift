// The 64 bytes in front of every frame: what is written is read back, and nothing else is ever believed.
import RingCore
import Testing

@Suite("Frame header")
struct FrameHeaderTests {
    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            // SplitMix64: Steele, Lea, Flood 2014.
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    private func random(_ generator: inout Generator) -> FrameHeader {
        let kind = FrameHeader.Kind.allCases.randomElement(using: &generator) ?? .announce
        let tag = MessageTag(
            .keysAndValues, layer: Int.random(in: 0..<4096, using: &generator), step: Int.random(in: 0..<1 << 20, using: &generator),
            piece: Int.random(in: 0..<1 << 24, using: &generator))
        var header = FrameHeader(
            kind, from: Rank(Int.random(in: 0..<Limits.ranks, using: &generator)), epoch: Epoch(generator.next()),
            job: JobNumber(generator.next()), tag: kind.concernsMessage ? tag : nil)
        header.offset = Int.random(in: 0...1 << 39, using: &generator)
        header.payloadByteCount = Int.random(in: 0...1 << 39, using: &generator)
        header.message = UInt32(truncatingIfNeeded: generator.next())
        header.receive = UInt32(truncatingIfNeeded: generator.next())
        header.payloadChecksum = UInt32(truncatingIfNeeded: generator.next())
        return header
    }

    private func encoded(_ header: FrameHeader) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xAA, count: FrameHeader.byteCount)
        var span = bytes.mutableSpan
        header.encode(into: &span)
        return bytes
    }

    private func decode(_ bytes: [UInt8]) throws(WireError) -> FrameHeader { try FrameHeader(decoding: bytes.span) }

    /// Puts a checksum that holds under changed bytes, as a liar would.
    private func sealed(_ bytes: [UInt8]) -> [UInt8] {
        var crc: UInt32 = 0xFFFF_FFFF
        for byte in bytes[..<60] {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0x82F6_3B78 : 0) }
        }
        var result = bytes
        for index in 0..<4 { result[60 + index] = UInt8(truncatingIfNeeded: ~crc >> UInt32(index * 8)) }
        return result
    }

    @Test("every field comes back, over ten thousand random headers")
    func roundTrip() throws {
        let seed: UInt64 = 1
        var generator = Generator(state: seed)
        for round in 0..<10_000 {
            let header = random(&generator)
            let decoded = try decode(encoded(header))
            #expect(decoded == header, "seed \(seed), round \(round)")
        }
    }

    @Test("the bytes stand where the documentation says")
    func layout() {
        var header = FrameHeader(
            .slice, from: Rank(0x0102), epoch: Epoch(0x1112_1314_1516_1718), job: JobNumber(0x2122_2324_2526_2728),
            tag: MessageTag(bits: 0x0132_3334_3536_3738))
        header.offset = 0x41_4243_4445
        header.payloadByteCount = 0x51_5253_5455
        header.message = 0x6162_6364
        header.receive = 0x7172_7374
        header.payloadChecksum = 0x8182_8384
        let expected: [UInt8] =
            Array("RGMF".utf8) + [3, 4, 0x02, 0x01] + [0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11]
            + [0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21] + [0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x01]
            + [0x45, 0x44, 0x43, 0x42, 0x41, 0, 0, 0] + [0x55, 0x54, 0x53, 0x52, 0x51, 0, 0, 0]
            + [0x64, 0x63, 0x62, 0x61] + [0x74, 0x73, 0x72, 0x71] + [0x84, 0x83, 0x82, 0x81]
        let bytes = encoded(header)
        #expect(Array(bytes[..<60]) == expected)
        #expect(sealed(bytes) == bytes)
    }

    @Test("a header that is short, foreign, of another version or damaged is named as such")
    func damage() {
        var generator = Generator(state: 2)
        let bytes = encoded(random(&generator))
        #expect(throws: WireError.truncated(byteCount: 63)) { try decode(Array(bytes[..<63])) }
        #expect(throws: WireError.truncated(byteCount: 0)) { try decode([]) }
        #expect(throws: WireError.magic(0x2054_4547)) { try decode(Array("GET ".utf8) + bytes[4...]) }
        var other = bytes
        other[4] = 9
        #expect(throws: WireError.version(9)) { try decode(other) }
        for bit in 5 * 8..<64 * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: WireError.self, "bit \(bit)") { try decode(flipped) }
        }
    }

    @Test("a header that lies under a checksum that holds is refused field by field")
    func lies() {
        var generator = Generator(state: 3)
        var base = random(&generator)
        while !base.kind.concernsMessage { base = random(&generator) }
        let bytes = encoded(base)
        func with(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
            var copy = bytes
            change(&copy)
            return sealed(copy)
        }
        #expect(throws: WireError.kind(0)) { try decode(with { $0[5] = 0 }) }
        #expect(throws: WireError.kind(13)) { try decode(with { $0[5] = 13 }) }
        #expect(throws: WireError.source(1024)) { try decode(with { ($0[6], $0[7]) = (0, 4) }) }
        #expect(throws: WireError.self) { try decode(with { $0[31] = 200 }) }
        #expect(throws: WireError.self) { try decode(with { $0[5] = FrameHeader.Kind.heartbeat.rawValue }) }
        #expect(throws: WireError.self) { try decode(with { $0[39] = 0x80 }) }
        #expect(throws: WireError.self) { try decode(with { $0[47] = 0xFF }) }
        // Offset and length are legal each, their sum is not.
        let sum = with { bytes in
            for index in 32..<48 { bytes[index] = 0 }
            bytes[36] = 255
            bytes[44] = 2
        }
        #expect(throws: WireError.byteCount(2 << 32)) { try decode(sum) }
    }

    @Test("two hundred thousand mutated headers: an error or a header that encodes to the same bytes")
    func fuzz() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = Generator(state: seed)
        var believed = 0
        for round in 0..<200_000 {
            var bytes = encoded(random(&generator))
            for _ in 0..<Int.random(in: 0...4, using: &generator) {
                bytes[Int.random(in: 0..<64, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            if round % 2 == 0 { bytes = sealed(bytes) }
            if round % 7 == 0 { bytes.removeLast(Int.random(in: 0...64, using: &generator)) }
            guard let header = try? decode(bytes) else { continue }
            believed += 1
            let isFaithful = encoded(header) == bytes
            #expect(isFaithful, "seed \(seed), round \(round)")
            if !isFaithful { return }
            #expect(header.offset >= 0 && header.payloadByteCount >= 0)
            #expect(UInt64(header.offset + header.payloadByteCount) <= FrameHeader.messageBytesMax, "seed \(seed), round \(round)")
        }
        #expect(believed > 10_000)
    }
}

// CRC32C of a frame header in plain Swift: 60 bytes a frame, so a table is fast enough. Payloads have an instruction for
// it, in RingTransport; both must agree.

/// CRC32C (Castagnoli, reflected polynomial 0x82F63B78).
enum HeaderChecksum {
    /// The checksum of the first `count` bytes.
    static func crc32c(_ bytes: Span<UInt8>, count: Int) -> UInt32 {
        var crc: UInt32 = 0xFFFF_FFFF
        for index in 0..<count { crc = crc >> 8 ^ table[Int((crc ^ UInt32(bytes[index])) & 0xFF)] }
        return ~crc
    }

    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { crc, _ in crc >> 1 ^ (crc & 1 == 1 ? 0x82F6_3B78 : 0) }
    }
}

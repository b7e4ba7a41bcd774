// What goes over a pair's Unix socket beside the byte that rings: memory that one side lets the other read.

/// A notice of 24 bytes, native order, together with a descriptor:
///
///     0   "RGML"
///     4   key               4   by which announcements name the memory; not zero
///     8   offset            8   of the registered bytes in the descriptor's
///     16  byteCount         8   of the registered bytes
package struct LoanNotice: Hashable {
    package static let byteCount = 24
    private static let magic: UInt32 = 0x4C4D_4752

    package var key: UInt32
    package var offset: Int
    package var count: Int

    package init(key: UInt32, offset: Int, count: Int) { (self.key, self.offset, self.count) = (key, offset, count) }

    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for word in [UInt64(Self.magic) | UInt64(key) << 32, UInt64(offset), UInt64(count)] {
            for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        return bytes
    }

    /// `nil` when it is none, or when its bytes cannot lie anywhere.
    package init?(decoding bytes: Span<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        var words: (UInt64, UInt64, UInt64) = (0, 0, 0)
        for place in 0..<8 {
            words.0 |= UInt64(bytes[place]) << UInt64(8 * place)
            words.1 |= UInt64(bytes[8 + place]) << UInt64(8 * place)
            words.2 |= UInt64(bytes[16 + place]) << UInt64(8 * place)
        }
        guard UInt32(truncatingIfNeeded: words.0) == Self.magic, words.0 >> 32 != 0 else { return nil }
        guard let offset = Int(exactly: words.1), let count = Int(exactly: words.2), count > 0, count <= Int.max / 2 - offset else {
            return nil
        }
        self.init(key: UInt32(words.0 >> 32), offset: offset, count: count)
    }
}

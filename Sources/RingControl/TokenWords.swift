// Token ids as they are sent and kept: unsigned 32-bit little-endian words, one behind the other.

/// Turns token ids into bytes and back.
public enum TokenWords {
    /// Four bytes a token, in order.
    public static func bytes(of ids: some Collection<UInt32>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 * ids.count)
        for id in ids { for shift: UInt32 in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: id >> shift)) } }
        return bytes
    }

    /// The ids of whole words; what is left over at the end, fewer than four bytes, is the caller's to refuse.
    public static func ids(of bytes: [UInt8]) -> [UInt32] {
        stride(from: 0, to: bytes.count - bytes.count % 4, by: 4).map { at in
            (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) }
        }
    }
}

// What can be wrong with bytes that claim to be a frame of the data plane. Each case says what was found, so that the
// sentence it becomes tells a stranger's port scan from a member's version.

/// Why 64 bytes are not a frame header.
public enum WireError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Fewer bytes than a header has.
    case truncated(byteCount: Int)
    /// The first four bytes are not ours: the peer speaks something else.
    case magic(UInt32)
    /// A version that this build does not speak.
    case version(UInt8)
    /// The header's own checksum fails.
    case checksum(expected: UInt32, found: UInt32)
    /// A kind of frame that does not exist.
    case kind(UInt8)
    /// A source that no ring has.
    case source(Int)
    /// A tag whose kind does not exist, or a tag where the frame has none.
    case tag(UInt64)
    /// A length or an offset beyond `FrameHeader.messageBytesMax`.
    case byteCount(UInt64)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .truncated(let count): "a frame header has \(FrameHeader.byteCount) bytes, got \(count)"
        case .magic(let found): "not a ringmaster frame: it begins with 0x\(String(found, radix: 16))"
        case .version(let found): "frame version \(found), this build speaks \(FrameHeader.version)"
        case .checksum: "the checksum of a frame header fails"
        case .kind(let found): "no kind of frame has number \(found)"
        case .source(let found): "no ring has a rank \(found)"
        case .tag(let found): "0x\(String(found, radix: 16)) is no message tag here"
        case .byteCount(let found): "a frame of \(found) bytes is longer than any message"
        }
    }
}

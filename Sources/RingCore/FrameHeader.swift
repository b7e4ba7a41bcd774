// The fixed 64 bytes in front of everything that travels between two ranks. A value and its bytes; what the kinds mean to
// each other is the transport's business (Docs/WIRE.md).

/// One frame's header. Little-endian:
///
///     0  magic "RGMF"      4   version 1   kind 1   source 2
///     8  epoch             8
///     16 job               8
///     24 tag               8   0 where the frame is about no message
///     32 offset            8   of the payload within its message
///     40 byteCount         8   of the payload, or of the message that is announced or consented to
///     48 message           4   the sender's number of the message
///     52 receive           4   the receiver's number of its receive
///     56 payload CRC32C    4   0 without a payload
///     60 header CRC32C     4   of bytes 0 ..< 60
public struct FrameHeader: Hashable, Sendable {
    /// What the frame says.
    public enum Kind: UInt8, Hashable, Sendable, CaseIterable {
        /// Sender: a message of `byteCount` bytes is ready here. A key where others have their payload's checksum says that it lies in
        /// memory that the receiver can read, at `offset`. No payload.
        case announce = 1
        /// Sender: a small message, whole, ahead of any consent. Payload.
        case eager = 2
        /// Receiver: send message `message` to receive `receive`. A key, as above, and `offset` say where the sender can write it; or
        /// the announcement's key says that it will be read where it lies. No payload.
        case consent = 3
        /// Sender: `byteCount` bytes of a message at `offset`, for receive `receive`. Payload.
        case slice = 4
        /// Receiver: message `message` is here whole and its checksums hold. No payload.
        case acknowledge = 5
        /// Receiver: the checksum failed for the `byteCount` bytes at `offset`; send them again to `receive`. No payload.
        case complain = 6
        /// Sender: message `message` could not be sent undamaged; receive `receive` ends without it. No payload.
        case abandon = 7
        /// I am alive. No payload.
        case heartbeat = 8
        /// I am leaving the ring. No payload.
        case goodbye = 9
        /// Receiver: message `message` does not have the `byteCount` bytes that its receive has; the link ends. No payload.
        case mismatch = 10
        /// Sender: `byteCount` bytes of a message at `offset`, for receive `receive`, lie in the memory that its announcement named and
        /// have this checksum; they stay there until they are acknowledged. No payload.
        case reference = 11
        /// Sender: memory that was lent is no longer used; the payload checksum holds its key. No payload.
        case forget = 12

        /// True when `byteCount` bytes follow the header.
        public var hasPayload: Bool { self == .eager || self == .slice }
        /// True when the frame is about a message, and so has a tag.
        public var concernsMessage: Bool { self != .heartbeat && self != .goodbye && self != .forget }
    }

    /// Bytes of an encoded header.
    public static let byteCount = 64
    /// "RGMF" in this order on the wire.
    public static let magic: UInt32 = 0x464D_4752
    /// The version this build speaks. Both ends speak the same.
    public static let version: UInt8 = 3
    /// Longest message, in bytes; a header that claims more lies.
    public static let messageBytesMax: UInt64 = 1 << 40

    /// What the frame says.
    public var kind: Kind
    /// The rank that wrote it.
    public var source: Rank
    /// The membership's version.
    public var epoch: Epoch
    /// The job it belongs to.
    public var job: JobNumber
    /// The message it is about, for kinds that concern one.
    public var tag: MessageTag?
    /// Where in its message the payload, or the stretch complained about, begins.
    public var offset = 0
    /// Length in bytes of the payload, or of what is announced, consented to or complained about.
    public var payloadByteCount = 0
    /// The sender's number of the message.
    public var message: UInt32 = 0
    /// The receiver's number of its receive.
    public var receive: UInt32 = 0
    /// CRC32C of the payload, or of what is referred to; a key to memory in `announce`, `consent` and `forget`.
    public var payloadChecksum: UInt32 = 0

    /// A header whose numbers are zero until set.
    public init(_ kind: Kind, from source: Rank, epoch: Epoch, job: JobNumber, tag: MessageTag? = nil) {
        (self.kind, self.source, self.epoch, self.job, self.tag) = (kind, source, epoch, job, tag)
    }

    /// Writes `byteCount` bytes to the beginning of `bytes`, which must hold that many.
    public func encode(into bytes: inout MutableSpan<UInt8>) {
        precondition(bytes.count >= Self.byteCount, "no room for a frame header")
        precondition((tag != nil) == kind.concernsMessage, "a \(kind) frame has \(tag == nil ? "a" : "no") tag")
        bytes.store(Self.magic, at: 0)
        bytes[4] = Self.version
        bytes[5] = kind.rawValue
        bytes.store(UInt16(source.index), at: 6)
        bytes.store(epoch.number, at: 8)
        bytes.store(job.number, at: 16)
        bytes.store(tag?.bits ?? 0, at: 24)
        bytes.store(UInt64(offset), at: 32)
        bytes.store(UInt64(payloadByteCount), at: 40)
        bytes.store(message, at: 48)
        bytes.store(receive, at: 52)
        bytes.store(payloadChecksum, at: 56)
        let checksum = HeaderChecksum.crc32c(bytes.span, count: 60)
        bytes.store(checksum, at: 60)
    }

    /// Reads a header from the first `byteCount` bytes. What it says is well-formed; whether it fits the link (epoch, job,
    /// source, numbers) the caller decides.
    public init(decoding bytes: Span<UInt8>) throws(WireError) {
        guard bytes.count >= Self.byteCount else { throw .truncated(byteCount: bytes.count) }
        let magic: UInt32 = bytes.load(at: 0)
        guard magic == Self.magic else { throw .magic(magic) }
        guard bytes[4] == Self.version else { throw .version(bytes[4]) }
        let found: UInt32 = bytes.load(at: 60)
        let expected = HeaderChecksum.crc32c(bytes, count: 60)
        guard found == expected else { throw .checksum(expected: expected, found: found) }
        guard let kind = Kind(rawValue: bytes[5]) else { throw .kind(bytes[5]) }
        let source: UInt16 = bytes.load(at: 6)
        guard Int(source) < Limits.ranks else { throw .source(Int(source)) }
        let tagBits: UInt64 = bytes.load(at: 24)
        let tag = MessageTag(bits: tagBits)
        guard kind.concernsMessage ? tag != nil : tagBits == 0 else { throw .tag(tagBits) }
        let offset: UInt64 = bytes.load(at: 32)
        let payload: UInt64 = bytes.load(at: 40)
        guard offset <= Self.messageBytesMax else { throw .byteCount(offset) }
        guard payload <= Self.messageBytesMax - offset else { throw .byteCount(payload) }
        self.init(
            kind, from: Rank(Int(source)), epoch: Epoch(bytes.load(at: 8)), job: JobNumber(bytes.load(at: 16)), tag: tag)
        self.offset = Int(offset)
        payloadByteCount = Int(payload)
        message = bytes.load(at: 48)
        receive = bytes.load(at: 52)
        payloadChecksum = bytes.load(at: 56)
    }
}

extension Span<UInt8> {
    /// A little-endian integer, byte by byte; the optimiser makes one load of it.
    fileprivate func load<Value: FixedWidthInteger & UnsignedInteger>(at offset: Int) -> Value {
        var value: Value = 0
        for index in 0..<Value.bitWidth / 8 { value |= Value(self[offset + index]) << Value(index * 8) }
        return value
    }
}

extension MutableSpan<UInt8> {
    fileprivate mutating func store<Value: FixedWidthInteger & UnsignedInteger>(_ value: Value, at offset: Int) {
        for index in 0..<Value.bitWidth / 8 { self[offset + index] = UInt8(truncatingIfNeeded: value >> Value(index * 8)) }
    }
}

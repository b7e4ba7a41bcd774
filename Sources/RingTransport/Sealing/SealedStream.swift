// An encrypted byte stream with the manners of a non-blocking socket: the I/O loop reads and writes runs of plain bytes and
// need not know. On the wire a record is
//
//     0 bytes of plaintext 4 (little-endian)   4 ciphertext   4 + n tag 16
//
// A record that does not open ends the connection: nothing of it was passed on.
import CRingSystem
import Glibc
import RingCore

/// Both directions of one encrypted connection. The I/O thread alone uses it.
@safe package final class SealedStream {
    /// Most plaintext of one record. Smaller: the tag and the call cost more than the bytes. Larger: the record no longer
    /// stays in the second-level cache between socket, cipher and block.
    package static let recordBytes = 64 << 10
    /// Bytes of a record that are not plaintext.
    package static let overheadBytes = headerBytes + RecordCipher.tagBytes
    static let headerBytes = 4

    private let sealer: RecordCipher
    private let opener: RecordCipher
    /// One sealed record, as far as the socket has not taken it.
    private let outgoing: AnonymousMemory
    private var outgoingStart = 0
    private var outgoingEnd = 0
    /// Sealed bytes as they came, two records' worth, so that most calls of the socket bring a whole one.
    private let incoming: AnonymousMemory
    private var incomingStart = 0
    private var incomingEnd = 0
    /// The opened record at the front of `incoming`, as far as nobody has taken it.
    private var plainStart = 0
    private var plainEnd = 0

    package init(_ keys: SealKeys) throws(TransportError) {
        sealer = try RecordCipher(keys.sending, isSealing: true)
        opener = try RecordCipher(keys.receiving, isSealing: false)
        let record = Self.recordBytes + Self.overheadBytes
        outgoing = try AnonymousMemory(byteCount: record, hugePages: false)
        incoming = try AnonymousMemory(byteCount: 2 * record, hugePages: false)
    }

    // MARK: Writing

    /// Sealed bytes wait for the socket.
    package var hasOutput: Bool { outgoingStart < outgoingEnd }

    /// Takes plain bytes, seals and writes them. Bytes taken, or -EAGAIN when the socket is full, or another -errno. Bytes
    /// that were taken but not written are `hasOutput`; `flush` goes on with them.
    package func write(to descriptor: Int32, _ runs: UnsafePointer<ring_bytes>, _ count: Int32) -> Int64 {
        let flushed = flush(to: descriptor)
        if flushed < 0 { return flushed }
        var (run, offset, taken) = (0, 0, 0)
        while run < Int(count) {
            let filled = unsafe fill(from: runs, Int(count), &run, &offset)
            guard filled >= 0 else { return -Int64(EIO) }
            if filled == 0 { break }
            taken += filled
            let result = flush(to: descriptor)
            if result == -Int64(EAGAIN) { break }
            if result < 0 { return result }
        }
        return Int64(taken)
    }

    /// Writes what waits: 0 when all of it has gone, -EAGAIN when the socket is full, or another -errno.
    package func flush(to descriptor: Int32) -> Int64 {
        while hasOutput {
            var run = unsafe ring_bytes(base: start(of: outgoing) + outgoingStart, count: outgoingEnd - outgoingStart)
            let written = unsafe ring_socket_write(descriptor, &run, 1)
            if written < 0 { return written }
            outgoingStart += Int(written)
        }
        return 0
    }

    /// Seals the next record from where `run` and `offset` stand; its plain bytes, or -1 if the cipher fails.
    private func fill(from runs: UnsafePointer<ring_bytes>, _ count: Int, _ run: inout Int, _ offset: inout Int) -> Int {
        var size = -offset + (run..<count).reduce(0) { unsafe $0 + runs[$1].count }
        size = min(size, Self.recordBytes)
        if size == 0 { return 0 }
        let record = unsafe start(of: outgoing)
        unsafe record.storeBytes(of: UInt32(size).littleEndian, as: UInt32.self)
        guard unsafe sealer.begin(header: record, count: Self.headerBytes) else { return -1 }
        var filled = 0
        while filled < size {
            let bytes = unsafe min(runs[run].count - offset, size - filled)
            if bytes > 0, let base = unsafe runs[run].base {
                guard unsafe sealer.update(base + offset, into: record + Self.headerBytes + filled, count: bytes) else { return -1 }
            }
            (filled, offset) = (filled + bytes, offset + bytes)
            if unsafe offset == runs[run].count { (run, offset) = (run + 1, 0) }
        }
        guard unsafe sealer.seal(tag: record + Self.headerBytes + size) else { return -1 }
        (outgoingStart, outgoingEnd) = (0, size + Self.overheadBytes)
        return size
    }

    // MARK: Reading

    /// Bytes that `read` can give without the socket.
    package var hasInput: Bool { plainStart < plainEnd || hasWholeRecord }

    /// Fills the runs with plain bytes: their number, 0 at the end of the stream, -EAGAIN if there are none yet, -EBADMSG if
    /// a record was changed on its way, or another -errno. Without `mayFetch` it leaves the socket alone.
    package func read(from descriptor: Int32, _ runs: UnsafePointer<ring_bytes>, _ count: Int32, mayFetch: Bool) -> Int64 {
        var (run, offset, given) = (0, 0, 0)
        while run < Int(count) {
            if plainStart == plainEnd {
                switch nextRecord(from: descriptor, mayFetch: mayFetch) {
                case .opened: break
                case .failed(let code): return given > 0 && code != -Int64(EBADMSG) ? Int64(given) : code
                }
            }
            let bytes = unsafe min(runs[run].count - offset, plainEnd - plainStart)
            if bytes > 0, let base = unsafe runs[run].base {
                unsafe memcpy(base + offset, start(of: incoming) + plainStart, bytes)
            }
            plainStart += bytes
            (offset, given) = (offset + bytes, given + bytes)
            if unsafe offset == runs[run].count { (run, offset) = (run + 1, 0) }
        }
        return Int64(given)
    }

    private enum Next {
        case opened
        case failed(Int64)
    }

    private var wantedBytes: Int {
        guard incomingEnd - incomingStart >= Self.headerBytes else { return Self.headerBytes }
        return recordSize + Self.overheadBytes
    }

    private var hasWholeRecord: Bool {
        incomingEnd - incomingStart >= Self.headerBytes && (recordSize > Self.recordBytes || incomingEnd - incomingStart >= wantedBytes)
    }

    /// Plaintext of the record at the front, as its header says.
    private var recordSize: Int {
        Int(UInt32(littleEndian: unsafe (start(of: incoming) + incomingStart).loadUnaligned(as: UInt32.self)))
    }

    private func nextRecord(from descriptor: Int32, mayFetch: Bool) -> Next {
        while !hasWholeRecord {
            if !mayFetch { return .failed(-Int64(EAGAIN)) }
            compact()
            var run = unsafe ring_bytes(base: start(of: incoming) + incomingEnd, count: incoming.byteCount - incomingEnd)
            let count = unsafe ring_socket_read(descriptor, &run, 1)
            if count <= 0 { return .failed(count) }
            incomingEnd += Int(count)
        }
        let size = recordSize
        // Nobody seals an empty record, so a stream of them would only keep this thread busy.
        guard size > 0, size <= Self.recordBytes else { return .failed(-Int64(EBADMSG)) }
        let record = unsafe start(of: incoming) + incomingStart
        let text = unsafe record + Self.headerBytes
        guard unsafe opener.begin(header: record, count: Self.headerBytes), unsafe opener.update(text, into: text, count: size),
            unsafe opener.verify(tag: text + size)
        else { return .failed(-Int64(EBADMSG)) }
        (plainStart, plainEnd) = (incomingStart + Self.headerBytes, incomingStart + Self.headerBytes + size)
        incomingStart += size + Self.overheadBytes
        return .opened
    }

    /// Moves the begun record to the front; what was opened before it has been taken.
    private func compact() {
        (plainStart, plainEnd) = (0, 0)
        if incomingStart == 0 { return }
        let left = incomingEnd - incomingStart
        if left > 0 { unsafe memmove(start(of: incoming), start(of: incoming) + incomingStart, left) }
        (incomingStart, incomingEnd) = (0, left)
    }

    private func start(of memory: AnonymousMemory) -> UnsafeMutableRawPointer {
        guard let base = unsafe memory.bytes.baseAddress else { preconditionFailure("the stream has no memory") }
        return unsafe base
    }
}

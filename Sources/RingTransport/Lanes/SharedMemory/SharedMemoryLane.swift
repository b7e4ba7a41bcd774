// Frames through memory that both ranks map. Small messages, and those from private memory, go through a ring of bytes: the sender
// copies a frame in, the receiver copies it out into its block, and each checksums in the same pass. Large ones from memory that the
// sender has lent are copied once, by the receiver: the sender's frame says which bytes and what their checksum is. No system call
// while both are awake.
import CRingSystem
import Glibc
import RingCore

/// One end of a shared segment. Frames begin at multiples of 64 bytes and are published whole.
@safe package final class SharedMemoryLane: Lane {
    package let kind = LaneKind.sharedMemory
    package let isApart = true
    /// A Unix socket: each side rings with a byte, only when the other has said that it sleeps.
    package let bell: Int32
    package let segment: SharedSegment

    // Our own places, of which the segment holds copies for the other side: bytes ever written and read.
    private var tail: UInt64 = 0
    private var head: UInt64 = 0
    /// The other side's, as last seen and found sound.
    private var peerHead: UInt64 = 0
    private var peerTail: UInt64 = 0
    /// What the other side did that cannot be, if it did.
    private var breach: String?
    private var isOpen = true

    /// What the peer may read of ours, and we of its.
    private let lent: LentMemory?
    private let peerMemory = BorrowedMemory()
    /// Where frames that refer to lent memory end in the ring, of those that the peer may not have read: a ring of places.
    private var references = Array(repeating: UInt64(0), count: TransportLimits.references)
    private var (firstReference, nextReference) = (0, 0)

    private static let size = UInt64(SharedSegment.ringBytes)
    private static let wakesForBytes: UInt64 = 1
    private static let wakesForRoom: UInt64 = 2
    /// Messages that are taken from the socket before something else has its turn.
    private static let noticesAtOnce = 64

    /// Lends what is in `book`; without one, nothing.
    init(_ segment: SharedSegment, bell: Int32, lending book: LoanBook? = nil) {
        (self.segment, self.bell, lent) = (segment, bell, book.map(LentMemory.init))
    }

    deinit { close() }

    package func close() {
        if isOpen { _ = ring_socket_close(bell) }
        isOpen = false
    }

    // MARK: Writing

    package let hasOutput = false

    /// Half the ring and half the references, whatever the next frame needs: fewer wake-ups, and always enough for one.
    package var hasRoom: Bool { free >= Self.size / 2 && peerHead >= roomHead }

    /// How far the peer must have read for that.
    private var roomHead: UInt64 {
        let half = TransportLimits.references / 2
        let ofRing = max(tail, Self.size / 2) - Self.size / 2
        if nextReference - firstReference <= half { return ofRing }
        return max(ofRing, references[(nextReference - half - 1) % references.count])
    }

    /// True when the peer has read so many references that another may follow.
    private func mayRefer() -> Bool {
        while firstReference < nextReference, references[firstReference % references.count] <= peerHead { firstReference += 1 }
        return nextReference - firstReference < references.count
    }

    private var free: UInt64 {
        let seen = unsafe ring_word_load(segment.outgoing.head)
        // Between what we last saw and what we wrote, or it is a lie.
        if seen &- peerHead <= tail &- peerHead { peerHead = seen } else { breach = "it says that it has read more than was written" }
        return Self.size - (tail &- peerHead)
    }

    package func write(_ link: Link) -> LaneProgress {
        var room = free
        if breach != nil { return .failed(EPROTO) }
        let start = tail
        let controlBytes = writeControl(link, &room)
        var frameBytes = 0
        let isWaiting = link.current >= 0
        if isWaiting {
            let isReference = link.outgoing?.kind == .reference
            frameBytes = FrameHeader.byteCount + link.payloadLeft
            if room < Self.padded(isReference ? FrameHeader.byteCount : frameBytes) || isReference && !mayRefer() {
                frameBytes = 0
            } else {
                isReference ? writeReference(link) : writeFrame(link)
            }
        }
        if tail != start { publish() }
        let left = link.control.byteCount - controlBytes + (isWaiting && frameBytes == 0 ? FrameHeader.byteCount + link.payloadLeft : 0)
        link.account(controlBytes + frameBytes, controlFirst: true)
        return .wrote(offered: controlBytes + frameBytes + left, written: controlBytes + frameBytes)
    }

    private func writeControl(_ link: Link, _ room: inout UInt64) -> Int {
        var runs = unsafe (ring_bytes(), ring_bytes())
        var taken = 0
        unsafe withUnsafeMutablePointer(to: &runs) { tuple in
            unsafe tuple.withMemoryRebound(to: ring_bytes.self, capacity: 2) { runs in
                for place in unsafe 0..<link.control.runs(into: runs) {
                    let count = unsafe min(runs[place].count, Int(room)) / FrameHeader.byteCount * FrameHeader.byteCount
                    if count == 0 { break }
                    guard let base = unsafe runs[place].base else { break }
                    unsafe copyIn(base, count)
                    tail &+= UInt64(count)
                    room -= UInt64(count)
                    taken += count
                }
            }
        }
        return taken
    }

    /// The payload first, behind the place of its header: only then is its checksum known.
    private func writeFrame(_ link: Link) {
        let place = tail
        var checksum: UInt32 = 0
        if link.payloadLeft > 0, let payload = unsafe link.payload {
            tail = place &+ UInt64(FrameHeader.byteCount)
            checksum = unsafe copyIn(payload, link.payloadLeft)
        }
        link.encodeHeader(checksum: checksum)
        tail = place
        unsafe copyIn(link.header, FrameHeader.byteCount)
        tail = place &+ Self.padded(FrameHeader.byteCount + link.payloadLeft)
    }

    /// The payload stays where it is: the peer reads it there.
    private func writeReference(_ link: Link) {
        unsafe link.encodeHeader(checksum: ring_crc32c(0, link.payload, link.payloadLeft))
        unsafe copyIn(link.header, FrameHeader.byteCount)
        tail &+= UInt64(FrameHeader.byteCount)
        references[nextReference % references.count] = tail
        nextReference += 1
    }

    /// Copies to the ring from `tail` on, round its end, and returns the checksum.
    @discardableResult
    private func copyIn(_ bytes: UnsafeRawPointer, _ count: Int) -> UInt32 {
        let place = Int(tail % Self.size)
        let first = min(count, SharedSegment.ringBytes - place)
        let ring = unsafe segment.outgoing.bytes
        let checksum = unsafe ring_crc32c_copy(0, ring + place, bytes, first, false)
        return unsafe ring_crc32c_copy(checksum, ring, bytes + first, count - first, false)
    }

    private func publish() {
        unsafe ring_word_store(segment.outgoing.tail, tail)
        wake(Self.wakesForBytes)
    }

    // MARK: Reading

    package var hasInput: Bool {
        if breach != nil { return true }
        let seen = unsafe ring_word_load(segment.incoming.tail)
        if seen == peerTail { return peerTail != head }
        // Ahead of what we last saw, at most a ring ahead of what we read, at the beginning of a frame; or it is a lie.
        guard seen &- head <= Self.size, seen &- head > peerTail &- head, seen % UInt64(FrameHeader.byteCount) == 0 else {
            breach = "it says that it has written what its ring cannot hold"
            return true
        }
        peerTail = seen
        return true
    }

    package func read(_ link: Link, mayFetch: Bool) -> LaneIntake {
        let isEmpty = !hasInput
        if let breach { return .failed(breach) }
        if isEmpty { return .nothing }
        let available = Int(peerTail &- head)
        if link.frame == nil {
            unsafe copyOut(to: link.staging + link.stagingEnd, FrameHeader.byteCount, 0, streams: false)
            release(FrameHeader.byteCount)
            return .bytes(payload: 0, staging: FrameHeader.byteCount, isAll: false)
        }
        let count = min(available, link.targetLeft)
        guard count > 0, let target = unsafe link.targetStart else { return .failed("a frame without end is in its ring") }
        let streams = link.targetFilled + link.targetLeft > TransportLimits.streamedBytes
        link.checksum = unsafe copyOut(to: target + link.targetFilled, count, link.checksum, streams: streams)
        // The last byte brings the rest of its line with it.
        release(count == link.targetLeft ? Int(Self.padded(count)) : count)
        return .bytes(payload: count, staging: 0, isAll: false)
    }

    @discardableResult
    private func copyOut(to start: UnsafeMutableRawPointer, _ count: Int, _ checksum: UInt32, streams: Bool) -> UInt32 {
        let place = Int(head % Self.size)
        let first = min(count, SharedSegment.ringBytes - place)
        let ring = unsafe segment.incoming.bytes
        let sum = unsafe ring_crc32c_copy(checksum, start, ring + place, first, streams)
        return unsafe ring_crc32c_copy(sum, start + first, ring, count - first, streams)
    }

    private func release(_ count: Int) {
        head &+= UInt64(count)
        unsafe ring_word_store(segment.incoming.head, head)
        wake(Self.wakesForRoom)
    }

    // MARK: Sleeping

    /// Rings if the other side sleeps and waits for that. The order "publish, look whether it sleeps" here and "say that we
    /// sleep, look for news" there, with a full fence in each, cannot miss a wake-up.
    private func wake(_ reason: UInt64) {
        ring_fence()
        let wish = unsafe ring_word_load(segment.peerWake)
        guard wish & reason != 0, reason == Self.wakesForBytes || head >= wish & ~63 else { return }
        if unsafe ring_word_exchange(segment.peerWake, 0) != 0 { ring_local_ring(bell) }
    }

    package func arm(forRoom: Bool) -> Bool {
        // Places are multiples of 64, so that the reasons have room beside one.
        _ = unsafe ring_word_exchange(segment.ownWake, Self.wakesForBytes | (forRoom ? roomHead & ~63 | Self.wakesForRoom : 0))
        ring_fence()
        return !hasInput && !(forRoom && hasRoom)
    }

    package func disarm() { _ = unsafe ring_word_exchange(segment.ownWake, 0) }

    /// Takes what came over the socket: rings, and memory that the peer lends.
    package func hush() -> Bool {
        var notice = (UInt64(0), UInt64(0), UInt64(0), UInt64(0))
        for _ in 0..<Self.noticesAtOnce {
            var descriptor: Int32 = -1
            let count = unsafe withUnsafeMutableBytes(of: &notice) { raw in
                unsafe raw.baseAddress.map { unsafe ring_local_take(bell, $0, raw.count, &descriptor) } ?? 0
            }
            // Whoever can have no more descriptors does without what was lent.
            if count == -Int64(EMFILE) { continue }
            if count <= 0 { return count == -Int64(EAGAIN) }
            if count == 1 && descriptor < 0 { continue }
            let lent = unsafe withUnsafeBytes(of: &notice) { raw in
                unsafe LoanNotice(decoding: Span<UInt8>(_unsafeBytes: UnsafeRawBufferPointer(rebasing: raw[..<Int(count)])))
            }
            if let lent, descriptor >= 0 {
                peerMemory.take(lent, descriptor)
            } else {
                breach = "it sent something by its Unix socket that is no notice"
                if descriptor >= 0 { _ = ring_socket_close(descriptor) }
            }
        }
        return true
    }

    // MARK: Lending

    package func lend(_ start: UnsafeMutableRawPointer, _ byteCount: Int, in region: Int) -> RemotePlace? {
        unsafe lent?.place(of: start, byteCount, in: region, over: bell)
    }

    package func borrowed(_ place: RemotePlace, _ offset: Int, _ byteCount: Int) -> UnsafeRawPointer? {
        if let start = unsafe peerMemory.start(of: place, offset, byteCount) { return unsafe start }
        // It was lent before it was announced, so it is in the socket if it is not here.
        return hush() ? unsafe peerMemory.start(of: place, offset, byteCount) : nil
    }

    package func didRead(_ byteCount: Int) { peerMemory.didRead(byteCount) }
    package func nextReturned() -> UInt32? { lent?.nextReturned() }
    package func giveBack(_ key: UInt32) { peerMemory.giveBack(key) }

    /// The whole lines that so many bytes take.
    private static func padded(_ count: Int) -> UInt64 { (UInt64(count) + 63) & ~63 }
}

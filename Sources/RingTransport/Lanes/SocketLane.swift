// The lane that every pair has: its TCP connection, through the seal where the ring is encrypted. Payload goes between the
// socket and its block without a copy in between, checksummed while it is in the cache.
import CRingSystem
import Glibc
import RingCore

/// Frames over the connection itself.
final class SocketLane: Lane {
    let kind = LaneKind.tcp
    let isApart = false
    let bell: Int32 = -1
    private let descriptor: Int32
    /// Encrypts and decrypts, where the ring is sealed.
    private let seal: SealedStream?

    init(descriptor: Int32, keys: SealKeys?) throws(TransportError) {
        self.descriptor = descriptor
        seal = if let keys { try SealedStream(keys) } else { nil }
    }

    var hasOutput: Bool { seal?.hasOutput ?? false }
    var hasInput: Bool { seal?.hasInput ?? false }
    // The poll set says when the socket takes more.
    var hasRoom: Bool { false }
    func arm(forRoom: Bool) -> Bool { true }
    func disarm() {}
    func hush() -> Bool { true }
    func close() {}

    func write(_ link: Link) -> LaneProgress {
        if link.current >= 0 && !link.isEncoded {
            let count = link.payloadLeft
            link.encodeHeader(checksum: unsafe ring_crc32c(0, link.payload, count))
        }
        let headerLeft = link.current >= 0 ? FrameHeader.byteCount - link.headerWritten : 0
        // Control frames go before a frame that has not begun and after one that has.
        let controlFirst = link.current < 0 || link.headerWritten == 0
        var runs = unsafe (ring_bytes(), ring_bytes(), ring_bytes(), ring_bytes())
        let (count, offered) = unsafe withUnsafeMutablePointer(to: &runs) { tuple in
            unsafe tuple.withMemoryRebound(to: ring_bytes.self, capacity: 4) { runs in
                var count = controlFirst ? unsafe link.control.runs(into: runs) : 0
                if headerLeft > 0 {
                    unsafe runs[count] = ring_bytes(base: link.header + link.headerWritten, count: headerLeft)
                    count += 1
                }
                if link.payloadLeft > 0 {
                    unsafe runs[count] = ring_bytes(base: link.payload, count: link.payloadLeft)
                    count += 1
                }
                if !controlFirst { count += unsafe link.control.runs(into: runs + count) }
                var offered = 0
                for place in 0..<count { offered += unsafe runs[place].count }
                return (count, offered)
            }
        }
        if count == 0 && !hasOutput { return .wrote(offered: 0, written: 0) }
        let written = unsafe withUnsafePointer(to: &runs) { tuple in
            unsafe tuple.withMemoryRebound(to: ring_bytes.self, capacity: 4) { unsafe send($0, count) }
        }
        if written == -Int64(EAGAIN) { return .wrote(offered: offered, written: 0) }
        if written < 0 { return .failed(Int32(-written)) }
        link.account(Int(written), controlFirst: controlFirst)
        return .wrote(offered: offered, written: Int(written))
    }

    private func send(_ runs: UnsafePointer<ring_bytes>, _ count: Int) -> Int64 {
        guard let seal else { return unsafe ring_socket_write(descriptor, runs, Int32(count)) }
        return unsafe seal.write(to: descriptor, runs, Int32(count))
    }

    func read(_ link: Link, mayFetch: Bool) -> LaneIntake {
        let room = Link.stagingBytes - link.stagingEnd
        let target = unsafe link.targetStart.map { unsafe $0 + link.targetFilled }
        var runs = unsafe (ring_bytes(), ring_bytes())
        let count = unsafe withUnsafeMutablePointer(to: &runs) { tuple in
            unsafe tuple.withMemoryRebound(to: ring_bytes.self, capacity: 2) { runs in
                var count = 0
                if link.targetLeft > 0 {
                    unsafe runs[count] = ring_bytes(base: target, count: link.targetLeft)
                    count += 1
                }
                unsafe runs[count] = ring_bytes(base: link.staging + link.stagingEnd, count: room)
                return unsafe receive(runs, count + 1, mayFetch: mayFetch)
            }
        }
        if count == -Int64(EAGAIN) { return .nothing }
        if count == 0 { return .ended }
        if count < 0 { return .failed(Self.readFailure(Int32(-count))) }
        let ofTarget = min(Int(count), link.targetLeft)
        if ofTarget > 0 { link.checksum = unsafe ring_crc32c(link.checksum, target, ofTarget) }
        // Less than there was room for: the socket is empty, another call would only say so.
        return .bytes(payload: ofTarget, staging: Int(count) - ofTarget, isAll: Int(count) < link.targetLeft + room)
    }

    private func receive(_ runs: UnsafePointer<ring_bytes>, _ count: Int, mayFetch: Bool) -> Int64 {
        guard let seal else { return mayFetch ? unsafe ring_socket_read(descriptor, runs, Int32(count)) : -Int64(EAGAIN) }
        return unsafe seal.read(from: descriptor, runs, Int32(count), mayFetch: mayFetch)
    }

    private static func readFailure(_ code: Int32) -> String {
        code == EBADMSG
            ? "what came from it does not open with the ring's keys: it was changed on its way"
            : "reading from its connection fails: \(systemText(code))"
    }
}

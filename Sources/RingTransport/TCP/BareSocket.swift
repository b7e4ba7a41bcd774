// The roofline of the TCP transport: what a bare socket carries on loopback, two threads and nothing else. A transport
// that checks and matches cannot be faster; how much slower it is, is what it costs.
import CRingSystem
import Glibc
import RingCore

/// Measures one connection of this machine with itself.
enum BareSocket {
    private static let pieceBytes = 1 << 20

    /// Bytes per second over `byteCount` bytes, in pieces of a mebibyte.
    static func bytesPerSecond(byteCount: Int) throws(TransportError) -> Double {
        var port: UInt16 = 0
        let listener = unsafe ring_socket_listen("127.0.0.1", 0, 1, &port)
        if listener < 0 { throw .system("no socket for the measurement: \(systemText(-listener))") }
        defer { _ = ring_socket_close(listener) }
        let writer = unsafe ring_socket_dial("127.0.0.1", port)
        if writer < 0 { throw .system("no connection for the measurement: \(systemText(-writer))") }
        defer { _ = ring_socket_close(writer) }
        let reader = try accept(listener)
        defer { _ = ring_socket_close(reader) }
        for end in [writer, reader] { _ = ring_socket_tune(end, Int32(TCPOptions().socketBufferBytes), 0) }
        let start = MonotonicClock.now()
        let thread = try PinnedThread.start(name: "bench-socket") { move(byteCount, writer, isWriter: true) }
        move(byteCount, reader, isWriter: false)
        thread.join()
        return Double(byteCount) / MonotonicClock.now().seconds(since: start)
    }

    private static func accept(_ listener: Int32) throws(TransportError) -> Int32 {
        let poll = try PollSet()
        poll.watch(listener, key: 0)
        _ = poll.wait(milliseconds: 5000)
        var name = [CChar](repeating: 0, count: 96)
        let descriptor = unsafe ring_socket_accept(listener, &name, name.count)
        if descriptor < 0 { throw .system("no connection for the measurement: \(systemText(-descriptor))") }
        return descriptor
    }

    /// Reads or writes until all is done or the connection is; a closed connection ends the other side too.
    private static func move(_ byteCount: Int, _ descriptor: Int32, isWriter: Bool) {
        guard let memory = try? AnonymousMemory(byteCount: pieceBytes), let poll = try? PollSet() else { return }
        poll.watch(descriptor, key: 0, readable: !isWriter, writable: isWriter)
        var left = byteCount
        while left > 0 {
            var run = unsafe ring_bytes(base: memory.bytes.baseAddress, count: min(left, pieceBytes))
            let moved = unsafe isWriter ? ring_socket_write(descriptor, &run, 1) : ring_socket_read(descriptor, &run, 1)
            if moved == -Int64(EAGAIN) {
                if poll.wait(milliseconds: 5000) == 0 { return }
            } else if moved <= 0 {
                return
            } else {
                left -= Int(moved)
            }
        }
    }
}

// Where bytes leave and enter a link: its socket, through the seal where the ring is encrypted.
import CRingSystem
import Glibc

extension Link {
    /// Writes plain bytes: how many were taken, or -errno.
    func send(_ runs: UnsafePointer<ring_bytes>, _ count: Int) -> Int64 {
        guard let seal else { return unsafe ring_socket_write(descriptor, runs, Int32(count)) }
        return unsafe seal.write(to: descriptor, runs, Int32(count))
    }

    /// Reads plain bytes: how many came, 0 at the end, or -errno. Without `mayFetch` only those that have left the socket.
    func receive(_ runs: UnsafePointer<ring_bytes>, _ count: Int, mayFetch: Bool) -> Int64 {
        guard let seal else { return mayFetch ? unsafe ring_socket_read(descriptor, runs, Int32(count)) : -Int64(EAGAIN) }
        return unsafe seal.read(from: descriptor, runs, Int32(count), mayFetch: mayFetch)
    }

    /// Sealed bytes that the socket has not taken.
    var hasSealedOutput: Bool { seal?.hasOutput ?? false }

    /// Plain bytes that have left the socket already, so that the poll set will not report them.
    var hasSealedInput: Bool { seal?.hasInput ?? false }

    /// Why reading fails, completing "lost: ...".
    static func readFailure(_ code: Int32) -> String {
        code == EBADMSG
            ? "what came from it does not open with the ring's keys: it was changed on its way"
            : "reading from its connection fails: \(systemText(code))"
    }
}

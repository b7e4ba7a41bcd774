// A listener that takes connections and speaks another protocol.
import CRingSystem
import Glibc
import RingTransport

/// Answers every connection of about a second with a line of HTTP.
final class WebServer {
    let port: UInt16
    private let descriptor: Int32

    init() throws {
        var port: UInt16 = 0
        descriptor = unsafe ring_socket_listen("127.0.0.1", 0, 16, &port)
        if descriptor < 0 { throw Failure("cannot listen") }
        self.port = port
    }

    deinit { _ = ring_socket_close(descriptor) }

    func answer() throws {
        let start = MonotonicClock.now()
        var taken: [Int32] = []
        while MonotonicClock.now().seconds(since: start) < 1 {
            var name = [CChar](repeating: 0, count: 96)
            let connection = unsafe ring_socket_accept(descriptor, &name, name.count)
            if connection < 0 {
                usleep(1000)
                continue
            }
            taken.append(connection)
            var line = Array("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".utf8)
            unsafe line.withUnsafeMutableBytes { raw in
                var run = unsafe ring_bytes(base: raw.baseAddress, count: raw.count)
                _ = unsafe ring_socket_write(connection, &run, 1)
            }
        }
        for connection in taken { _ = ring_socket_close(connection) }
    }
}

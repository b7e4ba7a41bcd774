// A server that says exactly what a test wants, whole answers or broken ones, and remembers what it was asked.

import Foundation
import Glibc
import Synchronization

/// Answers requests on loopback by a script.
final class FakeServer: Sendable {
    /// One thing it does with a connection.
    enum Step: Sendable {
        /// Sends bytes.
        case send(String)
        /// Waits.
        case pause(milliseconds: UInt32)
        /// Waits until something has happened, or half a minute is over.
        case until(@Sendable () -> Bool)
        /// Says nothing more and keeps the connection open.
        case hang
        /// Ends the connection at once, as a process that is killed would.
        case drop
    }

    let port: Int
    private let listener: Int32
    private let asked = Mutex<[String]>([])
    private let script: @Sendable (_ request: String, _ number: Int) -> [Step]

    var address: String { "http://127.0.0.1:\(port)" }
    /// Every request, its head and its body.
    var requests: [String] { asked.withLock { $0 } }
    /// Their first lines without the version.
    var lines: [String] { requests.map { String($0.prefix { $0 != "\r\n" }.dropLast(9)) } }

    /// `script` gets each request and its number, counted from zero.
    init(_ script: @escaping @Sendable (_ request: String, _ number: Int) -> [Step]) throws {
        self.script = script
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        let isBound = unsafe withUnsafeMutablePointer(to: &place) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { plain in
                unsafe bind(descriptor, plain, size) == 0 && listen(descriptor, 16) == 0 && getsockname(descriptor, plain, &size) == 0
            }
        }
        guard isBound else { throw POSIXError(.EADDRINUSE) }
        port = Int(UInt16(bigEndian: place.sin_port))
        Self.thread { [weak self] in
            while true {
                let connection = accept(descriptor, nil, nil)
                guard connection >= 0 else { break }
                guard let self else {
                    Glibc.close(connection)
                    break
                }
                Self.thread { [weak self] in if let self { self.serve(connection) } else { Glibc.close(connection) } }
            }
            // Only here: a number that is closed elsewhere may be somebody else's listener by the time it is asked.
            Glibc.close(descriptor)
        }
    }

    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    private static func thread(_ body: @escaping @Sendable () -> Void) {
        let thread = Thread(block: body)
        thread.stackSize = 256 << 10
        thread.start()
    }

    private func serve(_ connection: Int32) {
        defer { Glibc.close(connection) }
        while let request = Self.read(connection) {
            let number = asked.withLock { asked in
                asked.append(request)
                return asked.count - 1
            }
            for step in script(request, number) {
                switch step {
                case .send(let text):
                    let bytes = Array(text.utf8)
                    var sent = 0
                    while sent < bytes.count {
                        let count = unsafe bytes[sent...].withUnsafeBytes {
                            unsafe Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                        }
                        guard count > 0 else { return }
                        sent += count
                    }
                case .pause(let milliseconds): usleep(1000 * milliseconds)
                case .until(let happened): for _ in 0..<30_000 where !happened() { usleep(1000) }
                case .hang:
                    var byte: UInt8 = 0
                    _ = unsafe recv(connection, &byte, 1, 0)
                    return
                case .drop: return
                }
            }
        }
    }

    /// One request with its body; `nil` when the client has gone.
    private static func read(_ connection: Int32) -> String? {
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65536)
        while true {
            if let whole = whole(bytes) { return whole }
            let count = unsafe recv(connection, &part, part.count, 0)
            guard count > 0 else { return nil }
            bytes += part[..<count]
        }
    }

    private static func whole(_ bytes: [UInt8]) -> String? {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.range(of: "\r\n\r\n") else { return nil }
        let head = text[..<end.lowerBound]
        let length = head.firstMatch(of: /(?i)content-length: (\d+)/).flatMap { Int($0.1) } ?? 0
        return head.utf8.count + 4 + length <= bytes.count ? text : nil
    }

    // MARK: answers

    /// A whole answer.
    static func answer(_ status: Int, _ body: String, _ headers: [String] = []) -> Step {
        .send(
            "HTTP/1.1 \(status) X\r\nContent-Length: \(body.utf8.count)\r\n" + headers.map { $0 + "\r\n" }.joined() + "\r\n" + body)
    }

    /// The head of a stream.
    static let streamHead = Step.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-ndjson\r\n\r\n")
    /// The proper end of a stream.
    static let streamEnd = Step.send("0\r\n\r\n")

    /// A piece of a stream.
    static func piece(_ text: String) -> Step { .send(String(text.utf8.count, radix: 16) + "\r\n" + text + "\r\n") }
}

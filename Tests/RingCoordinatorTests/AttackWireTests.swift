// Against the bytes: slow clients, oversize requests, the wrong protocol, forged headers, paths that climb.

import Foundation
import RingClient
import RingControl
import RingCoordinator
import Testing

@Suite("Attack: the wire", .serialized, .timeLimit(.minutes(2)))
struct AttackWireTests {
    private static var impatient: ClientPatience {
        var patience = ClientPatience()
        (patience.head, patience.body, patience.idle, patience.unread, patience.linger) = (
            .seconds(1), .seconds(1), .seconds(2), .seconds(1), .milliseconds(500)
        )
        return patience
    }

    /// A server without certificates on loopback, and its port.
    private static func open(_ patience: ClientPatience = impatient, _ body: @escaping @Sendable (Int) async throws -> Void) async throws {
        let shell = try CoordinatorShell(version: RingmasterVersion.text, policy: CoordinatorPolicy())
        var server = CoordinatorServer(shell: shell, security: .open)
        server.patience = patience
        try await server.run { port in try await body(port) }
    }

    /// Starts many slow clients, keeps them going with a byte each 100 ms, and gives the seconds after which the last one was closed; `nil` if
    /// one was still open after ten. Meanwhile an honest client must be served.
    private static func closes(_ port: Int, secure: SecurityBench? = nil, first: String, next: String) async throws -> Double? {
        let slow = try (0..<100).map { _ in try RawConnection(port: port) }
        for connection in slow { connection.send(first) }
        let honest = Caller(address: secure?.address ?? "http://127.0.0.1:\(port)", tls: try secure?.trust())
        let start = ContinuousClock.now
        var open = slow
        while !open.isEmpty, ContinuousClock.now - start < .seconds(10) {
            for connection in open { connection.send(next) }
            #expect(try await honest.ask("GET", "/healthz").status == 200)
            open = open.filter { connection in
                while true {
                    let (bytes, isClosed) = connection.take()
                    if isClosed { return false }
                    if bytes.isEmpty { return true }
                }
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        await honest.close()
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        return open.isEmpty ? Double(seconds) + Double(attoseconds) * 1e-18 : nil
    }

    @Test("a hundred clients that send their heads a byte at a time are gone after the time for a head; others are served")
    func slowHeads() async throws {
        try await Self.open { port in
            let seconds = try await Self.closes(port, first: "GET /healthz HTTP/1.1\r\nX-A: ", next: "a")
            #expect(seconds.map { $0 > 0.8 } == true, "\(seconds ?? -1)")
        }
    }

    @Test("so are those that send a body a byte at a time, and those that say nothing")
    func slowBodies() async throws {
        try await Self.open { port in
            let head = "POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n{"
            let bodies = try await Self.closes(port, first: head, next: " ")
            #expect(bodies.map { $0 > 0.8 && $0 < 4 } == true, "\(bodies ?? -1)")
            let silent = try await Self.closes(port, first: "", next: "")
            #expect(silent.map { $0 > 0.8 } == true, "\(silent ?? -1)")
        }
    }

    @Test("so are those that never end their handshake, and that speak no TLS at all")
    func slowHandshakes() async throws {
        try await SecurityBench.run(patience: Self.impatient) { bench in
            // The first bytes of a handshake of 512 bytes that never comes.
            let hello = String(decoding: [0x16, 0x03, 0x01, 0x02, 0x00, 0x01] as [UInt8], as: UTF8.self)
            let seconds = try await Self.closes(bench.port, secure: bench, first: hello, next: "")
            #expect(seconds.map { $0 > 0.8 } == true, "\(seconds ?? -1)")
        }
    }

    @Test("a client that does not read its answers is closed")
    func unread() async throws {
        try await Self.open { port in
            let connection = try RawConnection(port: port)
            // Some thousand pages of the interface fill every buffer on the way.
            let request = String(repeating: "GET /ui HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", count: 100)
            let start = ContinuousClock.now
            var isOpen = true
            while isOpen, ContinuousClock.now - start < .seconds(15) {
                isOpen = connection.send(request)
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(!isOpen)
        }
    }

    @Test("one address has so many connections and no more; another request on one of them is served")
    func connectionsPerAddress() async throws {
        var patience = ClientPatience()
        patience.connectionsPerAddress = 8
        try await Self.open(patience) { port in
            let kept = try (0..<8).map { _ in try RawConnection(port: port) }
            try await Task.sleep(for: .milliseconds(100))
            let excess = try RawConnection(port: port)
            #expect(try await excess.untilClosed(seconds: 2) == [])
            kept[3].send("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            let answer = try #require(try await kept[3].untilClosed(seconds: 2))
            #expect(String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.1 200"))
            // What was closed makes room.
            #expect(try await RawConnection(port: port).untilClosed(seconds: 0.3) == nil)
        }
    }

    @Test("an answer in clear never comes from a port that speaks TLS")
    func clearText() async throws {
        try await SecurityBench.run(patience: Self.impatient) { bench in
            for request in ["GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "\0\0\0\0", String(repeating: "A", count: 70_000)] {
                let connection = try RawConnection(port: bench.port)
                connection.send(request)
                let answer = try #require(try await connection.untilClosed(seconds: 4))
                // A TLS alert at most: seven bytes of type 21.
                #expect(answer.isEmpty || (answer.count == 7 && answer[0] == 21), "\(answer)")
            }
            #expect(try await bench.ask("GET", "/healthz").status == 200)
        }
    }

    @Test("heads that are too long, have too many fields, or are no HTTP are refused without a word about anything")
    func oversizeHeads() async throws {
        try await Self.open { port in
            let long = String(repeating: "a", count: 70_000)
            let many = (0..<200).map { "X-\($0): a\r\n" }.joined()
            let heads = [
                "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: \(long)\r\n\r\n", "GET /\(long) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\(many)\r\n", "\(long)\r\n\r\n", "GET /healthz\r\n\r\n", "\u{1}\u{2}\r\n\r\n",
                "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
            ]
            for head in heads {
                let connection = try RawConnection(port: port)
                connection.send(head)
                let answer = try #require(try await connection.untilClosed(seconds: 4), "\(head.prefix(40))")
                let text = String(decoding: answer, as: UTF8.self)
                #expect(text.isEmpty || text.hasPrefix("HTTP/1.1 400"), "\(head.prefix(40)): \(text)")
            }
            let caller = Caller(address: "http://127.0.0.1:\(port)")
            #expect(try await caller.ask("GET", "/version?" + String(repeating: "a", count: 3000)).status == 400)
            #expect(try await caller.ask("GET", "/version").status == 200)
            await caller.close()
        }
    }

    @Test("a body that is too large is refused with 413, and its sender is not read to the end")
    func oversizeBodies() async throws {
        try await Self.open { port in
            let connection = try RawConnection(port: port)
            connection.send("POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
            let chunk = Array("10000\r\n".utf8) + [UInt8](repeating: 0x20, count: 65_536) + Array("\r\n".utf8)
            let start = ContinuousClock.now
            var (heard, isOpen, sent) = ([UInt8](), true, 0)
            while isOpen, ContinuousClock.now - start < .seconds(10) {
                isOpen = connection.send(chunk)
                sent += chunk.count
                heard += connection.take().bytes
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(!isOpen, "\(sent) bytes were taken")
            #expect(
                String(decoding: heard, as: UTF8.self).hasPrefix("HTTP/1.1 413"), "\(String(decoding: heard.prefix(200), as: UTF8.self))")
        }
    }

    @Test("a coordinator without certificates serves pages of its own machine only")
    func forgedOrigins() async throws {
        try await Self.open { port in
            let caller = Caller(address: "http://127.0.0.1:\(port)")
            let own = "127.0.0.1:\(port)"
            let cases: [([(String, String)], UInt)] = [
                ([("Host", own)], 200), ([("Host", "localhost:1")], 200), ([("Host", "[::1]:\(port)")], 200),
                ([("Host", "evil.example:\(port)")], 403), ([("Host", "127.0.0.1.evil.example")], 403), ([("Host", "localhost.evil")], 403),
                ([("Host", "127.0.0.1:\(port).evil")], 403), ([("Host", "")], 403),
                ([("Host", own), ("Origin", "http://\(own)")], 200), ([("Host", own), ("Origin", "http://evil.example")], 403),
                ([("Host", own), ("Origin", "null")], 403), ([("Host", own), ("Origin", "http://\(own).evil.example")], 403),
            ]
            for (headers, status) in cases {
                let answer = try await caller.ask("GET", "/v1/jobs", headers: headers)
                #expect(answer.status == status, "\(headers): \(answer.text)")
            }
            await caller.close()
        }
    }

    @Test("no path climbs out of its parameter")
    func traversal() async throws {
        try await SecurityBench.run { bench in
            let root = Caller(address: bench.address, tls: try bench.trust(), key: try bench.key("root", .admin))
            let worker = Caller(address: bench.address, tls: try await bench.worker("w").tlsConfiguration())
            let climbs = [
                "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e%2fauthority-key.pem", "..", "....//", "%00", "1%00", "-1", "0x1",
                "1/../../authority-key.pem",
                "99999999999999999999999", "1e3", "%c0%ae%c0%ae", "1;cat", "*", "{id}", "authority-key.pem",
            ]
            let patterns = AccessTable.routes.map(\.route).filter { $0.contains("{}") }
            #expect(patterns.count >= 8)
            for pattern in patterns {
                let parts = pattern.split(separator: " ")
                for climb in climbs {
                    for caller in [root, worker] {
                        let path = String(parts[1]).replacing("{}", with: climb)
                        let (status, text) = try await caller.ask(String(parts[0]), path)
                        #expect([400, 401, 403, 404, 405].contains(status), "\(parts[0]) \(path): \(status) \(text)")
                        #expect(!text.contains("root:") && !text.contains("PRIVATE KEY"), "\(path): \(text)")
                    }
                }
            }
            await root.close()
            await worker.close()
        }
    }
}

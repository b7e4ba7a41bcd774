// A cluster that is told to stop while the whole world talks to it.

import Foundation
import Synchronization
import Testing

extension EndToEnd {
    @Suite("Stopping", .timeLimit(.minutes(5)))
    struct StoppingTests {
        @Test("Ctrl-C in a storm of connections ends the cluster in order, not by a trap")
        func storm() async throws {
            try await withFolder { folder in
                // A server that was cancelled instead of asked trapped in every third round.
                for round in 0..<8 {
                    let up = try Running([
                        "up", "--workers", "1", "--listen", "127.0.0.1:0", "--json", "--data", folder, "--models", folder,
                    ])
                    let address = await up.announcedAddress()
                    let port = address.flatMap { $0.split(separator: ":").last }.flatMap { UInt16($0) }
                    let storm = Storm(port: try #require(port, "\(up.errorText)"), threads: 6)
                    try await Task.sleep(for: .milliseconds(200 + 40 * round))
                    up.signal(SIGINT)
                    let end = await up.outcome()
                    let calls = storm.end()
                    #expect(end.code == 130, "round \(round): \(end)")
                    #expect(calls > 0, "round \(round): nobody called")
                }
            }
        }
    }
}

/// Threads that call a port again and again, ask for something, and hang up without an answer.
private final class Storm: Sendable {
    private struct State {
        var isOver = false
        var running = 0
        var calls = 0
    }
    private let state = Mutex(State())

    init(port: UInt16, threads: Int) {
        state.withLock { $0.running = threads }
        for _ in 0..<threads { Thread.detachNewThread { [self] in call(port) } }
    }

    private func call(_ port: UInt16) {
        let question = Array("GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n".utf8)
        while !state.withLock({ $0.isOver }) {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            if descriptor < 0 { continue }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            let connected = unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            if connected == 0 {
                _ = unsafe send(descriptor, question, question.count, Int32(MSG_NOSIGNAL))
                state.withLock { $0.calls += 1 }
            } else {
                usleep(2000)
            }
            close(descriptor)
        }
        state.withLock { $0.running -= 1 }
    }

    /// Waits for every thread and says how often somebody got through.
    func end() -> Int {
        state.withLock { $0.isOver = true }
        while state.withLock({ $0.running }) > 0 { usleep(1000) }
        return state.withLock { $0.calls }
    }
}

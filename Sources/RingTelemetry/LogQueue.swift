// Lines on their way out. Who logs must not wait for who reads: stderr may be a pipe that nobody empties, and an event loop that
// writes to it would stand still with the cluster. So lines wait in a bounded queue for a thread that does nothing but write them; what
// finds the queue full is counted, and the count is written as soon as there is room. One writer, whole lines: none runs into another.

import Dispatch
import Foundation
import Synchronization

/// A bounded queue of lines with the thread that writes them.
package final class LogQueue: Sendable {
    private let core: Core

    /// A queue whose thread calls `write`, which may block, with one or more whole lines. `confess` makes the line that tells how many
    /// were dropped.
    package init(confess: @escaping @Sendable (_ dropped: Int) -> String, write: @escaping @Sendable (Data) -> Void) {
        let core = Core(confess: confess, write: write)
        self.core = core
        // The thread holds the core, not the queue: it ends when the queue is let go.
        let writer = Thread { core.run() }
        writer.stackSize = 256 << 10
        writer.name = "log"
        writer.start()
    }

    deinit { core.close() }

    /// Takes a line, without its end. Never waits.
    package func put(_ line: String) { core.put(line) }

    /// Waits until what was put is written, at most so many seconds.
    package func flush(seconds: Double) { core.flush(seconds: seconds) }
}

/// What a queue and its thread share.
private final class Core: Sendable {
    private struct State {
        var lines: [String] = []
        var byteCount = 0
        var dropped = 0
        var isClosed = false
    }

    private let state = Mutex(State())
    private let bell = DispatchSemaphore(value: 0)
    /// Entered once a line that is not yet written.
    private let unwritten = DispatchGroup()
    private let confess: @Sendable (Int) -> String
    private let write: @Sendable (Data) -> Void

    init(confess: @escaping @Sendable (Int) -> String, write: @escaping @Sendable (Data) -> Void) {
        (self.confess, self.write) = (confess, write)
    }

    func put(_ line: String) {
        let isFirst = state.withLock { state in
            guard state.lines.count < TelemetryLimits.logLines, state.byteCount + line.utf8.count <= TelemetryLimits.logBytes else {
                state.dropped += 1
                return false
            }
            unwritten.enter()
            state.lines.append(line)
            state.byteCount += line.utf8.count
            return state.lines.count == 1
        }
        if isFirst { bell.signal() }
    }

    func flush(seconds: Double) { _ = unwritten.wait(timeout: .now() + seconds) }

    func close() {
        state.withLock { $0.isClosed = true }
        bell.signal()
    }

    func run() {
        while true {
            bell.wait()
            let (lines, dropped, isClosed) = state.withLock { state in
                defer { (state.lines, state.byteCount, state.dropped) = ([], 0, 0) }
                return (state.lines, state.dropped, state.isClosed)
            }
            // What was dropped came after what had found room.
            writeAll(dropped > 0 ? lines + [confess(dropped)] : lines)
            for _ in lines { unwritten.leave() }
            if isClosed { return }
        }
    }

    /// Whole lines, as many at a time as a pipe takes without letting another process in between.
    private func writeAll(_ lines: [String]) {
        var batch = Data()
        for line in lines {
            if !batch.isEmpty, batch.count + line.utf8.count + 1 > TelemetryLimits.logWriteBytes {
                write(batch)
                batch = Data()
            }
            batch += Data(line.utf8)
            batch.append(UInt8(ascii: "\n"))
        }
        if !batch.isEmpty { write(batch) }
    }
}

// A terminal that is drawn on again and again: the alternate screen while it is open, the old one as it was afterwards. `stty`
// speaks to the kernel for us: its calls pass raw pointers, which have no place in this target.

import Dispatch
import Foundation
import Synchronization

/// The terminal that stdout is.
final class LiveTerminal {
    /// Whether stdout can be drawn on.
    static var isAvailable: Bool { isatty(STDOUT_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb" }

    /// What other threads tell: a key, a new size.
    private final class News: Sendable {
        private let state = Mutex((quits: false, hasNewSize: true))

        func quit() { state.withLock { $0.quits = true } }
        func resize() { state.withLock { $0.hasNewSize = true } }

        var quits: Bool { state.withLock { $0.quits } }

        /// Whether the size is to be asked for; once.
        func takeNewSize() -> Bool {
            state.withLock { state in
                defer { state.hasNewSize = false }
                return state.hasNewSize
            }
        }
    }

    private let news = News()
    private var lastSize = (columns: 80, rows: 24)
    private var isOpen = true
    /// Settings to go back to; empty if the terminal did not tell them.
    private let settings: String
    private let resizes: any DispatchSourceSignal

    /// Opens the alternate screen; keys come at once and are not shown.
    init() {
        settings = Self.stty("-g")
        if !settings.isEmpty { Self.stty("-icanon -echo") }
        resizes = DispatchSource.makeSignalSource(signal: SIGWINCH, queue: .global())
        Console.out("\u{1B}[?1049h\u{1B}[?25l")
        resizes.setEventHandler { [news] in news.resize() }
        resizes.resume()
        watchKeys()
    }

    /// Back to the screen as it was.
    func close() {
        guard isOpen else { return }
        isOpen = false
        resizes.cancel()
        Console.out("\u{1B}[?25h\u{1B}[?1049l")
        if !settings.isEmpty { Self.stty(settings) }
    }

    /// Columns and rows as they are now.
    var size: (columns: Int, rows: Int) {
        if news.takeNewSize() {
            let numbers = Self.stty("size").split(separator: " ").compactMap { Int($0) }
            if numbers.count == 2, numbers[0] > 0, numbers[1] > 0 { lastSize = (numbers[1], numbers[0]) }
        }
        return lastSize
    }

    /// Draws a page from the upper left corner on.
    func draw(_ lines: [String]) {
        Console.out("\u{1B}[H" + lines.map { $0 + "\u{1B}[K" }.joined(separator: "\r\n") + "\u{1B}[J")
    }

    /// Waits for q; false if it does not come in time.
    func quits(within limit: Duration) async -> Bool {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if news.quits { return true }
            guard (try? await Task.sleep(for: .milliseconds(50))) != nil else { return true }
        }
        return false
    }

    private func watchKeys() {
        let keys = Thread { [news] in
            while let key = try? FileHandle.standardInput.read(upToCount: 1)?.first {
                if key == UInt8(ascii: "q") || key == UInt8(ascii: "Q") { news.quit() }
            }
        }
        keys.stackSize = 64 << 10
        keys.name = "keys"
        keys.start()
    }

    /// Asks or tells the terminal. A child in a process group of its own may not change it unless it ignores the signal that says so.
    @discardableResult
    private static func stty(_ words: String) -> String {
        let shell = Process()
        shell.executableURL = URL(filePath: "/bin/sh")
        shell.arguments = ["-c", "trap '' TTOU; exec stty -F /dev/tty \(words)"]
        let output = Pipe()
        (shell.standardInput, shell.standardOutput, shell.standardError) = (FileHandle.nullDevice, output, FileHandle.nullDevice)
        guard (try? shell.run()) != nil else { return "" }
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        shell.waitUntilExit()
        return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

// One line on stderr that is redrawn while a job runs, if somebody watches; a plain line now and then if asked for.

import Foundation
import RingControl

/// Tokens done, tokens a second, time to go.
struct ProgressBar {
    private let isVisible: Bool
    private let isVerbose: Bool
    private let started = ContinuousClock.now
    private var drawn: ContinuousClock.Instant?
    private var phase = ""
    private var phaseStarted = ContinuousClock.now
    private var hasLine = false

    /// A bar on a terminal; lines every five seconds elsewhere if `verbose`; nothing otherwise.
    init(verbose: Bool) {
        isVisible = Console.isTerminal
        isVerbose = verbose && !Console.isTerminal
    }

    /// Shows how far a job is.
    mutating func show(_ progress: JobProgress) {
        let (phase, done, total) = (progress.phase.rawValue, progress.tokensDone, progress.tokensTotal)
        let now = ContinuousClock.now
        if phase != self.phase {
            self.phase = phase
            phaseStarted = now
            drawn = nil
        }
        let pause: Duration = isVisible ? .milliseconds(100) : .seconds(5)
        guard isVisible || isVerbose, drawn.map({ now - $0 >= pause || done >= total }) ?? true else { return }
        drawn = now
        // What is loaded are layers: tokens and their rate mean nothing yet.
        let line =
            progress.phase == .loading
            ? "loading layer \(progress.layer) of \(progress.layers)"
            : Self.line(phase, done: done, total: total, seconds: seconds(now - phaseStarted), width: Console.width)
        if isVisible {
            Console.raw("\r\u{1B}[K" + line)
            hasLine = true
        } else {
            Console.message(line.trimmingCharacters(in: .whitespaces))
        }
    }

    /// Takes the bar away.
    mutating func clear() {
        if hasLine { Console.raw("\r\u{1B}[K") }
        hasLine = false
    }

    /// `prefill  [######      ]  61%  80,000/131,072 tokens  2,114 tok/s  24 s left`, never wider than `width`.
    static func line(_ phase: String, done: Int, total: Int, seconds: Double, width: Int) -> String {
        let share = total > 0 ? min(1, Double(done) / Double(total)) : 0
        let rate = seconds > 0 ? Double(done) / seconds : 0
        var words = "\(grouped(done))/\(grouped(total)) tokens"
        if rate > 0 { words += "  \(grouped(Int(rate))) tok/s" }
        if rate > 0, done < total { words += "  \(remaining(Double(total - done) / rate)) left" }
        let percent = "\(Int(share * 100))%"
        let head = "\(phase) ", tail = " \(String(repeating: " ", count: max(0, 4 - percent.count)))\(percent)  \(words)"
        let room = min(30, width - 1 - head.count - tail.count - 2)
        guard room >= 5 else { return String((head + tail).prefix(max(0, width - 1))) }
        let filled = Int(Double(room) * share)
        return head + "[" + String(repeating: "#", count: filled) + String(repeating: " ", count: room - filled) + "]" + tail
    }

    private static func remaining(_ seconds: Double) -> String {
        if seconds < 99 { return "\(max(1, Int(seconds.rounded()))) s" }
        if seconds < 5940 { return "\(Int(seconds) / 60) min" }
        return "\(fixed(seconds / 3600, 1)) h"
    }
}

/// A duration in seconds.
func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
}

// Ctrl-C and SIGTERM cancel the command, which ends its workers and then itself with 130 or 143. A second one ends at once:
// workers notice a parent that is gone by themselves. A daemon takes the signals over: the first means drain, the second stop.

import Dispatch
import Foundation
import Synchronization

/// The signals that ask a command to end. Lives as long as the process: sources that are let go hear nothing.
final class Interrupts {
    /// What a daemon does with the first and second signal; from the third on the process ends at once.
    static let daemon = Mutex<(@Sendable (_ count: Int) -> Void)?>(nil)

    private let received = Received()
    private var sources: [any DispatchSourceSignal] = []

    /// Calls `action` at the first signal.
    func whenInterrupted(_ action: @escaping @Sendable () -> Void) {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number, SIG_IGN)  // or the default action would end the process before the source hears of it
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [received] in
                let count = received.note(number)
                if let daemon = Self.daemon.withLock({ $0 }) {
                    if count > 2 { _exit(128 + number) }
                    received.isTakenOver()
                    daemon(count)
                } else {
                    if count > 1 { _exit(128 + number) }
                    action()
                }
            }
            source.resume()
            sources.append(source)
        }
    }

    /// The exit code of an interrupted command; `nil` if it was not, or if it is a daemon that ended as it was asked to.
    var exitCode: Int32? { received.first.map { 128 + $0 } }
}

/// The signals that came.
private final class Received: Sendable {
    private struct State {
        var first: Int32?
        var count = 0
        var isTakenOver = false
    }
    private let state = Mutex(State())

    /// Notes a signal; gives how many have come.
    func note(_ number: Int32) -> Int {
        state.withLock { state in
            state.first = state.first ?? number
            state.count += 1
            return state.count
        }
    }

    func isTakenOver() { state.withLock { $0.isTakenOver = true } }

    var first: Int32? { state.withLock { $0.isTakenOver ? nil : $0.first } }
}

// Ctrl-C and SIGTERM cancel the command, which ends its workers and then itself with 130 or 143. A second one ends at once:
// workers notice a parent that is gone by themselves.

import Dispatch
import Foundation
import Synchronization

/// The signals that ask a command to end. Lives as long as the process: sources that are let go hear nothing.
final class Interrupts {
    private let first = FirstSignal()
    private var sources: [any DispatchSourceSignal] = []

    /// Calls `action` at the first signal.
    func whenInterrupted(_ action: @escaping @Sendable () -> Void) {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number, SIG_IGN)  // or the default action would end the process before the source hears of it
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [first = self.first] in
                if !first.note(number) { _exit(128 + number) }
                action()
            }
            source.resume()
            sources.append(source)
        }
    }

    /// The exit code of an interrupted command; `nil` if it was not.
    var exitCode: Int32? { first.number.map { 128 + $0 } }
}

/// The first signal that came.
private final class FirstSignal: Sendable {
    private let received = Mutex<Int32?>(nil)

    /// Notes a signal; false if it is not the first.
    func note(_ number: Int32) -> Bool {
        received.withLock { first in
            defer { first = first ?? number }
            return first == nil
        }
    }

    var number: Int32? { received.withLock { $0 } }
}

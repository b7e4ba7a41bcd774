// Ctrl-C and SIGTERM cancel the command, which ends its workers and then itself with 130 or 143. A second one ends at once:
// workers notice a parent that is gone by themselves.

import Dispatch
import Foundation
import Synchronization

/// The signals that ask a command to end.
final class Interrupts: Sendable {
    private let received = Mutex<Int32?>(nil)
    private let sources: Mutex<[any DispatchSourceSignal]> = Mutex([])

    /// Calls `action` at the first signal.
    func whenInterrupted(_ action: @escaping @Sendable () -> Void) {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number, SIG_IGN)  // or the default action would end the process before the source hears of it
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [self] in
                let isFirst = received.withLock { first in
                    defer { first = first ?? number }
                    return first == nil
                }
                if !isFirst { _exit(128 + number) }
                action()
            }
            source.resume()
            sources.withLock { $0.append(source) }
        }
    }

    /// The exit code of an interrupted command; `nil` if it was not.
    var exitCode: Int32? { received.withLock { $0 }.map { 128 + $0 } }
}

// Holds what is left of a broken run between two runs: at most one, since a worker does one job at a time.

import RingControl
import RingCore
import RingModels
import Synchronization

/// The place of a kept context.
final class Keeper: Sendable {
    private let held = Mutex<(run: Run, context: KeptContext)?>(nil)

    /// Puts in what is left of `run`, in place of what was there.
    func put(_ context: KeptContext, of run: Run) { held.withLock { $0 = (run, context) } }

    /// Takes out what is left of `run`.
    func take(_ run: Run?) -> KeptContext? {
        held.withLock { held in
            guard let run, held?.run == run else { return nil }
            defer { held = nil }
            return held?.context
        }
    }

    /// Gives back whatever is left of any other run.
    func giveBackAll(but run: Run?) { held.withLock { if $0?.run != run { $0 = nil } } }

    /// Gives back what is left of `run`.
    func forget(_ run: Run) { held.withLock { if $0?.run == run { $0 = nil } } }
}

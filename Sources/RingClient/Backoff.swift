// Pauses between attempts: twice as long each time, and never the same on two machines, so that a coordinator that comes back
// is not met by everybody in the same moment.

/// The pauses of one row of attempts.
public struct Backoff: Sendable {
    private var seconds = ClientLimits.pauseSecondsMin

    /// Pauses from the shortest on.
    public init() {}

    /// The next pause in seconds: between half of its turn and all of it, and at least `least`.
    public mutating func next(atLeast least: Double = 0) -> Double {
        let pause = seconds * Double.random(in: 0.5...1)
        seconds = min(2 * seconds, ClientLimits.pauseSecondsMax)
        return max(pause, least)
    }

    /// Waits for the next pause; false if the task was cancelled.
    public mutating func wait(atLeast least: Double = 0) async -> Bool {
        (try? await Task.sleep(for: .seconds(next(atLeast: least)))) != nil
    }
}

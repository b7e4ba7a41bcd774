// Faults on purpose, so that tests see what a bad network does to a ring.
import RingCore

/// Something that goes wrong with one message between two ranks. Transports without faults pay one comparison a message.
public struct TransportFault: Hashable, Sendable {
    /// What goes wrong.
    public enum Action: Hashable, Sendable {
        /// One byte of the payload is flipped in flight, in the first `times` transmissions.
        case damage(times: Int)
        /// The message never arrives although the link lives: its send and its receive stay outstanding.
        case drop
        /// The message is held back for so long.
        case delay(seconds: Double)
        /// The link is cut when half of the message has arrived.
        case sever
    }

    /// The sender.
    public let source: Rank
    /// The receiver.
    public let destination: Rank
    /// Which message from `source` to `destination`, in the order of posts, counted from zero.
    public let message: Int
    /// What goes wrong.
    public let action: Action

    /// `action` upon the `message`-th message from `source` to `destination`.
    public init(_ action: Action, message: Int, from source: Rank, to destination: Rank) {
        (self.action, self.message, self.source, self.destination) = (action, message, source, destination)
    }
}

// A job that computes nothing: its workers measure the links between them, each with each. What comes of it is kept, and schedules are
// weighed by it from then on.

import RingCore

/// Measure the links between all workers of a job.
public struct MeasureSpec: Hashable, Sendable, Codable {
    /// Bytes of a large message.
    public var messageBytes: Int
    /// Large messages that go each way at once between two workers.
    public var messages: Int

    /// So many messages of so many bytes.
    public init(messageBytes: Int = 1 << 20, messages: Int = 16) {
        self.messageBytes = messageBytes
        self.messages = messages
    }

    /// Reads a request; what it leaves out is as in `init(messageBytes:messages:)`.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        messageBytes = try fields.decodeIfPresent(Int.self, forKey: .messageBytes) ?? messageBytes
        messages = try fields.decodeIfPresent(Int.self, forKey: .messages) ?? messages
    }

    /// What is wrong with it, as a sentence; `nil` if nothing is.
    var objection: String? {
        if messageBytes < 4096 || messageBytes > ControlLimits.measuredMessageBytes {
            return "message_bytes is 4096 to \(ControlLimits.measuredMessageBytes), got \(messageBytes)"
        }
        if messages < 1 || messages > ControlLimits.measuredMessages {
            return "messages is 1 to \(ControlLimits.measuredMessages), got \(messages)"
        }
        if messageBytes * messages > ControlLimits.measuredBytes {
            return "message_bytes times messages is at most \(ControlLimits.measuredBytes), got \(messageBytes * messages)"
        }
        return nil
    }
}

/// What one link did, told by the rank that received over it.
public struct LinkFigures: Hashable, Sendable, Codable {
    /// The rank at the other end, which sent.
    public var peer: Int
    /// Its name; the coordinator writes it, whatever the worker says.
    public var worker: String?
    /// Payload bytes per second that came, while as much went the other way.
    public var bytesPerSecond: Double
    /// From posting a small message to holding the peer's answer, median.
    public var roundTripSeconds: Double
    /// What it went over: `tcp`, `shared-memory`, `rdma`.
    public var transport: String

    /// Figures of their parts.
    public init(peer: Int, bytesPerSecond: Double, roundTripSeconds: Double, transport: String) {
        (self.peer, self.transport) = (peer, transport)
        (self.bytesPerSecond, self.roundTripSeconds) = (bytesPerSecond, roundTripSeconds)
    }
}

extension JobSpec {
    /// The most workers that it can make use of.
    var workersMax: Int {
        guard case .measure = self else { return Limits.ranks }
        return ControlLimits.measuredWorkers
    }
}

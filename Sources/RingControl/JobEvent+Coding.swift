// JSON of job events: one object a line with a `type`.

import RingCore

extension JobEvent: Codable {
    private enum Key: String, CodingKey {
        case type, phase, workers, epoch, progress, index, id, failure, reason, attempt, tokensKept, layers, worker, rank, pace
    }

    /// `{"type":"token","index":0,"id":17}` and so on, one form a case.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        switch try fields.decode(String.self, forKey: .type) {
        case "phase": self = .phase(try fields.decode(JobPhase.self, forKey: .phase))
        case "placed":
            self = .placed(
                workers: try fields.decode([String].self, forKey: .workers), epoch: try fields.decode(Epoch.self, forKey: .epoch))
        case "resumed":
            self = .resumed(
                tokensKept: try fields.decode(Int.self, forKey: .tokensKept), layers: try fields.decode(Int.self, forKey: .layers))
        case "retrying":
            self = .retrying(
                attempt: try fields.decode(Int.self, forKey: .attempt), cause: try fields.decode(Failure.self, forKey: .failure))
        case "progress": self = .progress(try fields.decode(JobProgress.self, forKey: .progress))
        case "slow":
            self = .slow(
                Straggler(
                    worker: try fields.decode(String.self, forKey: .worker), rank: try fields.decode(Int.self, forKey: .rank),
                    pace: try fields.decode(Double.self, forKey: .pace)))
        case "token":
            self = .token(index: try fields.decode(Int.self, forKey: .index), id: try fields.decode(UInt32.self, forKey: .id))
        case "succeeded": self = .succeeded(try fields.decode([WorkerSummary].self, forKey: .workers))
        case "failed": self = .failed(try fields.decode(Failure.self, forKey: .failure))
        case "cancelled": self = .cancelled(reason: try fields.decode(String.self, forKey: .reason))
        case let other:
            throw DecodingError.dataCorruptedError(forKey: .type, in: fields, debugDescription: "unknown event \(other)")
        }
    }

    /// The form that `init(from:)` reads.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        switch self {
        case .phase(let phase):
            try fields.encode("phase", forKey: .type)
            try fields.encode(phase, forKey: .phase)
        case .placed(let workers, let epoch):
            try fields.encode("placed", forKey: .type)
            try fields.encode(workers, forKey: .workers)
            try fields.encode(epoch, forKey: .epoch)
        case .resumed(let tokens, let layers):
            try fields.encode("resumed", forKey: .type)
            try fields.encode(tokens, forKey: .tokensKept)
            try fields.encode(layers, forKey: .layers)
        case .retrying(let attempt, let cause):
            try fields.encode("retrying", forKey: .type)
            try fields.encode(attempt, forKey: .attempt)
            try fields.encode(cause, forKey: .failure)
        case .progress(let progress):
            try fields.encode("progress", forKey: .type)
            try fields.encode(progress, forKey: .progress)
        case .slow(let straggler):
            try fields.encode("slow", forKey: .type)
            try fields.encode(straggler.worker, forKey: .worker)
            try fields.encode(straggler.rank, forKey: .rank)
            try fields.encode(straggler.pace, forKey: .pace)
        case .token(let index, let id):
            try fields.encode("token", forKey: .type)
            try fields.encode(index, forKey: .index)
            try fields.encode(id, forKey: .id)
        case .succeeded(let workers):
            try fields.encode("succeeded", forKey: .type)
            try fields.encode(workers, forKey: .workers)
        case .failed(let failure):
            try fields.encode("failed", forKey: .type)
            try fields.encode(failure, forKey: .failure)
        case .cancelled(let reason):
            try fields.encode("cancelled", forKey: .type)
            try fields.encode(reason, forKey: .reason)
        }
    }
}

extension JobNews: Codable {
    private enum Key: String, CodingKey { case seq, at }

    /// The event's own form with `seq` and `at` beside its fields.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        sequence = try fields.decodeIfPresent(Int.self, forKey: .seq)
        at = try fields.decode(Double.self, forKey: .at)
        event = try JobEvent(from: decoder)
    }

    /// The form that `init(from:)` reads.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encodeIfPresent(sequence, forKey: .seq)
        try fields.encode(at, forKey: .at)
        try event.encode(to: encoder)
    }
}

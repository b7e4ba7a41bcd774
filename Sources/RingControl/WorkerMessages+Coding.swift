// JSON of directives and reports: one object a line with a `type`, so that a session can be read and played with curl.

import RingCore

extension WorkerDirective: Codable {
    private enum Key: String, CodingKey { case type, assignment, job, epoch, reason }

    /// `{"type":"prepare","assignment":{...}}`, `{"type":"start","job":1,"epoch":1}`, `{"type":"abort","job":1,"epoch":1,"reason":R}`, `{"type":"forget","job":1,"epoch":1}`, `{"type":"stop"}`.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        switch try fields.decode(String.self, forKey: .type) {
        case "prepare": self = .prepare(try fields.decode(Assignment.self, forKey: .assignment))
        case "start": self = .start(try Run(from: decoder))
        case "abort":
            self = .abort(try Run(from: decoder), reason: try fields.decode(String.self, forKey: .reason))
        case "forget": self = .forget(try Run(from: decoder))
        case "stop": self = .stop
        case let other:
            throw DecodingError.dataCorruptedError(forKey: .type, in: fields, debugDescription: "unknown directive \(other)")
        }
    }

    /// The form that `init(from:)` reads.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        switch self {
        case .prepare(let assignment):
            try fields.encode("prepare", forKey: .type)
            try fields.encode(assignment, forKey: .assignment)
        case .start(let run):
            try fields.encode("start", forKey: .type)
            try run.encode(to: encoder)
        case .abort(let run, let reason):
            try fields.encode("abort", forKey: .type)
            try run.encode(to: encoder)
            try fields.encode(reason, forKey: .reason)
        case .forget(let run):
            try fields.encode("forget", forKey: .type)
            try run.encode(to: encoder)
        case .stop:
            try fields.encode("stop", forKey: .type)
        }
    }
}

extension WorkerProgress: Codable {
    private enum CodingKeys: String, CodingKey {
        case phase, layer, layers, step, steps, tokensDone, tokensTotal, computeSeconds, exposedSeconds, transport, transportRemark
    }

    /// One field a property; a worker that does not count seconds leaves them out.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        func count(_ key: CodingKeys) throws -> Int { try fields.decode(Int.self, forKey: key) }
        self.init(
            phase: try fields.decode(Phase.self, forKey: .phase), layer: try count(.layer), layers: try count(.layers),
            step: try count(.step), steps: try count(.steps), tokensDone: try count(.tokensDone), tokensTotal: try count(.tokensTotal),
            computeSeconds: try fields.decodeIfPresent(Double.self, forKey: .computeSeconds) ?? 0,
            exposedSeconds: try fields.decodeIfPresent(Double.self, forKey: .exposedSeconds) ?? 0)
        transport = try fields.decodeIfPresent(String.self, forKey: .transport)
        transportRemark = try fields.decodeIfPresent(String.self, forKey: .transportRemark)
    }

    /// The form that `init(from:)` reads, seconds included.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(phase, forKey: .phase)
        try fields.encode(layer, forKey: .layer)
        try fields.encode(layers, forKey: .layers)
        try fields.encode(step, forKey: .step)
        try fields.encode(steps, forKey: .steps)
        try fields.encode(tokensDone, forKey: .tokensDone)
        try fields.encode(tokensTotal, forKey: .tokensTotal)
        try fields.encode(computeSeconds, forKey: .computeSeconds)
        try fields.encode(exposedSeconds, forKey: .exposedSeconds)
        try fields.encodeIfPresent(transport, forKey: .transport)
        try fields.encodeIfPresent(transportRemark, forKey: .transportRemark)
    }
}

extension WorkerReport: Codable {
    private enum Key: String, CodingKey { case type, progress, index, id, summary, code, message, lostRank, shares }

    /// `{"type":"token","job":1,"epoch":1,"index":0,"id":17}` and so on, one form a case.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        let run = try Run(from: decoder)
        switch try fields.decode(String.self, forKey: .type) {
        case "ready": self = .ready(run)
        case "progress": self = .progress(run, try fields.decode(WorkerProgress.self, forKey: .progress))
        case "token":
            self = .token(
                run, index: try fields.decode(Int.self, forKey: .index), id: try fields.decode(UInt32.self, forKey: .id))
        case "finished": self = .finished(run, try fields.decode(WorkerSummary.self, forKey: .summary))
        case "failed":
            self = .failed(
                run, try fields.decode(FailureCode.self, forKey: .code),
                message: try fields.decode(String.self, forKey: .message),
                lostRank: try fields.decodeIfPresent(Int.self, forKey: .lostRank))
        case "kept": self = .kept(run, try fields.decode([Share].self, forKey: .shares))
        case "stopped": self = .stopped(run)
        case let other:
            throw DecodingError.dataCorruptedError(forKey: .type, in: fields, debugDescription: "unknown report \(other)")
        }
    }

    /// The form that `init(from:)` reads.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try run.encode(to: encoder)
        switch self {
        case .ready: try fields.encode("ready", forKey: .type)
        case .progress(_, let progress):
            try fields.encode("progress", forKey: .type)
            try fields.encode(progress, forKey: .progress)
        case .token(_, let index, let id):
            try fields.encode("token", forKey: .type)
            try fields.encode(index, forKey: .index)
            try fields.encode(id, forKey: .id)
        case .finished(_, let summary):
            try fields.encode("finished", forKey: .type)
            try fields.encode(summary, forKey: .summary)
        case .failed(_, let code, let message, let lostRank):
            try fields.encode("failed", forKey: .type)
            try fields.encode(code, forKey: .code)
            try fields.encode(message, forKey: .message)
            try fields.encodeIfPresent(lostRank, forKey: .lostRank)
        case .kept(_, let shares):
            try fields.encode("kept", forKey: .type)
            try fields.encode(shares, forKey: .shares)
        case .stopped: try fields.encode("stopped", forKey: .type)
        }
    }
}

// Who is meant: numbers that the coordinator hands out, and how the words of RingCore are written in JSON.

import RingCore

/// A worker's number, unique within a coordinator; a worker that joins again gets a new one.
public struct WorkerID: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// The number.
    public let number: UInt64

    /// Worker `number`.
    public init(_ number: UInt64) { self.number = number }

    /// A bare number in JSON.
    public init(from decoder: any Decoder) throws {
        number = try decoder.singleValueContainer().decode(UInt64.self)
    }

    /// A bare number in JSON.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(number)
    }

    /// Orders workers by when they joined.
    public static func < (left: WorkerID, right: WorkerID) -> Bool { left.number < right.number }

    /// The number as text.
    public var description: String { String(number) }
}

/// One attempt at a job: directives and reports carry it, so that word from an earlier attempt changes nothing.
public struct Run: Hashable, Sendable, Codable, CustomStringConvertible {
    /// The job.
    public let job: JobNumber
    /// The membership version under which this attempt was placed.
    public let epoch: Epoch

    /// The attempt at `job` that was placed under `epoch`.
    public init(_ job: JobNumber, _ epoch: Epoch) {
        self.job = job
        self.epoch = epoch
    }

    /// `3@7`: job 3 under epoch 7.
    public var description: String { "\(job)@\(epoch.number)" }
}

/// Ties an answer to the request that asked for it; the shell makes them up, the machine only hands them back.
public struct Ticket: Hashable, Sendable {
    /// The number.
    public let number: UInt64

    /// Ticket `number`.
    public init(_ number: UInt64) { self.number = number }
}

extension JobNumber: Codable, CustomStringConvertible {
    /// A bare number in JSON.
    public init(from decoder: any Decoder) throws {
        self.init(try decoder.singleValueContainer().decode(UInt64.self))
    }

    /// A bare number in JSON.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(number)
    }

    /// The number as text.
    public var description: String { String(number) }
}

extension Epoch: Codable {
    /// A bare number in JSON.
    public init(from decoder: any Decoder) throws {
        self.init(try decoder.singleValueContainer().decode(UInt64.self))
    }

    /// A bare number in JSON.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(number)
    }
}

extension ShardPlan.Layout: Codable {}

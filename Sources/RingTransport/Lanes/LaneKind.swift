// What a pair of ranks may move its frames by.

/// A kind of lane: what the frames of one pair of ranks travel by. A pair chooses while it connects; pairs of one ring may
/// choose differently.
public enum LaneKind: UInt8, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// The pair's TCP connection itself; between any two hosts.
    case tcp = 0
    /// Memory that two processes of one user on one host share.
    case sharedMemory = 1
    /// A queue pair of RDMA devices, RoCE or InfiniBand.
    case rdma = 2

    /// Its name on the command line, in reports and in logs.
    public var description: String {
        switch self {
        case .tcp: "tcp"
        case .sharedMemory: "shared-memory"
        case .rdma: "rdma"
        }
    }

    /// The kind of that name, or `nil`.
    public init?(name: String) {
        guard let kind = Self.allCases.first(where: { $0.description == name }) else { return nil }
        self = kind
    }
}

/// What became of the choice with one peer.
public struct LaneChoice: Hashable, Sendable {
    /// What the pair's frames travel by.
    public let kind: LaneKind
    /// Why it is not something better that was tried, if it was.
    public let remark: String?

    package init(_ kind: LaneKind, remark: String? = nil) { (self.kind, self.remark) = (kind, remark) }
}

/// Why a lane cannot be had, completing "shared-memory is not possible: ...".
package struct LaneFailure: Error, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ reason: String) { description = reason }
}

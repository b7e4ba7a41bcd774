// What a message on the data plane is about, in 64 bits: a receive is matched to a send by (peer, tag).

/// Kind, layer, step and piece of one data-plane message.
public struct MessageTag: Hashable, Sendable, CustomStringConvertible {
    /// What the payload holds.
    public enum Kind: UInt8, Hashable, Sendable {
        /// Keys and values on their way round the ring.
        case keysAndValues = 1
        /// Queries of one decode step, from the root to everybody.
        case queries = 2
        /// Partials of one decode step, back to the root.
        case partials = 3
        /// Rows of a result.
        case rows = 4
        /// A benchmark's or test's payload.
        case probe = 5
        /// Numbers of which every rank is to know the largest.
        case maxima = 6
    }

    /// kind 8 bits, layer 12, step 20, piece 24, from the top.
    public let bits: UInt64

    /// A tag of its parts; `layer` < 4096, `step` < 2^20, `piece` < 2^24.
    public init(_ kind: Kind, layer: Int, step: Int, piece: Int) {
        precondition(layer >= 0 && layer < Limits.layers, "layer \(layer) does not fit a tag")
        precondition(step >= 0 && step < 1 << 20, "step \(step) does not fit a tag")
        precondition(piece >= 0 && piece < Limits.pieces, "piece \(piece) does not fit a tag")
        bits = UInt64(kind.rawValue) << 56 | UInt64(layer) << 44 | UInt64(step) << 24 | UInt64(piece)
    }

    /// A tag off the wire; `nil` if its kind is unknown.
    public init?(bits: UInt64) {
        guard Kind(rawValue: UInt8(bits >> 56)) != nil else { return nil }
        self.bits = bits
    }

    /// What the payload holds.
    public var kind: Kind {
        guard let kind = Kind(rawValue: UInt8(bits >> 56)) else { preconditionFailure("tag \(bits) has no kind") }
        return kind
    }
    /// The model's layer.
    public var layer: Int { Int(bits >> 44 & 0xFFF) }
    /// The ring step, or the decode step.
    public var step: Int { Int(bits >> 24 & 0xF_FFFF) }
    /// The piece of a message that was cut.
    public var piece: Int { Int(bits & 0xFF_FFFF) }

    /// `keysAndValues layer 3 step 1 piece 0`.
    public var description: String { "\(kind) layer \(layer) step \(step) piece \(piece)" }
}

// What can go wrong while attention is computed over a ring, named for what the caller can do about it.
import RingCore
import RingKernels
import RingTransport

/// A failed pass or decode step.
public enum EngineError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A peer is gone: run again without it.
    case lost(Rank, layer: Int, step: Int, reason: String)
    /// A payload arrived damaged every time it was asked for.
    case damaged(Rank, layer: Int, step: Int)
    /// Nothing moved for longer than the limit.
    case stalled(layer: Int, step: Int, seconds: Double)
    /// A result holds NaN or infinity: the input or the weights do, or arithmetic overflowed.
    case nonFinite(layer: Int, rank: Rank, step: Int, position: Int, head: Int)
    /// The job was cancelled.
    case cancelled
    /// The transport refused an order.
    case transport(TransportError)
    /// Memory could not be had, or a shape not be served.
    case memory(KernelError)
    /// A decode message says something that the ring did not agree on.
    case protocolViolation(String)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .lost(let rank, let layer, let step, let reason): "\(rank) was lost at layer \(layer), step \(step): \(reason)"
        case .damaged(let rank, let layer, let step):
            "data from \(rank) arrived damaged each time it was asked for, at layer \(layer), step \(step); "
                + "look for a bad cable, card or memory between the two machines"
        case .stalled(let layer, let step, let seconds):
            "nothing has moved on the ring for \(Int(seconds)) s at layer \(layer), step \(step); look for a hung peer or a blocked port"
        case .nonFinite(let layer, let rank, let step, let position, let head):
            "attention at layer \(layer), \(rank), step \(step) is not finite for token \(position), head \(head); "
                + "look for NaN or infinity in the weights or the input"
        case .cancelled: "the job was cancelled"
        case .transport(let error): "the data plane failed: \(error)"
        case .memory(let error): "\(error)"
        case .protocolViolation(let what): "a peer broke the decode protocol: \(what)"
        }
    }
}

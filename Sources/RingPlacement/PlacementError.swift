// What a planner refuses, each case with a sentence that names the figure at fault and what to do about it.

/// Why there is no plan.
public enum PlacementError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The loads mean nothing: another shape, a figure that is none, nothing at all.
    case loads(String)
    /// The hosts mean nothing: none of them, or a speed or a number of slots that no host has.
    case hosts(String)
    /// Fewer slots than experts.
    case slotsMissing(Int, experts: Int, slots: Int)
    /// Hosts whose memory does not take their slots, or a cluster whose memory does not take the model.
    case memory(String)
    /// The previous plan belongs to another model or another cluster.
    case previous(String)
    /// What was asked for cannot be had with these hosts.
    case impossible(String)

    /// The sentence.
    public var description: String {
        switch self {
        case .loads(let text), .hosts(let text), .memory(let text), .previous(let text), .impossible(let text): text
        case .slotsMissing(let missing, let experts, let slots):
            "\(experts) experts do not fit in \(slots) slots a layer, \(missing) are missing: add hosts or slots"
        }
    }
}

// How good a plan is, in figures that anybody can compute again from the plan and the loads.

/// What no plan of a layer can undercut, and how close one came.
public struct Certificate: Hashable, Sendable {
    /// The term of the lower bound that decides.
    public enum Bound: String, Hashable, Sendable, CaseIterable {
        /// All tokens over the speed of all hosts together.
        case mean
        /// The tokens of the expert that stays largest when copies are given out as well as can be.
        case largestCopy = "largest_copy"
        /// What hosts with few slots for their speed must leave to the others: they hold no more than the hottest experts.
        case slots = "slots"
    }

    /// Tokens of the layer over the speed of all hosts: each host's load if all were equal.
    public let mean: Double
    /// The greatest load of a host, tokens over speed. While hosts compute, the layer takes as long as this one.
    public let max: Double
    /// What no plan can undercut.
    public let lowerBound: Double
    /// The term of the bound that decides.
    public let active: Bound

    /// A certificate of these figures.
    public init(mean: Double, max: Double, lowerBound: Double, active: Bound) {
        self.mean = mean
        self.max = max
        self.lowerBound = lowerBound
        self.active = active
    }
}

/// The figures of all layers together.
public struct PlacementTotals: Hashable, Sendable {
    /// Sum of means over sum of maxima; 1 is perfect, and step time goes as its inverse.
    public let balance: Double
    /// The most that `balance` can be with these slots: sum of means over sum of lower bounds.
    public let bound: Double
    /// `bound / balance - 1`.
    public var gap: Double { balance > 0 ? Swift.max(0, bound / balance - 1) : 0 }

    /// The totals of the layers' certificates. Layers without a token weigh nothing.
    public init(_ certificates: [Certificate]) {
        let mean = certificates.reduce(0) { $0 + $1.mean }
        let top = certificates.reduce(0) { $0 + $1.max }
        let least = certificates.reduce(0) { $0 + $1.lowerBound }
        balance = top > 0 ? mean / top : 1
        bound = least > 0 ? mean / least : 1
    }
}

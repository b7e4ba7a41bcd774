// How many tokens each expert of each layer got: the planner's only measure of demand.

/// Tokens by layer and expert, [layers, experts] in row order.
public struct ExpertLoads: Hashable, Sendable {
    /// Mixture-of-experts layers.
    public let layers: Int
    /// Routed experts of a layer.
    public let experts: Int
    /// Tokens, layer by layer; finite and not negative.
    public let values: [Double]

    /// Loads of `layers` layers of `experts` experts each. Throws `.loads` for another count of figures, for a figure that is negative or
    /// no number, and when all are zero.
    public init(layers: Int, experts: Int, values: [Double]) throws(PlacementError) {
        guard layers >= 1, layers <= PlacementLimits.layers else {
            throw .loads("loads have \(layers) layers: give 1 to \(PlacementLimits.layers)")
        }
        guard experts >= 1, experts <= PlacementLimits.experts else {
            throw .loads("loads have \(experts) experts a layer: give 1 to \(PlacementLimits.experts)")
        }
        guard values.count == layers * experts else {
            throw .loads("\(layers) layers of \(experts) experts are \(layers * experts) loads, got \(values.count)")
        }
        if let place = values.firstIndex(where: { !($0 >= 0 && $0 < .infinity) }) {
            throw .loads(
                "the load of layer \(place / experts), expert \(place % experts) is \(values[place]): give finite tokens of at least 0")
        }
        guard values.contains(where: { $0 > 0 }) else { throw .loads("all loads are zero: measure while the model serves tokens") }
        guard values.reduce(0, +) < .infinity else { throw .loads("the loads add up to more than a number can hold: scale them down") }
        self.layers = layers
        self.experts = experts
        self.values = values
    }

    /// The loads of one layer.
    public func layer(_ layer: Int) -> ArraySlice<Double> { values[layer * experts..<(layer + 1) * experts] }

    /// What the planner plans a layer by: its loads, or one token an expert where a layer got none, so that it is spread evenly.
    package func demand(_ layer: Int, into demand: inout [Double]) {
        demand.removeAll(keepingCapacity: true)
        demand.append(contentsOf: self.layer(layer))
        if demand.allSatisfy({ $0 == 0 }) {
            for expert in demand.indices { demand[expert] = 1 }
        }
    }
}

// What a plan assumes beside the model and the machines: shares of peaks that are reached, and how the program works. Each has a name by
// which it is printed and set; what each default rests on is said in Docs/PLANNING.md.

import RingCore

/// Where a machine's common weights lie while it decodes.
public enum DenseDecode: String, CaseIterable, Hashable, Sendable {
    /// The first rank runs the layers for the new token and asks the others for attention and experts: how this program decodes.
    case leader = "leader"
    /// Every worker computes its share of each matrix, and the shares are put together twice a layer.
    case spread = "spread"
}

/// What a plan assumes.
public struct PlanAssumptions: Hashable, Sendable {
    /// Share of the peak FLOP/s that attention reaches in prefill.
    public var attention = 0.70
    /// Share of the peak FLOP/s that linear layers reach.
    public var linear = 0.80
    /// Share of the peak FLOP/s that experts reach.
    public var experts = 0.70
    /// Share of the memory bandwidth that reading weights and cache reaches.
    public var memory = 0.85
    /// Share of a link's speed that messages reach.
    public var link = 0.90
    /// Share of NVMe's speed that reading experts reaches.
    public var nvme = 0.80
    /// Mean over greatest load of a worker by its experts, as placement leaves it.
    public var balance = 0.97
    /// Bytes on the ring over those of a ring that carries every block everywhere: what no later rank sees is not sent.
    public var ring = 0.75
    /// Tokens of one worker that go through a layer's weights at once.
    public var slice = 4096
    /// Slots that each worker has beyond its even share of a layer's experts, so that loads can be balanced.
    public var spare = 1
    /// Bytes of an element that is sent to an expert: 1 is fp8.
    public var dispatchBytes = 1.0
    /// Bytes of an element that comes back: 2 is bf16.
    public var combineBytes = 2.0
    /// Bytes of an activation in memory, and of queries and partials on the wire: 4 is f32.
    public var activationBytes = 4.0
    /// Whether one copy of the common weights serves all workers of a machine; else each worker has its own, near to its cores.
    public var sharesWeights = false
    /// Where common weights are used in decoding.
    public var denseDecode = DenseDecode.leader

    /// The defaults.
    public init() {}

    /// One assumption as it is printed and set.
    public struct Entry: Hashable, Sendable {
        /// The name.
        public var name: String
        /// The value, as it may be set.
        public var value: String
        /// What it means, in a few words.
        public var meaning: String
    }

    /// All of them, in order.
    public var entries: [Entry] {
        func entry(_ name: String, _ value: String, _ meaning: String) -> Entry { Entry(name: name, value: value, meaning: meaning) }
        return [
            entry("attention", "\(attention)", "share of peak FLOP/s that attention reaches in prefill"),
            entry("linear", "\(linear)", "share of peak FLOP/s that linear layers reach"),
            entry("experts", "\(experts)", "share of peak FLOP/s that experts reach"),
            entry("memory", "\(memory)", "share of memory bandwidth that is reached"),
            entry("link", "\(link)", "share of a link's speed that is reached"),
            entry("nvme", "\(nvme)", "share of NVMe's speed that is reached"),
            entry("balance", "\(balance)", "mean over greatest expert load of a worker"),
            entry("ring", "\(ring)", "share of a full ring's bytes that is sent"),
            entry("slice", "\(slice)", "tokens of a worker that meet a layer's weights at once"),
            entry("spare", "\(spare)", "expert slots of a worker and layer beyond an even share"),
            entry("dispatch-bytes", "\(dispatchBytes)", "bytes of an element on its way to an expert"),
            entry("combine-bytes", "\(combineBytes)", "bytes of an element on its way back"),
            entry("activation-bytes", "\(activationBytes)", "bytes of an activation, a query, a partial"),
            entry("shared-weights", sharesWeights ? "yes" : "no", "one copy of common weights serves a machine's workers"),
            entry("dense-decode", denseDecode.rawValue, "who runs the common layers of a new token: leader or spread"),
        ]
    }

    /// Sets one by its name.
    public mutating func set(_ name: String, to text: String) throws(PlanningError) {
        switch name {
        case "attention": attention = try share(name, text)
        case "linear": linear = try share(name, text)
        case "experts": experts = try share(name, text)
        case "memory": memory = try share(name, text)
        case "link": link = try share(name, text)
        case "nvme": nvme = try share(name, text)
        case "balance": balance = try share(name, text)
        case "ring": ring = try share(name, text)
        case "slice": slice = try whole(name, text, 1...(1 << 30))
        case "spare": spare = try whole(name, text, 0...4096)
        case "dispatch-bytes": dispatchBytes = try number(name, text, 0.5...8)
        case "combine-bytes": combineBytes = try number(name, text, 0.5...8)
        case "activation-bytes": activationBytes = try number(name, text, 0.5...8)
        case "shared-weights":
            guard text == "yes" || text == "no" else { throw .badValue("the assumption 'shared-weights' is yes or no, got '\(text)'") }
            sharesWeights = text == "yes"
        case "dense-decode":
            guard let value = DenseDecode(rawValue: text) else {
                throw .badValue("the assumption 'dense-decode' is leader or spread, got '\(text)'")
            }
            denseDecode = value
        default:
            let known = entries.map(\.name)
            let nearest = known.min { editDistance($0, name) < editDistance($1, name) } ?? ""
            throw .badValue("no assumption is named '\(name)': did you mean '\(nearest)'? Known are \(known.joined(separator: ", "))")
        }
    }

    private func share(_ name: String, _ text: String) throws(PlanningError) -> Double {
        guard let value = Double(text), value > 0, value <= 1 else {
            throw .badValue("the assumption '\(name)' is a share, more than 0 and at most 1, got '\(text)'")
        }
        return value
    }

    private func number(_ name: String, _ text: String, _ range: ClosedRange<Double>) throws(PlanningError) -> Double {
        guard let value = Double(text), range.contains(value) else {
            throw .badValue("the assumption '\(name)' is a number from \(range.lowerBound) to \(range.upperBound), got '\(text)'")
        }
        return value
    }

    private func whole(_ name: String, _ text: String, _ range: ClosedRange<Int>) throws(PlanningError) -> Int {
        guard let value = Int(text), range.contains(value) else {
            throw .badValue("the assumption '\(name)' is a whole number from \(range.lowerBound) to \(range.upperBound), got '\(text)'")
        }
        return value
    }
}

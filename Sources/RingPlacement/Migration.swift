// From one plan to the next: which host fetches which expert's weights from whom, and in which round, so that no link is asked for two
// transfers at once and there are as many rounds as the busiest link has transfers (Koenig 1916).

/// One expert's weights on their way between hosts.
public struct Transfer: Hashable, Sendable {
    /// The layer.
    public let layer: Int
    /// The expert in its layer.
    public let expert: Int
    /// A host that holds it under the old plan; nil if no host does, and it comes from storage.
    public let source: Int?
    /// The host that gets it.
    public let target: Int
    /// When: rounds follow each other, in each a host sends one expert at most and receives one at most. Counted through all layers.
    public let round: Int
}

/// What must be moved where to get from one plan to another.
public struct Migration: Hashable, Sendable {
    /// The transfers, by round.
    public let transfers: [Transfer]
    /// Rounds in all.
    public let rounds: Int
    /// Rounds that no schedule can undercut, layer by layer: the busiest link's transfers.
    public let roundsMin: Int
    /// Slots whose expert the host did not hold before.
    public var moves: Int { transfers.count }
    /// Slots of the plan in all layers, for a fraction.
    public let slots: Int
    /// Bytes moved, if the size of an expert is known.
    public let bytes: Int?
    /// Seconds on the wire if every link is used as the rounds say; nil without the size of an expert.
    public let seconds: Double?

    init(from previous: PlacementPlan, to layers: [LayerPlan], on hosts: HostTable, _ options: PlacementOptions) {
        var transfers: [Transfer] = []
        var (rounds, least) = (0, 0)
        for layer in layers.indices {
            let wanted = Self.wanted(from: previous.layers[layer], to: layers[layer], experts: previous.experts, on: hosts)
            let colouring = EdgeColouring(wanted.map { ($0.source, $0.target) }, nodes: hosts.count)
            for round in 0..<max(colouring.count, wanted.isEmpty ? 0 : 1) {
                for (place, transfer) in wanted.enumerated() where colouring.colours[place] == round {
                    transfers.append(
                        Transfer(
                            layer: layer, expert: transfer.expert, source: transfer.source < 0 ? nil : transfer.source,
                            target: transfer.target, round: rounds + round))
                }
            }
            rounds += colouring.count
            least += colouring.degreeMax
        }
        self.transfers = transfers
        self.rounds = rounds
        roundsMin = least
        slots = hosts.totalSlots * layers.count
        bytes = options.expertBytes.map { $0 * transfers.count }
        seconds = options.expertBytes.map { Double($0) * Double(rounds) / options.linkBytesPerSecond }
    }

    /// Copies of the new row on hosts that did not hold the expert, each with the old holder that has least to send so far.
    private static func wanted(
        from old: LayerPlan, to new: LayerPlan, experts: Int, on hosts: HostTable
    ) -> [(expert: Int, source: Int, target: Int)] {
        var holders = [[Int32]](repeating: [], count: experts)
        for host in 0..<hosts.count {
            for slot in hosts.row(host) where old.experts[slot] >= 0 { holders[Int(old.experts[slot])].append(Int32(host)) }
        }
        var sends = [Int](repeating: 0, count: hosts.count)
        var found: [(expert: Int, source: Int, target: Int)] = []
        for host in 0..<hosts.count {
            for slot in hosts.row(host) where new.experts[slot] >= 0 {
                let expert = Int(new.experts[slot])
                guard !holders[expert].contains(Int32(host)) else { continue }
                var best = -1
                for holder in holders[expert] where best < 0 || sends[Int(holder)] < sends[best] { best = Int(holder) }
                if best >= 0 { sends[best] += 1 }
                found.append((expert, best, host))
            }
        }
        return found
    }

    /// Pairs of host and expert in `new` that are not in `old`.
    static func moves(from old: LayerPlan, to new: LayerPlan, on hosts: HostTable) -> Int {
        var count = 0
        for host in 0..<hosts.count {
            let row = hosts.row(host)
            for slot in row where new.experts[slot] >= 0 && new.experts[slot] != old.experts[slot] {
                var isHeld = false
                for other in row where old.experts[other] == new.experts[slot] { isHeld = true }
                if !isHeld { count += 1 }
            }
        }
        return count
    }
}

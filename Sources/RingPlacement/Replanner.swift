// A plan for new loads that starts from an old one. Three ways: keep the copies and split anew, which moves nothing; repair, which adds a
// few copies until no host is above a level a little over the least possible; or plan anew and give each host the bundle that it already
// holds most of. The loads of a repair are one level for all layers relative to each layer's bound, found by bisection when moves are
// limited.

/// How the planner chose, for explanations.
public struct ReplanChoice: Hashable, Sendable {
    /// What was chosen.
    public enum Way: String, Hashable, Sendable, CaseIterable {
        /// The copies stay, tokens are split anew.
        case resplit = "resplit"
        /// Some copies change.
        case repair = "repair"
        /// A fresh plan, its bundles matched with the hosts that hold most of them.
        case fresh = "fresh"
    }

    /// One way with its price and its worth.
    public struct Offer: Hashable, Sendable {
        /// Which way.
        public let way: Way
        /// Balance under the new loads.
        public let balance: Double
        /// Slots that change, in all layers together.
        public let moves: Int
    }

    /// What was chosen.
    public let chosen: Offer
    /// Balance under the new loads of the old plan with its old shares.
    public let staleBalance: Double
    /// All that was weighed, cheapest first.
    public let offers: [Offer]
}

/// Weighs the three ways.
struct Replanner {
    /// Planning anew is not worth its moves for less than this part of the balance, and neither is a repair.
    static let indifference = 0.002
    /// How far above its bound a repaired layer may stay when moves are free to choose.
    static let slack = 0.006

    private let loads: ExpertLoads
    private let hosts: HostTable
    private let options: PlacementOptions
    private let previous: PlacementPlan
    private let domains: [Int]
    private var bounds: [Double] = []

    init(_ loads: ExpertLoads, on hosts: HostTable, _ options: PlacementOptions, _ previous: PlacementPlan) {
        self.loads = loads
        self.hosts = hosts
        self.options = options
        self.previous = previous
        domains = hosts.domains
        var demand: [Double] = []
        for layer in 0..<loads.layers {
            loads.demand(layer, into: &demand)
            bounds.append(LowerBound.of(demand, on: hosts).value)
        }
    }

    func plan() throws(PlacementError) -> (layers: [LayerPlan], choice: ReplanChoice) {
        let stale = balance(previous.layers)
        guard options.policy == .auto || options.policy == .wrap else {
            // The baselines forget the old plan; that is what they are compared for.
            let layers = try FreshPlan.layers(loads, on: hosts, options)
            let offer = ReplanChoice.Offer(way: .fresh, balance: balance(layers), moves: moves(to: layers))
            return (layers, ReplanChoice(chosen: offer, staleBalance: stale, offers: [offer]))
        }
        let fresh = try FreshPlan.layers(loads, on: hosts, options)
        if options.twoDomains, !previous.layers.allSatisfy(liesInTwoDomains) {
            // What was not promised cannot be kept: repair would have to start anew.
            let matched = fresh.indices.map { BundleMatch.renamed(fresh[$0], after: previous.layers[$0], on: hosts) }
            let layers = matched.allSatisfy(liesInTwoDomains) ? matched : fresh
            let offer = ReplanChoice.Offer(way: .fresh, balance: balance(layers), moves: moves(to: layers))
            return (layers, ReplanChoice(chosen: offer, staleBalance: stale, offers: [offer]))
        }
        let allowed = Int((options.moveBudget ?? 1) * Double(hosts.totalSlots * loads.layers))
        let kept = repair(slack: .infinity)
        let best = balance(fresh)
        var candidates = [(layers: kept.layers, offer: ReplanChoice.Offer(way: .resplit, balance: balance(kept.layers), moves: 0))]
        if candidates[0].offer.balance < best * (1 - Self.indifference), allowed > 0 {
            let repaired = repair(within: allowed)
            candidates.append((repaired.layers, .init(way: .repair, balance: balance(repaired.layers), moves: repaired.moves)))
            if candidates[1].offer.balance < best * (1 - 2 * Self.slack) {
                // Bundles that change places may leave their domains.
                let renamed = fresh.indices.map { BundleMatch.renamed(fresh[$0], after: previous.layers[$0], on: hosts) }
                let matched = options.twoDomains && !renamed.allSatisfy(liesInTwoDomains) ? fresh : renamed
                candidates.append((matched, .init(way: .fresh, balance: best, moves: moves(to: matched))))
            }
        }
        var chosen = 0
        for place in candidates.indices.dropFirst() where candidates[place].offer.moves <= allowed {
            if candidates[place].offer.balance > candidates[chosen].offer.balance * (1 + Self.indifference) { chosen = place }
        }
        let choice = ReplanChoice(chosen: candidates[chosen].offer, staleBalance: stale, offers: candidates.map(\.offer))
        return (candidates[chosen].layers, choice)
    }

    /// The repair to the lowest level whose moves stay within the budget; without a budget to the usual slack.
    private func repair(within allowed: Int) -> (layers: [LayerPlan], moves: Int) {
        var best = repair(slack: Self.slack)
        if best.moves <= allowed { return best }
        var (low, high) = (Self.slack, 1.0)
        best = (previous.layers, .max)
        for _ in 0..<9 {
            let middle = (low * high).squareRoot()
            let found = repair(slack: middle)
            if found.moves <= allowed {
                high = middle
                best = found
            } else {
                low = middle
            }
        }
        return best.moves <= allowed ? best : repair(slack: .infinity)
    }

    /// Every layer brought down to its bound and `slack` above it; with infinite slack the copies stay.
    private func repair(slack: Double) -> (layers: [LayerPlan], moves: Int) {
        var moves = 0
        var repair = Repair()
        var demand: [Double] = []
        var layers: [LayerPlan] = []
        layers.reserveCapacity(loads.layers)
        for layer in 0..<loads.layers {
            loads.demand(layer, into: &demand)
            var flow = ShareFlow(previous.layers[layer], demand, on: hosts)
            if options.twoDomains { flow.domains = domains }
            if slack < .infinity {
                flow.aim(at: bounds[layer] * (1 + slack))
                moves += repair.run(&flow, budget: hosts.totalSlots)
                flow.aim(at: bounds[layer])
            }
            flow.settle()
            var row = previous.layers[layer]
            flow.write(into: &row)
            layers.append(row)
        }
        return (layers, slack < .infinity ? self.moves(to: layers) : moves)
    }

    private func liesInTwoDomains(_ row: LayerPlan) -> Bool {
        var found = [Int](repeating: -1, count: loads.experts)
        var isInTwo = [Bool](repeating: false, count: loads.experts)
        for host in 0..<hosts.count {
            for slot in hosts.row(host) where row.experts[slot] >= 0 {
                let expert = Int(row.experts[slot])
                if found[expert] >= 0, found[expert] != domains[host] { isInTwo[expert] = true }
                found[expert] = domains[host]
            }
        }
        return !isInTwo.contains(false)
    }

    private func balance(_ layers: [LayerPlan]) -> Double {
        var (mean, top) = (0.0, 0.0)
        var demand: [Double] = []
        for layer in layers.indices {
            demand.removeAll(keepingCapacity: true)
            demand.append(contentsOf: loads.layer(layer))
            mean += demand.reduce(0, +) / hosts.totalSpeed
            top += layers[layer].level(demand, on: hosts)
        }
        return top > 0 ? mean / top : 1
    }

    private func moves(to layers: [LayerPlan]) -> Int {
        layers.indices.reduce(0) { $0 + Migration.moves(from: previous.layers[$1], to: layers[$1], on: hosts) }
    }
}

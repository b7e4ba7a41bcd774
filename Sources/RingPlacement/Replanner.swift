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
    /// A way is not worth its moves for less than this part of the balance.
    static let indifference = 0.002
    /// How far above the least possible a repaired layer may stay when moves are free to choose.
    static let slack = 0.0075
    /// Repairs that are tried to find what a budget of moves can do.
    private static let trials = 7

    private let loads: ExpertLoads
    private let hosts: HostTable
    private let options: PlacementOptions
    private let previous: PlacementPlan
    private let domains: [Int]
    /// What layers are planned by, tokens or one an expert.
    private var demands: [[Double]] = []

    init(_ loads: ExpertLoads, on hosts: HostTable, _ options: PlacementOptions, _ previous: PlacementPlan) {
        self.loads = loads
        self.hosts = hosts
        self.options = options
        self.previous = previous
        domains = options.twoDomains ? hosts.domains : []
        var demand: [Double] = []
        for layer in 0..<loads.layers {
            loads.demand(layer, into: &demand)
            demands.append(demand)
        }
    }

    func plan() throws(PlacementError) -> (layers: [LayerPlan], choice: ReplanChoice) {
        let stale = balance(previous.layers)
        let isOurs = options.policy == .auto || options.policy == .wrap
        // The baselines forget the old plan, which is what they are compared for; and a promise that was not made cannot be kept.
        guard isOurs, !options.twoDomains || previous.layers.allSatisfy(liesInTwoDomains) else {
            let layers = try matched(FreshPlan.layers(loads, on: hosts, options), keepsHosts: !isOurs)
            let offer = ReplanChoice.Offer(way: .fresh, balance: balance(layers), moves: moves(to: layers))
            return (layers, ReplanChoice(chosen: offer, staleBalance: stale, offers: [offer]))
        }
        // Where wrap-around is exact the mean can be reached, and nothing need be planned anew to know it.
        let fresh = hosts.isExact(for: loads.experts) && !options.twoDomains ? nil : try FreshPlan.layers(loads, on: hosts, options)
        let targets = demands.indices.map { fresh?[$0].level(demands[$0], on: hosts) ?? demands[$0].reduce(0, +) / hosts.totalSpeed }
        let best = fresh.map(balance) ?? 1
        let allowed = Int((options.moveBudget ?? 1) * Double(hosts.totalSlots * loads.layers))
        let usual = repair(to: targets, slack: Self.slack)
        let kept = usual.moves == 0 ? usual.layers : split(anewLike: usual.layers)
        var candidates = [(layers: kept, offer: ReplanChoice.Offer(way: .resplit, balance: balance(kept), moves: 0))]
        if usual.moves > 0, allowed > 0, candidates[0].offer.balance < best * (1 - Self.indifference) {
            let repaired = usual.moves <= allowed ? usual : repair(to: targets, within: allowed, usual.moves)
            candidates.append((repaired.layers, .init(way: .repair, balance: balance(repaired.layers), moves: repaired.moves)))
        }
        if allowed == hosts.totalSlots * loads.layers, candidates[candidates.count - 1].offer.balance < best * (1 - 2 * Self.slack) {
            let planned = if let fresh { fresh } else { try FreshPlan.layers(loads, on: hosts, options) }
            let layers = matched(planned, keepsHosts: false)
            candidates.append((layers, .init(way: .fresh, balance: balance(layers), moves: moves(to: layers))))
        }
        var chosen = 0
        for place in candidates.indices.dropFirst() where candidates[place].offer.moves <= allowed {
            if candidates[place].offer.balance > candidates[chosen].offer.balance * (1 + Self.indifference) { chosen = place }
        }
        let offers = candidates.indices.map { candidates[$0].offer }
        let choice = ReplanChoice(chosen: offers[chosen], staleBalance: stale, offers: offers)
        return (candidates[chosen].layers, choice)
    }

    /// A fresh plan with its bundles on the hosts that hold most of them, unless that would leave experts in one domain.
    private func matched(_ fresh: [LayerPlan], keepsHosts: Bool) -> [LayerPlan] {
        if keepsHosts { return fresh }
        let renamed = fresh.indices.map { BundleMatch.renamed(fresh[$0], after: previous.layers[$0], on: hosts) }
        return options.twoDomains && !renamed.allSatisfy(liesInTwoDomains) ? fresh : renamed
    }

    /// The repair to the lowest level, relative to the targets, whose moves stay within the budget. More slack takes fewer moves.
    private func repair(to targets: [Double], within allowed: Int, _ usual: Int) -> (layers: [LayerPlan], moves: Int) {
        var (low, high) = (Self.slack, 1.0)
        var best: (layers: [LayerPlan], moves: Int)?
        for _ in 0..<Self.trials {
            let middle = (low * high).squareRoot()
            let found = repair(to: targets, slack: middle)
            if found.moves <= allowed {
                high = middle
                best = found
                // Close enough to the budget.
                if Double(found.moves) > 0.9 * Double(allowed) { break }
            } else {
                low = middle
            }
        }
        return best ?? (split(anewLike: previous.layers), 0)
    }

    /// Every layer brought down to its target and `slack` above it, and then as far as its copies allow.
    private func repair(to targets: [Double], slack: Double) -> (layers: [LayerPlan], moves: Int) {
        var moves = 0
        var repair = Repair()
        var flow = ShareFlow(previous.layers[0], demands[0], on: hosts)
        flow.domains = domains
        var layers = previous.layers
        for layer in layers.indices {
            if layer > 0 { flow.start(previous.layers[layer], demands[layer]) }
            flow.aim(at: targets[layer] * (1 + slack))
            let hasBridges = repair.run(&flow, budget: hosts.totalSlots) > 0
            flow.aim(at: targets[layer])
            flow.settle()
            flow.write(into: &layers[layer])
            if hasBridges { moves += Migration.moves(from: previous.layers[layer], to: layers[layer], on: hosts) }
        }
        return (layers, moves)
    }

    /// The old copies with shares for the new loads. Layers of `others` that have the old copies are taken as they are: they have been
    /// split.
    private func split(anewLike others: [LayerPlan]) -> [LayerPlan] {
        var flow = ShareFlow(previous.layers[0], demands[0], on: hosts)
        var layers = others
        for layer in layers.indices {
            if others[layer].experts == previous.layers[layer].experts, others[layer].shares != previous.layers[layer].shares { continue }
            flow.start(previous.layers[layer], demands[layer])
            flow.settle()
            flow.write(into: &layers[layer])
        }
        return layers
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

    /// Layers without a token weigh nothing.
    private func balance(_ layers: [LayerPlan]) -> Double {
        var (mean, top) = (0.0, 0.0)
        for layer in layers.indices where loads.layer(layer).contains(where: { $0 > 0 }) {
            mean += demands[layer].reduce(0, +) / hosts.totalSpeed
            top += layers[layer].level(demands[layer], on: hosts)
        }
        return top > 0 ? mean / top : 1
    }

    private func moves(to layers: [LayerPlan]) -> Int {
        layers.indices.reduce(0) { $0 + Migration.moves(from: previous.layers[$1], to: layers[$1], on: hosts) }
    }
}

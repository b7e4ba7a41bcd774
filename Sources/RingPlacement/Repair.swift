// Repair of one layer: a few new copies bring an old plan down to a level that its own copies cannot reach. Hosts above the level push
// tokens along the copies that exist. Where they are stuck, the hosts that share experts with each other form islands: hot ones with tokens
// to give and cold ones with room. One new copy, of an expert of a hot island on a host of a cold one, lets tokens flow between all hosts
// of both, so few are needed. It goes into a slot that is empty, or whose copy takes no tokens, or whose tokens its other copies have room
// for; failing that, a small expert of the cold host moves to the hot island and leaves its slot, or two whole experts change places: two
// moves each.

/// Chooses new copies for one layer after the other; buffers are kept from layer to layer.
struct Repair {
    /// A new copy and what it is worth.
    private struct Bridge {
        var expert: Int
        /// The slot that it goes to.
        var slot: Int
        /// The copy that inherits the slot's tokens, if it has any.
        var heir: Int?
        /// Where the slot's expert moves whole, if it has no other copy.
        var refuge: Int?
        /// Tokens that can flow through it.
        var amount: Double
        /// Room that would be left over on its island.
        var left: Double
        var moves: Int { refuge == nil ? 1 : 2 }
    }

    /// A flow of less than this part of what is asked for is not worth a copy.
    private static let worth = 0.02

    private var islands: [Int] = []
    private var rooms: [Double] = []
    private var stock: [Double] = []
    private var refuges: [Int] = []
    /// Hosts above the level.
    private var hot: [Int] = []

    /// Brings hosts down to the level with at most `budget` new copies. Returns the number of them; hosts that stay above the level are
    /// for `settle`, which raises it.
    mutating func run(_ flow: inout ShareFlow, budget: Int) -> Int {
        var moves = 0
        collectHot(&flow)
        while let place = hottest(flow) {
            let host = hot[place]
            if flow.room(host) >= -flow.tiny * flow.hosts.speeds[host] {
                hot.remove(at: place)
            } else if flow.push(from: host) {
                continue
            } else if let bridge = bestBridge(flow, within: budget - moves) {
                build(bridge, &flow)
                moves += bridge.moves
                // The host of a refuge may be above the level now.
                if let refuge = bridge.refuge, !hot.contains(Int(flow.hostOf[refuge])) { hot.append(Int(flow.hostOf[refuge])) }
            } else if moves + 2 <= budget, let pair = bestExchange(flow, host) {
                flow.exchange(pair.mine, pair.theirs)
                moves += 2
            } else {
                hot.remove(at: place)
            }
        }
        return moves
    }

    /// Pushes all that can be pushed over copies that exist, and lists the hosts that stay above the level.
    private mutating func collectHot(_ flow: inout ShareFlow) {
        hot.removeAll(keepingCapacity: true)
        for host in 0..<flow.hosts.count {
            let tiny = flow.tiny * flow.hosts.speeds[host]
            while flow.room(host) < -tiny, flow.push(from: host) {}
            if flow.room(host) < -tiny { hot.append(host) }
        }
    }

    /// The place in the list of the host farthest above the level.
    private func hottest(_ flow: ShareFlow) -> Int? {
        var best = (place: -1, excess: -Double.infinity)
        for (place, host) in hot.enumerated() {
            let excess = -flow.room(host) / flow.hosts.speeds[host]
            if excess > best.excess { best = (place, excess) }
        }
        return best.place < 0 ? nil : best.place
    }

    private func build(_ bridge: Bridge, _ flow: inout ShareFlow) {
        if let refuge = bridge.refuge {
            if flow.experts[refuge] >= 0 { flow.drop(refuge, to: flow.heir(of: refuge)) }
            let moved = Int(flow.experts[bridge.slot])
            flow.add(moved, at: refuge)
            flow.drop(bridge.slot, to: refuge)
        } else if flow.experts[bridge.slot] >= 0 {
            flow.drop(bridge.slot, to: bridge.heir)
        }
        flow.add(bridge.expert, at: bridge.slot)
    }

    /// The copy through which most tokens can leave the hosts that the last search reached, for each move.
    private mutating func bestBridge(_ flow: ShareFlow, within budget: Int) -> Bridge? {
        guard budget > 0 else { return nil }
        var asked = 0.0
        for host in flow.reached { asked += max(0, -flow.room(Int(host))) }
        let sources = sources(flow, asked)
        guard let most = sources.first?.amount else { return nil }
        drawIslands(flow)
        findRefuges(flow)
        var best: Bridge?
        for host in 0..<flow.hosts.count where !flow.wasReached(host) {
            let room = rooms[islands[host]]
            guard room > asked * Self.worth else { continue }
            if let best, best.moves == 1 {
                // What cannot be better than the best needs no closer look.
                let possible = min(most, room)
                guard possible > best.amount * 1.001 || (possible > best.amount * 0.999 && room - most < best.left) else { continue }
            }
            guard let source = sources.first(where: { !flow.holds(host, $0.expert) }) else { continue }
            guard let bridge = bridge(to: host, source, asked, flow, within: budget) else { continue }
            if best.map({ isBetter(bridge, $0) }) ?? true { best = bridge }
        }
        return best
    }

    private func isBetter(_ one: Bridge, _ other: Bridge) -> Bool {
        let (worth, known) = (one.amount / Double(one.moves), other.amount / Double(other.moves))
        if worth > known * 1.001 { return true }
        // Of two that carry as much, the one that leaves less room unused.
        return worth > known * 0.999 && one.left < other.left
    }

    /// Experts of the reached hosts by the tokens that they can give, the most first; among equals the hottest.
    private mutating func sources(_ flow: ShareFlow, _ asked: Double) -> [(expert: Int, amount: Double)] {
        var found: [(expert: Int, amount: Double)] = []
        stock = Array(repeating: 0, count: flow.demand.count)
        for host in flow.reached {
            for slot in flow.hosts.row(Int(host)) where flow.experts[slot] >= 0 { stock[Int(flow.experts[slot])] += flow.tokens[slot] }
        }
        for host in flow.reached {
            for slot in flow.hosts.row(Int(host)) where flow.experts[slot] >= 0 {
                let expert = Int(flow.experts[slot])
                guard stock[expert] > asked * Self.worth else { continue }
                found.append((expert, min(asked, stock[expert])))
                stock[expert] = 0
            }
        }
        found.sort {
            if $0.amount != $1.amount { return $0.amount > $1.amount }
            if flow.demand[$0.expert] != flow.demand[$1.expert] { return flow.demand[$0.expert] > flow.demand[$1.expert] }
            return $0.expert < $1.expert
        }
        return found
    }

    /// Numbers the hosts that were not reached by island, and adds up the islands' rooms.
    private mutating func drawIslands(_ flow: ShareFlow) {
        islands = Array(0..<flow.hosts.count)
        func root(_ host: Int) -> Int {
            var place = host
            while islands[place] != place {
                islands[place] = islands[islands[place]]
                place = islands[place]
            }
            return place
        }
        for expert in flow.demand.indices {
            var slot = flow.firstSlot[expert]
            guard slot >= 0, flow.nextSlot[Int(slot)] >= 0 else { continue }
            var first = -1
            while slot >= 0 {
                let host = Int(flow.hostOf[Int(slot)])
                if flow.tokens[Int(slot)] > flow.tiny, !flow.wasReached(host) {
                    if first < 0 { first = root(host) } else { islands[root(host)] = first }
                    first = root(first)
                }
                slot = flow.nextSlot[Int(slot)]
            }
        }
        rooms = Array(repeating: 0, count: flow.hosts.count)
        for host in 0..<flow.hosts.count {
            islands[host] = root(host)
            if !flow.wasReached(host) { rooms[islands[host]] += max(0, flow.room(host)) }
        }
    }

    /// Two whole experts, one of a stuck host and one of a host with room, whose exchange takes most off the stuck one: for plans without
    /// a slot to spare.
    private func bestExchange(_ flow: ShareFlow, _ host: Int) -> (mine: Int, theirs: Int)? {
        let excess = -flow.room(host)
        var best = (mine: -1, theirs: -1, gain: excess * Self.worth, rest: Double.infinity)
        for other in 0..<flow.hosts.count where !flow.wasReached(other) {
            let room = flow.room(other)
            guard room > best.gain else { continue }
            for mine in flow.hosts.row(host) where flow.experts[mine] >= 0 && flow.isAlone(mine) {
                for theirs in flow.hosts.row(other) where flow.experts[theirs] >= 0 && flow.isAlone(theirs) {
                    let difference = flow.tokens[mine] - flow.tokens[theirs]
                    guard difference <= room else { continue }
                    let gain = min(excess, difference)
                    // Of two that take as much, the one that fills the other host less.
                    if gain > best.gain || (gain == best.gain && difference - gain < best.rest) {
                        best = (mine, theirs, gain, difference - gain)
                    }
                }
            }
        }
        return best.mine < 0 ? nil : (best.mine, best.theirs)
    }

    /// Slots of the reached hosts that can take a whole small expert.
    private mutating func findRefuges(_ flow: ShareFlow) {
        refuges.removeAll(keepingCapacity: true)
        for host in flow.reached {
            for slot in flow.hosts.row(Int(host)) {
                let isFree = flow.experts[slot] < 0 || (flow.tokens[slot] <= flow.tiny && flow.heir(of: slot) != nil)
                if isFree {
                    refuges.append(slot)
                    break
                }
            }
        }
    }

    /// The cheapest slot of a host for a copy, with what can flow through it.
    private func bridge(
        to host: Int, _ source: (expert: Int, amount: Double), _ asked: Double, _ flow: ShareFlow, within budget: Int
    ) -> Bridge? {
        let room = rooms[islands[host]]
        var (least, freed) = (Double.infinity, Bridge?.none)
        var (smallest, small) = (-1, Double.infinity)
        for slot in flow.hosts.row(host) {
            let tokens = flow.tokens[slot]
            if flow.experts[slot] < 0 {
                return Bridge(
                    expert: source.expert, slot: slot, heir: nil, refuge: nil, amount: min(source.amount, room), left: room - source.amount)
            }
            if flow.isAlone(slot) {
                if tokens < small { (smallest, small) = (slot, tokens) }
            } else if tokens < least, let heir = flow.heir(of: slot) {
                least = tokens
                // A copy with tokens may be what holds the island together: only this host's own room is sure.
                let sure = tokens > flow.tiny ? max(0, flow.room(host)) + tokens : room
                freed = Bridge(
                    expert: source.expert, slot: slot, heir: heir, refuge: nil, amount: min(source.amount, sure), left: sure - source.amount
                )
            }
        }
        if let freed, freed.amount > asked * Self.worth { return freed }
        guard budget > 1, smallest >= 0 else { return nil }
        let moved = Int(flow.experts[smallest])
        guard let refuge = refuges.first(where: { !flow.holds(Int(flow.hostOf[$0]), moved) && flow.experts[$0] != Int32(source.expert) })
        else { return nil }
        let amount = min(source.amount, room + small, asked + small) - small
        guard amount > asked * Self.worth else { return nil }
        return Bridge(expert: source.expert, slot: smallest, heir: nil, refuge: refuge, amount: amount, left: room - amount)
    }
}

extension ShareFlow {
    /// Another copy of a slot's expert whose host has room for the slot's tokens; nil if the copy may not go.
    func heir(of slot: Int) -> Int? {
        var other = firstSlot[Int(experts[slot])]
        guard nextSlot[Int(other)] >= 0 else { return nil }
        var best: (slot: Int, room: Double)?
        while other >= 0 {
            if Int(other) != slot {
                let room = room(Int(hostOf[Int(other)]))
                if room >= tokens[slot] || tokens[slot] <= tiny, room > best?.room ?? -.infinity { best = (Int(other), room) }
            }
            other = nextSlot[Int(other)]
        }
        return maySpare(slot) ? best?.slot : nil
    }

    /// Whether a slot's expert has no other copy.
    func isAlone(_ slot: Int) -> Bool {
        let first = Int(firstSlot[Int(experts[slot])])
        return first == slot && nextSlot[slot] < 0
    }
}

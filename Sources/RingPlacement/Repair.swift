// Repair of one layer: a few new copies bring an old plan down to a level that its own copies cannot reach. Hosts above the level push
// tokens along the copies that exist; a host that is stuck gets one new edge, a copy of an expert of its surroundings on a host with room,
// in a slot that is empty, or whose copy takes no tokens, or whose tokens its other copies have room for.

extension ShareFlow {
    /// A slot that can be freed, and the copy that inherits its tokens.
    private struct Opening {
        var slot: Int
        var heir: Int?
        /// What the host can take once the slot is free.
        var room: Double
    }

    /// Brings hosts down to the level with at most `budget` new copies. Returns the number of them; hosts that stay above the level are
    /// for `settle`, which raises it.
    mutating func repair(budget: Int) -> Int {
        let excess = (0..<hosts.count).map { -room($0) / hosts.speeds[$0] }
        let hot = (0..<hosts.count).filter { excess[$0] > tiny }.sorted { excess[$0] > excess[$1] || (excess[$0] == excess[$1] && $0 < $1) }
        // First everything that costs nothing, so that rooms are what they will be.
        for host in hot { drain(host) }
        var moves = 0
        for host in hot {
            while room(host) < -tiny * hosts.speeds[host] {
                if push(from: host) { continue }
                guard moves < budget else { return moves }
                if connect(host) {
                    moves += 1
                } else if moves + 2 <= budget, exchange(host) {
                    moves += 2
                } else {
                    break
                }
            }
        }
        return moves
    }

    private mutating func drain(_ host: Int) {
        while room(host) < -tiny * hosts.speeds[host] {
            guard push(from: host) else { return }
        }
    }

    /// One new copy for the surroundings of a stuck host, which the last search reached. False if nothing helps.
    private mutating func connect(_ host: Int) -> Bool {
        guard let source = bestSource() else { return false }
        let expert = Int(experts[source.slot])
        guard let opening = bestOpening(for: expert, amount: source.amount) else { return false }
        if experts[opening.slot] >= 0 { drop(opening.slot, to: opening.heir) }
        let target = Int(hostOf[opening.slot])
        add(expert, at: opening.slot)
        let amount = min(source.amount, room(target))
        let bridge = Int(hostOf[source.slot])
        // The tokens come from the stuck host along the chain that led to the bridge.
        move(amount, along: bridge)
        shift(amount, from: source.slot, to: opening.slot)
        return true
    }

    /// Of the copies on hosts that the search reached, the one through which most can flow away; among equals that of the hottest expert.
    private func bestSource() -> (slot: Int, amount: Double)? {
        var best: (slot: Int, amount: Double)?
        for host in reached {
            for slot in hosts.row(Int(host)) where experts[slot] >= 0 {
                let amount = min(capacity[Int(host)], tokens[slot])
                guard amount > tiny else { continue }
                if let known = best {
                    let isHotter = demand[Int(experts[slot])] > demand[Int(experts[known.slot])]
                    if amount < known.amount * (1 - 1e-9) || (amount < known.amount * (1 + 1e-9) && !isHotter) { continue }
                }
                best = (slot, amount)
            }
        }
        return best
    }

    /// The opening with the least room that takes `amount` whole, else the one with the most room.
    private func bestOpening(for expert: Int, amount: Double) -> Opening? {
        var best: Opening?
        let floor = amount * 0.02
        for host in 0..<hosts.count where !wasReached(host) && room(host) > -tiny {
            let limit = best?.room ?? 0
            // A host that is worse even with a slot freed need not be looked through.
            guard let opening = opening(on: host, amount), opening.room > floor, !holds(host, expert) else { continue }
            let fits = opening.room >= amount
            let bestFits = limit >= amount
            if best == nil || (fits && !bestFits) || (fits && opening.room < limit) || (!fits && !bestFits && opening.room > limit) {
                best = opening
            }
        }
        return best
    }

    /// The slot of a host that is freed at the least cost.
    private func opening(on host: Int, _ amount: Double) -> Opening? {
        var best: Opening?
        var least = Double.infinity
        for slot in hosts.row(host) {
            guard experts[slot] >= 0 else { return Opening(slot: slot, heir: nil, room: room(host)) }
            guard tokens[slot] < least, let heir = heir(of: slot) else { continue }
            least = tokens[slot]
            best = Opening(slot: slot, heir: heir, room: room(host) + tokens[slot])
        }
        return best
    }

    /// Another copy of a slot's expert whose host has room for the slot's tokens.
    private func heir(of slot: Int) -> Int? {
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

    /// Two whole experts change places between a stuck host and one with room: two moves, for plans without a slot to spare.
    private mutating func exchange(_ host: Int) -> Bool {
        let excess = -room(host)
        var best: (mine: Int, theirs: Int, gain: Double)?
        for other in 0..<hosts.count where !wasReached(other) && room(other) > tiny {
            for mine in hosts.row(host) where experts[mine] >= 0 && isAlone(mine) {
                for theirs in hosts.row(other) where experts[theirs] >= 0 && isAlone(theirs) {
                    let difference = tokens[mine] - tokens[theirs]
                    let gain = min(excess, difference, 2 * room(other) - difference)
                    if gain > best?.gain ?? (excess * 0.05) { best = (mine, theirs, gain) }
                }
            }
        }
        guard let best else { return false }
        swapWhole(best.mine, best.theirs)
        return true
    }

    private func isAlone(_ slot: Int) -> Bool {
        let first = Int(firstSlot[Int(experts[slot])])
        return first == slot && nextSlot[slot] < 0
    }
}

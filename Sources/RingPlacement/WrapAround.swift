// Wrap-around packing with uneven shares: each host is filled to exactly its part of the load, with the coldest experts whole and the
// hottest last, of which one is cut and its rest goes back. After McNaughton 1959 (scheduling with preemption), with a limit on pieces.
//
// Filled in ascending order of (slots - 1) / speed it never fails where every host has slots - 1 >= (E - 1) * speed / (sum of speeds):
// Docs/PLACEMENT.md proves it. At most one cut a host, so a layer has at most E + G - 1 copies, and hosts and cut experts form a forest.

/// An expert, or what is left of one, that has no host yet.
package struct Piece {
    package var load: Double
    package var expert: Int32

    package init(load: Double, expert: Int32) {
        self.load = load
        self.expert = expert
    }
}

/// Packs one layer after the other; buffers are kept from layer to layer.
package struct WrapAround {
    /// What has no host yet, ascending from `first` on.
    private var pool: [Piece] = []
    private var first = 0
    /// `cold[b]`: the sum of the b coldest.
    private var cold: [Double] = []

    package init() {}

    /// Fills `hosts` in the order given, each to `level` times its speed, with `pieces`, which ascend by load. The last host takes what is
    /// left. Slots get experts and tokens (not yet shares). False, with the row half written, if the last host cannot take its rest.
    package mutating func pack(
        _ pieces: ArraySlice<Piece>, on order: ArraySlice<Int>, of hosts: HostTable, level: Double, into row: inout LayerPlan
    ) -> Bool {
        pool.removeAll(keepingCapacity: true)
        pool.append(contentsOf: pieces)
        first = 0
        let tiny = level * PlacementLimits.tolerance
        for place in order.startIndex..<order.endIndex - 1 {
            let host = order[place]
            fill(hosts.starts[host], slots: hosts.slots[host], to: level * hosts.speeds[host], tiny, into: &row)
        }
        let last = order[order.endIndex - 1]
        guard pool.count - first <= hosts.slots[last] else { return false }
        var slot = hosts.starts[last]
        var sum = 0.0
        while first < pool.count {
            put(pool[first], into: &row, at: slot)
            sum += pool[first].load
            slot += 1
            first += 1
        }
        // Every host may leave a rounding behind; together they are not to be taken for a failure.
        return sum <= (level + Double(order.count) * tiny) * hosts.speeds[last]
    }

    private func put(_ piece: Piece, into row: inout LayerPlan, at slot: Int) {
        row.experts[slot] = piece.expert
        row.shares[slot] = piece.load
    }

    /// One host: as many of the coldest as leave room for the hottest to reach `cap`, then the hottest, the last of them cut.
    private mutating func fill(_ start: Int, slots: Int, to cap: Double, _ tiny: Double, into row: inout LayerPlan) {
        guard slots > 0 else { return }
        let count = pool.count - first
        var slot = start
        var coldest = coldCount(slots, count, cap)
        var room = cap
        while coldest > 0 {
            put(pool[first], into: &row, at: slot)
            room -= pool[first].load
            first += 1
            slot += 1
            coldest -= 1
        }
        while slot < start + slots, first < pool.count, room > tiny {
            let top = pool[pool.count - 1]
            if top.load <= room + tiny {
                put(top, into: &row, at: slot)
                room -= top.load
                pool.removeLast()
                slot += 1
            } else {
                put(Piece(load: room, expert: top.expert), into: &row, at: slot)
                pool.removeLast()
                putBack(Piece(load: top.load - room, expert: top.expert))
                return
            }
        }
    }

    /// The greatest b <= slots - 1 such that the b coldest are below `cap` and with the slots - b hottest reach it.
    private mutating func coldCount(_ slots: Int, _ count: Int, _ cap: Double) -> Int {
        cold.removeAll(keepingCapacity: true)
        cold.append(0)
        var sum = 0.0
        while cold.count - 1 < min(slots - 1, count) {
            sum += pool[first + cold.count - 1].load
            guard sum < cap else { break }
            cold.append(sum)
        }
        var b = cold.count - 1
        var hottest = min(slots - b, count - b)
        var hot = 0.0
        for place in 0..<hottest { hot += pool[pool.count - 1 - place].load }
        while b > 0, hottest < count - b, cold[b] + hot < cap {
            b -= 1
            hottest += 1
            hot += pool[pool.count - hottest].load
        }
        return b
    }

    /// The rest of a cut expert, in its sorted place; among equals it comes last.
    private mutating func putBack(_ piece: Piece) {
        var (low, high) = (first, pool.count)
        while low < high {
            let middle = (low + high) / 2
            if pool[middle].load <= piece.load { low = middle + 1 } else { high = middle }
        }
        pool.insert(piece, at: low)
    }
}

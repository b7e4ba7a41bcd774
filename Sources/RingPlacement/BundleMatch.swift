// Hosts with the same slots and speed are interchangeable, so a fresh plan's bundles are given to the hosts that hold most of them already:
// pairs of bundle and host by what they share, greatest first.

enum BundleMatch {
    /// The rows of `fresh` dealt to hosts anew so that few slots change from `old`.
    static func renamed(_ fresh: LayerPlan, after old: LayerPlan, on hosts: HostTable) -> LayerPlan {
        var holders: [[Int32]] = []
        for host in 0..<hosts.count {
            for slot in hosts.row(host) where old.experts[slot] >= 0 {
                let expert = Int(old.experts[slot])
                while holders.count <= expert { holders.append([]) }
                holders[expert].append(Int32(host))
            }
        }
        var pairs: [UInt64] = []
        var shared = [Int](repeating: 0, count: hosts.count)
        for bundle in 0..<hosts.count {
            var touched: [Int] = []
            for slot in hosts.row(bundle) where fresh.experts[slot] >= 0 && Int(fresh.experts[slot]) < holders.count {
                for host in holders[Int(fresh.experts[slot])] {
                    if shared[Int(host)] == 0 { touched.append(Int(host)) }
                    shared[Int(host)] += 1
                }
            }
            for host in touched {
                // Most in common first, then by number of the bundle and of the host.
                pairs.append(UInt64(65_535 - min(65_535, shared[host])) << 32 | UInt64(bundle) << 16 | UInt64(host))
                shared[host] = 0
            }
        }
        pairs.sort()
        var bundleOf = [Int](repeating: -1, count: hosts.count)
        var isDealt = [Bool](repeating: false, count: hosts.count)
        for pair in pairs {
            let (bundle, host) = (Int(pair >> 16 & 0xFFFF), Int(pair & 0xFFFF))
            guard !isDealt[bundle], bundleOf[host] < 0, areAlike(bundle, host, hosts) else { continue }
            bundleOf[host] = bundle
            isDealt[bundle] = true
        }
        return dealt(fresh, bundleOf, isDealt, on: hosts)
    }

    private static func areAlike(_ one: Int, _ other: Int, _ hosts: HostTable) -> Bool {
        hosts.slots[one] == hosts.slots[other] && hosts.speeds[one] == hosts.speeds[other]
    }

    /// Bundles without a partner go to the hosts that are left, in order, like to like.
    private static func dealt(_ fresh: LayerPlan, _ matched: [Int], _ isDealt: [Bool], on hosts: HostTable) -> LayerPlan {
        var (bundleOf, isDealt) = (matched, isDealt)
        let left = (0..<hosts.count).filter { bundleOf[$0] < 0 }
        var bundles = (0..<hosts.count).filter { !isDealt[$0] }
        for host in left {
            let place = bundles.firstIndex { areAlike($0, host, hosts) } ?? 0
            bundleOf[host] = bundles[place]
            isDealt[bundles[place]] = true
            bundles.remove(at: place)
        }
        var row = LayerPlan(slots: hosts.totalSlots)
        for host in 0..<hosts.count {
            for (slot, source) in zip(hosts.row(host), hosts.row(bundleOf[host])) {
                row.experts[slot] = fresh.experts[source]
                row.shares[slot] = fresh.shares[source]
            }
        }
        return row
    }
}

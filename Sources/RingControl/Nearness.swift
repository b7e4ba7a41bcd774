// Which workers are near each other: those of one machine, and those of one rack. Ranks are given so that near ones follow on one
// another, and a ring of equal groups brings each shard into each group once (`RingTour`).

import RingCore

extension WorkerRegistration {
    /// Whether it comes before another where ranks are given: by rack, then by machine, then by name.
    func isBefore(_ other: WorkerRegistration) -> Bool {
        let (rack, others) = (self.rack ?? "", other.rack ?? "")
        if rack != others { return rack < others }
        if machine != other.machine { return machine < other.machine }
        return name < other.name
    }
}

extension Coordinator {
    /// Ranks of a group in a ring of these workers, in order of rank: racks, where all are in one and there are several, else machines.
    /// `nil` where groups are not equal, not in one piece, or of one worker only: then one ring is as good, or as good as it gets.
    static func groupSize(of workers: [WorkerRegistration]) -> Int? {
        let racks = workers.compactMap(\.rack)
        if racks.count == workers.count, let size = groupSize(of: racks) { return size }
        // A machine's name is unique within its rack at least.
        return groupSize(of: workers.map { "\($0.rack ?? "")\n\($0.machine)" })
    }

    /// The same workers with `first` at rank 0, as indices. A ring is turned; where there are groups, they are, and so is the one of
    /// the first, so that groups stay in one piece.
    static func order(of workers: [WorkerRegistration], leading first: Int) -> [Int] {
        let size = groupSize(of: workers) ?? workers.count
        let start = first - first % size
        return workers.indices.map { rank in
            let group = (start + rank - rank % size) % workers.count
            return group == start ? start + (first + rank) % size : group + rank % size
        }
    }

    private static func groupSize(of labels: [String]) -> Int? {
        guard let first = labels.first else { return nil }
        let size = labels.firstIndex { $0 != first } ?? labels.count
        guard size > 1, size < labels.count, labels.count % size == 0 else { return nil }
        let groups = stride(from: 0, to: labels.count, by: size).map { labels[$0..<$0 + size] }
        guard groups.allSatisfy({ group in group.allSatisfy { $0 == group.first } }) else { return nil }
        return Set(groups.compactMap(\.first)).count == groups.count ? size : nil
    }
}

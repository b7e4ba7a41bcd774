// What is known of the links between workers, from jobs that measured them. It lives with the records of those jobs: a coordinator that
// starts again reads it from there.

import RingCore

/// Measured links, by the names of the workers at their ends.
struct LinkTable: Sendable {
    private struct Link: Sendable {
        let from: String, to: String
        let bytesPerSecond: Double, seconds: Double

        func isBefore(_ from: String, _ to: String) -> Bool { (self.from, self.to) < (from, to) }
    }

    /// In order of their ends' names.
    private var links: [Link] = []

    /// Takes in what the ranks of a job have measured; newer figures take the place of older ones.
    mutating func note(_ summaries: [WorkerSummary]) {
        // A rank's own name is what the others call it.
        var names: [String?] = Array(repeating: nil, count: summaries.count)
        for figures in summaries.flatMap({ $0.links ?? [] }) where names.indices.contains(figures.peer) {
            names[figures.peer] = figures.worker
        }
        // Names that change with every restart must not fill the memory: then the newest job is what counts.
        if links.count > ControlLimits.linksKept { links = [] }
        for (name, summary) in zip(names, summaries) {
            guard let name else { continue }
            for figures in summary.links ?? [] {
                guard let peer = figures.worker else { continue }
                set(Link(from: peer, to: name, bytesPerSecond: figures.bytesPerSecond, seconds: figures.roundTripSeconds / 2))
            }
        }
    }

    private mutating func set(_ link: Link) {
        let index = place(link.from, link.to)
        if index < links.count, links[index].from == link.from, links[index].to == link.to {
            links[index] = link
        } else {
            links.insert(link, at: index)
        }
    }

    private func place(_ from: String, _ to: String) -> Int {
        var (low, high) = (0, links.count)
        while low < high {
            let middle = (low + high) / 2
            if links[middle].isBefore(from, to) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The slowest rate and the longest delay in one direction on the ways that keys and values take round a ring of these workers, or
    /// `nil` where one of those links was never measured.
    func slowest(round names: [String], groupSize: Int?) -> (bytesPerSecond: Double, seconds: Double)? {
        let world = WorldSize(names.count)
        let tour = groupSize.flatMap { RingTour(world, groupSize: $0) } ?? RingTour(world)
        var slowest = (bytesPerSecond: Double.infinity, seconds: 0.0)
        for rank in names.indices {
            for step in 0..<names.count {
                for taker in tour.takers(of: Rank(rank), atStep: step) {
                    let index = place(names[rank], names[taker.rank.index])
                    guard index < links.count, links[index].from == names[rank], links[index].to == names[taker.rank.index] else {
                        return nil
                    }
                    slowest.bytesPerSecond = min(slowest.bytesPerSecond, links[index].bytesPerSecond)
                    slowest.seconds = max(slowest.seconds, links[index].seconds)
                }
                // A plain ring takes the same way at every step.
                if !tour.isGrouped { break }
            }
        }
        return slowest.bytesPerSecond.isFinite ? slowest : nil
    }
}

extension Coordinator {
    /// What the ranks of a job have measured of their links, as far as it can be believed; nothing for a job that measures nothing.
    func believed(_ summaries: [WorkerSummary], of job: Job) -> [WorkerSummary] {
        var measures = false
        if case .measure = job.submission.spec { measures = true }
        return summaries.enumerated().map { rank, summary in
            var summary = summary
            guard measures, let links = summary.links else {
                summary.links = nil
                return summary
            }
            summary.links = links.prefix(job.places.count).compactMap { figures in
                guard job.places.indices.contains(figures.peer), figures.peer != rank, figures.bytesPerSecond > 0,
                    figures.bytesPerSecond.isFinite, figures.roundTripSeconds > 0, figures.roundTripSeconds.isFinite
                else { return nil }
                var figures = figures
                figures.worker = job.places[figures.peer].name
                figures.transport = String(figures.transport.prefix(ControlLimits.transportLetters))
                return figures
            }
            return summary
        }
    }
}

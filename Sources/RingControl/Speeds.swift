// How wide the shards of unequal workers are: as their compute threads are fast, as far as their memory goes.

import RingCore

extension Coordinator {
    /// Relative speeds of a run's workers; `nil` where they are near enough to one another, or where nobody was measured. A worker that was not
    /// counts as fast as the mean of those that were.
    static func speeds(of workers: [WorkerRegistration], threads: [Int], sharing: [Int], _ spec: JobSpec) -> [Double]? {
        let measured = workers.map { $0.speed.flatMap { $0 > 0 && $0.isFinite ? $0 : nil } }
        let known = measured.compactMap { $0 }
        let mean = known.isEmpty ? 1 : known.reduce(0, +) / Double(known.count)
        var speeds = zip(measured, threads).map { ($0 ?? mean) * Double($1) }
        // No worker is believed to be worth more than this many others, whatever it says.
        let fastest = speeds.max() ?? 1
        speeds = speeds.map { max($0, fastest / ControlLimits.speedRatio) }
        let tour = groupSize(of: workers).flatMap { RingTour(WorldSize(workers.count), groupSize: $0) }
        let buffers = tour?.buffersMax ?? min(workers.count - 1, 2)
        let room = zip(workers, sharing).map { worker, count in
            spec.tokensMax(memoryBytes: worker.memoryBytes / max(count, 1), buffers: buffers)
        }
        let isTight = zip(speeds, room).contains { Double(spec.tokens) * $0 / speeds.reduce(0, +) > Double($1) }
        // Measured speeds differ by some percent by chance alone; equal shards have the better layouts.
        if !isTight, let slowest = speeds.min(), slowest >= fastest * ControlLimits.speedsAlike { return nil }
        return ShardPlan.bounded(speeds, tokens: spec.tokens, atMost: room) ?? speeds
    }
}

extension Coordinator {
    /// Corrects what is known of the speeds of a job's workers by what its run has shown. Rates of different jobs cannot be compared, so
    /// only their ratios inside this one count: together its workers stay as fast as they were.
    mutating func learnSpeeds(_ index: Int, _ summaries: [WorkerSummary]) {
        let job = jobs[index]
        // Where a run goes on from a broken one, its ranks have done more than their part of it.
        guard !job.isResumed else { return }
        let workers = job.places.map { place in members.firstIndex { $0.id == place.worker } }
        var learnt: [Lesson] = []
        for (place, summary) in zip(workers, summaries) {
            guard let place, summary.computeSeconds >= ControlLimits.speedSeconds, summary.flops > 0,
                summary.computeSeconds.isFinite, summary.flops.isFinite
            else { return }
            guard let speed = members[place].speed, members[place].registration.speedIsTold != true else { continue }
            let registration = members[place].registration
            let sharing = workers.count { $0.map { members[$0].registration.sharesCores(with: registration) } == true }
            let threads = job.threads(of: registration, sharing: sharing)
            learnt.append(Lesson(member: place, rate: summary.flops / summary.computeSeconds / Double(threads), speed: speed))
        }
        let (rates, speeds) = (learnt.reduce(0) { $0 + $1.rate }, learnt.reduce(0) { $0 + $1.speed })
        guard learnt.count > 1, rates > 0, rates.isFinite else { return }
        for worker in learnt {
            let shown = worker.rate * speeds / rates
            members[worker.member].speed = worker.speed + ControlLimits.speedCorrection * (shown - worker.speed)
        }
    }
}

/// What a run has shown of one of its workers.
private struct Lesson {
    let member: Int
    /// Operations a second of one of its threads, in the run.
    let rate: Double
    /// What was known of it before.
    let speed: Double
}

extension JobSpec {
    /// Tokens of a shard that so much memory can hold beside so many received ones; only attention says all it needs, a model's workers
    /// check theirs when they load.
    func tokensMax(memoryBytes: Int, buffers: Int = 2) -> Int {
        guard case .attend(let spec) = self, memoryBytes > 0 else { return tokens }
        let shape = spec.shape
        let elements = Double(shape.headDim) + Double(shape.valueDim)
        // int8 that may prove too coarse makes room for bf16.
        let kind = spec.errorTolerance == nil ? spec.kvElement : .bf16
        // Own keys and values and some shards of others; queries, and output before and after it is finished, in f32, or before it in
        // bins of 16 bytes.
        let row = kind.byteCount(ofRow: shape.headDim) + kind.byteCount(ofRow: shape.valueDim)
        let keys = Double((1 + buffers) * row * shape.kvHeads)
        let bins = grain == nil ? 0 : 12 * Double(shape.valueDim) * Double(shape.heads)
        let queries = (elements + Double(shape.valueDim)) * Double(shape.heads) * 4 + bins
        let most = Double(memoryBytes) * ControlLimits.memoryShare / max(keys + queries, 1)
        return most >= Double(tokens) ? tokens : max(Int(most), 1)
    }
}

// Engines and the memory that they share: a block is read from its sender's buffers at the moment at which it is pulled,
// so that a buffer which is given free too early is seen.

import RingControl
import RingCore

extension Simulation {
    mutating func startEngine(_ place: Int, _ assignment: Assignment) {
        if let busy = workers[place].engine {
            fail("one-engine", "\(workers[place].name) starts \(assignment.run) while its engine is at \(busy.run)")
            return
        }
        var ids = workers[place].prompt.flatMap { $0.run == assignment.run ? $0.ids : nil } ?? []
        if case .attend(let spec) = assignment.spec {
            let plan = try? assignment.plan()
            ids = (plan?.chunks(of: Rank(assignment.rank)) ?? []).flatMap { chunk in
                chunk.range.map { IntegerModel.seededID(spec, at: $0) }
            }
        }
        let kept = workers[place].kept
        workers[place].kept = nil
        workers[place].engine = SimulatedEngine(assignment, prompt: ids, goingOnFrom: kept, mutation: options.mutation)
        after(work.between(0.05, 0.4), 1 + place, .engine(assignment.run, .loaded))
    }

    mutating func turnEngine(_ place: Int, _ event: SimulatedEngine.Event) {
        guard let run = workers[place].engine?.run else { return }
        var effects: [SimulatedEngine.Effect] = []
        workers[place].engine?.clock = Double(now) / 1e9
        let isSlowed = now < slowed[place].until
        workers[place].engine?.slowness = isSlowed ? slowed[place].times : 1
        workers[place].engine?.handle(event, &work, into: &effects)
        if isSlowed, !hindered.contains(where: { $0.job == run.job && $0.worker == workers[place].name }) {
            hindered.append((run.job, workers[place].name))
        }
        for effect in effects {
            guard workers[place].engine?.run == run else { return }
            perform(effect, place, run)
        }
    }

    private mutating func perform(_ effect: SimulatedEngine.Effect, _ place: Int, _ run: Run) {
        guard let assignment = workers[place].engine?.assignment else { return }
        switch effect {
        case .send(let frame, let rank):
            guard let peer = node(assignment.peers[rank]) else { return }
            sendFrame(frame, of: run, rank: assignment.rank, from: 1 + place, to: peer)
        case .pull(let layer, let step, let rank):
            guard let peer = node(assignment.peers[rank]), workers[peer - 1].engine?.run == run,
                let block = workers[peer - 1].engine?.block(step: step, layer: layer, for: assignment.rank)
            else { return }
            turnEngine(place, .pulled(layer: layer, step: step, from: rank, block))
        case .after(let seconds, let event): after(seconds, 1 + place, .engine(run, event))
        case .report(let report):
            if case .progress = report {} else { note(1 + place, "engine: \(Describe.report(report))") }
            tell(place, .engineReported(report))
        case .check(let layer, let places, let rows, let partials): checkLayer(assignment, layer, places, rows, partials)
        case .keep(let kept): workers[place].kept = kept
        case .end: after(work.between(0.0005, 0.02), 1 + place, .engineEnded(run))
        }
    }

    private func node(_ peer: Peer) -> Int? { peer.port - 7000 < workers.count ? 1 + peer.port - 7000 : nil }

    /// An engine gives up between two pieces of work, mostly soon.
    mutating func cancelEngine(_ place: Int, _ run: Run) {
        guard let engine = workers[place].engine, engine.run == run else { return }
        // One that is over already ends of itself.
        guard engine.phase != .over else { return }
        var effects: [SimulatedEngine.Effect] = []
        var ending = engine
        ending.keep(&effects)
        engine.breakOff(&effects)
        workers[place].engine?.phase = .over
        for effect in effects { perform(effect, place, run) }
        if options.mutation == .twoEngines {
            tell(place, .engineEnded(run))
            return
        }
        var seconds = work.chance(0.1) ? work.between(0.1, 1) : work.between(0.001, 0.02)
        // Now and then one hangs for longer than the coordinator waits.
        if options.faults.contains(.crashes), now < quietAt, work.chance(0.03) { seconds = work.between(4, 9) }
        after(seconds, 1 + place, .engineEnded(run))
    }
}

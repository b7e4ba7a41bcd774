// One layer's attention by passing queries: own queries go to whoever holds keys that they see, partials come back. A rank attends to its
// own queries while the first ones of others come, then to theirs, round by round, while the next are under way.
import RingCore
import RingKernels
import RingTransport

extension RingEngine where Wire: ~Copyable {
    /// Attends `input`'s queries to the whole ring's keys and values of `layer`, as `attend` does, by sending queries instead of keys and
    /// values. `everyone` names the queries of every rank, this one's among them, and is the same on all. The rows of `input.queries` must
    /// lie one after another. `input.state` ends in a form that `finish` takes; partials are merged in order of rank, after the own one,
    /// whatever the order in which they came. Errors are those of `attend`.
    public mutating func attendByQueries(
        layer: Int, _ input: AttentionInput, of everyone: [[QueryRun]], progress: (PassProgress) -> Void = { _ in }
    ) throws(EngineError) -> PassReport {
        precondition(input.bins == nil && plan.grain == nil, "bins do not travel: a deterministic job passes keys and values")
        precondition(input.queries.stride == input.queries.columns, "queries that are sent lie one after another")
        let begun = MonotonicClock.now()
        let buffers = try passingBuffers(for: everyone)
        let queries: RegionKey
        do throws(TransportError) { queries = try wire.register(input.queries.region) } catch { throw .transport(error) }
        sending = input.queries
        // All ranks cut the same rounds, whatever memory each has kept from before.
        let route = QueryRoute(for: rank, under: plan, input.mask, queries: everyone, roundRows: roundRows(of: everyone))
        var pass = QueryPass(along: route, layer: layer, buffers: buffers, queries: queries, rowBytes: 4 * input.queries.columns)
        pass.watch.begin(steps: plan.world.count, layer: layer, rank: rank, trace: trace)
        let own = ownRound(everyone[rank.index])
        pass.pairsInAll = ([own] + route.guests).reduce(0) { $0 + pairCount(of: $1, under: input.mask) }
        input.state.reset()
        pass.advance()
        try postBacklog(&pass)
        while !pass.isFinished {
            if !pass.ownDone {
                try attend(own, input, &pass, progress)
                pass.ownDone = true
            } else if let round = pass.nextMerge {
                // First, since it makes room for the next own queries to go out.
                merge(round, into: input.state, &pass)
            } else if let guest = pass.nextGuest {
                try attendGuest(guest, input, &pass, progress)
            } else {
                try awaitTraffic(&pass)
            }
            pass.advance()
            try postBacklog(&pass)
        }
        do throws(TransportError) { try wire.unregister(queries) } catch { throw .transport(error) }
        sending = nil
        if let broken = pass.broken {
            let position = input.positions.map { $0[broken.row] } ?? ownPosition(ofRow: broken.row)
            throw .nonFinite(layer: layer, rank: broken.peer, step: route.step(of: broken.peer), position: position, head: broken.head)
        }
        // What was waited for at the end, for the last partials and sends.
        pass.report.steps[plan.world.count - 1].exposedSeconds += pass.waited
        pass.report.seconds = pass.watch.note(.pass, step: 0, from: begun).seconds(since: begun)
        pass.watch.settle(&pass.report)
        return pass.report
    }

    private func roundRows(of everyone: [[QueryRun]]) -> Int {
        let rowsMax = everyone.map { $0.reduce(0) { $0 + $1.chunk.length } }.max() ?? 0
        let rows = QueryRounds.rows(
            rowsMax: rowsMax, heads: heads, headDim: layout.headDim, valueDim: layout.valueDim, world: plan.world)
        return min(rows, roundRowsMax)
    }

    /// Memory for the rounds, made once for the layers that share it.
    private mutating func passingBuffers(for everyone: [[QueryRun]]) throws(EngineError) -> QueryBuffers {
        let rows = roundRows(of: everyone)
        if let passing, passing.rows >= rows { return passing }
        if let small = passing {
            do throws(TransportError) { try wire.unregister(small.region) } catch { throw .transport(error) }
        }
        let made = try QueryBuffers(rows: rows, heads: heads, layout: layout, registeredWith: &wire)
        passing = made
        return made
    }

    /// All own queries as one round, which goes nowhere.
    private func ownRound(_ runs: [QueryRun]) -> QueryRoute.Round {
        let end = runs.last.map { $0.firstRow + $0.chunk.length } ?? 0
        return QueryRoute.Round(owner: rank, index: 0, rows: 0..<end, runs: runs)
    }

    private func ownPosition(ofRow row: Int) -> Int {
        shard.runs.first { row < $0.firstRow + $0.chunk.length }.map { $0.chunk.start + row - $0.firstRow } ?? 0
    }

    /// Posts as much of the backlog as the transport takes; a peer that has no room for more holds up nobody but itself.
    mutating func postBacklog(_ pass: inout QueryPass) throws(EngineError) {
        if pass.backlog.isEmpty { return }
        pass.held.removeAll(keepingCapacity: true)
        do throws(TransportError) {
            for order in pass.backlog {
                let isHeld = pass.held.contains { $0.peer == order.peer && $0.direction == order.direction }
                let posted: Posted = isHeld ? .full : try post(order, &pass)
                if posted == .full { pass.held.append(order) }
            }
        } catch {
            if case .lost(let rank, let reason) = error { throw .lost(rank, layer: pass.layer, step: pass.step, reason: reason) }
            throw .transport(error)
        }
        swap(&pass.backlog, &pass.held)
    }

    private mutating func post(_ order: QueryPass.Order, _ pass: inout QueryPass) throws(TransportError) -> Posted {
        let tag = MessageTag(order.kind == .queries ? .queries : .partials, layer: pass.layer, step: 0, piece: order.piece)
        let step = pass.route.step(of: order.peer)
        let posted: Posted
        switch order.direction {
        case .receive: posted = try wire.post(receive: order.block, from: order.peer, tag: tag)
        case .send: posted = try wire.post(send: order.block, to: order.peer, tag: tag)
        }
        if posted != .full {
            // Sends of a step are noted one further on, since `settle` looks for what the next rank attends to.
            pass.watch.posted(
                order.direction, step: order.direction == .send ? step + 1 : step, piece: order.piece, peer: order.peer,
                byteCount: order.block.byteCount)
        }
        return posted
    }

    /// Takes what has completed; true if anything had.
    mutating func pollTraffic(_ pass: inout QueryPass) throws(EngineError) -> Bool {
        if isCancelled() { throw .cancelled }
        pass.completions.removeAll(keepingCapacity: true)
        guard wire.poll(into: &pass.completions) > 0 else { return false }
        for completion in pass.completions {
            switch completion.outcome {
            case .received, .sent: pass.note(completion)
            case .damaged: throw .damaged(completion.peer, layer: pass.layer, step: pass.step)
            case .lost, .cancelled: throw loss(of: completion.peer, pass)
            }
        }
        try postBacklog(&pass)
        return true
    }

    private func loss(of peer: Rank, _ pass: QueryPass) -> EngineError {
        .lost(peer, layer: pass.layer, step: pass.step, reason: wire.lossReason(of: peer) ?? "connection lost")
    }

    /// Sleeps until something completes, and counts the time as exposed.
    private mutating func awaitTraffic(_ pass: inout QueryPass) throws(EngineError) {
        let start = MonotonicClock.now()
        let limit = patienceSeconds
        while try !pollTraffic(&pass) {
            let waited = MonotonicClock.now().seconds(since: start)
            // Whoever is gone may hold keys that somebody else needs; say so before the missing partial makes it a mystery.
            if let lost = wire.lostPeers.first {
                // Unless something that came before the loss explains it: damage, or the loss of another.
                if try pollTraffic(&pass) { break }
                throw loss(of: lost, pass)
            }
            if waited > limit { throw .stalled(layer: pass.layer, step: pass.step, seconds: waited) }
            _ = wire.wait(atMost: .milliseconds(50))
        }
        pass.waited += pass.watch.note(.wait, step: pass.step, from: start).seconds(since: start)
    }
}

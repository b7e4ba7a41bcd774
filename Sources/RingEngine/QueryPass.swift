// Where a pass of queries stands on one rank: which rounds are open, what has come, what is still out. A value; the engine reads it,
// posts what follows and computes.
import RingCore
import RingKernels
import RingTransport

/// The state of one pass of queries.
struct QueryPass {
    enum Kind: Hashable {
        case queries
        case partials
    }

    struct Order: Hashable {
        let direction: PassTraffic.Direction
        let kind: Kind
        /// The round's number at its owner.
        let round: Int
        let block: BlockRef
        let peer: Rank

        /// Both kinds go both ways between two ranks, so that the round alone does not name a message.
        var piece: Int { 2 * round + (kind == .queries ? 0 : 1) }
    }

    let route: QueryRoute
    let layer: Int
    let buffers: QueryBuffers
    /// The rank's queries, from which rounds are sent as they lie.
    let queries: RegionKey
    /// Bytes of one query row.
    let rowBytes: Int

    var backlog: [Order] = []
    var held: [Order] = []
    var sendsOut = 0
    var ownDone = false
    /// Own rounds that are on their way out, and that are merged; by round, partials that have not come.
    private(set) var opened = 0
    private(set) var merged = 0
    var partialsLeft: [Int]
    /// Rounds of others whose queries may come, that have come, and that are attended to.
    private(set) var invited = 0
    private(set) var arrived: [Bool]
    private(set) var attended = 0
    /// Whether a partial is still on its way out of its slot.
    var slotIsBusy = [Bool](repeating: false, count: QueryRounds.slots)

    /// Own and others' queries with the keys of this rank.
    var pairsDone = 0
    var pairsInAll = 0
    var waited = 0.0
    var exposed = 0.0
    var computed = 0.0
    var report = PassReport()
    var watch = PassWatch()
    var completions: [Completion] = []
    /// The first row of own queries whose result is not finite, and whose partial made it so.
    var broken: (row: Int, head: Int, peer: Rank)?

    init(along route: QueryRoute, layer: Int, buffers: QueryBuffers, queries: RegionKey, rowBytes: Int) {
        (self.route, self.layer, self.buffers, self.queries, self.rowBytes) = (route, layer, buffers, queries, rowBytes)
        partialsLeft = route.own.map(\.peers.count)
        arrived = Array(repeating: false, count: route.guests.count)
        report.steps = route.world.ranks.map { place in
            let owner = route.world.kvOwner(for: route.rank, atStep: place.index)
            return StepReport(step: place.index, kvOwner: owner, pairs: 0, computeSeconds: 0, exposedSeconds: 0)
        }
    }

    /// The step that is waited for or worked on; for people and errors.
    var step: Int {
        if !ownDone { return 0 }
        return attended < route.guests.count ? route.step(of: route.guests[attended].owner) : route.world.count - 1
    }

    var isFinished: Bool {
        ownDone && attended == route.guests.count && merged == route.own.count && backlog.isEmpty && sendsOut == 0
    }

    /// The next round of another rank that can be attended to: it is here, and its partial has a place.
    var nextGuest: QueryRoute.Round? {
        guard ownDone, attended < route.guests.count, arrived[attended], !slotIsBusy[guestSlot] else { return nil }
        return route.guests[attended]
    }

    /// Where the next round of another rank is, and where its partial goes.
    var guestSlot: Int { attended % QueryRounds.slots }

    /// The next own round that can be merged: own keys are done, and all partials are here.
    var nextMerge: QueryRoute.Own? { ownDone && merged < opened && partialsLeft[merged] == 0 ? route.own[merged] : nil }

    /// Where the partials of that round are.
    var mergeSlot: Int { merged % QueryRounds.slots }

    /// Opens the rounds that have places, and invites those of others that have.
    mutating func advance() {
        while opened < min(route.own.count, merged + QueryRounds.slots) {
            let own = route.own[opened]
            for (place, peer) in own.peers.enumerated() {
                let partial = buffers.ownBlock(opened % QueryRounds.slots, place, own.round.rows.count)
                enqueue(.receive, .partials, opened, partial, peer)
                let rows = BlockRef(
                    region: queries, offset: own.round.rows.lowerBound * rowBytes, byteCount: own.round.rows.count * rowBytes)
                enqueue(.send, .queries, opened, rows, peer)
            }
            opened += 1
        }
        while invited < min(route.guests.count, attended + QueryRounds.slots) {
            let guest = route.guests[invited]
            let block = buffers.queriesBlock(invited % QueryRounds.slots, guest.rows.count)
            enqueue(.receive, .queries, guest.index, block, guest.owner)
            invited += 1
        }
    }

    /// The next round of another rank is attended to: its partial goes back.
    mutating func answer(_ guest: QueryRoute.Round) {
        slotIsBusy[guestSlot] = true
        enqueue(.send, .partials, guest.index, buffers.guestBlock(guestSlot, guest.rows.count), guest.owner)
        attended += 1
    }

    mutating func noteMerged() { merged += 1 }

    private mutating func enqueue(_ direction: PassTraffic.Direction, _ kind: Kind, _ round: Int, _ block: BlockRef, _ peer: Rank) {
        backlog.append(Order(direction: direction, kind: kind, round: round, block: block, peer: peer))
        if direction == .send {
            sendsOut += 1
            report.bytesSent += block.byteCount
        } else {
            report.bytesReceived += block.byteCount
        }
    }

    /// A message has gone or come.
    mutating func note(_ completion: Completion) {
        let (round, isPartial) = (completion.tag.piece / 2, completion.tag.kind == .partials)
        let step = route.step(of: completion.peer)
        if completion.outcome == .sent {
            watch.completed(.send, step: step + 1, piece: completion.tag.piece, peer: completion.peer)
            sendsOut -= 1
            guard isPartial, let place = place(of: round, completion.peer) else { return }
            slotIsBusy[place % QueryRounds.slots] = false
        } else {
            watch.completed(.receive, step: step, piece: completion.tag.piece, peer: completion.peer)
            if isPartial {
                partialsLeft[round] -= 1
            } else if let place = place(of: round, completion.peer) {
                arrived[place] = true
            }
        }
    }

    /// A round's place among those of others; it is one of the few that are under way.
    private func place(of round: Int, _ owner: Rank) -> Int? {
        (max(attended - QueryRounds.slots, 0)..<invited).first { route.guests[$0].index == round && route.guests[$0].owner == owner }
    }
}

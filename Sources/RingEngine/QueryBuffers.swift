// Registered memory for passing queries: rounds of others' queries as they come, their partials on the way back, and the partials of own
// queries until they are merged. One region, laid out once; two places of each kind, so that one fills while the other is worked on.
import RingCore
import RingKernels
import RingTransport

/// Memory of one rank for rounds of at most `rows` query rows.
struct QueryBuffers: Sendable {
    /// Most rows of a round.
    let rows: Int
    /// Running state of a round of another rank's queries.
    let state: HeadStates
    let region: RegionKey
    private let arena: Arena
    private var memory: ByteRegion { arena.bytes }
    private let heads: Int
    private let layout: KVLayout
    private let peers: Int

    /// Maps the memory and registers it with `wire`.
    init<Wire: Transport & ~Copyable>(
        rows: Int, heads: Int, layout: KVLayout, registeredWith wire: inout Wire
    ) throws(EngineError) {
        (self.rows, self.heads, self.layout, peers) = (rows, heads, layout, wire.world.count - 1)
        let (queries, partial) = QueryRounds.sizes(rows: rows, heads: heads, headDim: layout.headDim, valueDim: layout.valueDim)
        (queryBytes, partialBytes) = (queries, partial)
        arena = try Arena(byteCount: QueryRounds.slots * (queries + partial * (peers + 1)), for: wire)
        arena.settle(0..<arena.bytes.byteCount)
        do throws(KernelError) {
            state = try HeadStates(tokens: rows, heads: heads, valueDim: layout.valueDim)
        } catch { throw .memory(error) }
        do throws(TransportError) { region = try arena.register(with: &wire) } catch { throw .transport(error) }
    }

    private let queryBytes: Int, partialBytes: Int

    private func queriesStart(_ slot: Int) -> Int { slot * queryBytes }
    private func guestStart(_ slot: Int) -> Int { QueryRounds.slots * queryBytes + slot * partialBytes }
    private func ownStart(_ slot: Int, _ place: Int) -> Int {
        QueryRounds.slots * (queryBytes + partialBytes) + (slot * peers + place) * partialBytes
    }

    private func block(_ start: Int, floats: Int) -> BlockRef { BlockRef(region: region, offset: start, byteCount: 4 * floats) }

    /// Where `count` rows of another rank's queries arrive.
    func queriesBlock(_ slot: Int, _ count: Int) -> BlockRef { block(queriesStart(slot), floats: count * heads * layout.headDim) }

    /// Another rank's queries [count, heads * headDim].
    func queries(_ slot: Int, _ count: Int) -> FloatRows {
        FloatRows(memory, byteOffset: queriesStart(slot), rows: count, columns: heads * layout.headDim)
    }

    /// The partial of `count` rows of another rank's queries, on its way back.
    func guestBlock(_ slot: Int, _ count: Int) -> BlockRef { block(guestStart(slot), floats: count * heads * (layout.valueDim + 1)) }

    /// The same as [count, heads * valueDim] and its log-sum-exp [heads, count].
    func guest(_ slot: Int, _ count: Int) -> (out: FloatRows, lse: FloatRows) { partial(guestStart(slot), count) }

    /// Where the partial of `count` own rows arrives from the peer at `place` in order of rank.
    func ownBlock(_ slot: Int, _ place: Int, _ count: Int) -> BlockRef {
        block(ownStart(slot, place), floats: count * heads * (layout.valueDim + 1))
    }

    /// The same as [count, heads * valueDim] and its log-sum-exp [heads, count].
    func own(_ slot: Int, _ place: Int, _ count: Int) -> (out: FloatRows, lse: FloatRows) { partial(ownStart(slot, place), count) }

    private func partial(_ start: Int, _ count: Int) -> (out: FloatRows, lse: FloatRows) {
        let width = heads * layout.valueDim
        return (
            FloatRows(memory, byteOffset: start, rows: count, columns: width),
            FloatRows(memory, byteOffset: start + 4 * count * width, rows: heads, columns: count)
        )
    }
}

extension EngineShape {
    /// Bytes that passing queries takes on each rank beyond `byteCount(of:)`, where no rank has more than `rowsMax` queries.
    public func queryByteCount(rowsMax: Int) -> Int {
        if plan.world.count == 1 { return 0 }
        let (headDim, valueDim, world) = (layout.headDim, layout.valueDim, plan.world)
        let rows = QueryRounds.rows(rowsMax: rowsMax, heads: heads, headDim: headDim, valueDim: valueDim, world: world)
        return QueryRounds.byteCount(rows: rows, heads: heads, headDim: headDim, valueDim: valueDim, world: world)
    }
}

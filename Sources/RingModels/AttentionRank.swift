// One rank's share of a bare attention problem: read the shard, pack it, go round the ring, hand rows of the result on.
import RingCore
import RingEngine
import RingFormats
import RingKernels

/// Attention over given queries, keys and values on one rank of a ring.
public struct AttentionRank<Wire: RingWire & ~Copyable>: ~Copyable {
    /// The attention engine, with this rank's KV.
    public var engine: RingEngine<Wire>
    let source: AttentionSource
    let mask: Mask
    let buffers: AttentionBuffers

    var queries: FloatRows { buffers.queries }
    private var state: HeadStates { buffers.state }
    private var bins: HeadBins? { buffers.bins }
    /// Own positions with queries, ascending; `nil` is all of them.
    private var positions: [Int]? { buffers.positions }

    /// Shape of the engine that a problem needs; `element` is how keys and values are kept and sent.
    public static func shape(
        _ problem: AttentionSource.Shape, plan: ShardPlan, element: ElementType, scale: Double?
    ) throws(KernelError) -> EngineShape {
        let layout = try KVLayout(kvHeads: problem.kvHeads, headDim: problem.headDim, valueDim: problem.valueDim, element: element)
        return EngineShape(plan: plan, layout: layout, heads: problem.heads, layers: 1, decodeTokensMax: 0, scale: scale)
    }

    /// A rank that computes `source` on `engine`, which was made with `shape(...)`, in `buffers` made for it.
    public init(_ source: AttentionSource, mask: Mask, engine: consuming RingEngine<Wire>, buffers: AttentionBuffers) {
        self.buffers = buffers
        self.source = source
        self.mask = mask
        self.engine = engine
    }

    /// Reads this rank's rows and packs its keys and values.
    public mutating func load() throws(ModelError) {
        let step = 4 * KVLayout.blockTokens
        let (source, queries, blocks, positions) = (source, queries, engine.store.prompt(layer: 0), positions)
        var slices: [(row: Int, position: Int, count: Int, blockToken: Int)] = []
        for run in engine.shard.runs {
            for start in stride(from: 0, to: run.chunk.length, by: step) {
                let count = min(step, run.chunk.length - start)
                slices.append((run.firstRow + start, run.chunk.start + start, count, run.firstBlock * KVLayout.blockTokens + start))
            }
        }
        let failure = FirstError()
        let work = slices
        engine.pool.forEach(work.count) { task, _ in
            let slice = work[task]
            do {
                if positions == nil {
                    try source.read(.query, first: slice.position, into: queries.rows(slice.row..<slice.row + slice.count))
                }
                let keys = try FloatRows.allocate(rows: slice.count, columns: source.shape.width(of: .key))
                let values = try FloatRows.allocate(rows: slice.count, columns: source.shape.width(of: .value))
                try source.read(.key, first: slice.position, into: keys)
                try source.read(.value, first: slice.position, into: values)
                _ = blocks.pack(keys: keys, values: values, at: slice.blockToken)
            } catch let error as FormatError {
                failure.note(slice.position, .format(error))
            } catch {
                failure.note(slice.position, .unsupported("\(error)"))
            }
        }
        do throws(FormatError) {
            for run in QueryRun.runs(of: positions ?? []) {
                try source.read(.query, first: run.chunk.start, into: queries.rows(run.firstRow..<run.firstRow + run.chunk.length))
            }
        } catch { throw .format(error) }
        if let error = failure.first { throw error }
    }

    /// Computes all queries, or those at `everyones`, which names the positions of all ranks' queries and ascends, by `schedule`; the
    /// result is then ready to be read.
    public mutating func attend(
        by schedule: Schedule = .passKV, at everyones: [Int]? = nil, progress: (PassProgress) -> Void = { _ in }
    ) throws(ModelError) -> PassReport {
        do throws(EngineError) {
            var input = AttentionInput(queries: queries, state: state, mask: mask)
            input.positions = positions
            input.bins = bins
            switch schedule {
            case .passKV:
                // Nobody is sent keys for chunks without a query.
                input.active = everyones.map { engine.plan.active(at: $0) }
                return try engine.attend(layer: 0, input, progress: progress)
            case .passQ:
                return try engine.attendByQueries(layer: 0, input, of: engine.plan.queryRuns(at: everyones), progress: progress)
            }
        } catch { throw .engine(error) }
    }

    /// Runs of queries: position and row of the first, and how many there are.
    private var queryRuns: [(position: Int, row: Int, count: Int)] {
        if let positions { return QueryRun.runs(of: positions).map { ($0.chunk.start, $0.firstRow, $0.chunk.length) } }
        return engine.shard.runs.map { ($0.chunk.start, $0.firstRow, $0.chunk.length) }
    }

    /// Hands the result on in slices of at most `sliceTokens` tokens: the first token's position, `out`
    /// [tokens, heads * valueDim] normalised, `lse` [tokens, heads] in natural logarithm.
    public mutating func collect(
        sliceTokens: Int = 256, _ body: (_ position: Int, _ out: FloatRows, _ lse: FloatRows) throws(FormatError) -> Void
    ) throws(ModelError) {
        let heads = source.shape.heads
        let (out, lse, perHead): (FloatRows, FloatRows, FloatRows)
        do throws(KernelError) {
            out = try .allocate(rows: sliceTokens, columns: heads * source.shape.valueDim)
            lse = try .allocate(rows: sliceTokens, columns: heads)
            perHead = try .allocate(rows: heads, columns: sliceTokens)
        } catch { throw .kernel(error) }
        for run in queryRuns {
            for start in stride(from: 0, to: run.count, by: sliceTokens) {
                let count = min(sliceTokens, run.count - start)
                let row = run.row + start
                let position = run.position + start
                let (some, someLSE) = (out.rows(0..<count), lse.rows(0..<count))
                let rows = row..<row + count
                let bad =
                    if let bins { bins.finish(rows: rows, out: some, lse: perHead) } else {
                        state.finish(rows: rows, out: some, lse: perHead)
                    }
                if let bad {
                    throw .engine(
                        .nonFinite(
                            layer: 0, rank: engine.rank, step: engine.plan.world.count - 1, position: position + bad.row, head: bad.head))
                }
                for token in 0..<count { for head in 0..<heads { someLSE[token, head] = perHead[head, token] } }
                do throws(FormatError) { try body(position, some, someLSE) } catch { throw .format(error) }
            }
        }
    }
}

/// Queries of a bare attention problem on one rank, and what they come to: a running state, or bins where the plan has a grain.
public struct AttentionBuffers: Sendable {
    let queries: FloatRows
    let state: HeadStates
    let bins: HeadBins?
    let positions: [Int]?

    /// Buffers for the tokens that `rank` owns under `plan`, or for those of them alone that stand at `positions`.
    public init(_ problem: AttentionSource.Shape, of rank: Rank, under plan: ShardPlan, positions: [Int]? = nil) throws(KernelError) {
        self.positions = positions.map { plan.owned($0, by: rank) }
        let tokens = max(self.positions?.count ?? plan.tokens(of: rank), 1)
        queries = try .allocate(rows: tokens, columns: problem.width(of: .query))
        let isBinned = plan.grain != nil
        state = try HeadStates(tokens: isBinned ? 0 : tokens, heads: problem.heads, valueDim: problem.valueDim)
        bins = isBinned ? try HeadBins(tokens: tokens, heads: problem.heads, valueDim: problem.valueDim) : nil
    }

    /// Bytes of buffers for so many tokens under `plan`.
    public static func byteCount(_ problem: AttentionSource.Shape, tokens: Int, under plan: ShardPlan) -> Int {
        let queries = 4 * tokens * problem.width(of: .query)
        if plan.grain != nil { return queries + HeadBins.byteCount(tokens: tokens, heads: problem.heads, valueDim: problem.valueDim) }
        return queries + HeadStates.byteCount(tokens: tokens, heads: problem.heads, valueDim: problem.valueDim)
    }
}

// The ranks of the decode benchmark: threads of this process that are joined by connections on loopback and run the engine as workers do.
import RingCore
import RingKernels
import RingTransport
import Synchronization

/// Runs a body for every rank of a ring over loopback.
enum LoopbackRanks {
    /// Runs `body` once for each rank, each on a thread of its own, and throws the first error that one of them met.
    static func run(
        _ world: WorldSize, over lane: LaneKind, _ body: @escaping @Sendable (Rank, consuming TCPTransport) throws(EngineError) -> Void
    ) throws(EngineError) {
        let ends: Ends
        do throws(TransportError) {
            var listeners: [TCPListener] = []
            for _ in world.ranks { listeners.append(try TCPListener()) }
            ends = Ends(listeners, lane)
            try start(world, ends, body)
        } catch { throw .transport(error) }
        if let error = ends.failure.withLock({ $0 }) { throw error }
    }

    /// Starts the threads and waits until all have ended.
    private static func start(
        _ world: WorldSize, _ ends: Ends, _ body: @escaping @Sendable (Rank, consuming TCPTransport) throws(EngineError) -> Void
    ) throws(TransportError) {
        var threads: [PinnedThread] = []
        defer { for thread in threads { thread.join() } }
        for rank in world.ranks {
            threads.append(
                try PinnedThread.start(name: "rank-\(rank.index)") {
                    do throws(EngineError) { try body(rank, try ends.connect(rank, of: world)) } catch { ends.note(error) }
                })
        }
    }

    /// What the ranks' threads share.
    private final class Ends: Sendable {
        let listeners: [TCPListener]
        private let lane: LaneKind
        let failure = Mutex<EngineError?>(nil)

        init(_ listeners: [TCPListener], _ lane: LaneKind) { (self.listeners, self.lane) = (listeners, lane) }

        func note(_ error: EngineError) { failure.withLock { if $0 == nil { $0 = error } } }

        func connect(_ rank: Rank, of world: WorldSize) throws(EngineError) -> TCPTransport {
            var options = TCPOptions()
            options.lane = lane
            do throws(TransportError) {
                return try TCPTransport.connect(
                    listener: listeners[rank.index], rank: rank, world: world, peers: listeners.map(\.address),
                    secret: Array("benchmark".utf8), epoch: Epoch(1), job: JobNumber(1), deadline: .seconds(20), options: options)
            } catch { throw .transport(error) }
        }
    }
}

/// Seconds that the ranks measured, by kind and round.
final class BenchmarkTimes: Sendable {
    enum Kind: Hashable { case read, token, merge, roundTrip }
    private struct Place: Hashable {
        let kind: Kind
        let round: Int
    }
    private let seconds = Mutex<[Place: [Double]]>([:])

    func add(_ kind: Kind, round: Int, _ value: Double) {
        seconds.withLock { $0[Place(kind: kind, round: round), default: []].append(value) }
    }

    private func all(_ kind: Kind, _ round: Int) -> [Double] { seconds.withLock { $0[Place(kind: kind, round: round)] ?? [] } }

    /// Of the rank that took longest.
    func longest(_ kind: Kind, round: Int) -> Double { all(kind, round).max() ?? 0 }
    func median(_ kind: Kind, round: Int) -> Double { DecodeBenchmark.median(all(kind, round)) }
}

/// One rank's part of the benchmark.
enum BenchmarkRank {
    static let exchangeLayers = 16
    static let exchangeTokens = 4
    /// Bytes that one task of the plain read loop takes.
    private static let readBytes = 1 << 20

    /// Reads everything plainly, then decodes a token, in turn.
    static func stream(
        _ shape: EngineShape, wire: consuming TCPTransport, threads: Int, rounds: Int, kernels: Kernels, times: BenchmarkTimes
    ) throws(EngineError) {
        try withEngine(shape, wire: wire, threads: threads, kernels: kernels) { (engine) throws(EngineError) in
            let token = try BenchmarkToken(shape, kernels: kernels)
            let regions = (0..<shape.layers).flatMap { layer in pieces(of: engine.store.prompt(layer: layer).region) }
            for round in 0..<rounds {
                try engine.barrier()
                let start = MonotonicClock.now()
                engine.pool.forEach(regions.count) { task, _ in _ = kernels.read(regions[task]) }
                times.add(.read, round: round, MonotonicClock.now().seconds(since: start))
                try engine.barrier()
                try engine.benchmarkToken(token) { seconds in times.add(.token, round: round, seconds.reduce(0, +)) }
            }
        }
    }

    /// Decodes tokens over next to nothing, then sends a small message there and back, in turn.
    static func exchange(
        _ shape: EngineShape, wire: consuming TCPTransport, rounds: Int, kernels: Kernels, times: BenchmarkTimes
    ) throws(EngineError) {
        try withEngine(shape, wire: wire, threads: 1, kernels: kernels) { (engine) throws(EngineError) in
            let token = try BenchmarkToken(shape, kernels: kernels)
            for round in 0..<rounds {
                try engine.barrier()
                for _ in 0..<exchangeTokens {
                    try engine.benchmarkToken(token) { seconds in for layer in seconds { times.add(.merge, round: round, layer) } }
                }
                try engine.barrier()
                for trip in try engine.roundTrips(exchangeTokens * exchangeLayers) { times.add(.roundTrip, round: round, trip) }
            }
        }
    }

    private static func withEngine(
        _ shape: EngineShape, wire: consuming TCPTransport, threads: Int, kernels: Kernels,
        _ body: (inout RingEngine<TCPTransport>) throws(EngineError) -> Void
    ) throws(EngineError) {
        var wire = wire
        let memory = try EngineMemory(shape, for: &wire, threads: threads)
        let pool = try ComputePool.make(threads: threads)
        defer { pool.shutdown() }
        var engine = RingEngine(memory, wire: wire, pool: pool, kernels: kernels)
        try engine.fillKeysAndValues()
        try body(&engine)
        try engine.barrier()
        engine.close()
    }

    private static func pieces(of region: ByteRegion) -> [ByteRegion] {
        stride(from: 0, to: region.byteCount, by: readBytes).map { region[$0..<min($0 + readBytes, region.byteCount)] }
    }
}

/// A token's seeded query, key and value, and where its attention goes; the same in every layer.
private struct BenchmarkToken {
    let queries: FloatRows, keys: FloatRows, values: FloatRows, out: FloatRows

    init(_ shape: EngineShape, kernels: Kernels) throws(EngineError) {
        let layout = shape.layout
        do throws(KernelError) {
            queries = try .allocate(rows: 1, columns: shape.heads * layout.headDim)
            keys = try .allocate(rows: 1, columns: layout.kvHeads * layout.headDim)
            values = try .allocate(rows: 1, columns: layout.kvHeads * layout.valueDim)
            out = try .allocate(rows: 1, columns: shape.heads * layout.valueDim)
        } catch { throw .memory(error) }
        for (tensor, rows) in [queries, keys, values].enumerated() { kernels.fillNormals(rows, seed: 2, tensor: UInt64(tensor)) }
    }
}

extension RingEngine where Wire: ~Copyable {
    /// Seeded normals in every block of every layer. The same 4096 rows come again and again: how fast memory is read does not
    /// depend on what lies there.
    fileprivate mutating func fillKeysAndValues() throws(EngineError) {
        let (keys, values): (FloatRows, FloatRows)
        do throws(KernelError) {
            keys = try .allocate(rows: EngineLimits.decodeTaskKeys, columns: layout.kvHeads * layout.headDim)
            values = try .allocate(rows: EngineLimits.decodeTaskKeys, columns: layout.kvHeads * layout.valueDim)
        } catch { throw .memory(error) }
        kernels.fillNormals(keys, seed: 1, tensor: 0)
        kernels.fillNormals(values, seed: 1, tensor: 1)
        decode.list(shard, grown: 0)
        let (segments, store) = (decode.segments, store)
        pool.forEach(segments.count * store.layers) { task, _ in
            let segment = segments[task % segments.count]
            let blocks = store.prompt(layer: task / segments.count)
                .run(firstBlock: segment.firstBlock, tokens: segment.keyCount, at: 0)
            let rows = 0..<segment.keyCount
            _ = blocks.pack(keys: keys.rows(rows), values: values.rows(rows), at: 0)
        }
    }

    /// One token through all layers. The leader gives `report` each layer's seconds.
    fileprivate mutating func benchmarkToken(_ token: BenchmarkToken, report: ([Double]) -> Void) throws(EngineError) {
        guard rank == Self.leader else {
            _ = try followDecoding()
            return
        }
        var seconds: [Double] = []
        seconds.reserveCapacity(store.layers)
        for layer in 0..<store.layers {
            let start = MonotonicClock.now()
            try attendToken(layer: layer, queries: token.queries, keys: token.keys, values: token.values, out: token.out)
            seconds.append(MonotonicClock.now().seconds(since: start))
        }
        finishToken()
        report(seconds)
        try finishDecoding()
    }

    /// Sends a small message to rank 1 and waits for its answer, `count` times; returns the leader's seconds.
    fileprivate mutating func roundTrips(_ count: Int) throws(EngineError) -> [Double] {
        let (first, second) = (Self.leader, Rank(1))
        guard rank == first || rank == second else { return [] }
        let peer = rank == first ? second : first
        let tag = MessageTag(.probe, layer: 0, step: 0, piece: 1)
        var seconds: [Double] = []
        seconds.reserveCapacity(count)
        for index in 0..<count {
            let start = MonotonicClock.now()
            if rank == first { try post(layer: 0, send: decode.barrier.block(rank.index), peer, tag) }
            try post(layer: 0, receive: decode.barrier.block(peer.index), peer, tag)
            // The second's answer and its next question are waited for together.
            try awaitCompletions(rank == first || index > 0 ? 2 : 1, layer: 0)
            if rank == second { try post(layer: 0, send: decode.barrier.block(rank.index), peer, tag) }
            seconds.append(MonotonicClock.now().seconds(since: start))
        }
        if rank == first { return seconds }
        try awaitCompletions(1, layer: 0)
        return []
    }
}

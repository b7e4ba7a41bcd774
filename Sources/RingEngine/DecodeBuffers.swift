// The messages of decoding. Rank 0 leads: it sends each layer's query with the new key and value to everybody, everybody
// answers with a partial over the KV it holds. One exchange a layer, whatever the length of the context.
import RingCore
import RingKernels
import RingTransport

/// What the leader tells the others, in the first word of a query message.
enum DecodeOrder: Int {
    case attend = 1
    case finish = 2
}

/// Where the numbers of a query message's header are.
enum DecodeHeader {
    static let order = 0
    static let layer = 1
    static let step = 2
}

/// Registered memory for decode messages and partials of one rank.
struct DecodeBuffers {
    /// A query [heads * headDim], the new key [kvHeads * headDim] and value [kvHeads * valueDim].
    let queries: MessageBuffer
    /// Normalised partial out [heads * valueDim], then its log-sum-exp [heads]: slot r is rank r's.
    let partials: MessageBuffer
    /// One message a rank: "I am done".
    let barrier: MessageBuffer
    let queryFloats: Int
    let keyFloats: Int
    let valueFloats: Int
    /// Tokens decoded so far; token t's KV is in growth block t / 64, which rank (t / 64) % world keeps.
    var tokens = 0
    /// The keys this rank holds, in a fixed order: the prompt's, then those of decoded tokens. Kept, like all that follows, so
    /// that a step allocates nothing.
    private(set) var segments: [DecodeSegment] = []
    private var promptSegments: Int?
    /// Running state of each segment of keys, [heads, valueDim]; grows with the context, never shrinks.
    private(set) var states: [AttentionState] = []
    /// Every rank but this one.
    let others: [Rank]
    var completions: [Completion] = []
    /// Where a segment is normalised before it is merged.
    let merging: AttentionPartial
    var awaited = 0
    var seconds = DecodeSeconds()

    init<Wire: Transport & ~Copyable>(
        heads: Int, layout: KVLayout, world: WorldSize, registeredWith wire: inout Wire
    ) throws(EngineError) {
        others = wire.world.ranks.filter { $0 != wire.rank }
        completions.reserveCapacity(2 * world.count)
        queryFloats = heads * layout.headDim
        keyFloats = layout.kvHeads * layout.headDim
        valueFloats = layout.kvHeads * layout.valueDim
        queries = try MessageBuffer(floats: queryFloats + keyFloats + valueFloats, slots: 1, registeredWith: &wire)
        partials = try MessageBuffer(floats: heads * layout.valueDim + heads, slots: world.count, registeredWith: &wire)
        do throws(KernelError) {
            merging = try AttentionPartial.allocate(rows: heads, valueDim: layout.valueDim)
        } catch { throw .memory(error) }
        barrier = try MessageBuffer(floats: 8, slots: world.count, registeredWith: &wire)
    }
}

extension DecodeBuffers {
    /// All memory that the wire knows of.
    var regions: [RegionKey] { [queries.region, partials.region, barrier.region] }

    /// Lists the keys of `shard` and of `grown` decoded tokens in `segments`.
    mutating func list(_ shard: ShardBlocks, grown: Int) {
        let limit = EngineLimits.decodeTaskKeys
        if let promptSegments {
            segments.removeSubrange(promptSegments...)
        } else {
            for run in shard.runs {
                for start in stride(from: 0, to: run.chunk.length, by: limit) {
                    let block = run.firstBlock + start / KVLayout.blockTokens
                    segments.append(DecodeSegment(growth: false, firstBlock: block, keyCount: min(limit, run.chunk.length - start)))
                }
            }
            promptSegments = segments.count
        }
        for start in stride(from: 0, to: grown, by: limit) {
            segments.append(DecodeSegment(growth: true, firstBlock: start / KVLayout.blockTokens, keyCount: min(limit, grown - start)))
        }
    }

    /// Makes sure that there are `count` segment states.
    mutating func makeStates(_ count: Int, heads: Int, valueDim: Int) throws(EngineError) {
        do throws(KernelError) {
            while states.count < count { states.append(try .allocate(rows: heads, valueDim: valueDim)) }
        } catch { throw .memory(error) }
    }
}

/// Where decoding's time went on one rank.
public struct DecodeSeconds: Hashable, Sendable {
    /// Under attention.
    public var compute = 0.0
    /// Waiting for partials (leader); followers wait for orders, which is not counted.
    public var exposed = 0.0
}

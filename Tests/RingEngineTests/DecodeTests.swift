// One token over a sharded context: right against the oracle for any number of ranks and threads, and the same bits for any
// number of threads.
import RingCore
import RingEngine
import RingKernels
import RingTransport
import Synchronization
import Testing

@Suite("Decoding over a ring", .timeLimit(.minutes(2)))
struct DecodeTests {
    private static let (heads, kvHeads, headDim, valueDim, layers) = (6, 2, 32, 40, 2)

    /// Prompt keys and values of `layer`, then those of the decoded tokens: [tokens, kvHeads * dim].
    private struct Source {
        let keys: FloatRows, values: FloatRows, queries: FloatRows

        init(tokens: Int, layer: Int, seed: UInt64) throws(KernelError) {
            let scalar = try Kernels(.scalar)
            keys = try .allocate(rows: tokens, columns: kvHeads * headDim)
            values = try .allocate(rows: tokens, columns: kvHeads * valueDim)
            queries = try .allocate(rows: tokens, columns: heads * headDim)
            for (tensor, rows) in [keys, values, queries].enumerated() {
                scalar.fillNormals(rows, seed: seed, tensor: UInt64(8 * layer + tensor))
            }
        }
    }

    /// The leader's results, [token][layer] -> heads * valueDim values.
    private func decode(
        prompt: Int, tokens: Int, world: Int, threads: Int, seed: UInt64
    ) throws -> [[[Float]]] {
        let plan = try ShardPlan(.zigzag, tokens: prompt, over: WorldSize(world))
        let layout = try KVLayout(kvHeads: Self.kvHeads, headDim: Self.headDim, valueDim: Self.valueDim, element: .f32)
        let shape = EngineShape(plan: plan, layout: layout, heads: Self.heads, layers: Self.layers, decodeTokensMax: tokens)
        let kernels = try Kernels.selected()
        let board = Board()
        try InProcessRanks.run(plan.world) { rank, wire in
            do throws(EngineError) {
                var wire = wire
                let memory = try EngineMemory(shape, for: &wire, threads: threads)
                let pool = try ComputePool.make(threads: threads)
                defer { pool.shutdown() }
                var engine = RingEngine(memory, wire: wire, pool: pool, kernels: kernels)
                let found = try Self.perform(&engine, prompt: prompt, tokens: tokens, seed: seed)
                board.found.withLock { if rank == Rank(0) { $0 = found } }
                try engine.barrier()
                engine.close()
            } catch { board.errors.withLock { $0.append(error) } }
        }
        let failures = board.errors.withLock { $0 }
        #expect(failures.isEmpty, "\(failures)")
        return board.found.withLock { $0 }
    }

    private static func perform(
        _ engine: inout RingEngine<InProcessRanks.Wire>, prompt: Int, tokens: Int, seed: UInt64
    ) throws(EngineError) -> [[[Float]]] {
        var sources: [Source] = []
        let out: FloatRows
        do throws(KernelError) {
            for layer in 0..<layers { sources.append(try Source(tokens: prompt + tokens, layer: layer, seed: seed)) }
            out = try .allocate(rows: 1, columns: heads * valueDim)
        } catch { throw .memory(error) }
        for layer in 0..<layers {
            for run in engine.shard.runs {
                _ = engine.store.prompt(layer: layer).pack(
                    keys: sources[layer].keys.rows(run.chunk.range), values: sources[layer].values.rows(run.chunk.range),
                    at: run.firstBlock * KVLayout.blockTokens)
            }
        }
        guard engine.rank == RingEngine<InProcessRanks.Wire>.leader else {
            let decoded = try engine.followDecoding()
            #expect(decoded == tokens)
            return []
        }
        var found: [[[Float]]] = []
        for token in prompt..<prompt + tokens {
            var answers: [[Float]] = []
            for layer in 0..<layers {
                let source = sources[layer]
                try engine.attendToken(
                    layer: layer, queries: source.queries.rows(token..<token + 1), keys: source.keys.rows(token..<token + 1),
                    values: source.values.rows(token..<token + 1), out: out)
                answers.append(out.array(ofRow: 0))
            }
            engine.finishToken()
            found.append(answers)
        }
        try engine.finishDecoding()
        return found
    }

    private func worstError(_ found: [[[Float]]], prompt: Int, seed: UInt64) throws -> Double {
        var worst = 0.0
        for layer in 0..<Self.layers {
            let source = try Source(tokens: prompt + found.count, layer: layer, seed: seed)
            for (token, answers) in found.enumerated() {
                for head in 0..<Self.heads {
                    let (kvHead, seen) = (head / (Self.heads / Self.kvHeads), 0..<prompt + token + 1)
                    let query = source.queries.columns(head * Self.headDim..<(head + 1) * Self.headDim)
                    var oracle = OracleRow(
                        query: query.array(ofRow: prompt + token), valueDim: Self.valueDim, scale: 1 / Double(Self.headDim).squareRoot())
                    oracle.feed(
                        keys: source.keys.rows(seen).columns(kvHead * Self.headDim..<(kvHead + 1) * Self.headDim),
                        values: source.values.rows(seen).columns(kvHead * Self.valueDim..<(kvHead + 1) * Self.valueDim))
                    let expected = oracle.result().out
                    for column in 0..<Self.valueDim {
                        let error = abs(Double(answers[layer][head * Self.valueDim + column]) - expected[column])
                        worst = error.isNaN ? .infinity : max(worst, error)
                    }
                }
            }
        }
        return worst
    }

    /// 9,000 tokens are more than one task's keys on every rank, and more bytes than one thread takes alone. 67 tokens decoded
    /// over 3 ranks reach the second rank's growth block; with 1 token of prompt some ranks begin with nothing.
    @Test("right over any number of ranks", arguments: [(9000, 2, 1), (9000, 3, 2), (700, 3, 67), (1, 4, 3), (130, 1, 5)])
    func oracle(prompt: Int, world: Int, tokens: Int) throws {
        let found = try decode(prompt: prompt, tokens: tokens, world: world, threads: 2, seed: 21)
        #expect(found.count == tokens)
        let worst = try worstError(found, prompt: prompt, seed: 21)
        #expect(worst <= 1e-5, "prompt \(prompt), \(world) ranks, \(tokens) tokens, seed 21: \(worst)")
    }

    @Test("the bits do not depend on the number of threads")
    func threads() throws {
        let one = try decode(prompt: 9000, tokens: 2, world: 2, threads: 1, seed: 22)
        for threads in [2, 3, 5] {
            #expect(try decode(prompt: 9000, tokens: 2, world: 2, threads: threads, seed: 22) == one, "\(threads) threads, seed 22")
        }
    }
}

private final class Board: Sendable {
    let found = Mutex<[[[Float]]]>([])
    let errors = Mutex<[EngineError]>([])
}

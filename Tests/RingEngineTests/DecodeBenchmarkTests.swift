// The benchmark of decoding on a tiny shape: it measures what it says, and refuses what cannot be.
import RingEngine
import RingKernels
import Testing

@Suite("Benchmark of decoding", .timeLimit(.minutes(2)))
struct DecodeBenchmarkTests {
    @Test("it measures a tiny shape", arguments: [1, 2, 3])
    func tiny(workers: Int) throws {
        let benchmark = DecodeBenchmark(
            tokens: 5000, heads: 4, kvHeads: 2, headDim: 32, element: .bf16, workers: workers, threads: 2, layers: 2, repeats: 3)
        let result = try benchmark.run(Kernels.selected())
        // Every shard ends on a block edge but the last: 79 blocks of 64 tokens, 2 heads, keys and values, 2 bytes, 2 layers.
        #expect(result.streaming.byteCount == 79 * 64 * 2 * 2 * 32 * 2 * 2)
        #expect(result.streaming.readFraction > 0 && result.streaming.readFraction.isFinite)
        #expect(result.streaming.tokenSeconds > 0 && result.streaming.readBytesPerSecond.isFinite)
        guard workers > 1 else { return #expect(result.exchange == nil) }
        let exchange = try #require(result.exchange)
        #expect(exchange.mergeSeconds > 0 && exchange.roundTripSeconds > 0 && exchange.roundTrips.isFinite)
        #expect(exchange.secondsBeyondTwoRoundTrips == exchange.mergeSeconds - 2 * exchange.roundTripSeconds)
    }

    @Test("a shape that cannot be is refused")
    func refused() throws {
        let good = DecodeBenchmark(tokens: 64, heads: 4, kvHeads: 2, headDim: 32, element: .f32, workers: 2)
        for edit in [
            { $0.tokens = 0 }, { $0.heads = 3 }, { $0.kvHeads = 0 }, { $0.headDim = 7 }, { $0.workers = 0 }, { $0.threads = 0 },
            { $0.layers = 0 }, { $0.repeats = 0 },
        ] as [(inout DecodeBenchmark) -> Void] {
            var bad = good
            edit(&bad)
            #expect(throws: EngineError.self) { try bad.byteCount() }
        }
    }
}

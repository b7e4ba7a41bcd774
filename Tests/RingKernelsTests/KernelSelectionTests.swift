// Which kernels run, seeded normals, the oracle's own check, and the benchmark's figures.
import Glibc
import RingKernels
import Testing

@Suite("Choice of kernels")
struct KernelSelectionTests {
    @Test("an override is obeyed, an unknown or unsupported one is an error that lists what works")
    func override() throws {
        for set in InstructionSet.allCases {
            if set.isSupported {
                #expect(try Kernels.selected(override: set.rawValue).instructionSet == set)
            } else {
                #expect(throws: KernelError.unsupportedInstructionSet(set)) { try Kernels.selected(override: set.rawValue) }
            }
        }
        #expect(throws: KernelError.unknownInstructionSet("sse9")) { try Kernels.selected(override: "sse9") }
        #expect(KernelError.unknownInstructionSet("sse9").description.contains("avx512bf16"))
        #expect(try Kernels.selected(override: "").instructionSet == Kernels.selected().instructionSet)
    }

    @Test("the choice is the same every time, and never a set that a wider supported one beats at f32")
    func stable() throws {
        let first = try Kernels.selected().instructionSet
        for _ in 0..<5 { #expect(try Kernels.selected().instructionSet == first) }
        if let widest = InstructionSet.supported.max(), widest < .avx512bf16 { #expect(first == widest) }
    }

    @Test("the benchmark's figures fit each other", arguments: ElementType.allCases)
    func benchmark(element: ElementType) throws {
        let kernels = try Kernels.selected()
        for causal in [false, true] {
            let benchmark = AttentionBenchmark(
                tokens: 700, heads: 4, kvHeads: 2, headDim: 64, valueDim: 72, element: element, causal: causal, threads: 2, repeats: 3)
            let result = try benchmark.run(kernels)
            let pairs = Double(causal ? 700 * 701 / 2 : 700 * 700) * 4
            #expect(benchmark.visiblePairs == pairs)
            #expect(abs(result.gflops * result.seconds * 1e9 / (pairs * 2 * 136) - 1) < 1e-9)
            #expect(abs(result.peakFraction - result.gflops / result.peakGflops) < 1e-9)
            #expect(result.peakFraction > 0 && result.instructionSet == kernels.instructionSet)
        }
        #expect(throws: KernelError.invalidCount(what: "kv_heads", value: 3)) {
            try AttentionBenchmark(tokens: 1, heads: 4, kvHeads: 3, headDim: 64, element: element, causal: false).run(kernels)
        }
    }
}

@Suite("Seeded normals")
struct NormalsTests {
    @Test("an element depends on seed, tensor and index alone, with the same bits in every table")
    func shards() throws {
        let whole = try FloatRows.allocate(rows: 1, columns: 1000)
        try Kernels(.scalar).fillNormals(whole, seed: 42, tensor: 7, firstElement: 1_000_003)
        for set in InstructionSet.supported {
            let kernels = try Kernels(set)
            for (first, count) in [(0, 1000), (0, 1), (1, 1), (127, 130), (500, 499), (999, 1)] {
                let part = try FloatRows.allocate(rows: 1, columns: count)
                kernels.fillNormals(part, seed: 42, tensor: 7, firstElement: UInt64(1_000_003 + first))
                #expect(part.array(ofRow: 0) == Array(whole.array(ofRow: 0)[first..<first + count]), "\(set) \(first) \(count)")
            }
        }
        let other = try FloatRows.allocate(rows: 1, columns: 1000)
        try Kernels(.scalar).fillNormals(other, seed: 42, tensor: 8, firstElement: 1_000_003)
        #expect(zip(whole.array(ofRow: 0), other.array(ofRow: 0)).allSatisfy { $0 != $1 })
    }

    @Test("moments, tails and neighbours are those of independent standard normals")
    func statistics() throws {
        let count = 1 << 20
        let rows = try FloatRows.allocate(rows: 1, columns: count)
        try Kernels.selected().fillNormals(rows, seed: 1, tensor: 0)
        let values = rows.array(ofRow: 0).map(Double.init)
        let moments = (1...4).map { power in values.reduce(0) { $0 + pow($1, Double(power)) } / Double(count) }
        #expect(abs(moments[0]) < 5e-3 && abs(moments[1] - 1) < 7e-3 && abs(moments[2]) < 0.02 && abs(moments[3] - 3) < 0.05)
        #expect(abs(Double(values.count { abs($0) > 1 }) / Double(count) - 0.317_31) < 2e-3)
        #expect(abs(Double(values.count { abs($0) > 3 }) / Double(count) - 0.002_70) < 3e-4)
        #expect(values.map(abs).max() ?? 0 > 4.3)
        for lag in 1...4 {
            let products = zip(values, values.dropFirst(lag)).reduce(0) { $0 + $1.0 * $1.1 } / Double(count)
            #expect(abs(products) < 5e-3, "lag \(lag): \(products)")
        }
    }
}

@Suite("Oracle")
struct OracleTests {
    @Test("chunks of any size give the closed form of a softmax in double precision")
    func closedForm() throws {
        let keys = try FloatRows.allocate(rows: 1000, columns: 32)
        let values = try FloatRows.allocate(rows: 1000, columns: 40)
        for key in 0..<1000 {
            keys[key, 3] = Float(key % 17)
            values[key, 5] = Float(key)
        }
        var query = [Float](repeating: 0, count: 32)
        query[3] = 2
        let weights = (0..<1000).map { exp(Double($0 % 17) - 16) }
        let sum = weights.reduce(0, +)
        let mean = weights.enumerated().reduce(0) { $0 + $1.element * Double($1.offset) } / sum
        for chunk in [1, 7, 32, 33, 1000] {
            var oracle = OracleRow(query: query, valueDim: 40, scale: 0.5)
            for first in stride(from: 0, to: 1000, by: chunk) {
                let range = first..<min(first + chunk, 1000)
                oracle.feed(keys: keys.rows(range), values: values.rows(range))
            }
            let result = oracle.result()
            #expect(abs(result.out[5] - mean) < 1e-11 && result.out[4] == 0)
            #expect(abs(result.logSumExp - (16 + log(sum))) < 1e-13)
        }
        let empty = OracleRow(query: query, valueDim: 40, scale: 1).result()
        #expect(empty.logSumExp == -.infinity && empty.out.allSatisfy { $0 == 0 })
    }
}

// Rings over int8 keys and values: no row is further from exact attention over the input than the ring said it could be, and none further
// from exact attention over the stored bytes than f32 arithmetic explains; and every byte that moved is counted.
import Foundation
import RingCore
import RingEngine
import RingFormats
import RingKernels
import RingModels
import Testing

/// A problem, who owns what of it, and what goes round.
private struct QuantisedCase: CustomStringConvertible {
    let mask: Mask, plan: ShardPlan, shape: AttentionSource.Shape, schedule: Schedule

    var description: String { "\(shape), \(mask), \(plan), \(schedule)" }

    init(index: Int, using generator: inout SeededGenerator) throws {
        let tokens = Int.random(in: 1...(index % 10 == 0 ? 700 : 230), using: &generator)
        let world = 1 + index % 5
        let some = Int.random(in: 1...tokens, using: &generator)
        let rules: [Mask.Rule] = [.causal, .full, .window(size: some, sinks: 3), .prefix(length: some), .chunked(length: some)]
        let documents = index % 4 == 1 && some < tokens ? [some, tokens - some] : nil
        mask = try Mask(rules[index % rules.count], documents: documents, tokens: tokens)
        let cuts = (0..<Int.random(in: 0...9, using: &generator)).map { _ in Int.random(in: 0...tokens, using: &generator) }
        let edges = Array(Set(cuts + [0, tokens])).sorted()
        var shares = [[Share]](repeating: [], count: world)
        for (start, end) in zip(edges, edges.dropFirst()) {
            shares[Int.random(in: 0..<world, using: &generator)].append(Share(start: start, length: end - start, layers: 0))
        }
        plan = try index % 3 == 0 ? ShardPlan(.zigzag, tokens: tokens, over: WorldSize(world)) : ShardPlan(shares: shares, tokens: tokens)
        let dim = [128, 8, 64, 256, 72][index / 2 % 5]
        shape = AttentionSource.Shape(
            tokens: tokens, heads: 4, kvHeads: [1, 2, 4][index % 3], headDim: dim, valueDim: index % 7 == 0 ? 40 : dim,
            element: index % 4 == 0 ? .bf16 : .f32)
        schedule = index % 6 == 5 ? .passQ : .passKV
    }

    var options: InProcessRing.Options {
        var options = InProcessRing.Options(world: plan.world, mask: mask, element: .int8)
        (options.plan, options.schedule, options.threads) = (plan, schedule, 1 + shape.tokens % 2)
        return options
    }
}

@Suite("Rings over int8 keys and values", .timeLimit(.minutes(10)))
struct QuantisedRingTests {
    static let seed: UInt64 = 1129

    /// What a result's rows are off by: the largest error against the input and against the stored bytes, and what f32 sums may make of it.
    private struct Errors {
        var given = 0.0, stored = 0.0, arithmetic = 0.0
    }

    private func errors(_ result: AttentionResult, _ source: AttentionSource, _ options: InProcessRing.Options, _ set: InstructionSet)
        throws
        -> Errors
    {
        let shape = source.shape
        let queries = (0..<shape.tokens).flatMap { position in (0..<shape.heads).map { OracleQuery(position: position, head: $0) } }
        var errors = Errors()
        for (other, error) in [(source, \Errors.given), (source.kept(as: .int8), \Errors.stored)] {
            for (query, answer) in zip(queries, try AttentionOracle.answers(to: queries, of: other, mask: options.mask)) {
                for column in 0..<shape.valueDim {
                    let off = abs(Double(result.out[query.position, query.head * shape.valueDim + column]) - answer.out[column])
                    errors[keyPath: error] = off.isNaN ? .infinity : max(errors[keyPath: error], off)
                }
            }
        }
        var largest = [0.0, 0.0, 0.0]
        for (place, tensor) in AttentionSource.Tensor.allCases.enumerated() {
            let rows = try FloatRows.allocate(rows: shape.tokens, columns: shape.width(of: tensor))
            try source.read(tensor, first: 0, into: rows)
            let width = tensor == .value ? 1 : shape.headDim
            for row in 0..<shape.tokens {
                let values = rows.array(ofRow: row).map { Double($0) }
                for start in stride(from: 0, to: values.count, by: width) {
                    largest[place] = max(largest[place], values[start..<start + width].reduce(0) { $0 + $1 * $1 }.squareRoot())
                }
            }
        }
        let scores = largest[0] * largest[1] / Double(shape.headDim).squareRoot()
        errors.arithmetic = (set == .amx ? 0x1p-16 : 2e-6) * largest[2] * max(1, scores / 16)
        return errors
    }

    @Test("100 random masks, shapes and shards: every row keeps the bound, which does not depend on the shards")
    func random() throws {
        let kernels = try Kernels.selected()
        var generator = SeededGenerator(seed: Self.seed)
        var share = 0.0
        for index in 0..<100 {
            let test = try QuantisedCase(index: index, using: &generator)
            let story = "case \(index), seed \(Self.seed): \(test)"
            let source = AttentionSource(seed: UInt64(index), shape: test.shape, kernels: kernels)
            let result = try InProcessRing.attend(source, test.options, kernels: kernels)
            let bound = try #require(result.errorBound)
            let errors = try errors(result, source, test.options, kernels.instructionSet)
            #expect(errors.given <= bound && errors.stored <= errors.arithmetic, "\(story): bound \(bound), \(errors)")
            share = max(share, errors.given / bound)
            let alone = try InProcessRing.attend(
                source, .init(world: WorldSize(1), mask: test.mask, element: .int8), kernels: kernels)
            #expect(alone.errorBound == bound && alone.element == .int8, "\(story)")
            var apart = 0.0
            for row in 0..<test.shape.tokens {
                for (mine, other) in zip(result.out.array(ofRow: row), alone.out.array(ofRow: row)) {
                    apart = max(apart, Double(abs(mine - other)))
                }
            }
            #expect(apart <= 2 * errors.arithmetic, "\(story): \(apart) from one rank")
        }
        #expect(share > 0.03, "the bound says little: \(share) of it at most")
    }

    @Test("int8 moves 33/64 of the bytes that bf16 moves at 128 dimensions, to the byte, and no byte more than is needed")
    func bytes() throws {
        let kernels = try Kernels.selected()
        for (tokens, world, mask) in [(1000, 2, Mask.causal), (777, 3, .full), (64, 5, .causal), (3, 4, .causal)] {
            let shape = AttentionSource.Shape(tokens: tokens, heads: 2, kvHeads: 2, headDim: 128, valueDim: 128, element: .bf16)
            let source = AttentionSource(seed: 3, shape: shape, kernels: kernels)
            let runs = try [ElementType.int8, .bf16].map {
                try InProcessRing.attend(source, .init(world: WorldSize(world), mask: mask, element: $0), kernels: kernels)
            }
            let moved = runs.map { $0.reports.map(\.bytesReceived) }
            // A block of two heads: 64 tokens of 2 x 128 bytes and 2 scales of 4.
            let block = 2 * 64 * (2 * 128 + 2 * 4)
            #expect(moved[0].allSatisfy { $0 % block == 0 } && moved[0].map { $0 * 64 } == moved[1].map { $0 * 33 })
            #expect(Double(moved[0].reduce(0, +)) <= 0.52 * Double(moved[1].reduce(0, +)))
            #expect(tokens < 100 || moved[0].allSatisfy { $0 > 0 })
            #expect(moved[0].reduce(0, +) == runs[0].reports.reduce(0) { $0 + $1.bytesSent })
        }
    }

    @Test("where the bound is above the tolerance, all ranks keep bf16 instead, before a block moves")
    func tolerance() throws {
        let kernels = try Kernels.selected()
        let shape = AttentionSource.Shape(tokens: 300, heads: 4, kvHeads: 2, headDim: 64, valueDim: 64, element: .bf16)
        let source = AttentionSource(seed: 8, shape: shape, kernels: kernels)
        for schedule in [Schedule.passKV, .passQ] {
            var options = InProcessRing.Options(world: WorldSize(3), mask: .causal, element: .int8)
            options.schedule = schedule
            let loose = try InProcessRing.attend(source, options, kernels: kernels)
            let bound = try #require(loose.errorBound)
            options.errorTolerance = bound
            let kept = try InProcessRing.attend(source, options, kernels: kernels)
            #expect(kept.element == .int8 && kept.errorBound == bound)
            options.errorTolerance = bound.nextDown
            let refused = try InProcessRing.attend(source, options, kernels: kernels)
            #expect(refused.element == .bf16 && refused.errorBound == bound)
            options.element = .bf16
            let pairs = try InProcessRing.attend(source, options, kernels: kernels)
            #expect(pairs.errorBound == nil && refused.reports.map(\.bytesSent) == pairs.reports.map(\.bytesSent))
            for row in 0..<300 {
                #expect(refused.out.array(ofRow: row) == pairs.out.array(ofRow: row), "row \(row)")
                #expect(refused.lse.array(ofRow: row) == pairs.lse.array(ofRow: row), "row \(row)")
            }
        }
    }

    /// What is done to the numbers of q, k and v.
    enum Hostile: String, CaseIterable {
        case zeroKeys, zeroValues, zeroEverything, constantChannels, hugeKey, hugeValue, subnormal, tinyValues, oneToken
    }

    @Test("numbers that quantise badly keep the bound", arguments: Hostile.allCases, [1, 3])
    func hostile(kind: Hostile, world: Int) throws {
        let kernels = try Kernels.selected()
        try withInput(kind, tokens: kind == .oneToken ? 1 : 190, heads: 2, dim: 64) { source in
            let options = InProcessRing.Options(world: WorldSize(world), mask: .causal, element: .int8)
            let result = try InProcessRing.attend(source, options, kernels: kernels)
            let bound = try #require(result.errorBound)
            let errors = try errors(result, source, options, kernels.instructionSet)
            // A weight times a step that is no normal number may be taken as zero: of each key 127 of these at most.
            let arithmetic = errors.arithmetic + Double(source.shape.tokens) * 0x1p-119
            #expect(bound.isFinite && errors.given <= bound + arithmetic, "\(bound), \(errors)")
            #expect(errors.stored <= arithmetic, "\(errors)")
            if kind == .zeroEverything || kind == .zeroValues { #expect(errors.given == 0 && bound < 1e-30) }
        }
    }

    @Test(
        "a number that is not finite is named with its tensor and token", arguments: AttentionSource.Tensor.allCases,
        [Float.nan, .infinity])
    func notFinite(tensor: AttentionSource.Tensor, value: Float) throws {
        let kernels = try Kernels.selected()
        // A token of rank 0: the other one only sees that it is gone.
        try withInput(nil, tokens: 100, heads: 2, dim: 64, edit: { $0[tensor.rawValue][11 * 128 + 5] = value }) { source in
            let options = InProcessRing.Options(world: WorldSize(2), mask: .causal, element: .int8)
            let error = #expect(throws: ModelError.self) { try InProcessRing.attend(source, options, kernels: kernels) }
            #expect(error?.description.contains("tensor \(tensor.name)") == true && error?.description.contains("token 11") == true)
        }
    }

    @Test("a query of infinite score is an error that names it, not a number")
    func overflow() throws {
        let kernels = try Kernels.selected()
        try withInput(
            nil, tokens: 100, heads: 2, dim: 64,
            edit: { (tensors: inout [[Float]]) in
                for column in 0..<64 { (tensors[0][128 * 50 + column], tensors[1][128 * 9 + column]) = (1e37, 1e37) }
            }
        ) { source in
            let options = InProcessRing.Options(world: WorldSize(2), mask: .causal, element: .int8)
            let error = #expect(throws: ModelError.self) { try InProcessRing.attend(source, options, kernels: kernels) }
            #expect(error?.description.contains("not finite") == true, "\(String(describing: error))")
        }
    }

    @Test("a rank whose keys are left out is seen by the check against the stored bytes")
    func dropped() throws {
        let kernels = try Kernels.selected()
        let shape = AttentionSource.Shape(tokens: 521, heads: 2, kvHeads: 1, headDim: 64, valueDim: 64, element: .f32)
        let source = AttentionSource(seed: 6, shape: shape, kernels: kernels)
        var options = InProcessRing.Options(world: WorldSize(3), mask: .causal, element: .int8)
        options.fault = RingFault(.drop, kvOwner: Rank(1))
        let errors = try errors(try InProcessRing.attend(source, options, kernels: kernels), source, options, kernels.instructionSet)
        #expect(errors.stored > 100 * errors.arithmetic)
    }

    /// q, k and v of standard normals, changed, in a file that is gone afterwards.
    private func withInput(
        _ kind: Hostile?, tokens: Int, heads: Int, dim: Int, edit: (inout [[Float]]) -> Void = { _ in },
        _ body: (AttentionSource) throws -> Void
    ) throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "quantised-\(UUID().uuidString).safetensors").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let kernels = try Kernels.selected()
        let width = heads * dim
        var tensors = try (0..<3).map { tensor in
            let rows = try FloatRows.allocate(rows: 1, columns: tokens * width)
            kernels.fillNormals(rows, seed: 5, tensor: UInt64(tensor))
            return rows.array(ofRow: 0)
        }
        for place in tensors[1].indices {
            let (token, column) = (place / width, place % width)
            switch kind {
            case .zeroKeys: tensors[1][place] = 0
            case .zeroValues: tensors[2][place] = 0
            case .zeroEverything: (tensors[0][place], tensors[1][place], tensors[2][place]) = (0, 0, 0)
            case .constantChannels: if column % 3 > 0 { (tensors[1][place], tensors[2][place]) = (7.25, -3) }
            case .hugeKey: if token == 60 && column == 9 { tensors[1][place] = 3e6 }
            case .hugeValue: if token == 60 && column == 9 { tensors[2][place] = -3e30 }
            case .subnormal: (tensors[1][place], tensors[2][place]) = (tensors[1][place] * 1e-20 * 1e-20, tensors[2][place] * 1e-20 * 1e-21)
            case .tinyValues: tensors[2][place] *= 1e-30
            case .oneToken, nil: break
            }
        }
        edit(&tensors)
        let writer = try SafetensorsWriter(
            creating: path, tensors: AttentionSource.Tensor.allCases.map { TensorSpec($0.name, .f32, [tokens, heads, dim]) })
        for tensor in AttentionSource.Tensor.allCases { try writer.write(tensors[tensor.rawValue], to: tensor.name) }
        try writer.finish()
        try body(try AttentionSource(path: path, kernels: kernels))
    }
}

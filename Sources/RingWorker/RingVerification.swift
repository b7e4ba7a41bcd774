// Rings of several sizes inside this process against one rank and against double precision, over a grid of shapes: odd
// lengths, grouped heads, different value widths, every kind of mask, f32, bf16 and int8.

import RingCore
import RingFormats
import RingKernels
import RingModels

/// The comparison behind `ringmaster verify`.
public struct RingVerification: Sendable {
    /// One problem of the grid.
    public struct Case: Hashable, Sendable, CustomStringConvertible {
        let tokens: Int
        let heads: Int
        let kvHeads: Int
        let headDim: Int
        let valueDim: Int
        let mask: Mask
        let element: ElementType
        let world: Int

        /// `bf16, 3 ranks, 257 tokens, heads 4/1, dims 96/40, causal`.
        public var description: String {
            "\(element.rawValue), \(world) ranks, \(tokens) tokens, heads \(heads)/\(kvHeads), dims \(headDim)/\(valueDim), "
                + "\(mask)"
        }
    }

    /// The worst errors of one ring size with one type.
    public struct Line: Sendable {
        /// Type of inputs, keys and values; with int8 keys and values the inputs are f32.
        public let element: ElementType
        /// Ranks.
        public let world: Int
        /// Largest absolute error against the oracle.
        public fileprivate(set) var maxAbsError = 0.0
        /// Largest error as a share of what it may be.
        public fileprivate(set) var barFraction = 0.0
        /// Largest absolute difference from one rank's result, over all rows.
        public fileprivate(set) var differenceFromOne = 0.0
        /// Problems whose error is above its bar, with the error.
        public fileprivate(set) var failures: [(problem: Case, error: Double)] = []
    }

    private static let shapes: [(tokens: Int, heads: Int, kvHeads: Int, headDim: Int, valueDim: Int)] = [
        (1, 2, 1, 64, 64), (5, 4, 4, 32, 32), (63, 4, 2, 128, 128), (257, 4, 1, 96, 40), (640, 8, 2, 64, 128), (1031, 2, 2, 256, 256),
        (2048, 4, 2, 128, 128),
    ]

    private let kernels: Kernels
    private let seed: UInt64

    /// A verification of inputs made from `seed`.
    public init(kernels: Kernels, seed: UInt64) {
        self.kernels = kernels
        self.seed = seed
    }

    /// Measures rings of these sizes; a line a type and size.
    public func run(worlds: [Int]) throws(ExecutionError) -> [Line] {
        var lines: [Line] = []
        for element in ElementType.allCases {
            var mine = worlds.map { Line(element: element, world: $0) }
            for (place, shape) in Self.shapes.enumerated() {
                for mask in try [Mask.causal, .full, Self.mask(place, tokens: shape.tokens)] {
                    let problems = worlds.map {
                        Case(
                            tokens: shape.tokens, heads: shape.heads, kvHeads: shape.kvHeads, headDim: shape.headDim,
                            valueDim: shape.valueDim, mask: mask, element: element, world: $0)
                    }
                    try measure(problems, into: &mine)
                }
            }
            lines += mine
        }
        return lines
    }

    /// Another mask for each shape: a window with sinks, a prefix, chunks, packed documents.
    private static func mask(_ place: Int, tokens: Int) throws(ExecutionError) -> Mask {
        let documents = tokens < 60 ? [tokens] : [tokens / 2 - 1, 7, tokens - tokens / 2 - 6]
        let rules: [Mask.Rule] = [
            .prefix(length: tokens / 3 + 1), .chunked(length: tokens / 5 + 1), .window(size: tokens / 4 + 1, sinks: 4), .causal,
        ]
        do throws(MaskError) {
            return try Mask(rules[place % rules.count], documents: place % 2 == 0 ? documents : nil, tokens: tokens)
        } catch { throw ExecutionError(.invalidInput, "\(error)") }
    }

    /// Measures one shape on every ring size; `problems` differ in nothing else.
    private func measure(_ problems: [Case], into lines: inout [Line]) throws(ExecutionError) {
        guard let first = problems.first else { return }
        let shape = AttentionSource.Shape(
            tokens: first.tokens, heads: first.heads, kvHeads: first.kvHeads, headDim: first.headDim, valueDim: first.valueDim,
            element: first.element == .bf16 ? .bf16 : .f32)
        let source = AttentionSource(seed: seed, shape: shape, kernels: kernels)
        let step = max(1, first.tokens / 16)
        var rows = Array(stride(from: 0, to: first.tokens, by: step))
        if rows.last != first.tokens - 1 { rows.append(first.tokens - 1) }
        let alone = try ring(source, first, world: 1)
        let check = OracleCheck(
            source: source, mask: first.mask, scale: nil, kvElement: first.element, errorBound: alone.errorBound ?? 0)
        let best = try outcome(of: alone, check, rows)
        for (place, problem) in problems.enumerated() {
            let result = problem.world == 1 ? alone : try ring(source, problem, world: problem.world)
            let outcome = problem.world == 1 ? best : try outcome(of: result, check, rows)
            // bf16 rounds what it rounds on one rank too: a ring may not be much worse than that.
            let bar =
                problem.element != .bf16 || problem.world == 1 ? outcome.bar : min(outcome.bar, 2 * best.maxAbsError + best.bar / 1000)
            lines[place].maxAbsError = max(lines[place].maxAbsError, outcome.maxAbsError)
            // What int8 loses is far below its bound; what the ring may add to that is not.
            let share = max(outcome.maxAbsError / bar, outcome.stored.map { $0.maxAbsError / $0.bar } ?? 0)
            lines[place].barFraction = max(lines[place].barFraction, share)
            lines[place].differenceFromOne = max(lines[place].differenceFromOne, difference(result, alone, tokens: first.tokens))
            if !(outcome.maxAbsError <= bar && outcome.holds) { lines[place].failures.append((problem, outcome.maxAbsError)) }
        }
    }

    private func ring(_ source: AttentionSource, _ problem: Case, world: Int) throws(ExecutionError) -> AttentionResult {
        do throws(ModelError) {
            return try InProcessRing.attend(
                source, .init(world: WorldSize(world), mask: problem.mask, element: problem.element), kernels: kernels)
        } catch { throw ExecutionParts.error(error) }
    }

    private func outcome(of result: AttentionResult, _ check: OracleCheck, _ rows: [Int]) throws(ExecutionError) -> OracleCheck.Outcome {
        try check.run(rows: rows) { row in (result.out.array(ofRow: row), result.lse.array(ofRow: row)) }
    }

    private func difference(_ left: AttentionResult, _ right: AttentionResult, tokens: Int) -> Double {
        var worst = 0.0
        for row in 0..<tokens {
            for (mine, other) in zip(left.out.array(ofRow: row), right.out.array(ofRow: row)) {
                worst = max(worst, Double(abs(mine - other)))
            }
        }
        return worst
    }
}

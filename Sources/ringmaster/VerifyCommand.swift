// `ringmaster verify`: rings of several sizes against one rank and against double precision, over a grid of shapes.

import ArgumentParser
import Foundation
import RingCore
import RingFormats
import RingKernels
import RingModels
import RingWorker

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Compare rings with one rank and with exact attention over a grid of shapes.")

    @Option(help: ArgumentHelp("Seed of the inputs.", valueName: "s"))
    var seed: UInt64 = 0
    @Option(help: ArgumentHelp("Ring sizes.", valueName: "n,n"))
    var worlds: String = "1,2,3,5"
    @Flag(help: "Print the result as JSON.")
    var json = false

    private static let shapes: [(tokens: Int, heads: Int, kvHeads: Int, headDim: Int, valueDim: Int)] = [
        (1, 2, 1, 64, 64), (5, 4, 4, 32, 32), (63, 4, 2, 128, 128), (257, 4, 1, 96, 40), (640, 8, 2, 64, 128), (1031, 2, 2, 256, 256),
        (2048, 4, 2, 128, 128),
    ]

    /// The worst errors of one line of the table.
    private struct Line {
        let element: ElementType
        let world: Int
        var worst = 0.0
        var worstShare = 0.0
        var againstOne = 0.0
        var failures: [String] = []
    }

    func run() throws {
        let sizes = worlds.split(separator: ",").compactMap { Int($0) }
        guard !sizes.isEmpty, sizes.allSatisfy({ (1...64).contains($0) }), sizes.count == worlds.split(separator: ",").count else {
            throw CommandError.usage("--worlds takes ring sizes from 1 to 64 like 1,2,3,5, got \(worlds)")
        }
        let kernels = try fromKernels { () throws(KernelError) in try Kernels.fromEnvironment() }
        var lines: [Line] = []
        for element in [ElementType.f32, .bf16] {
            var mine = sizes.map { Line(element: element, world: $0) }
            for shape in Self.shapes {
                for causal in [true, false] { try measure(shape, element, causal: causal, kernels, into: &mine) }
            }
            lines += mine
        }
        report(lines, kernels)
        let failures = lines.flatMap(\.failures)
        if let first = failures.first {
            throw CommandError.failed("\(failures.count) comparisons are above their bar, the first: \(first)")
        }
    }

    private func measure(
        _ size: (tokens: Int, heads: Int, kvHeads: Int, headDim: Int, valueDim: Int), _ element: ElementType, causal: Bool,
        _ kernels: Kernels, into lines: inout [Line]
    ) throws {
        let shape = AttentionSource.Shape(
            tokens: size.tokens, heads: size.heads, kvHeads: size.kvHeads, headDim: size.headDim, valueDim: size.valueDim, element: element)
        let source = AttentionSource(seed: seed, shape: shape, kernels: kernels)
        let check = OracleCheck(source: source, causal: causal, scale: nil, kvElement: element)
        let stride = max(1, size.tokens / 16)
        let rows = Array(Set(Swift.stride(from: 0, to: size.tokens, by: stride)).union([size.tokens - 1])).sorted()
        do {
            func ring(_ world: Int) throws(ModelError) -> AttentionResult {
                try InProcessRing.attend(source, .init(world: WorldSize(world), causal: causal, element: element), kernels: kernels)
            }
            let alone = try ring(1)
            for place in lines.indices {
                let result = lines[place].world == 1 ? alone : try ring(lines[place].world)
                let outcome = try check.run(rows: rows) { row in (result.out.array(ofRow: row), result.lse.array(ofRow: row)) }
                lines[place].worst = max(lines[place].worst, outcome.maxAbsError)
                lines[place].worstShare = max(lines[place].worstShare, outcome.maxAbsError / outcome.bar)
                for row in 0..<size.tokens {
                    for (mine, other) in zip(result.out.array(ofRow: row), alone.out.array(ofRow: row)) {
                        lines[place].againstOne = max(lines[place].againstOne, Double(abs(mine - other)))
                    }
                }
                if !outcome.holds {
                    lines[place].failures.append("\(element.rawValue), \(lines[place].world) ranks, \(size), causal \(causal): \(outcome.maxAbsError)")
                }
            }
        } catch let error as ExecutionError {
            throw CommandError.failed(error.message)
        } catch let error as ModelError {
            throw CommandError.failed("\(error)")
        }
    }

    private func report(_ lines: [Line], _ kernels: Kernels) {
        if json {
            let cases = lines.map { line -> JSONValue in
                [
                    "dtype": .string(line.element.rawValue), "workers": .integer(Int64(line.world)), "max_abs_error": .number(line.worst),
                    "bar_fraction": .number(line.worstShare), "max_abs_difference_from_one": .number(line.againstOne),
                    "ok": .bool(line.failures.isEmpty),
                ]
            }
            let object: JSONValue = ["isa": .string(kernels.instructionSet.rawValue), "cases": .array(cases)]
            Console.out(object.text(pretty: true))
            return
        }
        var table = Table(["dtype", "ranks", "max error", "of the bar", "against one rank", ""])
        for line in lines {
            table.add([
                line.element.rawValue, "\(line.world)", scientific(line.worst), fixed(100 * line.worstShare, 1) + "%",
                scientific(line.againstOne), line.failures.isEmpty ? "ok" : "FAILED",
            ])
        }
        Console.out(table.text + "\n")
    }

    private func scientific(_ value: Double) -> String { String(format: "%.2e", value) }
}

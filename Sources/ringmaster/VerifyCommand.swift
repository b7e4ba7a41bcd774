// `ringmaster verify`: rings of several sizes against one rank and against double precision, over a grid of shapes.

import ArgumentParser
import Foundation
import RingFormats
import RingKernels
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

    func run() throws {
        let sizes = worlds.split(separator: ",").compactMap { Int($0) }
        guard !sizes.isEmpty, sizes.allSatisfy({ (1...64).contains($0) }), sizes.count == worlds.split(separator: ",").count else {
            throw CommandError.usage("--worlds takes ring sizes from 1 to 64 like 1,2,3,5, got \(worlds)")
        }
        let kernels = try fromKernels { () throws(KernelError) in try Kernels.fromEnvironment() }
        let lines: [RingVerification.Line]
        do {
            lines = try RingVerification(kernels: kernels, seed: seed).run(worlds: sizes)
        } catch {
            throw CommandError.failed(error.message)
        }
        report(lines, kernels)
        let failures = lines.flatMap(\.failures)
        if let first = failures.first {
            let what = "\(first.problem), error \(scientific(first.error))"
            throw CommandError.failed("\(failures.count) comparisons are above their bar, the first: \(what)")
        }
    }

    private func report(_ lines: [RingVerification.Line], _ kernels: Kernels) {
        if json {
            let cases = lines.map { line -> JSONValue in
                [
                    "dtype": .string(line.element.rawValue), "workers": .integer(Int64(line.world)),
                    "max_abs_error": .number(line.maxAbsError), "bar_fraction": .number(line.barFraction),
                    "max_abs_difference_from_one": .number(line.differenceFromOne),
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
                line.element.rawValue, "\(line.world)", scientific(line.maxAbsError), fixed(100 * line.barFraction, 1) + "%",
                scientific(line.differenceFromOne), line.failures.isEmpty ? "ok" : "FAILED",
            ])
        }
        Console.out(table.text + "\n")
    }
}

// The options of `run` and what `attend` shares with it: the prompt, the sampling, the cluster.

import ArgumentParser
import Foundation
import RingControl
import RingCore
import RingFormats
import RingWorker

/// `f32` or `bf16`.
enum KVType: String, ExpressibleByArgument, CaseIterable {
    case f32, bf16

    var element: ElementKind { self == .f32 ? .f32 : .bf16 }
}

/// How keys and values are kept: `f32`, `bf16` or `int8`.
enum KeptType: String, ExpressibleByArgument, CaseIterable {
    case f32, bf16, int8

    var element: ElementKind {
        switch self {
        case .f32: .f32
        case .bf16: .bf16
        case .int8: .int8
        }
    }
}

/// The worker processes.
struct ClusterOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Worker processes.", valueName: "n"))
    var workers: Int = 2
    @Option(help: ArgumentHelp("Compute threads of each worker (default: the machine's cores over its workers).", valueName: "n"))
    var threads: Int?
    @OptionGroup var lane: LaneOptions
    @Flag(inversion: .prefixedNo, help: "Deal the workers over the NUMA nodes of the machine, if it has several.")
    var numa = true
    @Flag(help: "Print the result as JSON.")
    var json = false
    @Flag(name: .shortAndLong, help: "Tell more on stderr.")
    var verbose = false

    /// Compute threads of each worker, as the coordinator will give them out on one machine.
    var threadsEach: Int { threads ?? max(1, MachineFacts().cpus / workers) }

    mutating func validate() throws {
        guard (1...Limits.ranks).contains(workers) else { throw ValidationError("--workers is 1 to \(Limits.ranks), got \(workers)") }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is 1 to 1024, got \(threads)") }
    }
}

/// How the next token is chosen, and when to stop.
struct SamplingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Most tokens to generate; 0 only prefills.", valueName: "n"), transform: { try TokenCount(parsing: $0).value })
    var maxTokens: Int = 256
    @Option(help: ArgumentHelp("0 is greedy.", valueName: "t"))
    var temperature: Double = 0
    @Option(help: ArgumentHelp("Sample among the k likeliest tokens; 0 is no limit.", valueName: "k"))
    var topK: Int = 0
    @Option(help: ArgumentHelp("Sample among the likeliest tokens that together hold this probability.", valueName: "p"))
    var topP: Double = 1
    @Option(help: ArgumentHelp("Seed of the sampler.", valueName: "s"))
    var seed: UInt64 = 0
    @Flag(name: .customLong("ignore-eos"), help: "Go on after an end-of-sequence token.")
    var ignoreEOS = false

    mutating func validate() throws {
        guard temperature >= 0, temperature <= 100 else { throw ValidationError("--temperature is 0 to 100, got \(temperature)") }
        guard topP > 0, topP <= 1 else { throw ValidationError("--top-p is above 0 and at most 1, got \(topP)") }
        guard topK >= 0 else { throw ValidationError("--top-k is 0 or more, got \(topK)") }
        guard (0...ControlLimits.tokensGenerated).contains(maxTokens) else {
            throw ValidationError("--max-tokens is 0 to \(ControlLimits.tokensGenerated), got \(maxTokens)")
        }
    }

    func apply(to spec: inout GenerateSpec, _ model: LoadedModel) {
        spec.temperature = temperature
        spec.topK = topK
        spec.topP = topP
        spec.seed = seed
        spec.ignoreEOS = ignoreEOS
        spec.stopTokens = Array(model.stopTokens.prefix(ControlLimits.stopTokens))
    }
}

/// Where the prompt comes from: exactly one of four.
struct PromptOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The prompt itself.", valueName: "text"))
    var prompt: String?
    @Option(help: ArgumentHelp("A file with the prompt, or - for stdin.", valueName: "file"))
    var promptFile: String?
    @Option(help: ArgumentHelp("Token ids: 1,2,3.", valueName: "ids"))
    var promptTokens: String?
    @Option(help: ArgumentHelp("A file with token ids: a JSON array, or unsigned 32-bit little-endian words.", valueName: "file"))
    var promptTokensFile: String?

    mutating func validate() throws {
        let given = [prompt, promptFile, promptTokens, promptTokensFile].count { $0 != nil }
        guard given == 1 else {
            throw ValidationError("give exactly one of --prompt, --prompt-file, --prompt-tokens, --prompt-tokens-file")
        }
    }

    /// The prompt's token ids.
    func tokens(_ model: LoadedModel) throws -> [UInt32] {
        if let prompt { return try model.encode(Array(prompt.utf8), named: "--prompt") }
        if let promptFile { return try model.encode(try PromptFile.bytes(promptFile), named: promptFile) }
        if let promptTokens { return try Self.parse(promptTokens) }
        return try PromptFile.tokens(promptTokensFile ?? "")
    }

    private static func parse(_ list: String) throws(CommandError) -> [UInt32] {
        var ids: [UInt32] = []
        for word in list.split(separator: ",", omittingEmptySubsequences: false) {
            guard let id = UInt32(word.trimmingCharacters(in: .whitespaces)) else {
                throw .usage("--prompt-tokens takes numbers like 1,2,3, not \(String(word).debugDescription)")
            }
            ids.append(id)
        }
        return ids
    }
}

/// Rows written `0,5,100-200`.
enum RowList {
    /// The ranges, which must ascend and not overlap.
    static func parse(_ text: String) throws -> [RowRange] {
        var ranges: [RowRange] = []
        var end = 0
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard ends.count <= 2, let first = ends[0], let last = ends[ends.count - 1], first >= end, last >= first, last < Limits.tokens
            else {
                throw ValidationError(
                    "rows are written 0,5,100-200, ascending and without overlap; \(String(part).debugDescription) is not")
            }
            ranges.append(RowRange(start: first, count: last - first + 1))
            end = last + 1
        }
        guard ranges.count <= ControlLimits.rowRanges else { throw ValidationError("at most \(ControlLimits.rowRanges) ranges of rows") }
        return ranges
    }
}

// `ringmaster model`: look at a checkpoint, make a demo model and a demo prompt.

import ArgumentParser
import Foundation
import RingFormats
import RingModels

struct ModelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model",
        abstract: "Inspect a model, or make a demo model and a prompt for it.",
        subcommands: [ModelInspect.self, ModelMakeNeedle.self, ModelMakeHaystack.self])
}

/// `ringmaster model make-needle`.
struct ModelMakeNeedle: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make-needle", abstract: "Write a small model that finds planted facts exactly at any length.")

    @Option(help: ArgumentHelp("Folder for the model; made if missing.", valueName: "dir"))
    var output: String
    @Option(help: ArgumentHelp("Seed of the construction.", valueName: "s"))
    var seed: UInt64 = 0
    @Option(help: ArgumentHelp("Type of the weights: f32 or bf16.", valueName: "type"))
    var dtype: KVType = .f32

    func run() throws {
        try fromNeedle { () throws(NeedleError) in
            try NeedleModel(seed: seed).write(to: absolutePath(output), as: dtype == .f32 ? .f32 : .bf16)
        }
        Console.message("wrote the needle model to \(output)")
    }
}

/// `ringmaster model make-haystack`.
struct ModelMakeHaystack: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make-haystack", abstract: "Plant facts in prose for a needle model, and print the expected answer.")

    @Option(help: ArgumentHelp("Folder of a model of make-needle.", valueName: "dir"))
    var model: String
    @Option(help: ArgumentHelp("Length of the prompt: 128k, 1M.", valueName: "n"), transform: { try TokenCount(parsing: $0).value })
    var tokens: Int
    @Option(help: ArgumentHelp("What to plant: needle, chain, vote or absent.", valueName: "task"))
    var task: HaystackTask = .needle
    @Option(help: ArgumentHelp("Seed of facts and places.", valueName: "s"))
    var seed: UInt64 = 0
    @Option(parsing: .upToNextOption, help: ArgumentHelp("Files of prose (default: licence texts and documentation).", valueName: "file"))
    var text: [String] = []
    @Option(help: ArgumentHelp("Equal shards that the chain visits.", valueName: "n"))
    var shards: Int?
    @Option(help: ArgumentHelp("File for the prompt.", valueName: "file"))
    var output: String
    @Flag(help: "Print what was planted as JSON.")
    var json = false

    func run() throws {
        let texts = try text.map { path throws(CommandError) in String(decoding: try PromptFile.bytes(path), as: UTF8.self) }
        let haystack = try fromNeedle { () throws(NeedleError) in
            try Haystack.make(model: absolutePath(model), tokens: tokens, task: task.task, seed: seed, texts: texts, shards: shards)
        }
        try reading { () throws(FormatError) in try FileText.write(haystack.text, path: absolutePath(output)) }
        guard json else {
            Console.out(haystack.expectedText + "\n")
            return
        }
        let facts = haystack.facts.map { fact -> JSONValue in
            ["position": .integer(Int64(fact.position)), "key": .string("\(fact.key)"), "value": .string("\(fact.value)")]
        }
        let object: JSONValue = [
            "expected": .string(haystack.expectedText),
            "expected_token_ids": .array(haystack.expectedTokenIDs.map { .integer(Int64($0)) }),
            "tokens": .integer(Int64(haystack.tokenIDs.count)), "facts": .array(facts),
        ]
        Console.out(object.text(pretty: true))
    }
}

/// The tasks by the names that people write.
enum HaystackTask: String, ExpressibleByArgument, CaseIterable {
    case needle, chain, vote, absent

    var task: Haystack.Task {
        switch self {
        case .needle: .needle
        case .chain: .chain
        case .vote: .vote
        case .absent: .absent
        }
    }
}

private func fromNeedle<Result>(_ body: () throws(NeedleError) -> Result) throws(CommandError) -> Result {
    do {
        return try body()
    } catch {
        switch error {
        case .format(let format): throw CommandError(format)
        case .notNeedle: throw .failed("\(error)")
        case .request: throw .usage("\(error)")
        }
    }
}

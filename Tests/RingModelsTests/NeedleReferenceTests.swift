// Prompts for the check against transformers (Tests/Fixtures/check_needle.py): written only when RINGMASTER_NEEDLE_CASES names a
// folder, because the check needs PyTorch and the suite does not.
import FoundationEssentials
import RingFormats
import RingModels
import Testing

private let casesFolder = ProcessInfo.processInfo.environment["RINGMASTER_NEEDLE_CASES"]

@Suite("Needle reference")
struct NeedleReferenceTests {
    @Test("models and prompts for check_needle.py", .enabled(if: casesFolder != nil, "set RINGMASTER_NEEDLE_CASES to a folder"))
    func writeCases() throws {
        let root = try #require(casesFolder)
        for (type, seed) in [(NeedleModel.WeightType.f32, 11), (.bf16, 12)] as [(NeedleModel.WeightType, UInt64)] {
            let folder = "\(root)/needle-\(type.rawValue)"
            try NeedleModel(seed: seed).write(to: folder, as: type)
            var cases: [JSONValue] = []
            for (number, tokens) in [1024, 1531, 4096, 8192].enumerated() {
                for task in Haystack.Task.allCases {
                    let hay = try Haystack.make(model: folder, tokens: tokens, task: task, seed: UInt64(number))
                    cases.append(
                        .object([
                            "name": .string("\(task.rawValue) at \(tokens)"),
                            "text": .string(hay.text),
                            "token_ids": .array(hay.tokenIDs.map { .integer(Int64($0)) }),
                            "expected_text": .string(hay.expectedText),
                            "expected_token_ids": .array(hay.expectedTokenIDs.map { .integer(Int64($0)) }),
                        ]))
                }
            }
            try FileText.write(JSONValue.array(cases).text(), path: folder + "/cases.json")
        }
    }
}

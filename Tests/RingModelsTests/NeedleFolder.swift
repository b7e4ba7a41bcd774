// A needle model in a temporary folder, gone when the test is over.
import FoundationEssentials
import RingFormats
import RingModels

/// Runs `body` with the folder of a freshly written model.
func withNeedleFolder<Result>(
    seed: UInt64 = 7, as type: NeedleModel.WeightType = .f32, _ body: (String) throws -> Result
) throws -> Result {
    let folder = temporaryPath("needle")
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try NeedleModel(seed: seed).write(to: folder, as: type)
    return try body(folder)
}

/// A path that nobody else uses.
func temporaryPath(_ name: String) -> String {
    FileManager.default.temporaryDirectory.path + "/ringmaster-\(name)-\(UUID().uuidString)"
}

/// The parts of a written model that the tests look into.
struct NeedleParts {
    let folder: String
    let tokenizer: Tokenizer
    let record: NeedleRecord
    let weights: NeedleWeights

    init(_ folder: String) throws {
        self.folder = folder
        tokenizer = try Tokenizer(folder: folder)
        record = try NeedleRecord(folder: folder, tokenizer: tokenizer)
        weights = NeedleWeights(seed: record.seed, vocabulary: record.vocabulary)
    }
}

// A job's paths stay below the folders that the worker's operator chose, whatever they spell and wherever links lead.

import Foundation
import RingControl
import RingWorker
import Testing

@Suite("Folders of a worker")
struct FolderRootsTests {
    @Test("names below the folders are found, everything that leads out is refused")
    func jail() throws {
        let files = FileManager.default
        let base = files.temporaryDirectory.path + "/ringmaster-roots-\(UUID().uuidString)"
        defer { try? files.removeItem(atPath: base) }
        for folder in ["models/needle", "data/in", "outside", "models-2"] {
            try files.createDirectory(atPath: "\(base)/\(folder)", withIntermediateDirectories: true)
        }
        try files.createSymbolicLink(atPath: base + "/models/out", withDestinationPath: base + "/outside")
        try files.createSymbolicLink(atPath: base + "/models/sibling", withDestinationPath: base + "/models-2")
        try files.createSymbolicLink(atPath: base + "/models/alias", withDestinationPath: base + "/models/needle")
        let roots = FolderRoots(models: base + "/models", data: base + "/data")
        func model(_ name: String) throws -> String? {
            let spec = JobSpec.generate(GenerateSpec(modelFolder: name, promptTokenCount: 1, maxTokens: 1))
            guard case .generate(let resolved) = try roots.resolved(spec) else { return nil }
            return resolved.modelFolder
        }
        let real = URL(filePath: base).resolvingSymlinksInPath().path(percentEncoded: false)
        #expect(try model("needle")?.hasSuffix("/models/needle") == true)
        #expect(try model("alias").map { URL(filePath: $0).standardizedFileURL.path }?.hasPrefix(real) == true, "a link that stays inside")
        for name in ["out", "sibling", "../outside", "/etc", "needle/../../outside", "", ".", "needle/."] {
            #expect(throws: ExecutionError.self, "\(name)") { try model(name) }
        }
    }

    @Test("inputs, outputs and logits lie below the folder of data, and an embedded worker takes any path")
    func data() throws {
        let roots = FolderRoots(models: "/m", data: "/d")
        var attend = AttendSpec(
            input: .file(path: "in/q.safetensors"),
            shape: AttentionShape(tokens: 1, heads: 1, kvHeads: 1, headDim: 32, valueDim: 32, element: .f32), causal: true)
        attend.outputPath = "out.safetensors"
        guard case .attend(let resolved) = try roots.resolved(.attend(attend)) else { return }
        #expect(resolved.input == .file(path: "/d/in/q.safetensors") && resolved.outputPath == "/d/out.safetensors")
        attend.outputPath = "../out.safetensors"
        #expect(throws: ExecutionError.self) { try roots.resolved(.attend(attend)) }
        var generate = GenerateSpec(modelFolder: "m", promptTokenCount: 1, maxTokens: 1)
        generate.logitsPath = "/etc/passwd"
        #expect(throws: ExecutionError.self) { try roots.resolved(.generate(generate)) }
        #expect(try FolderRoots.anywhere.resolved(.generate(generate)) == .generate(generate))
    }
}

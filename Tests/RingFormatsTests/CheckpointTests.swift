// Model folders: one file or shards by index; every disagreement between index and shards is found when the folder is opened.

import RingFormats
import Testing

@Suite("Checkpoint folders")
struct CheckpointTests {
    @Test("one file and three shards both open", arguments: [("llama", 29), ("qwen2", 39), ("qwen3", 36)])
    func open(_ name: String, _ tensors: Int) throws {
        let checkpoint = try Checkpoint(folder: fixture("models/" + name))
        #expect(checkpoint.tensorNames.count == tensors)
        #expect(checkpoint.tensorNames == checkpoint.tensorNames.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
        #expect(checkpoint.contains("model.embed_tokens.weight"))
        var bytes = 0
        for name in checkpoint.tensorNames {
            let tensor = try checkpoint.require(name)
            bytes += tensor.info.byteCount
            #expect(try tensor.floats().allSatisfy(\.isFinite))
        }
        #expect(bytes == checkpoint.byteCount)
        #expect(sentence { _ = try checkpoint.require("lm_head.bias") }.contains("has no tensor 'lm_head.bias'"))
    }

    private func shard(_ path: String, _ names: [String]) throws {
        _ = try SafetensorsWriter(creating: path, tensors: names.map { TensorSpec($0, .f32, [2]) })
    }

    private func complaint(_ weightMap: String) throws -> String {
        try withTemporaryFolder { folder in
            try shard(folder + "/one.safetensors", ["a", "b"])
            try shard(folder + "/two.safetensors", ["c"])
            try writeFile(weightMap, folder + "/model.safetensors.index.json")
            return sentence { _ = try Checkpoint(folder: folder) }
        }
    }

    @Test(
        "an index that disagrees with its shards is refused",
        arguments: [
            (
                #"{"weight_map":{"a":"one.safetensors","x":"two.safetensors"}}"#,
                "tensor 'x' is in two.safetensors but that file does not have it"
            ),
            (#"{"weight_map":{"a":"three.safetensors"}}"#, "does not hold it"),
            (#"{"weight_map":{"a":"../one.safetensors"}}"#, "not a plain file name"),
            (#"{"weight_map":{"a":"/etc/passwd"}}"#, "not a plain file name"),
            (#"{"weight_map":{"a":".."}}"#, "not a plain file name"),
            (#"{"weight_map":{"a":""}}"#, "not a plain file name"),
            (#"{"weight_map":{"a":"one\u0000.safetensors"}}"#, "not a plain file name"),
            (#"{"weight_map":{"a":7}}"#, "instead of a file name"),
            (#"{"weight_map":[]}"#, "has no weight_map"),
            (#"{}"#, "has no weight_map"),
            (#"{"weight_map":{"a":"one.safetensors","a":"two.safetensors"}}"#, "twice"),
            (#"{"weight_map":{"a":"model.safetensors.index.json"}}"#, "safetensors"),
        ])
    func disagreement(_ index: String, _ complaint: String) throws {
        #expect(try self.complaint(index).contains(complaint))
    }

    @Test("tensors that the index does not list are left out, and folders without weights are named")
    func folders() throws {
        try withTemporaryFolder { folder in
            #expect(sentence { _ = try Checkpoint(folder: folder) }.contains("neither model.safetensors nor"))
            #expect(sentence { _ = try Checkpoint(folder: folder + "/no") }.contains("there is no folder"))
            try shard(folder + "/one.safetensors", ["a", "b"])
            try writeFile(#"{"weight_map":{"b":"one.safetensors"}}"#, folder + "/model.safetensors.index.json")
            #expect(try Checkpoint(folder: folder + "/").tensorNames == ["b"])
        }
    }
}

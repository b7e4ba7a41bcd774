// Safetensors: files of the reference implementation are read, ours round-trip, and a header that lies is refused.

import RingFormats
import Testing

@Suite("Safetensors")
struct SafetensorsTests {
    /// A file with that header text and that many bytes of data.
    private func open(_ header: String, data: Int, length: UInt64? = nil) throws {
        try withTemporaryFolder { folder in
            let text = Array(header.utf8)
            let length = length ?? UInt64(text.count)
            let bytes = (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + text + [UInt8](repeating: 0, count: data)
            try writeFile(bytes, folder + "/f.safetensors")
            _ = try SafetensorsFile(path: folder + "/f.safetensors")
        }
    }

    @Test("a file that Python wrote is read: names, types, shapes, values")
    func python() throws {
        let file = try SafetensorsFile(path: fixture("models/llama/model.safetensors"))
        #expect(file.metadata == ["format": "pt"])
        #expect(file.tensors.count == 29)
        let embedding = try file.require("model.embed_tokens.weight", shape: [512, 72], types: [.bf16])
        let values = try file.floats(of: embedding)
        #expect(values.count == 512 * 72)
        #expect(values.allSatisfy { abs($0) < 1 } && values.contains { abs($0) > 0.5 })
        #expect(file.tensor("model.embed_tokens") == nil)
    }

    @Test("what the writer wrote reads back, bit for bit, in every float type")
    func roundTrip() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/out.safetensors"
            var random = SeededGenerator(state: 5)
            let values = (0..<600).map { _ in Float(Int(random.next() % 512)) / 64 - 4 }
            let specs = [
                TensorSpec("z", .f32, [20, 30]), TensorSpec("a", .bf16, [600]), TensorSpec("h", .f16, [2, 300]),
                TensorSpec("none", .i64, [0, 4]), TensorSpec("scalar", .u8, []),
            ]
            let writer = try SafetensorsWriter(creating: path, tensors: specs, metadata: ["format": "pt", "who": "test"])
            for name in ["z", "a", "h"] { try writer.write(values, to: name) }
            try writer.writeBytes([7], to: "scalar")
            try writer.finish()
            let file = try SafetensorsFile(path: path)
            #expect(file.metadata == ["format": "pt", "who": "test"])
            for name in ["z", "a", "h"] { #expect(try file.floats(of: file.require(name)) == values) }
            #expect(file.tensor("scalar")?.shape == [])
            #expect(file.tensor("none")?.byteCount == 0)
            #expect(file.tensors.map(\.name) == ["z", "a", "h", "none", "scalar"])
            #expect((file.tensors[0].byteRange.lowerBound) % 8 == 0)
        }
    }

    @Test("several writers fill one file; rows never written are zero; order by name")
    func rows() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/rows.safetensors"
            let specs = [TensorSpec("out", .f32, [6, 4]), TensorSpec("lse", .f32, [6])]
            let creator = try SafetensorsWriter(creating: path, tensors: specs, order: .byName)
            #expect(creator.tensors.map(\.name) == ["lse", "out"])
            for row in [4, 0, 2] {
                let writer = try SafetensorsWriter(opening: path)
                try writer.write([Float](repeating: Float(row + 1), count: 4), to: "out", atElement: row * 4)
            }
            let file = try SafetensorsFile(path: path)
            let rows = try file.floats(of: file.require("out"))
            #expect((0..<6).map { rows[4 * $0] } == [1, 0, 3, 0, 5, 0])
            #expect(sentence { try creator.write([1, 2], to: "out", atElement: 23) }.contains("do not fit"))
            #expect(sentence { try creator.write([1], to: "nothing") }.contains("has no tensor 'nothing'"))
            #expect(
                sentence { _ = try SafetensorsWriter(creating: path, tensors: [specs[0], specs[0]]) }.contains("two tensors named 'out'"))
        }
    }

    @Test("a part of a tensor is copied by elements")
    func parts() throws {
        let file = try SafetensorsFile(path: fixture("models/qwen2/model.safetensors"))
        let tensor = try file.require("model.layers.1.mlp.up_proj.weight", types: [.f16])
        let all = try file.floats(of: tensor)
        var part = [Float](repeating: 0, count: 100)
        var span = part.mutableSpan
        try file.copyFloats(of: tensor, elements: 333..<433, into: &span)
        #expect(part == Array(all[333..<433]))
        let error = sentence {
            var span = part.mutableSpan
            try file.copyFloats(of: tensor, elements: all.count - 1..<all.count + 99, into: &span)
        }
        #expect(error.contains("are needed, it has"))
    }

    @Test(
        "a header that lies is refused",
        arguments: [
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8, ""),
            (#"{}"#, 0, ""),
            (#"{"__metadata__":{"a":"b"}}   "#, 0, ""),
            (#"{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#, 3, ""),
            (#"{"a":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}}"#, 2, ""),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 7, "outside the 7 bytes"),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 9, "1 bytes after its last tensor"),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, "outside"),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}"#, 8, "outside"),
            (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8, "needs 12 bytes"),
            (#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, 8, "no list of sizes"),
            (#"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#, 4, "no list of sizes"),
            (#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#, 0, "overflows"),
            (#"{"a":{"dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,8]}}"#, 8, "overflows"),
            (#"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}"#, 8, "no list of sizes"),
            (#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,9223372036854775807]}}"#, 1, "outside"),
            (#"{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}"#, 8, "unknown dtype 'F99'"),
            (#"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}"#, 2, "whole bytes"),
            (#"{"a":{"shape":[2],"data_offsets":[0,8]}}"#, 8, "no dtype"),
            (#"{"a":{"dtype":"F32","data_offsets":[0,8]}}"#, 8, "no shape"),
            (#"{"a":{"dtype":"F32","shape":[2]}}"#, 8, "no pair of data_offsets"),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}"#, 8, "no pair of data_offsets"),
            (#"{"a":7}"#, 0, "instead of an object"),
            (#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#, 6, "overlaps"),
            (#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, 4, "overlaps"),
            (#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[2],"data_offsets":[6,8]}}"#, 8, "hole"),
            (#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#, 8, "hole"),
            (
                #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#, 2,
                "'a' stands in this object twice"
            ),
            (#"{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}"#, 1, "twice"),
            (#"{"__metadata__":{"a":1}}"#, 0, "instead of a string"),
            (#"{"__metadata__":[]}"#, 0, "instead of an object"),
            (#" {"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, 1, "does not begin with '{'"),
            (#"[1,2,3]"#, 0, "does not begin with '{'"),
            (#"{"a":"#, 0, "not valid JSON"),
        ])
    func lies(_ header: String, _ data: Int, _ complaint: String) throws {
        if complaint.isEmpty {
            try open(header, data: data)
        } else {
            let text = sentence { try open(header, data: data) }
            #expect(text.contains(complaint) && text.contains("f.safetensors"), "\(text)")
        }
    }

    @Test("a length that lies is refused before memory is taken", arguments: [UInt64.max, 1 << 63, 100_000_001, 50_000_000])
    func length(_ length: UInt64) {
        #expect(sentence { try open("{}", data: 0, length: length) }.contains("claims a header of \(length) bytes"))
    }

    @Test("files that are none")
    func noFile() throws {
        try withTemporaryFolder { folder in
            #expect(
                sentence { _ = try SafetensorsFile(path: folder + "/missing") }.hasSuffix("(No such file or directory): check the path"))
            #expect(sentence { _ = try SafetensorsFile(path: folder) }.contains("is a directory"))
            try writeFile([1, 2, 3], folder + "/short")
            #expect(sentence { _ = try SafetensorsFile(path: folder + "/short") }.contains("too short"))
            try writeFile([], folder + "/empty")
            #expect(sentence { _ = try SafetensorsFile(path: folder + "/empty") }.contains("too short"))
        }
    }

    @Test("a wrong shape or type names what was found and what is needed")
    func requirements() throws {
        let file = try SafetensorsFile(path: fixture("models/llama/model.safetensors"))
        #expect(sentence { _ = try file.require("model.norm.weight", shape: [64]) }.contains("has the shape [72] but [64] is needed"))
        #expect(
            sentence { _ = try file.require("model.norm.weight", types: [.f32, .f16]) }.contains(
                "has the type BF16 but one of F32, F16 is needed"))
        #expect(sentence { _ = try file.require("nope") }.contains("has no tensor 'nope'"))
    }
}

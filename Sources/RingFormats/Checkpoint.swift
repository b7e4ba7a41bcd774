// The weights of a model folder: one model.safetensors, or the shards that model.safetensors.index.json lists. Opening checks every
// shard's header and that each tensor is where the index says, before anybody computes.

/// The tensors of a Hugging Face model folder.
public final class Checkpoint: Sendable {
    /// The folder given at opening.
    public let folder: String
    /// All names, sorted byte by byte.
    public let tensorNames: [String]
    /// Bytes of all tensors together.
    public let byteCount: Int
    private let files: [SafetensorsFile]
    private let places: [ExactKey: Int]  // index in `files`

    /// Opens all weight files of a folder. With an index, tensors that it does not list are ignored.
    public init(folder: String) throws(FormatError) {
        self.folder = folder
        let single = joined(folder, "model.safetensors")
        let index = joined(folder, "model.safetensors.index.json")
        var files: [SafetensorsFile] = []
        var places: [ExactKey: Int] = [:]
        if FileText.exists(path: index) {
            (files, places) = try Self.shards(index: index, folder: folder)
        } else if FileText.exists(path: single) {
            files = [try SafetensorsFile(path: single)]
            for tensor in files[0].tensors { places[ExactKey(tensor.name)] = 0 }
        } else if FileText.exists(path: folder) {
            throw .unreadable(
                "\(folder) holds neither model.safetensors nor model.safetensors.index.json: give a Hugging Face model folder")
        } else {
            throw .unreadable("there is no folder \(folder): check the path")
        }
        self.files = files
        self.places = places
        tensorNames = places.keys.map(\.text).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        byteCount = places.reduce(0) { sum, place in sum + (files[place.value].tensor(place.key.text)?.byteCount ?? 0) }
    }

    /// Whether there is a tensor of that name.
    public func contains(_ name: String) -> Bool { places[ExactKey(name)] != nil }

    /// The tensor of that name, with the shape and one of the types that the caller needs; the error names what was found instead.
    public func require(_ name: String, shape: [Int]? = nil, types: [TensorType]? = nil) throws(FormatError) -> CheckpointTensor {
        guard let place = places[ExactKey(name)] else {
            throw .malformed("\(folder) has no tensor \(quoted(name)): check that the weights belong to its config.json")
        }
        return CheckpointTensor(info: try files[place].require(name, shape: shape, types: types), file: files[place])
    }

    private static func shards(index: String, folder: String) throws(FormatError) -> ([SafetensorsFile], [ExactKey: Int]) {
        let json = try JSONValue(path: index, limit: Limits.indexBytes)
        guard let map = json["weight_map"]?.objectValue else {
            throw .malformed("\(index) has no weight_map: fetch the file again")
        }
        var files: [SafetensorsFile] = []
        var opened: [ExactKey: Int] = [:]
        var places: [ExactKey: Int] = [:]
        for (name, value) in map {
            guard let shard = value.stringValue else {
                throw .malformed("\(index) maps tensor \(quoted(name)) to \(value.kindName) instead of a file name: fetch the file again")
            }
            let position: Int
            if let known = opened[ExactKey(shard)] {
                position = known
            } else {
                position = files.count
                files.append(try open(shard: shard, index: index, folder: folder, alreadyOpen: files.count))
                opened[ExactKey(shard)] = position
            }
            guard files[position].tensor(name) != nil else {
                throw .malformed(
                    "\(index) says that tensor \(quoted(name)) is in \(shard) but that file does not have it: fetch both again")
            }
            places[ExactKey(name)] = position
        }
        return (files, places)
    }

    private static func open(shard: String, index: String, folder: String, alreadyOpen: Int) throws(FormatError) -> SafetensorsFile {
        // A name out of a downloaded file must not lead out of the folder.
        guard !shard.isEmpty, shard != ".", shard != "..", shard.utf8.count < 256, !shard.utf8.contains(where: { $0 == 0x2F || $0 < 0x20 })
        else {
            throw .malformed("\(index) names the file \(quoted(shard)), which is not a plain file name: do not use this checkpoint")
        }
        guard alreadyOpen < Limits.shards else { throw .tooLarge("\(index) lists more than \(Limits.shards) files: merge some of them") }
        let path = joined(folder, shard)
        guard FileText.exists(path: path) else {
            throw .unreadable("\(index) lists \(quoted(shard)) but \(folder) does not hold it: fetch that file")
        }
        return try SafetensorsFile(path: path)
    }
}

/// A tensor of a checkpoint and the file that holds it.
public struct CheckpointTensor: Sendable {
    /// Name, type, shape, place.
    public let info: TensorInfo
    /// The file that holds it.
    public let file: SafetensorsFile

    /// Copies elements, counted in row-major order, widened exactly to f32. `destination` has as many elements as are asked for.
    public func copyFloats(elements: Range<Int>, into destination: inout MutableSpan<Float>) throws(FormatError) {
        try file.copyFloats(of: info, elements: elements, into: &destination)
    }

    /// All elements, widened exactly to f32.
    public func floats() throws(FormatError) -> [Float] { try file.floats(of: info) }
}

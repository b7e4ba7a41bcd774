// JSON of the sums in a specification: `{"kind": "...", ...}`, so that a person can write one by hand.

extension AttendSpec.Input: Codable {
    private enum Key: String, CodingKey { case kind, path, seed }

    /// `{"kind":"file","path":P}` or `{"kind":"seeded","seed":S}`.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        switch try fields.decode(String.self, forKey: .kind) {
        case "file": self = .file(path: try fields.decode(String.self, forKey: .path))
        case "seeded": self = .seeded(seed: try fields.decode(UInt64.self, forKey: .seed))
        case let other:
            throw DecodingError.dataCorruptedError(forKey: .kind, in: fields, debugDescription: "unknown input kind \(other)")
        }
    }

    /// The form that `init(from:)` reads.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        switch self {
        case .file(let path):
            try fields.encode("file", forKey: .kind)
            try fields.encode(path, forKey: .path)
        case .seeded(let seed):
            try fields.encode("seeded", forKey: .kind)
            try fields.encode(seed, forKey: .seed)
        }
    }
}

extension JobSpec: Codable {
    private enum Key: String, CodingKey { case kind, generate, attend }

    /// `{"kind":"generate","generate":{...}}` or `{"kind":"attend","attend":{...}}`.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        switch try fields.decode(String.self, forKey: .kind) {
        case "generate": self = .generate(try fields.decode(GenerateSpec.self, forKey: .generate))
        case "attend": self = .attend(try fields.decode(AttendSpec.self, forKey: .attend))
        case let other:
            throw DecodingError.dataCorruptedError(forKey: .kind, in: fields, debugDescription: "unknown job kind \(other)")
        }
    }

    /// The form that `init(from:)` reads.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(kind, forKey: .kind)
        switch self {
        case .generate(let spec): try fields.encode(spec, forKey: .generate)
        case .attend(let spec): try fields.encode(spec, forKey: .attend)
        }
    }
}

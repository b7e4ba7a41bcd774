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
    private enum Key: String, CodingKey { case kind, generate, attend, measure }

    /// `{"kind":"generate","generate":{...}}` and likewise for the other kinds.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        switch try fields.decode(String.self, forKey: .kind) {
        case "generate": self = .generate(try fields.decode(GenerateSpec.self, forKey: .generate))
        case "attend": self = .attend(try fields.decode(AttendSpec.self, forKey: .attend))
        case "measure": self = .measure(try fields.decodeIfPresent(MeasureSpec.self, forKey: .measure) ?? MeasureSpec())
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
        case .measure(let spec): try fields.encode(spec, forKey: .measure)
        }
    }
}

extension GenerateSpec {
    /// Reads a request; what it leaves out is as in `init(modelFolder:promptTokenCount:maxTokens:)`.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            modelFolder: try fields.decode(String.self, forKey: .modelFolder),
            promptTokenCount: try fields.decode(Int.self, forKey: .promptTokenCount),
            maxTokens: try fields.decode(Int.self, forKey: .maxTokens))
        temperature = try fields.decodeIfPresent(Double.self, forKey: .temperature) ?? temperature
        topK = try fields.decodeIfPresent(Int.self, forKey: .topK) ?? topK
        topP = try fields.decodeIfPresent(Double.self, forKey: .topP) ?? topP
        seed = try fields.decodeIfPresent(UInt64.self, forKey: .seed) ?? seed
        ignoreEOS = try fields.decodeIfPresent(Bool.self, forKey: .ignoreEOS) ?? ignoreEOS
        stopTokens = try fields.decodeIfPresent([UInt32].self, forKey: .stopTokens) ?? stopTokens
        kvElement = try fields.decodeIfPresent(ElementKind.self, forKey: .kvElement) ?? kvElement
        logitsPath = try fields.decodeIfPresent(String.self, forKey: .logitsPath)
        logitsRows = try fields.decodeIfPresent([RowRange].self, forKey: .logitsRows)
        allowLonger = try fields.decodeIfPresent(Bool.self, forKey: .allowLonger) ?? allowLonger
        answered = try fields.decodeIfPresent(Int.self, forKey: .answered) ?? answered
    }
}

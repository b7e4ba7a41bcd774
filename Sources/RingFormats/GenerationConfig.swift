// generation_config.json: where generation stops and how the publisher of a model wants tokens drawn. Optional in a model folder.

/// Defaults for generating text.
public struct GenerationConfig: Hashable, Sendable {
    /// Tokens that end the text.
    public var endTokens: [UInt32] = []
    /// The token that begins a text.
    public var beginToken: UInt32?
    /// The token that fills unused places.
    public var padToken: UInt32?
    /// Whether tokens are drawn at random rather than the likeliest taken.
    public var doSample = false
    /// Divides the logits before drawing.
    public var temperature: Double?
    /// Draw only from this many likeliest tokens; 0 or absent means all.
    public var topK: Int?
    /// Draw only from the likeliest tokens that together have this probability.
    public var topP: Double?

    /// Nothing said about anything.
    public init() {}

    /// Reads `generation_config.json` of a model folder; what it does not say about tokens is taken from `config.json`.
    public init(folder: String) throws(FormatError) {
        let path = joined(folder, "generation_config.json")
        if FileText.exists(path: path) { self = try GenerationConfig(json: JSONValue(path: path), file: path) }
        let modelPath = joined(folder, "config.json")
        let model = try ConfigFields(JSONValue(path: modelPath), file: modelPath)
        let fields = try model["text_config"].map { (inner) throws(FormatError) in
            try ConfigFields(inner, file: modelPath, prefix: "text_config.")
        }
        for source in [model, fields].compactMap({ $0 }) {
            if endTokens.isEmpty { endTokens = try source.tokens("eos_token_id") }
            if beginToken == nil { beginToken = try source.tokens("bos_token_id").first }
            if padToken == nil { padToken = try source.tokens("pad_token_id").first }
        }
    }

    /// Checks and takes over a configuration; `file` names it in errors.
    public init(json: JSONValue, file: String) throws(FormatError) {
        let fields = try ConfigFields(json, file: file)
        endTokens = try fields.tokens("eos_token_id")
        beginToken = try fields.tokens("bos_token_id").first
        padToken = try fields.tokens("pad_token_id").first
        doSample = try fields.flag("do_sample", default: false)
        temperature = try fields.optionalNumber("temperature", in: 0...1e6)
        topK = fields.contains("top_k") ? try fields.integer("top_k", in: 0...Limits.vocabulary) : nil
        topP = try fields.optionalNumber("top_p", in: 0...1)
    }

    /// A generation_config.json that says the same.
    public func json() -> JSONValue {
        func token(_ id: UInt32) -> JSONValue { .integer(Int64(id)) }
        var object: JSONObject = ["do_sample": .bool(doSample)]
        if let beginToken { object.append("bos_token_id", token(beginToken)) }
        if let padToken { object.append("pad_token_id", token(padToken)) }
        if endTokens.count == 1 { object.append("eos_token_id", token(endTokens[0])) }
        if endTokens.count > 1 { object.append("eos_token_id", .array(endTokens.map(token))) }
        if let temperature { object.append("temperature", .real(temperature)) }
        if let topK { object.append("top_k", .integer(Int64(topK))) }
        if let topP { object.append("top_p", .real(topP)) }
        return .object(object)
    }
}

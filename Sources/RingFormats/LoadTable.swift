// Measured expert loads as files hold them: NumPy's .npy (NEP 1; versions 1 to 3), JSON of other servers (LoadTable+JSON.swift), lines of
// figures (LoadTable+Lines.swift). A table has one step or many; what a load means is for the planner to judge.

/// Tokens by step, layer and expert.
public struct LoadTable: Hashable, Sendable {
    /// Steps; 1 where the file has no such axis.
    public let steps: Int
    /// Layers of a step; those without experts are all zeros where a file counts them.
    public let layers: Int
    /// Experts of a layer: of the model, not copies of them.
    public let experts: Int
    /// Figures, [steps, layers, experts] in row order, as the file has them.
    public let values: [Double]

    /// Reads a file: .npy by its first bytes, JSON by its first letter, otherwise lines of figures. Throws what is wrong with it.
    public init(path: String) throws(FormatError) {
        let bytes = try FileText.bytes(path: path, limit: Limits.loadTableBytes)
        try self.init(parsing: bytes, file: path)
    }

    /// Reads the bytes of a file; `file` names it in errors.
    public init(parsing bytes: [UInt8], file: String) throws(FormatError) {
        if NPYFile.begins(bytes) {
            let array = try NPYFile(parsing: bytes, file: file)
            try self.init(array.shape, array.values, file: file)
        } else if Self.isPickle(bytes) {
            throw .unsupported(
                "\(file) is a file of Python objects, which may run code when it is read: write its table as .npy or JSON, "
                    + "such as json.dump({'logical_count': torch.load(path)['logical_count'].tolist()}, file)")
        } else if let first = bytes.first(where: { $0 > 0x20 }), first == UInt8(ascii: "{") || first == UInt8(ascii: "[") {
            try self.init(json: JSONValue(parsing: bytes, file: file), file: file)
        } else {
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw .invalid("\(file) is neither a .npy file nor text: give loads as .npy, as JSON or as comma-separated lines")
            }
            try self.init(lines: text, file: file)
        }
    }

    /// A table with two axes, [layers, experts], or three, [steps, layers, experts].
    init(_ shape: [Int], _ values: [Double], file: String) throws(FormatError) {
        guard shape.count == 2 || shape.count == 3 else {
            throw .invalid("\(file) has \(shape.count) axes: loads are [layers, experts] or [steps, layers, experts]")
        }
        guard !shape.contains(0) else {
            throw .invalid("\(file) has the shape \(shape), which holds no load: loads are [layers, experts] or [steps, layers, experts]")
        }
        steps = shape.count == 3 ? shape[0] : 1
        layers = shape[shape.count - 2]
        experts = shape[shape.count - 1]
        self.values = values
    }

    /// What torch.save and pickle write: a zip archive, or the second protocol's first byte.
    private static func isPickle(_ bytes: [UInt8]) -> Bool {
        bytes.starts(with: [0x50, 0x4B, 0x03, 0x04]) || (bytes.count > 1 && bytes[0] == 0x80 && (2...5).contains(bytes[1]))
    }

    /// Tokens by layer and expert over all steps together.
    public var sums: [Double] {
        var sums = Array(values[..<(layers * experts)])
        for step in 1..<max(1, steps) {
            for place in sums.indices { sums[place] += values[step * layers * experts + place] }
        }
        return sums
    }
}

// Measured expert loads as files hold them: NumPy's .npy (NEP 1; versions 1 to 3) and comma-separated lines. A table has one step or many;
// what a load means is for the planner to judge.

/// Tokens by step, layer and expert.
public struct LoadTable: Hashable, Sendable {
    /// Steps; 1 where the file has no such axis.
    public let steps: Int
    /// Layers of a step.
    public let layers: Int
    /// Experts of a layer.
    public let experts: Int
    /// Figures, [steps, layers, experts] in row order, as the file has them.
    public let values: [Double]

    /// Reads a file: .npy by its first bytes, otherwise lines of comma-separated figures, one line a layer. Throws what is wrong with it.
    public init(path: String) throws(FormatError) {
        let bytes = try FileText.bytes(path: path, limit: Limits.loadTableBytes)
        try self.init(parsing: bytes, file: path)
    }

    /// Reads the bytes of a file; `file` names it in errors.
    public init(parsing bytes: [UInt8], file: String) throws(FormatError) {
        if NPYFile.begins(bytes) {
            let array = try NPYFile(parsing: bytes, file: file)
            try self.init(array.shape, array.values, file: file)
        } else {
            try self.init(lines: bytes, file: file)
        }
    }

    private init(_ shape: [Int], _ values: [Double], file: String) throws(FormatError) {
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

    /// Lines of figures; blank lines and lines that begin with # count for nothing.
    private init(lines bytes: [UInt8], file: String) throws(FormatError) {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .invalid("\(file) is neither a .npy file nor text: give loads as .npy or as comma-separated lines")
        }
        var values: [Double] = []
        var (layers, experts) = (0, 0)
        for (number, raw) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let line = trimmed(raw)
            if line.isEmpty || line.hasPrefix("#") { continue }
            let cells = line.split(separator: ",", omittingEmptySubsequences: false)
            for (column, cell) in cells.enumerated() {
                guard let value = Double(trimmed(cell)) else {
                    throw .invalid("\(file), line \(number + 1), column \(column + 1): \(quoted(String(cell))) is no number")
                }
                values.append(value)
            }
            if layers == 0 { experts = cells.count }
            guard cells.count == experts else {
                throw .invalid("\(file), line \(number + 1): \(cells.count) figures, the first line has \(experts): give one line a layer")
            }
            layers += 1
        }
        try self.init([layers, experts], values, file: file)
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

private func trimmed(_ text: Substring) -> Substring {
    let isSpace = { (letter: Character) in letter == " " || letter == "\t" || letter == "\r" || letter == "\r\n" }
    var rest = text.drop(while: isSpace)
    while let last = rest.last, isSpace(last) { rest.removeLast() }
    return rest
}

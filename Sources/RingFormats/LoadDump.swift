// How many tokens each expert got, out of files that other servers and people's own scripts write. Three kinds of file hold such tables:
// JSON (LoadDump+JSON.swift), CSV (LoadDump+CSV.swift) and npy, whose reader gives a shape and figures to `LoadDump(shape:values:file:)`.

/// Tokens of each expert, [steps, layers, experts] in row order.
public struct LoadDump: Hashable, Sendable {
    /// Measurements one after the other; 1 where the file tells of no time.
    public let steps: Int
    /// Layers; those without experts are all zeros where a file counts them.
    public let layers: Int
    /// Experts of a layer: of the model, not copies of them.
    public let experts: Int
    /// Tokens, finite and not negative.
    public let values: [Double]

    /// Most figures of a table: 1,000 steps of 92 layers of 896 experts would be five times as many, so such a file is cut or summed first.
    public static let valuesMax = 16 << 20

    /// A table of two dimensions, [layers, experts], or three, [steps, layers, experts]; `file` names it in errors.
    public init(shape: [Int], values: [Double], file: String) throws(FormatError) {
        guard shape.count == 2 || shape.count == 3, shape.allSatisfy({ $0 > 0 }) else {
            let text = shape.map(String.init).joined(separator: ", ")
            throw .malformed("\(file) holds a table of shape [\(text)]: loads are [layers, experts] or [steps, layers, experts]")
        }
        var count = 1
        for extent in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            guard !overflow, product <= Self.valuesMax else {
                throw .tooLarge("\(file) holds more than \(Self.valuesMax) loads: sum over steps, or leave some out")
            }
            count = product
        }
        guard values.count == count else { throw .malformed("\(file) holds \(values.count) loads where its shape says \(count)") }
        let inner = shape[shape.count - 1]
        if let place = values.firstIndex(where: { !($0 >= 0 && $0 < .infinity) }) {
            let layer = place / inner % shape[shape.count - 2]
            throw .malformed(
                "\(file): the load of layer \(layer), expert \(place % inner) is \(values[place]): loads are finite and at least 0")
        }
        steps = shape.count == 3 ? shape[0] : 1
        layers = shape[shape.count - 2]
        experts = inner
        self.values = values
    }

    /// Reads a file by its name's ending: `.json`, `.csv`, `.tsv` or `.txt`.
    public init(path: String) throws(FormatError) {
        let name = fileName(path).lowercased()
        if name.hasSuffix(".json") {
            try self.init(json: JSONValue(path: path, limit: Limits.loadBytes), file: path)
        } else if [".csv", ".tsv", ".txt"].contains(where: { name.hasSuffix($0) }) {
            let bytes = try FileText.bytes(path: path, limit: Limits.loadBytes)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw .malformed("\(path) is not valid UTF-8: save it as text")
            }
            try self.init(csv: text, file: path)
        } else if name.hasSuffix(".pt") || name.hasSuffix(".pkl") {
            throw .unsupported(
                "\(path) is a file of Python objects, which may run code when it is read: write its table as .npy or .json, "
                    + "such as json.dump({'logical_count': torch.load(path)['logical_count'].tolist()}, file)")
        } else {
            throw .unsupported("\(path) is no load table by its name: name it .npy, .json, .csv or .tsv")
        }
    }

    /// The sum over all steps, [layers, experts].
    public var total: [Double] {
        let size = layers * experts
        guard steps > 1 else { return values }
        var sums = [Double](repeating: 0, count: size)
        for step in 0..<steps {
            for place in 0..<size { sums[place] += values[step * size + place] }
        }
        return sums
    }
}

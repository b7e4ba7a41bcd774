// One metric with all its series, as a page shows it. Names are the programmer's and checked as such; label values may come from
// anybody (a worker's name) and are only ever written escaped.

/// A metric: a name, its meaning, and a value for each combination of label values.
public struct MetricFamily: Hashable, Sendable {
    /// How the values are to be read.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// Only ever grows, and starts again at zero with the process.
        case counter
        /// Goes up and down.
        case gauge
        /// Counts by range.
        case histogram
    }

    /// One value.
    public enum Value: Hashable, Sendable {
        /// Of a counter or a gauge.
        case number(Double)
        /// Of a histogram.
        case histogram(Histogram)
    }

    /// One combination of label values with its value.
    public struct Series: Hashable, Sendable {
        /// By the order of the family's label names.
        public let labels: [String]
        /// What was measured.
        public fileprivate(set) var value: Value
    }

    /// Its name, with the unit last: `_seconds`, `_bytes`, `_ratio`; a counter ends in `_total`.
    public let name: String
    /// One sentence about what it means.
    public let help: String
    /// How the values are to be read.
    public let kind: Kind
    /// Names of the labels.
    public let labelNames: [String]
    /// Most series it takes.
    public let limit: Int
    /// Its series in the order of their label values.
    public private(set) var series: [Series] = []
    /// Series that were left out because there were `limit` already.
    public private(set) var droppedCount = 0

    /// A family without series.
    public init(_ kind: Kind, _ name: String, help: String, labels: [String] = [], limit: Int = TelemetryLimits.series) {
        precondition(Self.isName(name) && labels.allSatisfy(Self.isLabelName), "not a name for a metric: \(name) \(labels)")
        precondition(labels.count < 2 || zip(labels.sorted(), labels.sorted().dropFirst()).allSatisfy(<), "a label twice: \(labels)")
        precondition((kind == .counter) == name.hasSuffix("_total"), "a counter, and nothing else, ends in _total: \(name)")
        precondition(!["_bucket", "_sum", "_count"].contains(where: name.hasSuffix), "\(name) ends as the parts of a histogram do")
        precondition(!help.isEmpty && limit > 0, "\(name) needs a meaning and room for a series")
        self.kind = kind
        self.name = name
        self.help = help
        labelNames = labels
        self.limit = limit
    }

    /// Sets the value of a counter or gauge; the same labels again replace it.
    public mutating func set(_ number: Double, _ labels: String...) {
        precondition(kind != .histogram, "\(name) is a histogram")
        put(.number(number), labels)
    }

    /// Sets the value of a counter or gauge; the same labels again replace it.
    public mutating func set(_ number: Int, _ labels: String...) {
        precondition(kind != .histogram, "\(name) is a histogram")
        put(.number(Double(number)), labels)
    }

    /// Sets a histogram; the same labels again replace it.
    public mutating func set(_ histogram: Histogram, labels: [String]) {
        precondition(kind == .histogram && !labelNames.contains("le"), "\(name) is no histogram")
        put(.histogram(histogram), labels)
    }

    /// Sets a number for label values that are at hand as an array.
    public mutating func set(_ number: Double, labels: [String]) {
        precondition(kind != .histogram, "\(name) is a histogram")
        put(.number(number), labels)
    }

    private mutating func put(_ value: Value, _ labels: [String]) {
        precondition(labels.count == labelNames.count, "\(name) has the labels \(labelNames), not \(labels.count)")
        let place = series.insertionPoint { $0.labels.lexicographicallyPrecedes(labels) }
        if place < series.count, series[place].labels == labels {
            series[place].value = value
        } else if series.count < limit {
            series.insert(Series(labels: labels, value: value), at: place)
        } else {
            droppedCount += 1
        }
    }

    /// `[a-zA-Z_:][a-zA-Z0-9_:]*` without what is against custom: capitals, colons and doubled underscores.
    private static func isName(_ name: String) -> Bool {
        isLabelName(name) && !name.contains("__")
    }

    private static func isLabelName(_ name: String) -> Bool {
        guard let first = name.utf8.first, !name.hasPrefix("__") else { return false }
        let isLetter = { (byte: UInt8) in (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "_") }
        return isLetter(first) && name.utf8.allSatisfy { isLetter($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }
}

extension Array {
    /// The first place whose element does not come before what is looked for; the elements are sorted by `comesBefore`.
    func insertionPoint(_ comesBefore: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if comesBefore(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

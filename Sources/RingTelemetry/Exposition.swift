// Prometheus' text format, version 0.0.4: what `/metrics` answers. The same families give the same bytes.
// https://prometheus.io/docs/instrumenting/exposition_formats/

/// Writes metric families as text.
public enum Exposition {
    /// The media type of the text.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// A page of families in the order of their names. Two families of one name are our own bug.
    public static func text(_ families: [MetricFamily]) -> String {
        let sorted = families.sorted { $0.name < $1.name }
        precondition(zip(sorted, sorted.dropFirst()).allSatisfy { $0.name != $1.name }, "two families have one name")
        var text = ""
        for family in sorted { write(family, to: &text) }
        return text
    }

    private static func write(_ family: MetricFamily, to text: inout String) {
        text += "# HELP \(family.name) \(escaped(family.help, quotes: false))\n# TYPE \(family.name) \(family.kind.rawValue)\n"
        for series in family.series {
            let labels = zip(family.labelNames, series.labels).map { "\($0)=\"\(escaped($1, quotes: true))\"" }
            switch series.value {
            case .number(let number): text += "\(family.name)\(braced(labels)) \(spelling(of: number))\n"
            case .histogram(let histogram): write(histogram, name: family.name, labels: labels, to: &text)
            }
        }
    }

    private static func write(_ histogram: Histogram, name: String, labels: [String], to text: inout String) {
        for (bound, count) in zip(histogram.bounds + [.infinity], histogram.cumulative) {
            text += "\(name)_bucket\(braced(labels + ["le=\"\(spelling(of: bound))\""])) \(count)\n"
        }
        text += "\(name)_sum\(braced(labels)) \(spelling(of: histogram.sum))\n\(name)_count\(braced(labels)) \(histogram.count)\n"
    }

    private static func braced(_ labels: [String]) -> String { labels.isEmpty ? "" : "{" + labels.joined(separator: ",") + "}" }

    /// A backslash, a line feed, and in a label a quotation mark would end what they stand in.
    private static func escaped(_ text: String, quotes: Bool) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// As Go's parser reads it; whole numbers without a fraction, as people read them.
    static func spelling(of number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Inf" : "+Inf" }
        if let whole = Int(exactly: number), whole.magnitude < 1 << 53 { return String(whole) }
        return "\(number)"
    }
}

// Numbers as people write them on a command line or in a configuration: 128k tokens, 64GiB, 30s. Each quantity has its own type, so that
// no flag can take bytes for tokens.
//
// Tokens count in powers of two, as context lengths do: 1k = 1,024 and 1M = 1,048,576. Bytes take the IEC units KiB, MiB, GiB, TiB
// (powers of two), the SI units kB, MB, GB, TB (powers of ten), and the bare letters K, M, G, T for the powers of two, as Slurm does.

/// A number of tokens: `1000`, `128k` = 131,072, `1M` = 1,048,576, `1.5M`.
public struct TokenCount: Hashable, Sendable, CustomStringConvertible {
    /// The number.
    public let value: Int

    /// A number of tokens.
    public init(_ value: Int) { self.value = value }

    /// Reads a whole number of tokens, at least 0, with or without `k`, `M` or `G` (either case).
    public init(parsing text: String) throws(FormatError) {
        value = try NumericText.parse(text, NumericText.tokenUnits, "a number of tokens such as 4096, 128k (131072) or 1M (1048576)")
    }

    /// The shortest exact spelling.
    public var description: String { NumericText.spell(value, NumericText.tokenUnits) }
}

/// A number of bytes: `4096`, `512MiB`, `64GiB`, `10GB` (decimal).
public struct ByteCount: Hashable, Sendable, CustomStringConvertible {
    /// The number.
    public let value: Int

    /// A number of bytes.
    public init(_ value: Int) { self.value = value }

    /// Reads a whole number of bytes, at least 0, with or without a unit (either case).
    public init(parsing text: String) throws(FormatError) {
        value = try NumericText.parse(text, NumericText.byteUnits, "a number of bytes such as 4096, 512MiB, 64GiB or 10GB")
    }

    /// The shortest exact spelling, in binary units.
    public var description: String { NumericText.spell(value, Array(NumericText.byteUnits.prefix(5))) }
}

/// A length of time: `30s`, `500ms`, `2m`, `1h30m`.
public struct DurationText: Hashable, Sendable, CustomStringConvertible {
    /// The length.
    public let value: Duration

    /// A length of time.
    public init(_ value: Duration) { self.value = value }

    /// Reads one or several numbers with the units `h`, `m`, `s`, `ms`, `us`, `ns`; the units of several must fall. A bare 0 is allowed.
    public init(parsing text: String) throws(FormatError) {
        value = .nanoseconds(try NumericText.parseDuration(text))
    }

    /// The shortest exact spelling down to nanoseconds.
    public var description: String {
        let (seconds, attoseconds) = value.components
        let (whole, overflow) = Int(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return "\(seconds)s" }  // beyond 292 years nobody misses the fraction
        let nanoseconds = whole &+ Int(attoseconds / 1_000_000_000)
        if nanoseconds == 0 { return "0s" }
        var rest = nanoseconds.magnitude
        var text = nanoseconds < 0 ? "-" : ""
        for (name, size) in NumericText.timeUnits where rest >= UInt(size) {
            text += "\(rest / UInt(size))\(name)"
            rest %= UInt(size)
        }
        return text
    }
}

enum NumericText {
    static let tokenUnits = [("", 1), ("k", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)]
    static let byteUnits = [
        ("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("B", 1), ("kB", 1000), ("MB", 1_000_000),
        ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40),
    ]
    static let timeUnits = [
        ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000), ("ns", 1),
    ]

    static func parse(_ text: String, _ units: [(name: String, size: Int)], _ wanted: String) throws(FormatError) -> Int {
        let failure = FormatError.invalid("\(quoted(text)) is not \(wanted)")
        var rest = Array(text.utf8)[...]
        guard let number = Decimal(&rest) else { throw failure }
        let name = String(decoding: rest, as: UTF8.self).lowercased()
        guard let unit = units.first(where: { $0.name.lowercased() == name }) else { throw failure }
        guard let value = number.times(unit.size) else { throw failure }
        return value
    }

    static func parseDuration(_ text: String) throws(FormatError) -> Int {
        let failure = FormatError.invalid("\(quoted(text)) is not a length of time such as 30s, 500ms or 1h30m")
        if text == "0" { return 0 }
        var rest = Array(text.utf8)[...]
        var total = 0
        var largest = Int.max
        repeat {
            guard let number = Decimal(&rest) else { throw failure }
            let name = rest.prefix { $0 > UInt8(ascii: "9") }
            rest = rest.dropFirst(name.count)
            guard let unit = timeUnits.first(where: { $0.0.utf8.elementsEqual(name) }), unit.1 < largest, let part = number.times(unit.1)
            else { throw failure }
            largest = unit.1
            let (sum, overflow) = total.addingReportingOverflow(part)
            guard !overflow else { throw failure }
            total = sum
        } while !rest.isEmpty
        return total
    }

    /// `value` in the largest unit that divides it.
    static func spell(_ value: Int, _ units: [(name: String, size: Int)]) -> String {
        let unit = units.last { value != 0 && value % $0.size == 0 } ?? units[0]
        return "\(value / unit.size)\(unit.name)"
    }

    /// An unsigned decimal number, exact: digits without the point, and the power of ten below them.
    private struct Decimal {
        var digits = 0
        var scale = 1

        /// Takes a number off the front of `text`; nil if there is none or it has too many digits.
        init?(_ text: inout ArraySlice<UInt8>) {
            var hasDigits = false
            var hasPoint = false
            while let byte = text.first {
                if byte == UInt8(ascii: "."), !hasPoint, hasDigits {
                    hasPoint = true
                } else if byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
                    let (product, overflow) = digits.multipliedReportingOverflow(by: 10)
                    let (sum, carry) = product.addingReportingOverflow(Int(byte & 15))
                    guard !overflow, !carry else { return nil }
                    digits = sum
                    hasDigits = true
                    if hasPoint {
                        guard scale <= 1_000_000_000_000 else { return nil }
                        scale *= 10
                    }
                } else {
                    break
                }
                text.removeFirst()
            }
            guard hasDigits, !hasPoint || scale > 1 else { return nil }
        }

        /// The product, if it is whole and fits.
        func times(_ size: Int) -> Int? {
            let (high, low) = UInt(digits).multipliedFullWidth(by: UInt(size))
            guard high < UInt(scale) else { return nil }
            let (quotient, remainder) = UInt(scale).dividingFullWidth((high, low))
            return remainder == 0 ? Int(exactly: quotient) : nil
        }
    }
}

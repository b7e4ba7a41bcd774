// NumPy's .npy files (NEP 1; versions 1 to 3), as far as loads come in them. The header: eight bytes of magic and version, a length, and a
// Python dictionary of three entries, padded with blanks. The dictionary is read by a grammar that knows just these entries; nothing in the
// file is evaluated.

/// An array out of a .npy file, its elements as doubles.
public struct NPYFile: Hashable, Sendable {
    /// Extents of the axes.
    public let shape: [Int]
    /// The elements in row order.
    public let values: [Double]

    /// Whether a file begins as .npy files do.
    static func begins(_ bytes: [UInt8]) -> Bool { bytes.starts(with: NPYHeader.magic) }

    /// Reads the bytes of a file; `file` names it in errors.
    public init(parsing bytes: [UInt8], file: String) throws(FormatError) {
        guard Self.begins(bytes) else { throw .malformed("\(file) does not begin as .npy files do: save it with numpy.save") }
        let header = try NPYHeader(bytes, file: file)
        shape = header.shape
        values = try header.values(of: bytes, file: file)
    }
}

private struct NPYHeader {
    static let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]

    /// Types that loads come in: the letter of the kind and the bytes of an element.
    private static let types = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8"]

    let shape: [Int]
    private let kind: Character
    private let width: Int
    private let isBigEndian: Bool
    /// Where the elements begin.
    private let start: Int

    init(_ bytes: [UInt8], file: String) throws(FormatError) {
        guard bytes.count >= 12 else { throw .malformed("\(file) ends within the header of a .npy file: save it again") }
        let major = bytes[6]
        guard (1...3).contains(major) else {
            throw .unsupported("\(file) is a .npy file of version \(major): save it with a current NumPy")
        }
        let lengthBytes = major == 1 ? 2 : 4
        var length = 0
        for place in (0..<lengthBytes).reversed() { length = length << 8 | Int(bytes[8 + place]) }
        start = 8 + lengthBytes + length
        guard start <= bytes.count else { throw .malformed("\(file) ends within the header of a .npy file: save it again") }
        let text = String(decoding: bytes[(8 + lengthBytes)..<start], as: UTF8.self)
        guard let descr = Self.quotedValue("descr", in: text), let order = Self.value("fortran_order", in: text),
            let axes = Self.axes(in: text)
        else { throw .malformed("\(file) has a .npy header without descr, fortran_order and shape: save it with numpy.save") }
        guard order.hasPrefix("False") else {
            throw .unsupported("\(file) is in Fortran order: save numpy.ascontiguousarray of it")
        }
        let type = String(descr.dropFirst())
        guard let order = descr.first, "<>|=".contains(order), Self.types.contains(type), let kind = type.first,
            let width = type.last.flatMap({ Int(String($0)) })
        else {
            throw .unsupported("\(file) holds elements of type \(quoted(descr)): save loads as uint32, int64, float32 or float64")
        }
        self.kind = kind
        self.width = width
        isBigEndian = order == ">"
        shape = axes
    }

    /// The elements as doubles.
    func values(of bytes: [UInt8], file: String) throws(FormatError) -> [Double] {
        var count = 1
        for axis in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: axis)
            guard !overflow, product <= bytes.count else {
                throw .malformed("\(file) says that it has the shape \(shape), and has \(bytes.count) bytes: save it again")
            }
            count = product
        }
        guard bytes.count - start == count * width else {
            throw .malformed(
                "\(file) has \(bytes.count - start) bytes of elements, its shape \(shape) takes \(count * width): save it again")
        }
        var values: [Double] = []
        values.reserveCapacity(count)
        for element in 0..<count {
            var bits: UInt64 = 0
            for place in 0..<width {
                let byte = bytes[start + element * width + (isBigEndian ? place : width - 1 - place)]
                bits = bits << 8 | UInt64(byte)
            }
            values.append(value(bits))
        }
        return values
    }

    private func value(_ bits: UInt64) -> Double {
        switch (kind, width) {
        case ("f", 4): Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
        case ("f", _): Double(bitPattern: bits)
        case ("i", 1): Double(Int8(truncatingIfNeeded: bits))
        case ("i", 2): Double(Int16(truncatingIfNeeded: bits))
        case ("i", 4): Double(Int32(truncatingIfNeeded: bits))
        case ("i", _): Double(Int64(bitPattern: bits))
        default: Double(bits)
        }
    }

    /// What follows the key and its colon.
    private static func value(_ key: String, in text: String) -> Substring? {
        guard let found = text.firstRange(of: "'\(key)'") ?? text.firstRange(of: "\"\(key)\"") else { return nil }
        let rest = text[found.upperBound...].drop { $0 == " " }
        guard rest.first == ":" else { return nil }
        return rest.dropFirst().drop { $0 == " " }
    }

    private static func quotedValue(_ key: String, in text: String) -> String? {
        guard let rest = value(key, in: text), let quote = rest.first, quote == "'" || quote == "\"" else { return nil }
        let body = rest.dropFirst()
        guard let end = body.firstIndex(of: quote) else { return nil }
        return String(body[..<end])
    }

    private static func axes(in text: String) -> [Int]? {
        guard let rest = value("shape", in: text), rest.first == "(", let end = rest.firstIndex(of: ")") else { return nil }
        var axes: [Int] = []
        for part in rest[rest.index(after: rest.startIndex)..<end].split(separator: ",") {
            let digits = part.filter { $0 != " " && $0 != "L" }
            if digits.isEmpty { continue }
            guard let axis = Int(digits), axis >= 0 else { return nil }
            axes.append(axis)
        }
        return axes
    }
}

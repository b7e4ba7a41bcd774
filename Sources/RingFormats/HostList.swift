// Lists of machines as Slurm writes them, `n[001-003,7],m1`, read without asking Slurm: the program has to understand its own
// environment on a machine where `scontrol` is not installed, or does not answer.
//
// Grammar: a list is items with commas between them; an item is made of plain text and groups `[1-3,07]`, of which each stands for all
// its numbers; several groups in one item multiply, the last one running fastest. A number keeps the leading zeros of its range's first
// number. The text comes from the environment, so that every length and product has a bound (`Limits.hosts`).

/// Lists of machines' names.
public enum HostList {
    /// The names that a list stands for, in its order: `n[08-10,2],m1` is n08, n09, n10, n2, m1.
    public static func names(in text: String) throws(FormatError) -> [String] {
        guard text.utf8.count <= Limits.hostListBytes else {
            throw .tooLarge("a list of hosts has \(text.utf8.count) bytes; at most \(Limits.hostListBytes) are read")
        }
        var reader = Reader(text)
        return try reader.list()
    }

    /// Whether `name` can be a machine's: letters, digits, `.`, `_`, `-`, beginning with a letter or digit. Nothing in it means anything to
    /// a shell, a path or a URL.
    public static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, isLetterOrDigit(first), name.utf8.count <= Limits.hostNameBytes else { return false }
        return name.utf8.allSatisfy { isLetterOrDigit($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
    }

    fileprivate static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }

    fileprivate static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}

private struct Reader {
    private let text: String
    private let bytes: [UInt8]
    private var at = 0

    init(_ text: String) {
        self.text = text
        bytes = Array(text.utf8)
    }

    private func wrong(_ what: String) -> FormatError {
        .invalid("the list of hosts \(quoted(text)) has \(what) at its character \(at + 1): it is written like n[001-003,7],m1")
    }

    mutating func list() throws(FormatError) -> [String] {
        var names: [String] = []
        repeat {
            let item = try item(limit: Limits.hosts - names.count)
            for name in item where !HostList.isName(name) { throw .invalid("\(quoted(name)) cannot be the name of a host") }
            names += item
        } while try take(UInt8(ascii: ","))
        return names
    }

    /// Moves over `byte` if it is next; anything else but the end is wrong.
    private mutating func take(_ byte: UInt8) throws(FormatError) -> Bool {
        guard at < bytes.count else { return false }
        guard bytes[at] == byte else { throw wrong("something unexpected") }
        at += 1
        return true
    }

    private mutating func item(limit: Int) throws(FormatError) -> [String] {
        var names = [""]
        let start = at
        while at < bytes.count, bytes[at] != UInt8(ascii: ",") {
            let parts: [String]
            switch bytes[at] {
            case UInt8(ascii: "["): parts = try group(limit: limit / max(names.count, 1))
            case UInt8(ascii: "]"): throw wrong("a bracket that was not opened")
            default: parts = [plain()]
            }
            // The group saw to it that the product is within the limit.
            names = names.flatMap { name in parts.map { name + $0 } }
        }
        guard at > start else { throw wrong("an empty name") }
        guard names.count <= limit else { throw tooMany }
        return names
    }

    private var tooMany: FormatError { .tooLarge("the list of hosts \(quoted(text)) stands for more than \(Limits.hosts) of them") }

    private mutating func plain() -> String {
        let start = at
        while at < bytes.count, !"[],".utf8.contains(bytes[at]) { at += 1 }
        return String(decoding: bytes[start..<at], as: UTF8.self)
    }

    private mutating func group(limit: Int) throws(FormatError) -> [String] {
        at += 1
        var numbers: [String] = []
        while true {
            let (first, width) = try number()
            var last = first
            if at < bytes.count, bytes[at] == UInt8(ascii: "-") {
                at += 1
                last = try number().value
                guard last >= first else { throw wrong("a range that runs backwards") }
            }
            guard last - first < limit - numbers.count else { throw tooMany }
            for value in first...last {
                let digits = String(value)
                numbers.append(String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits)
            }
            guard at < bytes.count else { throw wrong("an open bracket") }
            at += 1
            if bytes[at - 1] == UInt8(ascii: "]") { return numbers }
            guard bytes[at - 1] == UInt8(ascii: ",") else { throw wrong("something else than a number") }
        }
    }

    /// A number of at most nine digits, and how many there were.
    private mutating func number() throws(FormatError) -> (value: Int, width: Int) {
        let start = at
        while at < bytes.count, HostList.isDigit(bytes[at]), at - start < 10 { at += 1 }
        guard at > start, at - start < 10, let value = Int(String(decoding: bytes[start..<at], as: UTF8.self)) else {
            throw wrong("something else than a number")
        }
        return (value, at - start)
    }
}

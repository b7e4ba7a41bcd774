// Random text, digests and comparison for every secret that the coordinator gives out or keeps.

import Crypto
import Foundation

enum Secrets {
    /// `count` characters of `alphabet`, each equally likely, from the system's generator.
    static func text(_ count: Int, of alphabet: String) -> String {
        var generator = SystemRandomNumberGenerator()
        let letters = Array(alphabet)
        return String((0..<count).map { _ in letters[Int.random(in: 0..<letters.count, using: &generator)] })
    }

    /// The letters of join tokens and of ids.
    static let tokenAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789"

    /// SHA-256 in hex.
    static func digest(_ bytes: some DataProtocol) -> String { hex(SHA256.hash(data: bytes)) }

    /// SHA-256 of a salt and a secret, in hex. The secrets have 80 bits and more, so that a slow hash would add nothing.
    static func digest(_ secret: String, salt: String) -> String { digest(Data((salt + "\n" + secret).utf8)) }

    static func hex(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    /// Whether two texts are the same, in a time that depends on their lengths only.
    static func areEqual(_ left: String, _ right: String) -> Bool {
        let (left, right) = (Array(left.utf8), Array(right.utf8))
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for place in left.indices { difference |= left[place] ^ right[place] }
        return difference == 0
    }

    /// Whether `name` may be a worker's or an owner's: letters, digits, `.`, `_`, `-`, `@`, beginning with a letter or digit. Nothing
    /// in it means anything to a path, a header, a URI or a terminal.
    static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, isLetterOrDigit(first), name.utf8.count <= SecurityLimits.nameBytes else { return false }
        return name.utf8.allSatisfy { isLetterOrDigit($0) || "._-@".utf8.contains($0) }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

extension Date {
    /// Whole seconds since 1970, as files and answers carry times.
    var unixSeconds: Int64 { Int64(timeIntervalSince1970.rounded(.down)) }
}

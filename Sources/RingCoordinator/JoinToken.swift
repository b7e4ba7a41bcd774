// The secret that lets a worker in. It is never an argument of a process, since anybody can read those.

/// A shared secret of one cluster.
public struct JoinToken: Sendable {
    /// The secret as text.
    public let text: String

    /// 32 random bytes in hex.
    public static func random() -> JoinToken { JoinToken(text: randomHex(bytes: 32)) }

    /// A given secret.
    public init(text: String) { self.text = text }

    /// Compares in a time that depends on the lengths only, so that nobody learns the token a byte at a time.
    package func matches(_ other: String) -> Bool {
        let (mine, theirs) = (Array(text.utf8), Array(other.utf8))
        guard !mine.isEmpty else { return false }  // no token set lets nobody in
        var difference: UInt8 = mine.count == theirs.count ? 0 : 1
        for place in theirs.indices { difference |= theirs[place] ^ mine[place % mine.count] }
        return difference == 0
    }
}

/// `bytes` random bytes in hex, from the system's generator.
func randomHex(bytes: Int) -> String {
    var generator = SystemRandomNumberGenerator()
    let digits = Array("0123456789abcdef")
    return String((0..<2 * bytes).map { _ in digits[Int(UInt8.random(in: 0..<16, using: &generator))] })
}

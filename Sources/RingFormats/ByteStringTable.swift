// A map from short byte strings to 32-bit values that never allocates per entry: words are looked up in it millions of times a second.
// Open addressing with linear probing, keys in one arena. The hash is seeded per process, so that no file can prepare collisions; results
// never depend on the seed.

struct ByteStringTable {
    private var arena: [UInt8] = []
    private var ends: [Int] = [0]  // entry e is arena[ends[e] ..< ends[e + 1]]
    private(set) var values: [UInt32] = []
    private var slots: [UInt32]  // entry + 1, 0 if free

    static let seed = UInt64.random(in: .min ... .max) | 1

    init(capacity: Int = 0) {
        var size = 64
        while size < capacity * 2 { size *= 2 }
        slots = [UInt32](repeating: 0, count: size)
    }

    var count: Int { values.count }

    /// The value stored for `bytes[range]`.
    func value(of bytes: [UInt8], _ range: Range<Int>) -> UInt32? {
        let slot = slot(of: bytes, range)
        let entry = slots[slot]
        return entry == 0 ? nil : values[Int(entry) - 1]
    }

    /// Stores a value unless the key is present; says whether it did.
    @discardableResult
    mutating func insert(_ bytes: [UInt8], _ range: Range<Int>, _ value: UInt32) -> Bool {
        let slot = slot(of: bytes, range)
        guard slots[slot] == 0 else { return false }
        arena.append(contentsOf: bytes[range])
        ends.append(arena.count)
        values.append(value)
        slots[slot] = UInt32(values.count)
        if values.count * 2 > slots.count { grow() }
        return true
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        for entry in 0..<values.count {
            let slot = slot(of: arena, ends[entry]..<ends[entry + 1])
            slots[slot] = UInt32(entry + 1)
        }
    }

    /// The slot that holds the key, or the free one where it belongs.
    private func slot(of bytes: [UInt8], _ range: Range<Int>) -> Int {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: Self.hash(bytes, range)) & mask
        while true {
            let entry = Int(slots[slot])
            if entry == 0 || equals(entry - 1, bytes, range) { return slot }
            slot = (slot + 1) & mask
        }
    }

    private func equals(_ entry: Int, _ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        let start = ends[entry]
        guard ends[entry + 1] - start == range.count else { return false }
        for offset in 0..<range.count where arena[start + offset] != bytes[range.lowerBound + offset] { return false }
        return true
    }

    private static func hash(_ bytes: [UInt8], _ range: Range<Int>) -> UInt64 {
        var state = seed ^ UInt64(range.count)
        var word: UInt64 = 0
        for index in range {
            word = word << 8 | UInt64(bytes[index])
            if (index - range.lowerBound) & 7 == 7 {
                state = mix(state ^ word)
                word = 0
            }
        }
        return mix(state ^ word)
    }

    /// The two halves of a 128-bit product, folded: every input bit reaches the low bits of the result.
    @inline(__always)
    static func mix(_ value: UInt64) -> UInt64 {
        let (high, low) = (value ^ seed).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return high ^ low
    }
}

// Registered memory of one small message: a header of eight words, then floats. Decoding sends thousands of these, so
// they are laid out once and never allocated again.
import RingCore
import RingKernels
import RingTransport

/// `slots` messages of the same size in registered memory.
@safe
struct MessageBuffer {
    static let headerWords = 8
    private static let headerBytes = headerWords * 8

    let floatCount: Int
    let slots: Int
    private let memory: AnonymousMemory
    private let region: RegionKey
    private let slotBytes: Int

    init<Wire: Transport & ~Copyable>(floats: Int, slots: Int, registeredWith wire: inout Wire) throws(TransportError) {
        floatCount = floats
        self.slots = slots
        slotBytes = (Self.headerBytes + floats * 4 + 63) / 64 * 64
        memory = try AnonymousMemory(byteCount: slotBytes * slots)
        region = try unsafe wire.register(memory.bytes)
    }

    /// The message in `slot` as the transport sees it.
    func block(_ slot: Int) -> BlockRef {
        precondition(slot >= 0 && slot < slots, "no such slot")
        return BlockRef(region: region, offset: slot * slotBytes, byteCount: Self.headerBytes + floatCount * 4)
    }

    /// The floats of `slot` as one row.
    func floats(_ slot: Int) -> FloatRows {
        precondition(slot >= 0 && slot < slots, "no such slot")
        return unsafe FloatRows(
            bytes: memory.bytes.slice(at: slot * slotBytes + Self.headerBytes, count: floatCount * 4), rows: 1, columns: floatCount)
    }

    func word(_ slot: Int, _ index: Int) -> UInt64 {
        precondition(slot >= 0 && slot < slots && index >= 0 && index < Self.headerWords, "no such word")
        return unsafe memory.bytes.load(fromByteOffset: slot * slotBytes + index * 8, as: UInt64.self)
    }

    func setWord(_ slot: Int, _ index: Int, to value: UInt64) {
        precondition(slot >= 0 && slot < slots && index >= 0 && index < Self.headerWords, "no such word")
        unsafe memory.bytes.storeBytes(of: value, toByteOffset: slot * slotBytes + index * 8, as: UInt64.self)
    }
}

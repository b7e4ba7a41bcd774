// Memory from which the engine sends large messages. Where a peer on the same host can read it, it is of the kind that can be lent:
// then its bytes are copied once on their way, not twice (Docs/WIRE.md, shared memory).
import RingKernels
import RingTransport

/// Bytes that live as long as a copy of this value, registered or not.
struct Arena: Sendable {
    /// The bytes.
    let bytes: ByteRegion
    private let lendable: AnonymousMemory?

    /// `byteCount` bytes, zero, not touched until used; of the kind that can be lent if `wire` lends.
    init<Wire: Transport & ~Copyable>(byteCount: Int, for wire: borrowing Wire) throws(EngineError) {
        guard wire.lendsMemory else {
            do throws(KernelError) { bytes = try .allocate(byteCount: byteCount) } catch { throw .memory(error) }
            lendable = nil
            return
        }
        do throws(TransportError) {
            let memory = try AnonymousMemory(byteCount: max(byteCount, 1), isShareable: true)
            bytes = unsafe ByteRegion(counting: UnsafeMutableRawBufferPointer(rebasing: memory.bytes[..<byteCount]), owner: memory)
            lendable = memory
        } catch { throw .memory(.outOfMemory(byteCount: byteCount)) }
    }

    /// Makes the bytes known to the transport that they were made for.
    func register<Wire: Transport & ~Copyable>(with wire: inout Wire) throws(TransportError) -> RegionKey {
        guard let lendable else { return try wire.register(bytes) }
        return try unsafe wire.register(bytes.buffer, keeping: lendable)
    }

    /// Lays `range` on huge pages before it is written, where the system does not do so by itself.
    func settle(_ range: Range<Int>) { lendable?.settle(range) }
}

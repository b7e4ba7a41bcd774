// Every stretch of memory that ByteRegion has mapped and not given back: weights, KV, buffers. Whoever wants to know where the engine's
// memory really lies asks here, so that nothing is forgotten; a list per owner would be right only until the next owner comes.
import Synchronization

/// Memory that is mapped now.
public enum LiveMemory {
    private static let mappings = Mutex<[UInt: Int]>([:])

    static func add(_ base: UnsafeMutableRawPointer, _ byteCount: Int) {
        let address = UInt(bitPattern: base)
        mappings.withLock { $0[address] = byteCount }
    }

    static func remove(_ base: UnsafeMutableRawPointer) {
        let address = UInt(bitPattern: base)
        mappings.withLock { $0[address] = nil }
    }

    /// Bytes that are mapped, touched or not.
    public static var byteCount: Int { mappings.withLock { $0.values.reduce(0, +) } }

    /// Calls `body` for every stretch, while none can be mapped or given back: keep it short, and map nothing in it.
    @unsafe public static func forEach<Failure: Error>(_ body: (UnsafeRawBufferPointer) throws(Failure) -> Void) throws(Failure) {
        let outcome = mappings.withLock { mappings -> Result<Void, Failure> in
            for (address, byteCount) in mappings {
                let bytes = unsafe UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: byteCount)
                do throws(Failure) { try unsafe body(bytes) } catch { return .failure(error) }
            }
            return .success(())
        }
        try outcome.get()
    }
}

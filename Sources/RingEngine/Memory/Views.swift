// The unsafe corner of the engine: views of mapped memory with bounds checked once, when they are made.
import RingKernels
import RingTransport

extension UnsafeMutableRawBufferPointer {
    /// Bytes `offset ..< offset + count`; outside the buffer is our bug.
    func slice(at offset: Int, count: Int) -> UnsafeMutableRawBufferPointer {
        precondition(offset >= 0 && count >= 0 && offset <= self.count - count, "a view leaves its memory")
        return unsafe UnsafeMutableRawBufferPointer(rebasing: self[offset..<offset + count])
    }
}

extension AnonymousMemory {
    /// The first `byteCount` bytes as KV blocks.
    func blocks(_ layout: KVLayout, byteCount: Int) -> KVBlocks {
        unsafe KVBlocks(layout: layout, bytes: bytes.slice(at: 0, count: byteCount))
    }
}

// Where the engine's memory really lies: the kernel is asked page by page, since a policy is a wish and pages that were touched before
// it was made, or when a node was full, lie elsewhere.
import RingKernels
import RingTransport

/// The engine's memory on the nodes of its machine.
public enum MemoryPlaces {
    /// Most pages that are asked about: some 50 ms of system calls. Beyond 1 GiB of small pages they are a sample, evenly spread.
    static let pagesMax = 1 << 18

    /// Looks at everything that is mapped for weights, keys and values, and buffers. Throws `.system` where the kernel does not tell.
    public static func look() throws(TransportError) -> PageCount {
        var count = PageCount()
        let page = 4096
        let pages = LiveMemory.byteCount / page + 1
        let step = (pages + pagesMax - 1) / pagesMax
        try unsafe LiveMemory.forEach { (bytes) throws(TransportError) in
            try unsafe count.look(at: bytes, limit: bytes.count / page / step + 1)
        }
        return count
    }
}

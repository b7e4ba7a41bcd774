// The one place where the engine hands memory to a transport.
import RingKernels
import RingTransport

extension Transport where Self: ~Copyable {
    /// Registers a region, which the caller keeps alive until the transport is closed.
    mutating func register(_ region: ByteRegion) throws(TransportError) -> RegionKey {
        try unsafe register(region.buffer)
    }
}

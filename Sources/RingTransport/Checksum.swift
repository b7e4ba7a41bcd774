// The checksum of every payload, in Swift's terms.
import CRingSystem

/// CRC32C (Castagnoli), by the processor's instruction or wide multiplications where it has them.
public enum Checksum {
    /// The checksum of `bytes`, continuing `earlier`.
    public static func crc32c(_ bytes: UnsafeRawBufferPointer, continuing earlier: UInt32 = 0) -> UInt32 {
        unsafe ring_crc32c(earlier, bytes.baseAddress, bytes.count)
    }

    /// The same by tables: the reference for tests.
    package static func portable(_ bytes: UnsafeRawBufferPointer, continuing earlier: UInt32 = 0) -> UInt32 {
        unsafe ring_crc32c_portable(earlier, bytes.baseAddress, bytes.count)
    }

    /// The same as on a processor without wide multiplications.
    package static func narrow(_ bytes: UnsafeRawBufferPointer, continuing earlier: UInt32 = 0) -> UInt32 {
        unsafe ring_crc32c_narrow(earlier, bytes.baseAddress, bytes.count)
    }

    /// True when the processor's instruction is used.
    public static var isAccelerated: Bool { ring_crc32c_is_accelerated() }
}

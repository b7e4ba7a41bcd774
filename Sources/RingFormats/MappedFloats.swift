// Conversions between the stored float types and f32. Loads are unaligned, because nothing makes a file align its tensors; loops are
// plain integer arithmetic without branches, so that the compiler can vectorise them.

/// Exact widening to f32 and correctly rounded narrowing from it.
public enum FloatConversion {
    /// Widens `destination.count` elements of `source`. `type` is F32, F16 or BF16 and `source` has exactly their bytes; every value,
    /// including subnormals, infinities and NaN payloads, keeps its meaning.
    public static func widen(_ source: RawSpan, as type: TensorType, into destination: inout MutableSpan<Float>) {
        unsafe destination.withUnsafeMutableBufferPointer { unsafe widen(source, as: type, into: $0) }
    }

    /// The same into memory that the caller holds by address.
    public static func widen(_ source: RawSpan, as type: TensorType, into destination: UnsafeMutableBufferPointer<Float>) {
        precondition(type.isFloatCopyable, "only F32, F16 and BF16 widen to f32")
        precondition(source.byteCount == destination.count * type.bitWidth / 8, "source and destination differ in length")
        guard let target = destination.baseAddress, destination.count > 0 else { return }
        let count = destination.count
        unsafe source.withUnsafeBytes { buffer in
            let bytes = buffer.baseAddress!
            switch type {
            case .f32: unsafe UnsafeMutableRawPointer(target).copyMemory(from: bytes, byteCount: 4 * count)
            case .bf16:
                for index in 0..<count {
                    let bits = unsafe UInt32(bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
                    unsafe target[index] = Float(bitPattern: bits << 16)
                }
            default:
                for index in 0..<count {
                    unsafe target[index] = widenHalf(bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
                }
            }
        }
    }

    /// Narrows `source` to F32, F16 or BF16, rounding to nearest even; values beyond the range become infinite, NaN stays NaN.
    public static func narrow(_ source: Span<Float>, as type: TensorType, into destination: inout MutableRawSpan) {
        precondition(type.isFloatCopyable, "f32 narrows only to F32, F16 and BF16")
        precondition(destination.byteCount == source.count * type.bitWidth / 8, "source and destination differ in length")
        unsafe destination.withUnsafeMutableBytes { bytes in
            for index in 0..<source.count {
                let value = source[index]
                switch type {
                case .f32: unsafe bytes.storeBytes(of: value.bitPattern.littleEndian, toByteOffset: 4 * index, as: UInt32.self)
                case .bf16: unsafe bytes.storeBytes(of: narrowToBrain(value), toByteOffset: 2 * index, as: UInt16.self)
                default: unsafe bytes.storeBytes(of: narrowToHalf(value), toByteOffset: 2 * index, as: UInt16.self)
                }
            }
        }
    }

    /// IEEE binary16 to binary32. Shifting the fraction and exponent into place gives the value times 2^-112, subnormals included, so
    /// one exact multiplication restores it; only infinities and NaNs need the exponent repaired.
    @inline(__always)
    static func widenHalf(_ half: UInt16) -> Float {
        let magnitude = UInt32(half & 0x7FFF)
        let scaled = (Float(bitPattern: magnitude << 13) * 0x1p112).bitPattern
        let special = UInt32(0x7F80_0000) | (magnitude << 13)
        let sign = UInt32(half & 0x8000) << 16
        return Float(bitPattern: (magnitude >= 0x7C00 ? special : scaled) | sign)
    }

    /// binary32 to bfloat16: half of the lost place is added, minus one bit if the result would be even already.
    @inline(__always)
    static func narrowToBrain(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        if value.isNaN { return UInt16(bits >> 16) | 0x0040 }
        return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
    }

    /// binary32 to binary16 with round to nearest even.
    static func narrowToHalf(_ value: Float) -> UInt16 {
        let sign = UInt16(truncatingIfNeeded: (value.bitPattern >> 16) & 0x8000)
        let magnitude = value.bitPattern & 0x7FFF_FFFF
        if magnitude > 0x7F80_0000 { return sign | 0x7E00 }
        if magnitude >= 0x477F_F000 { return sign | 0x7C00 }  // at least 65520, the midpoint above the largest half
        if magnitude < 0x3880_0000 {
            // Subnormal halves are multiples of 2^-24: adding 0.5 leaves exactly those bits in the last places, rounded by the adder.
            let shifted = Float(bitPattern: magnitude) + 0.5
            return sign | UInt16(truncatingIfNeeded: shifted.bitPattern &- Float(0.5).bitPattern)
        }
        let rounded = magnitude &+ 0x0FFF &+ ((magnitude >> 13) & 1)
        return sign | UInt16(truncatingIfNeeded: (rounded >> 13) &- (112 << 10))
    }
}

extension FloatConversion {
    /// `narrow` into an array that has exactly the bytes.
    static func narrow(_ source: Span<Float>, as type: TensorType, into bytes: inout [UInt8]) {
        var span = bytes.mutableSpan
        var raw = unsafe span.mutableBytes
        narrow(source, as: type, into: &raw)
    }
}

// Float conversions, exhaustively where that is possible.

import RingFormats
import Testing

@Suite("Float conversion")
struct FloatConversionTests {
    /// Both directions go through a file, as they do in use.
    private func widen(_ bits: [UInt16], _ type: TensorType) throws -> [Float] {
        try withTemporaryFolder { folder in
            let path = folder + "/x.safetensors"
            let writer = try SafetensorsWriter(creating: path, tensors: [TensorSpec("x", type, [bits.count])])
            try writer.writeBytes(bits.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }, to: "x")
            let file = try SafetensorsFile(path: path)
            return try file.floats(of: file.require("x"))
        }
    }

    private func narrow(_ values: [Float], _ type: TensorType) throws -> [UInt16] {
        try withTemporaryFolder { folder in
            let path = folder + "/x.safetensors"
            let writer = try SafetensorsWriter(creating: path, tensors: [TensorSpec("x", type, [values.count])])
            try writer.write(values, to: "x")
            let bytes = try FileText.bytes(path: path, limit: 1 << 24).suffix(values.count * 2)
            return (0..<values.count).map { UInt16(bytes[bytes.startIndex + 2 * $0]) | UInt16(bytes[bytes.startIndex + 2 * $0 + 1]) << 8 }
        }
    }

    #if arch(x86_64) || arch(arm64)
        @Test("every half widens to its value, and narrows back to itself")
        func halves() throws {
            let bits = (0...UInt16.max).map { $0 }
            let wide = try widen(bits, .f16)
            for (bits, value) in zip(bits, wide) {
                let half = Float16(bitPattern: bits)
                if half.isNaN {
                    #expect(value.isNaN)
                } else {
                    #expect(value.bitPattern == Float(half).bitPattern)
                }
            }
            for (bits, back) in try zip(bits, narrow(wide, .f16)) where !Float16(bitPattern: bits).isNaN { #expect(bits == back) }
        }

        @Test("narrowing to half rounds to nearest even")
        func narrowing() throws {
            var random = SeededGenerator(state: 11)
            var values = (0..<200_000).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }
            values += (0..<200_000).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next()) & 0x8FFF_FFFF | 0x3000_0000) }
            values += [
                65519.996, 65520, 65504, -65520, 0x1p-24, 0x1p-25, 0x1.000002p-25, 0x1.8p-24, 0x1p-14, 0x1.ffcp-15, 0x1.fffp-15, 0, -0.0,
                .infinity,
            ]
            for (value, bits) in try zip(values, narrow(values, .f16)) {
                let wanted = Float16(value)
                #expect(wanted.isNaN ? Float16(bitPattern: bits).isNaN : wanted.bitPattern == bits, "\(value)")
            }
        }
    #endif

    @Test("bfloat16 is the upper half of a float, rounded to nearest even")
    func brain() throws {
        let bits = (0...UInt16.max).map { $0 }
        let wide = try widen(bits, .bf16)
        #expect(wide.map(\.bitPattern) == bits.map { UInt32($0) << 16 })
        for (bits, back) in try zip(bits, narrow(wide, .bf16)) where !Float(bitPattern: UInt32(bits) << 16).isNaN { #expect(bits == back) }
        let cases: [(UInt32, UInt16)] = [
            (0x3F80_8000, 0x3F80), (0x3F80_8001, 0x3F81), (0x3F81_8000, 0x3F82), (0x7F7F_FFFF, 0x7F80), (0xFF7F_8000, 0xFF80),
            (0x0000_8000, 0x0000), (0x0001_8000, 0x0002),
        ]
        for (input, output) in cases { #expect(try narrow([Float(bitPattern: input)], .bf16) == [output]) }
        #expect(Float(bitPattern: UInt32(try narrow([Float(bitPattern: 0x7F80_0001)], .bf16)[0]) << 16).isNaN)
    }
}

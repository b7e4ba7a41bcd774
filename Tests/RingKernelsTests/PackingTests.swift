// KV blocks: the layout to the byte, rounding, round trips, and appending token by token.
import RingKernels
import Testing

@Suite("Packing of KV blocks")
struct PackingTests {
    @Test("pages lie where the wire format says")
    func layout() throws {
        for element in ElementType.allCases {
            let layout = try KVLayout(kvHeads: 3, headDim: 40, valueDim: 72, element: element)
            let (size, scale) = (element.byteCount, element.scaleByteCount)
            #expect(layout.blockByteCount == 3 * 64 * ((40 + 72) * size + 2 * scale))
            #expect(layout.blockByteCount % 64 == 0)
            #expect(layout.keyOffset(head: 2) == 2 * 64 * (112 * size + 2 * scale))
            #expect(layout.valueOffset(head: 2) == 2 * 64 * (112 * size + 2 * scale) + 64 * (40 * size + scale))
            #expect(KVLayout.blocks(forTokens: 0) == 0 && KVLayout.blocks(forTokens: 1) == 1 && KVLayout.blocks(forTokens: 65) == 2)
            var blocks = try KVBlocks.allocate(layout: layout, capacity: 128, firstPosition: 0)
            blocks.tokens = 128
            // Token 70, dimension 9 of head 2: the value 1.
            let rows = try FloatRows.allocate(rows: 1, columns: 40)
            let values = try FloatRows.allocate(rows: 1, columns: 72)
            rows[0, 9] = 1
            values[0, 9] = 1
            #expect(blocks.packKeys(rows, head: 2, at: 70) == nil)
            #expect(blocks.packValues(values, head: 2, at: 70) == nil)
            let key = layout.blockByteCount + layout.keyOffset(head: 2)
            let value = layout.blockByteCount + layout.valueOffset(head: 2)
            let nonZero = blocks.bytes.nonZeroOffsets
            switch element {
            case .f32:  // little-endian 0x3f800000
                let offsets = [key + (9 * 64 + 6) * 4, value + (6 * 72 + 9) * 4].flatMap { [$0 + 2, $0 + 3] }
                #expect(nonZero == offsets)
            case .bf16:  // little-endian 0x3f80
                let offsets = [key + ((4 * 64 + 6) * 2 + 1) * 2, value + ((3 * 72 + 9) * 2) * 2].flatMap { [$0, $0 + 1] }
                #expect(nonZero == offsets)
            case .int8:  // 127, and what one means after the page
                let places = [(key + 9 * 64 + 6, key + 64 * 40 + 6 * 4), (value + 6 * 72 + 9, value + 64 * 72 + 6 * 4)]
                for (element, scale) in places {
                    #expect(blocks.bytes[element] == 127)
                    let bits = (0..<4).reduce(UInt32(0)) { bits, byte in bits | UInt32(blocks.bytes[scale + byte]) << UInt32(8 * byte) }
                    #expect(Float(bitPattern: bits) == Float(1) / 127)
                }
                #expect(Set(nonZero).isSubset(of: Set(places.flatMap { place in [place.0] + Array(place.1..<place.1 + 4) })))
            }
        }
    }

    @Test("dimensions outside 8 ... 256 or off the multiples of 8 are refused by name", arguments: [0, 4, 12, 33, 100, 264, -32])
    func dimensions(dimension: Int) {
        #expect(throws: KernelError.unsupportedDimension(what: "head_dim", value: dimension)) {
            try KVLayout(kvHeads: 1, headDim: dimension, valueDim: 64, element: .f32)
        }
        #expect(throws: KernelError.unsupportedDimension(what: "v_dim", value: dimension)) {
            try KVLayout(kvHeads: 1, headDim: 64, valueDim: dimension, element: .f32)
        }
    }

    @Test("what is packed is read back, bf16 to the nearest even", arguments: ElementType.allCases)
    func roundTrip(element: ElementType) throws {
        let kernels = try Kernels(.scalar)
        let layout = try KVLayout(kvHeads: 2, headDim: 72, valueDim: 40, element: element)
        let blocks = try KVBlocks.allocate(layout: layout, capacity: 200, firstPosition: 0)
        for head in 0..<2 {
            for values in [false, true] {
                let columns = values ? 40 : 72
                let rows = try FloatRows.allocate(rows: 131, columns: columns)
                kernels.fillNormals(rows, seed: 3, tensor: UInt64(head))
                let bad = values ? blocks.packValues(rows, head: head, at: 0) : blocks.packKeys(rows, head: head, at: 0)
                #expect(bad == nil)
                let back = try FloatRows.allocate(rows: 131, columns: columns)
                if values {
                    blocks.unpackValues(into: back, head: head, from: 0)
                } else {
                    blocks.unpackKeys(into: back, head: head, from: 0)
                }
                if element == .bf16 { rows.roundToBF16() }
                guard element == .int8 else {
                    for row in 0..<131 { #expect(back.array(ofRow: row) == rows.array(ofRow: row)) }
                    continue
                }
                for row in 0..<131 {
                    let (packed, drawn) = (back.array(ofRow: row), rows.array(ofRow: row))
                    let most = drawn.map(abs).max() ?? 0
                    #expect(zip(packed, drawn).allSatisfy { abs($0 - $1) <= most / 254 * (1 + 0x1p-10) }, "row \(row)")
                    #expect(packed != drawn && abs((packed.map(abs).max() ?? 0) / most - 1) < 1e-6)
                }
            }
        }
    }

    @Test("bf16 rounds ties to even and keeps NaN a NaN")
    func rounding() throws {
        let cases: [(Float, UInt32)] = [
            (Float(bitPattern: 0x3f80_8000), 0x3f80_0000), (Float(bitPattern: 0x3f81_8000), 0x3f82_0000),
            (Float(bitPattern: 0x3f80_8001), 0x3f81_0000), (Float(bitPattern: 0xbf80_7fff), 0xbf80_0000),
            (.greatestFiniteMagnitude, 0x7f80_0000), (-.infinity, 0xff80_0000), (0x1p-133, 0x0001_0000),
        ]
        for set in InstructionSet.supported {
            let rows = try FloatRows(row: cases.map(\.0) + [.nan])
            rows.roundToBF16()
            #expect(rows.array(ofRow: 0).dropLast().map(\.bitPattern) == cases.map(\.1) && rows[0, cases.count].isNaN)
            let bytes = try ByteRegion.allocate(byteCount: rows.columns * 2)
            let kernels = try Kernels(set)
            let original = try FloatRows(row: cases.map(\.0) + [.nan])
            kernels.narrow(original, intoBF16: bytes)
            kernels.widen(bytes.bytes, element: .bf16, into: rows)
            #expect(rows.array(ofRow: 0).dropLast().map(\.bitPattern) == cases.map(\.1))
            #expect(rows[0, cases.count].isNaN)
        }
    }

    @Test("appending token by token gives the bytes of packing at once, also over old blocks", arguments: ElementType.allCases)
    func append(element: ElementType) throws {
        let kernels = try Kernels(.scalar)
        let layout = try KVLayout(kvHeads: 1, headDim: 32, valueDim: 40, element: element)
        let k = try FloatRows.allocate(rows: 150, columns: 32)
        let v = try FloatRows.allocate(rows: 150, columns: 40)
        kernels.fillNormals(k, seed: 4, tensor: 0)
        kernels.fillNormals(v, seed: 4, tensor: 1)
        let blocks = try (0..<2).map { _ in try KVBlocks.allocate(layout: layout, capacity: 192, firstPosition: 0) }
        #expect(blocks[0].packKeys(k, head: 0, at: 0) == nil)
        #expect(blocks[0].packValues(v, head: 0, at: 0) == nil)
        for offset in 0..<blocks[1].region.byteCount { blocks[1].region[offset] = 0xff }  // NaN everywhere
        for token in 0..<150 {
            _ = blocks[1].packKeys(k.rows(token..<token + 1), head: 0, at: token)
            _ = blocks[1].packValues(v.rows(token..<token + 1), head: 0, at: token)
        }
        #expect(blocks[0].region.array == blocks[1].region.array)
    }

    @Test("stored bf16 and f32 rows pack like the same rows as floats", arguments: [ElementType.f32, .bf16], ElementType.allCases)
    func stored(source: ElementType, element: ElementType) throws {
        let kernels = try Kernels(.scalar)
        let layout = try KVLayout(kvHeads: 1, headDim: 32, valueDim: 32, element: element)
        let all = try FloatRows.allocate(rows: 70, columns: 96)  // three heads a row; the second is packed
        kernels.fillNormals(all, seed: 5, tensor: 0)
        if source == .bf16 { all.roundToBF16() }
        let bytes = try ByteRegion.allocate(byteCount: 70 * 96 * source.byteCount)
        if source == .bf16 { kernels.narrow(all, intoBF16: bytes) } else { bytes.copy(from: all.region) }
        let blocks = try (0..<2).map { _ in try KVBlocks.allocate(layout: layout, capacity: 128, firstPosition: 0) }
        #expect(blocks[0].packKeys(all.columns(32..<64), head: 0, at: 0) == nil)
        #expect(blocks[0].packValues(all.columns(32..<64), head: 0, at: 0) == nil)
        let head = bytes[32 * source.byteCount..<bytes.byteCount]
        #expect(blocks[1].packKeys(stored: head.bytes, element: source, rowStride: 96, tokens: 70, head: 0, at: 0) == nil)
        #expect(blocks[1].packValues(stored: head.bytes, element: source, rowStride: 96, tokens: 70, head: 0, at: 0) == nil)
        #expect(blocks[0].region.array == blocks[1].region.array)
    }

    @Test("the first row that is not finite is named, also when only rounding makes it so", arguments: ElementType.allCases)
    func badRows(element: ElementType) throws {
        let layout = try KVLayout(kvHeads: 1, headDim: 32, valueDim: 32, element: element)
        let blocks = try KVBlocks.allocate(layout: layout, capacity: 256, firstPosition: 0)
        for poison in [Float.nan, .infinity, -.infinity] + (element == .bf16 ? [.greatestFiniteMagnitude] : []) {
            let rows = try FloatRows.allocate(rows: 200, columns: 32)
            rows[170, 31] = poison
            rows[140, 0] = poison
            #expect(blocks.packKeys(rows, head: 0, at: 5) == 140)
            #expect(blocks.packValues(rows, head: 0, at: 5) == 140)
        }
    }
}

extension ByteRegion {
    /// The bytes as an array.
    var array: [UInt8] { (0..<byteCount).map { self[$0] } }

    /// Offsets of the bytes that are not zero.
    var nonZeroOffsets: [Int] { (0..<byteCount).filter { self[$0] != 0 } }
}

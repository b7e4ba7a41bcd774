// The vector helpers of every table against double precision.
import Glibc
import RingKernels
import Testing

private func normals(_ rows: Int, _ columns: Int, seed: UInt64) throws -> FloatRows {
    let matrix = try FloatRows.allocate(rows: rows, columns: columns)
    try Kernels(.scalar).fillNormals(matrix, seed: seed, tensor: 0)
    return matrix
}

@Suite("Vector helpers")
struct ElementwiseTests {
    @Test("rms norm is within 3e-7 of double precision, whole rows and heads", arguments: InstructionSet.supported)
    func rmsNorm(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for (columns, groups) in [(1, 1), (7, 1), (16, 1), (33, 1), (4096, 1), (256, 4), (160, 4)] {
            let x = try normals(5, columns, seed: 1)
            for column in 0..<columns { x[3, column] *= 1e-6 }
            let width = columns / groups
            let weight = try normals(1, width, seed: 2)
            let out = try FloatRows.allocate(rows: 5, columns: columns)
            kernels.rmsNorm(x, weight: weight, epsilon: 1e-6, groups: groups, into: out)
            for row in 0..<5 {
                for group in 0..<groups {
                    let values = x.array(ofRow: row)[group * width..<(group + 1) * width].map(Double.init)
                    let factor = 1 / (values.reduce(0) { $0 + $1 * $1 } / Double(width) + 1e-6).squareRoot()
                    for (index, value) in values.enumerated() {
                        let expected = value * factor * Double(weight[0, index])
                        #expect(abs(Double(out[row, group * width + index]) - expected) <= 3e-7 * abs(expected) + 1e-30)
                    }
                }
            }
            kernels.rmsNorm(x, weight: weight, epsilon: 1e-6, groups: groups, into: x)
            #expect((0..<5).allSatisfy { x.array(ofRow: $0) == out.array(ofRow: $0) })
        }
    }

    @Test("silu(gate) * up is within 5e-7 of double precision over the whole range", arguments: InstructionSet.supported)
    func silu(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        let gate = try FloatRows.allocate(rows: 3, columns: 4001)
        for row in 0..<3 { for column in 0..<4001 { gate[row, column] = Float(column - 2000) * [1e-6, 0.01, 0.045][row] } }
        let up = try normals(3, 4001, seed: 3)
        let out = try FloatRows.allocate(rows: 3, columns: 4001)
        kernels.siluMultiply(gate: gate, up: up, into: out)
        for row in 0..<3 {
            for column in 0..<4001 {
                let x = Double(gate[row, column])
                let expected = x / (1 + exp(-x)) * Double(up[row, column])
                #expect(abs(Double(out[row, column]) - expected) <= 5e-7 * abs(expected) + 1e-35, "x = \(x)")
            }
        }
        gate[0, 5] = .nan
        kernels.siluMultiply(gate: gate, up: up, into: gate)
        #expect(gate[0, 5].isNaN && gate[0, 6] == out[0, 6])
    }

    @Test("additions of rows and of a bias are exact", arguments: InstructionSet.supported)
    func additions(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for columns in [1, 5, 16, 67] {
            let wide = try normals(4, columns + 3, seed: 4)
            let x = wide.columns(2..<columns + 2)
            let y = try normals(4, columns, seed: 5)
            let before = (0..<4).map { wide.array(ofRow: $0) }
            kernels.add(y, to: x)
            kernels.addBias(y.rows(1..<2), to: x)
            for row in 0..<4 {
                #expect(wide[row, 0] == before[row][0] && wide[row, columns + 2] == before[row][columns + 2])
                for column in 0..<columns { #expect(x[row, column] == before[row][column + 2] + y[row, column] + y[1, column]) }
            }
        }
    }

    @Test("every binary16 and bfloat16 value widens exactly", arguments: InstructionSet.supported)
    func widening(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        let bytes = try ByteRegion.allocate(byteCount: 65536 * 2)
        for offset in 0..<65536 * 2 { bytes[offset] = UInt8((offset / 2) >> (offset % 2 * 8) & 255) }
        let out = try FloatRows.allocate(rows: 16, columns: 4096)
        kernels.widen(bytes.bytes, element: .f16, into: out)
        for pattern in 0..<65536 {
            let expected = halfValue(UInt16(pattern)), value = out[pattern / 4096, pattern % 4096]
            #expect(value == expected || (value.isNaN && expected.isNaN), "f16 \(pattern)")
            if value == 0 { #expect(value.sign == expected.sign) }
        }
        kernels.widen(bytes.bytes, element: .bf16, into: out)
        for pattern in 0..<65536 { #expect(out[pattern / 4096, pattern % 4096].bitPattern == UInt32(pattern) << 16) }
    }

    /// Binary16 by its definition.
    private func halfValue(_ bits: UInt16) -> Float {
        let exponent = Int(bits >> 10 & 31), fraction = Double(bits & 1023)
        let sign: Float = bits >> 15 == 1 ? -1 : 1
        switch exponent {
        case 0: return sign * Float(scalbn(fraction, -24))
        case 31: return fraction == 0 ? sign * .infinity : .nan
        default: return sign * Float(scalbn(1024 + fraction, exponent - 25))
        }
    }
}

@Suite("Rotary embedding")
struct RotaryTests {
    @Test("angles hold at 4M tokens, for every start, over restarts", arguments: [0, 1, 63, 1000, 131_071, 1 << 20, 4_194_240])
    func positions(first: Int) throws {
        let kernels = try Kernels.selected()
        let frequencies = (0..<32).map { pow(500_000.0, -Double($0) / 32) }
        for (rows, heads, headDim) in [(1, 3, 64), (130, 2, 64), (5, 1, 80)] {
            let x = try normals(rows, heads * headDim, seed: 6)
            let before = (0..<rows).map { x.array(ofRow: $0) }
            kernels.rope(x, heads: heads, firstPosition: first, frequencies: frequencies, attentionFactor: 1.25)
            var worst = 0.0
            for row in 0..<rows {
                for head in 0..<heads {
                    for index in 0..<32 {
                        let angle = Double(first + row) * frequencies[index]
                        let a = Double(before[row][head * headDim + index]), b = Double(before[row][head * headDim + index + 32])
                        let (c, s) = (1.25 * cos(angle), 1.25 * sin(angle))
                        worst = largest(worst, abs(Double(x[row, head * headDim + index]) - (a * c - b * s)))
                        worst = largest(worst, abs(Double(x[row, head * headDim + index + 32]) - (b * c + a * s)))
                    }
                    for index in 64..<headDim { #expect(x[row, head * headDim + index] == before[row][head * headDim + index]) }
                }
            }
            #expect(worst <= 1e-6, "rows \(rows): \(worst)")
        }
    }

    @Test("a row's bits do not depend on the slice that it is rotated in")
    func slices() throws {
        let kernels = try Kernels.selected()
        let frequencies = (0..<64).map { pow(10_000.0, -Double($0) / 64) }
        let whole = try normals(200, 128, seed: 7)
        let parts = try normals(200, 128, seed: 7)
        kernels.rope(whole, heads: 1, firstPosition: 77, frequencies: frequencies)
        for range in [0..<3, 3..<70, 70..<131, 131..<132, 132..<200] {
            kernels.rope(parts.rows(range), heads: 1, firstPosition: 77 + range.lowerBound, frequencies: frequencies)
        }
        for row in 0..<200 { #expect(whole.array(ofRow: row) == parts.array(ofRow: row), "row \(row)") }
    }
}

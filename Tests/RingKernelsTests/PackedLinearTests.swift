// Linear layers with bf16 weights in tiles against double precision: every edge, every form of the call.
import RingKernels
import Testing

@Suite("Linear layers in tiles", .enabled(if: InstructionSet.supported.contains(.amx), "this CPU has no tiles"))
struct PackedLinearTests {
    private static let shapes = [
        (1, 64, 5), (3, 40, 7), (31, 33, 31), (32, 32, 32), (33, 1024, 64), (65, 1100, 130), (256, 96, 48), (100, 2080, 33),
    ]

    /// A weight of seeded normals rounded to bf16, as rows and in tiles.
    private static func weight(_ kernels: Kernels, outputs: Int, inputs: Int) throws -> (rows: FloatRows, packed: PackedWeight) {
        let rows = try FloatRows.allocate(rows: outputs, columns: inputs)
        kernels.fillNormals(rows, seed: 2, tensor: 2)
        rows.roundToBF16()
        let packed = try PackedWeight.allocate(outputs: outputs, inputs: inputs)
        for first in stride(from: 0, to: outputs, by: PackedWeight.panelOutputs) {
            packed.set(outputs: first, rows: rows.rows(first..<min(first + PackedWeight.panelOutputs, outputs)))
        }
        return (rows, packed)
    }

    /// Largest error of `out` against `x` W^T + `before`, relative to the sum of magnitudes.
    private static func error(_ out: FloatRows, _ x: FloatRows, _ weight: FloatRows, before: Double = 0) -> Double {
        var worst = 0.0
        for row in 0..<x.rows {
            let values = x.array(ofRow: row).map(Double.init)
            for output in 0..<weight.rows {
                let products = zip(values, weight.array(ofRow: output)).map { $0 * Double($1) }
                let expected = products.reduce(before, +)
                let magnitude = products.reduce(abs(before)) { $0 + abs($1) }
                worst = largest(worst, abs(Double(out[row, output]) - expected) / magnitude)
            }
        }
        return worst
    }

    @Test("exact activations are within 5e-6 of double precision, rounded ones within 2^-9", arguments: Activations.allCases)
    func product(activations: Activations) throws {
        var kernels = try Kernels(.amx)
        kernels.activations = activations
        for (rows, inputs, outputs) in Self.shapes {
            let wide = try FloatRows.allocate(rows: rows, columns: inputs + 5)
            kernels.fillNormals(wide, seed: 2, tensor: 1)
            let x = wide.columns(3..<inputs + 3)
            let weight = try Self.weight(kernels, outputs: outputs, inputs: inputs)
            let room = try PackedRows.allocate(rows: rows, columns: inputs, for: kernels)
            let input = kernels.input(x, packedIn: room)
            let around = try FloatRows.allocate(rows: rows + 1, columns: outputs + 2)
            around.fill(7)
            let out = around.rows(0..<rows).columns(1..<outputs + 1)
            try kernels.linear(input, weight: .bf16(weight.packed), into: out)
            let fresh = Self.error(out, x, weight.rows)
            out.fill(3)
            try kernels.linear(input, weight: .bf16(weight.packed), adding: true, into: out)
            let added = Self.error(out, x, weight.rows, before: 3)
            let bar = activations == .exact ? 5e-6 : 0x1p-9 + 1e-5
            #expect(fresh <= bar && added <= bar, "\(rows) x \(inputs) -> \(outputs): \(fresh), added \(added)")
            // One part keeps 8 bits and cannot be as good as two.
            if activations == .rounded { #expect(fresh > 1e-5, "\(rows) x \(inputs) -> \(outputs): \(fresh)") }
            for row in 0...rows { #expect(around[row, 0] == 7 && around[row, outputs + 1] == 7) }
            for column in 0..<outputs { #expect(around[rows, column + 1] == 7) }
        }
    }

    @Test("a few rows without room are within 2e-6 of double precision")
    func fewRows() throws {
        let kernels = try Kernels(.amx)
        for (rows, inputs, outputs) in Self.shapes {
            let x = try FloatRows.allocate(rows: min(rows, 4), columns: inputs)
            kernels.fillNormals(x, seed: 3, tensor: 1)
            let weight = try Self.weight(kernels, outputs: outputs, inputs: inputs)
            let out = try FloatRows.allocate(rows: x.rows, columns: outputs + 1)
            out.fill(7)
            try kernels.linear(
                kernels.input(x, packedIn: nil), weight: .bf16(weight.packed), into: out.columns(0..<outputs))
            let worst = Self.error(out, x, weight.rows)
            #expect(worst <= 2e-6, "\(rows) x \(inputs) -> \(outputs): \(worst)")
            for row in 0..<x.rows { #expect(out[row, outputs] == 7) }
        }
    }

    @Test("slices of outputs and of inputs add up to the whole")
    func slices() throws {
        let kernels = try Kernels(.amx)
        let (rows, inputs, outputs) = (40, 1100, 150)
        let x = try FloatRows.allocate(rows: rows, columns: inputs)
        kernels.fillNormals(x, seed: 4, tensor: 1)
        let weight = try Self.weight(kernels, outputs: outputs, inputs: inputs)
        let matrix = LinearMatrix.bf16(weight.packed)
        #expect(matrix.inputs == inputs && matrix.outputs == outputs)
        let room = try PackedRows.allocate(rows: rows, columns: inputs, for: kernels)
        let out = try FloatRows.allocate(rows: rows, columns: outputs)
        for outputs in [0..<64, 64..<150] {
            for inputs in [0..<1024, 1024..<1100] {
                let input = kernels.input(x.columns(inputs), packedIn: room)
                try kernels.linear(
                    input, weight: matrix.outputs(outputs).inputs(inputs), adding: inputs.lowerBound > 0, into: out.columns(outputs))
            }
        }
        #expect(Self.error(out, x, weight.rows) <= 5e-6)
    }

    @Test("a row has the same bits whatever rows it comes with, and what is not finite stays in its row")
    func rowsAreAlone() throws {
        let kernels = try Kernels(.amx)
        let (rows, inputs, outputs) = (70, 1056, 40)
        let x = try FloatRows.allocate(rows: rows, columns: inputs)
        kernels.fillNormals(x, seed: 5, tensor: 1)
        let weight = LinearMatrix.bf16(try Self.weight(kernels, outputs: outputs, inputs: inputs).packed)
        let room = try PackedRows.allocate(rows: rows, columns: inputs, for: kernels)
        let (together, alone) = (try FloatRows.allocate(rows: rows, columns: outputs), try FloatRows.allocate(rows: 1, columns: outputs))
        try kernels.linear(kernels.input(x, packedIn: room), weight: weight, into: together)
        for row in [0, 31, 32, 69] {
            try kernels.linear(kernels.input(x.rows(row..<row + 1), packedIn: room), weight: weight, into: alone)
            #expect(alone.array(ofRow: 0).map(\.bitPattern) == together.array(ofRow: row).map(\.bitPattern), "row \(row)")
        }
        for (row, value) in [(33, Float.nan), (34, .infinity), (35, -.infinity)] { x[row, 1000] = value }
        let spoilt = try FloatRows.allocate(rows: rows, columns: outputs)
        try kernels.linear(kernels.input(x, packedIn: room), weight: weight, into: spoilt)
        for row in 0..<rows {
            if (33...35).contains(row) {
                #expect(spoilt.array(ofRow: row).allSatisfy { !$0.isFinite }, "row \(row)")
            } else {
                #expect(spoilt.array(ofRow: row) == together.array(ofRow: row), "row \(row)")
            }
        }
    }

    @Test("only kernels with tiles pack, and a weight takes two bytes a value")
    func forms() throws {
        for set in InstructionSet.supported { #expect(try Kernels(set).packsWeights == (set == .amx)) }
        #expect(PackedWeight.byteCount(outputs: 64, inputs: 96) == 2 * 64 * 96)
        #expect(PackedWeight.byteCount(outputs: 33, inputs: 1) == 2 * 64 * 32)
        #expect(PackedWeight.byteCount(outputs: 0, inputs: 5) == 0)
    }
}

// Linear layers against double precision, for one row, a few and many.
import RingKernels
import Testing

@Suite("Linear layers")
struct LinearTests {
    @Test("x W^T + b is within 2e-6 of double precision, relative to the sum of magnitudes", arguments: InstructionSet.supported)
    func linear(set: InstructionSet) throws {
        Kernels.prepareThreadForLinear()
        let kernels = try Kernels(set)
        for (rows, inputs, outputs) in [(1, 64, 5), (1, 1023, 130), (3, 40, 7), (8, 2048, 66), (9, 31, 33), (65, 512, 129), (200, 96, 48)] {
            let wide = try FloatRows.allocate(rows: rows, columns: inputs + 5)
            kernels.fillNormals(wide, seed: 1, tensor: 1)
            let x = wide.columns(3..<inputs + 3)
            let weight = try FloatRows.allocate(rows: outputs, columns: inputs)
            kernels.fillNormals(weight, seed: 1, tensor: 2)
            let bias = try FloatRows.allocate(rows: 1, columns: outputs)
            kernels.fillNormals(bias, seed: 1, tensor: 3)
            let out = try FloatRows.allocate(rows: rows, columns: outputs + 2)
            out.fill(7)
            try kernels.linear(x, weight: weight, bias: bias, into: out.columns(1..<outputs + 1))
            var worst = 0.0
            for row in 0..<rows {
                #expect(out[row, 0] == 7 && out[row, outputs + 1] == 7)
                let values = x.array(ofRow: row).map(Double.init)
                for output in 0..<outputs {
                    let products = zip(values, weight.array(ofRow: output)).map { $0 * Double($1) }
                    let expected = products.reduce(Double(bias[0, output]), +)
                    let magnitude = products.reduce(0) { $0 + abs($1) }
                    worst = largest(worst, abs(Double(out[row, output + 1]) - expected) / magnitude)
                }
            }
            #expect(worst <= 2e-6, "\(rows) x \(inputs) -> \(outputs): \(worst)")
        }
    }

    @Test("no rows and no outputs are allowed")
    func empty() throws {
        let kernels = try Kernels.selected()
        let x = try FloatRows.allocate(rows: 0, columns: 32)
        try kernels.linear(x, weight: .allocate(rows: 4, columns: 32), into: .allocate(rows: 0, columns: 4))
    }
}

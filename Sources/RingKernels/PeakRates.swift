// The roofline of a run of several threads: multiply-adds in registers, on all of them at once.
import Synchronization

/// What so many threads of this machine reach together, measured in one short burst.
public struct PeakRates: Hashable, Sendable {
    /// Floating-point operations a second of the kernels' bf16 multiplication: tiles where they have them.
    public let bf16: Double
    /// Of the best multiply-add in vector registers: f32, or bf16 pairs where that is faster.
    public let vector: Double

    /// Measures on `threads` threads, about `seconds` for each of the kinds.
    public static func measure(_ kernels: Kernels, threads: Int, seconds: Double = 0.05) throws(KernelError) -> PeakRates {
        let pairs = InstructionSet.supported.contains(.avx512bf16) ? try Kernels(.avx512bf16) : kernels
        let bf16 = try burst(threads, seconds) { kernels.peakRate(of: .bf16, rounds: $0) }
        let f32 = try burst(threads, seconds) { kernels.peakRate(of: .f32, rounds: $0) }
        let dot = kernels.instructionSet < .avx512bf16 ? 0 : try burst(threads, seconds) { pairs.peakRate(of: .bf16, rounds: $0) }
        return PeakRates(bf16: bf16, vector: max(f32, dot))
    }

    private static func burst(
        _ threads: Int, _ seconds: Double, _ rate: @escaping @Sendable (_ rounds: Int) -> Double
    ) throws(KernelError) -> Double {
        let start = MonotonicClock.now
        _ = rate(2000)
        let rounds = max(Int(2000 * seconds / max(MonotonicClock.now - start, 1e-9)), 2000)
        let sum = Sum()
        try runThreads(threads) { _ in sum.add(rate(rounds)) }
        return sum.value
    }
}

private final class Sum: Sendable {
    private let stored = Mutex(0.0)
    func add(_ value: Double) { stored.withLock { $0 += value } }
    var value: Double { stored.withLock { $0 } }
}

// What int8 keys and values can change of an answer: a bound that follows from the scales in the blocks alone, whatever the numbers were.
import CRingKernels
import Glibc

/// How coarse the int8 keys and values of one KV head are.
public struct KVQuantisation: Hashable, Sendable {
    /// The largest step of a key's elements: half of it is the most that one was rounded by.
    public let keyStep: Double
    /// The same of values.
    public let valueStep: Double

    /// The steps that are given.
    public init(keyStep: Double, valueStep: Double) {
        self.keyStep = keyStep
        self.valueStep = valueStep
    }

    /// The most by which exact attention of a query row over the stored keys and values can differ from that over the ones that were
    /// packed, in any element of the output.
    public func errorBound(query: [Float], scale: Double) -> Double {
        errorBound(querySum: query.reduce(0) { $0 + Double(abs($1)) }, scale: scale)
    }

    /// The same for every query whose magnitudes add up to at most `querySum`.
    ///
    /// A score moves by at most d = querySum x keyStep / 2 x scale, so the weights by 2 tanh(d / 2) in sum, each against a stored value of
    /// at most 127 steps; and the values themselves by half a step (Docs/MATH.md, section 6).
    public func errorBound(querySum: Double, scale: Double) -> Double {
        let moved = querySum * (keyStep / 2 + Self.lost) * scale
        // A step is an f32 quotient, itself rounded: the last factor covers that.
        return (2 * tanh(moved / 2) * (127 * valueStep + Self.lost) + valueStep / 2 + Self.lost) * (1 + 0x1p-20)
    }

    /// All that can be lost of an element whose row has a step below the normal numbers, which kernels take as zero: 127 steps.
    private static let lost = 0x1p-119
}

extension KVBlocks {
    /// How coarse the tokens of KV head `head` are, or nil when the blocks are not int8. Not a number where a row was not finite.
    public func quantisation(head: Int) -> KVQuantisation? {
        guard layout.element == .int8 else { return nil }
        let keys = layout.keyOffset(head: head) + Self.scaleOffset(layout.headDim)
        let values = layout.valueOffset(head: head) + Self.scaleOffset(layout.valueDim)
        return KVQuantisation(keyStep: largestScale(at: keys), valueStep: largestScale(at: values))
    }

    private static func scaleOffset(_ dimension: Int) -> Int { KVLayout.blockTokens * dimension }

    private func largestScale(at offset: Int) -> Double {
        (0..<KVLayout.blocks(forTokens: tokens)).reduce(0) { largest, block in
            let scales = FloatRows(region, byteOffset: block * layout.blockByteCount + offset, rows: 1, columns: KVLayout.blockTokens)
            let used = min(KVLayout.blockTokens, tokens - block * KVLayout.blockTokens)
            return (0..<used).reduce(largest) { $0.isNaN || scales[0, $1].isNaN ? .nan : Swift.max($0, Double(scales[0, $1])) }
        }
    }
}

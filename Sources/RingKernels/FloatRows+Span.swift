// Rows as one span, for readers that fill memory, rounding in place for callers that check bf16 against f32, and how large rows are.

extension FloatRows {
    /// Hands the rows, which must lie without gaps, to `body` as one span of rows x columns values.
    public func withMutableSpan<Failure: Error>(_ body: (inout MutableSpan<Float>) throws(Failure) -> Void) throws(Failure) {
        precondition(stride == columns || rows <= 1, "rows with gaps are no span")
        var span = unsafe MutableSpan(_unsafeStart: base, count: rows * columns)
        try body(&span)
    }

    /// Hands the rows, which must lie without gaps, to `body` as one read-only span of rows x columns values.
    public func withSpan<Failure: Error>(_ body: (Span<Float>) throws(Failure) -> Void) throws(Failure) {
        precondition(stride == columns || rows <= 1, "rows with gaps are no span")
        try body(unsafe Span(_unsafeStart: base, count: rows * columns))
    }
}

extension FloatRows {
    /// Rounds every value to the nearest bf16, ties to even; NaN and infinity stay what they are.
    public func roundToBF16() {
        for row in 0..<rows {
            let start = unsafe base + row * stride
            for column in 0..<columns {
                let bits = unsafe start[column].bitPattern
                let rounded = (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000
                unsafe start[column] = Float(bitPattern: bits & 0x7F80_0000 == 0x7F80_0000 ? bits : rounded)
            }
        }
    }
}

extension FloatRows {
    /// The largest sum of magnitudes that a row has; zero without rows.
    public var largestMagnitudeSum: Double {
        var largest = 0.0
        for row in 0..<rows {
            let start = unsafe base + row * stride
            var sum = 0.0
            for column in 0..<columns { sum += unsafe Double(abs(start[column])) }
            // A sum that is not a number stays.
            if !(sum <= largest) { largest = sum }
        }
        return largest
    }
}

// The matrix view that every kernel takes: rows of f32, `stride` floats apart, over memory that the view keeps alive.
import CRingKernels

/// Rows of `Float` in memory. Copies are views of the same values; slices share them.
///
/// Sendable for the reason given at `ByteRegion`: threads work on disjoint slices between the engine's barriers.
/// Indices and shapes are checked; a mistake stops the process.
@safe public struct FloatRows: @unchecked Sendable {
    /// Rows in view.
    public let rows: Int
    /// Values of a row.
    public let columns: Int
    /// Floats from one row's start to the next one's.
    public let stride: Int
    let base: UnsafeMutablePointer<Float>
    let owner: AnyObject?

    /// A fresh matrix of zeros, rows adjacent.
    public static func allocate(rows: Int, columns: Int) throws(KernelError) -> FloatRows {
        let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
        guard rows >= 0, columns >= 0, !overflow, count < Int.max / 8 else { throw .outOfMemory(byteCount: .max) }
        let region = try ByteRegion.allocate(byteCount: count * MemoryLayout<Float>.stride)
        return FloatRows(region, rows: rows, columns: columns)
    }

    /// Rows inside a region of bytes, from `byteOffset` (a multiple of 4) on.
    public init(_ region: ByteRegion, byteOffset: Int = 0, rows: Int, columns: Int, stride: Int? = nil) {
        let stride = stride ?? columns
        precondition(rows >= 0 && columns >= 0 && stride >= columns && byteOffset >= 0, "shape \(rows) x \(columns), stride \(stride)")
        let floats = rows == 0 ? 0 : (rows - 1) * stride + columns
        precondition(byteOffset + floats * 4 <= region.byteCount, "\(rows) x \(columns) floats do not fit \(region.byteCount) bytes")
        let start = unsafe region.base + byteOffset
        precondition(Int(bitPattern: start) % MemoryLayout<Float>.alignment == 0, "floats at an odd address")
        unsafe self.init(base: start.assumingMemoryBound(to: Float.self), rows: rows, columns: columns, stride: stride, owner: region.owner)
    }

    /// Rows in memory that somebody else owns. `owner` is kept alive by every copy; without one the caller answers for it.
    @unsafe public init(base: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int, owner: AnyObject?) {
        precondition(rows >= 0 && columns >= 0 && stride >= columns, "shape \(rows) x \(columns), stride \(stride)")
        unsafe self.base = base
        self.rows = rows
        self.columns = columns
        self.stride = stride
        self.owner = owner
    }

    /// A copy of `values` as one row.
    public init(row values: [Float]) throws(KernelError) {
        self = try FloatRows.allocate(rows: 1, columns: values.count)
        for (column, value) in values.enumerated() { self[0, column] = value }
    }

    /// One value.
    public subscript(row: Int, column: Int) -> Float {
        get {
            check(row, column)
            return unsafe base[row * stride + column]
        }
        nonmutating set {
            check(row, column)
            unsafe base[row * stride + column] = newValue
        }
    }

    /// Some of the rows.
    public func rows(_ range: Range<Int>) -> FloatRows {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
        return unsafe FloatRows(base: base + range.lowerBound * stride, rows: range.count, columns: columns, stride: stride, owner: owner)
    }

    /// Some of the columns of every row.
    public func columns(_ range: Range<Int>) -> FloatRows {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns, "columns \(range) of \(columns)")
        return unsafe FloatRows(base: base + range.lowerBound, rows: rows, columns: range.count, stride: stride, owner: owner)
    }

    /// One row cut into `count` rows of equal length: the heads of a token. Needs `rows == 1`.
    public func split(into count: Int) -> FloatRows {
        precondition(rows == 1 && count > 0 && columns % count == 0, "\(rows) x \(columns) cut into \(count)")
        return unsafe FloatRows(base: base, rows: count, columns: columns / count, stride: columns / count, owner: owner)
    }

    /// The values of one row.
    @_lifetime(borrow self)
    public func span(ofRow row: Int) -> Span<Float> {
        check(row, 0)
        let span = unsafe Span(_unsafeStart: base + row * stride, count: columns)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// The values of one row as an array.
    public func array(ofRow row: Int) -> [Float] { (0..<columns).map { self[row, $0] } }

    /// Sets every value in view.
    public func fill(_ value: Float) {
        for row in 0..<rows { unsafe (base + row * stride).update(repeating: value, count: columns) }
    }

    /// Copies the values of a view of the same shape that does not overlap this one.
    public func copy(from source: FloatRows) {
        precondition(source.rows == rows && source.columns == columns, "copy between shapes")
        for row in 0..<rows { unsafe (base + row * stride).update(from: source.base + row * source.stride, count: columns) }
    }

    /// Copies `values` into one row, from `column` on.
    public func copy(from values: Span<Float>, toRow row: Int, column: Int = 0) {
        precondition(row >= 0 && row < rows && column >= 0 && column + values.count <= columns, "copy past the end")
        for index in values.indices { unsafe base[row * stride + column + index] = values[index] }
    }

    /// The bytes of the rows, gaps between them included; for transports.
    public var region: ByteRegion {
        let floats = rows == 0 ? 0 : (rows - 1) * stride + columns
        return unsafe ByteRegion(base: UnsafeMutableRawPointer(base), byteCount: floats * 4, owner: owner)
    }

    /// Index of the first row with a value that is NaN or infinite.
    public var firstNonFiniteRow: Int? {
        let row = unsafe ring_first_nonfinite(base, Int64(stride), Int64(rows), Int64(columns))
        return row < 0 ? nil : Int(row)
    }

    private func check(_ row: Int, _ column: Int) {
        precondition(row >= 0 && row < rows && column >= 0 && column < max(columns, 1), "[\(row), \(column)] of \(rows) x \(columns)")
    }
}

// What is counted while a process runs, by label values that may come from outside: bounded, so that nobody can fill the memory
// (or the database behind the page) by making up values.

/// Values by label values, at most so many.
public struct SeriesTable<Value: Sendable>: Sendable {
    /// One combination of label values with its value.
    public struct Entry: Sendable {
        /// The label values.
        public let labels: [String]
        /// What was counted.
        public fileprivate(set) var value: Value
    }

    /// What every label says of the one entry in which all combinations beyond the limit are counted together.
    public static var overflowLabel: String { "other" }

    /// Sorted by label values.
    public private(set) var entries: [Entry] = []
    private let limit: Int
    private let initial: Value

    /// An empty table of at most `limit` entries, of which each starts as `initial`.
    public init(limit: Int = TelemetryLimits.series, initial: Value) {
        precondition(limit > 1, "a table needs room for one entry beside the one for the rest")
        self.limit = limit
        self.initial = initial
    }

    /// Changes the value of `labels`; O(log n) once it is there.
    public mutating func update(_ labels: [String], _ change: (inout Value) -> Void) {
        let place = insertionPoint(of: labels)
        if place < entries.count, entries[place].labels == labels { return change(&entries[place].value) }
        let rest = [String](repeating: Self.overflowLabel, count: labels.count)
        // The last free place is the rest's own.
        guard entries.count < limit - 1 || labels == rest else { return update(rest, change) }
        entries.insert(Entry(labels: labels, value: initial), at: place)
        change(&entries[place].value)
    }

    private func insertionPoint(of labels: [String]) -> Int { entries.insertionPoint { $0.labels.lexicographicallyPrecedes(labels) } }
}

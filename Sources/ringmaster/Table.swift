// Columns of text, right-aligned but the first, for people.

/// A table with a header line.
struct Table {
    private var rows: [[String]]

    /// A table with these column names.
    init(_ header: [String]) { rows = [header] }

    /// Adds a line.
    mutating func add(_ row: [String]) { rows.append(row) }

    /// The table as text.
    var text: String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 ? cell + space : space + cell
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}

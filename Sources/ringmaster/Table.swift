// Columns of text for people: words to the left, figures to the right.

/// A table with a header line.
struct Table {
    private var rows: [[String]]
    private let textual: Set<Int>

    /// A table with these column names; the columns in `textual` hold words, the others figures.
    init(_ header: [String], textual: Set<Int> = [0]) {
        rows = [header]
        self.textual = textual
    }

    /// Adds a line.
    mutating func add(_ row: [String]) { rows.append(row) }

    /// The table as text.
    var text: String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            let line = row.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return textual.contains(column) ? cell + space : space + cell
            }.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }.joined(separator: "\n")
    }
}

// Loads in lines, with commas, semicolons or tabs between figures, in either of two forms:
//
// - a line a layer with a figure for each expert; a first line of names is passed over;
// - a line a figure under a header that names `layer`, `expert` and `load` (or `count`, or `tokens`), perhaps `step`, in any order, with
//   further columns that are passed over. A pair of layer and expert that is not there got nothing; one that comes twice is added up.
//
// Blank lines and lines that begin with # count for nothing.

extension LoadTable {
    /// Most figures of a table that lines with indices may span: 100 steps of 92 layers of 896 experts are half of it.
    static let spanMax = 16 << 20

    /// Reads a document; `file` names it in errors.
    init(lines text: String, file: String) throws(FormatError) {
        var lines: [(number: Int, cells: [Substring])] = []
        for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let line = Self.trimmed(line)
            if line.isEmpty || line.hasPrefix("#") { continue }
            lines.append((number + 1, Self.cells(line)))
        }
        let names = lines.first.map { $0.cells.map { $0.lowercased() } } ?? []
        if names.contains("layer"), names.contains("expert") {
            try self.init(listed: lines.dropFirst(), names: names, file: file)
        } else {
            // A header: nothing in it is a figure.
            if let first = lines.first, first.cells.allSatisfy({ Double($0) == nil }) { lines.removeFirst() }
            try self.init(rows: lines, file: file)
        }
    }

    private init(rows lines: [(number: Int, cells: [Substring])], file: String) throws(FormatError) {
        let experts = lines.first?.cells.count ?? 0
        var values: [Double] = []
        for line in lines {
            for (column, cell) in line.cells.enumerated() {
                guard let value = Double(cell) else {
                    throw .invalid("\(file), line \(line.number), column \(column + 1): \(quoted(String(cell))) is no number")
                }
                values.append(value)
            }
            guard line.cells.count == experts else {
                throw .invalid(
                    "\(file), line \(line.number): \(line.cells.count) figures, the first line has \(experts): give one line a layer")
            }
        }
        try self.init([lines.count, experts], values, file: file)
    }

    private init(listed lines: ArraySlice<(number: Int, cells: [Substring])>, names: [String], file: String) throws(FormatError) {
        guard let load = names.firstIndex(where: { ["load", "count", "tokens"].contains($0) }) else {
            throw .invalid("\(file) has columns 'layer' and 'expert' but none of 'load', 'count' and 'tokens': name the loads' column so")
        }
        guard !lines.isEmpty else { throw .invalid("\(file) has a header and holds no load") }
        let columns = [names.firstIndex(of: "step"), names.firstIndex(of: "layer"), names.firstIndex(of: "expert")]
        var entries: [(step: Int, layer: Int, expert: Int, load: Double)] = []
        var shape = [1, 1, 1]
        for line in lines {
            guard line.cells.count == names.count, let value = Double(line.cells[load]) else {
                throw .invalid("\(file), line \(line.number): needed are \(names.count) cells with a number under \(quoted(names[load]))")
            }
            var place = [0, 0, 0]
            for (axis, column) in columns.enumerated() {
                guard let column else { continue }
                guard let index = Int(line.cells[column]), index >= 0, index < 1 << 20 else {
                    throw .invalid(
                        "\(file), line \(line.number): \(quoted(String(line.cells[column]))) is no \(names[column]), counted from 0")
                }
                place[axis] = index
                shape[axis] = max(shape[axis], index + 1)
            }
            entries.append((place[0], place[1], place[2], value))
        }
        guard shape[0] * shape[1] <= Self.spanMax / shape[2] else {
            throw .tooLarge(
                "\(file) spans \(shape[0]) steps of \(shape[1]) layers of \(shape[2]) experts, more than \(Self.spanMax) figures")
        }
        var values = [Double](repeating: 0, count: shape[0] * shape[1] * shape[2])
        for entry in entries { values[(entry.step * shape[1] + entry.layer) * shape[2] + entry.expert] += entry.load }
        try self.init(shape, values, file: file)
    }

    /// The cells of a line without the blanks and quotation marks round them.
    private static func cells(_ line: Substring) -> [Substring] {
        let separator: Character = line.contains("\t") ? "\t" : line.contains(";") ? ";" : ","
        return line.split(separator: separator, omittingEmptySubsequences: false).map { trimmed($0, quotes: true) }
    }

    private static func trimmed(_ text: Substring, quotes: Bool = false) -> Substring {
        let isOutside = { (letter: Character) in letter.isWhitespace || (quotes && letter == "\"") }
        var rest = text.drop(while: isOutside)
        while let last = rest.last, isOutside(last) { rest.removeLast() }
        return rest
    }
}

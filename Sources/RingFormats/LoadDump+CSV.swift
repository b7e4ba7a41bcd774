// Loads in CSV, with commas, semicolons or tabs, in either of two forms:
//
// - a line a layer with a figure for each expert; empty lines between steps; a first line of names is passed over;
// - a line a figure under a header that names `layer`, `expert` and `load` (or `count`, or `tokens`), perhaps `step`, in any order, with
//   further columns that are passed over. A pair of layer and expert that is not there got nothing; one that comes twice is added up.
//
// Lines that begin with # are comments.

extension LoadDump {
    /// Reads a document; `file` names it in errors.
    public init(csv text: String, file: String) throws(FormatError) {
        let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
        let first = lines.first { !Self.isBlank($0) && !$0.hasPrefix("#") }
        guard let first else { throw .malformed("\(file) has no line with loads") }
        let names = Self.fields(first).map { $0.lowercased() }
        if names.contains("layer"), names.contains("expert") {
            try self.init(listed: lines, names: names, file: file)
        } else {
            try self.init(rows: lines, file: file)
        }
    }

    private init(rows lines: [Substring], file: String) throws(FormatError) {
        var values: [Double] = []
        var (steps, layers, width, layersOfFirst) = (0, 0, 0, 0)
        func endStep() throws(FormatError) {
            guard layers > 0 else { return }
            guard steps == 0 || layers == layersOfFirst else {
                throw .malformed("\(file): step \(steps) has \(layers) layers, the first has \(layersOfFirst)")
            }
            if steps == 0 { layersOfFirst = layers }
            (steps, layers) = (steps + 1, 0)
        }
        for (number, line) in lines.enumerated() where !line.hasPrefix("#") {
            if Self.isBlank(line) {
                try endStep()
                continue
            }
            let fields = Self.fields(line)
            // A header: only before all figures, and only where nothing in it is one.
            if values.isEmpty, fields.allSatisfy({ Double($0) == nil }) { continue }
            guard width == 0 || fields.count == width else {
                throw .malformed("\(file), line \(number + 1): \(fields.count) figures where the first line has \(width)")
            }
            width = fields.count
            layers += 1
            for field in fields {
                guard let value = Double(field) else {
                    throw .malformed("\(file), line \(number + 1): \(quoted(String(field))) is no number")
                }
                values.append(value)
            }
            guard values.count <= Self.valuesMax else { throw .tooLarge("\(file) holds more than \(Self.valuesMax) loads: sum over steps") }
        }
        try endStep()
        guard steps > 0 else { throw .malformed("\(file) has no line with loads") }
        try self.init(shape: [steps, layersOfFirst, width], values: values, file: file)
    }

    private init(listed lines: [Substring], names: [String], file: String) throws(FormatError) {
        guard let load = names.firstIndex(where: { ["load", "count", "tokens"].contains($0) }) else {
            throw .malformed("\(file) has columns 'layer' and 'expert' but none of 'load', 'count' and 'tokens'")
        }
        let columns = [names.firstIndex(of: "step"), names.firstIndex(of: "layer"), names.firstIndex(of: "expert")]
        var entries: [(place: [Int], load: Double)] = []
        var extents = [1, 1, 1]
        var isHeader = true
        for (number, line) in lines.enumerated() where !line.hasPrefix("#") && !Self.isBlank(line) {
            if isHeader {
                isHeader = false
                continue
            }
            let fields = Self.fields(line)
            guard fields.count == names.count, let value = Double(fields[load]) else {
                throw .malformed("\(file), line \(number + 1): \(names.count) fields with a number under \(quoted(names[load])) are needed")
            }
            var place = [0, 0, 0]
            for (dimension, column) in columns.enumerated() {
                guard let column else { continue }
                guard let index = Int(fields[column]), index >= 0, index < 1 << 20 else {
                    throw .malformed("\(file), line \(number + 1): \(quoted(String(fields[column]))) is no \(names[column]) from 0 on")
                }
                place[dimension] = index
                extents[dimension] = max(extents[dimension], index + 1)
            }
            entries.append((place, value))
            guard entries.count <= Self.valuesMax else {
                throw .tooLarge("\(file) holds more than \(Self.valuesMax) lines: sum over steps")
            }
        }
        guard extents[0] * extents[1] <= Self.valuesMax / extents[2], !entries.isEmpty else {
            throw entries.isEmpty
                ? FormatError.malformed("\(file) has a header and no loads")
                : FormatError.tooLarge("\(file) names more than \(Self.valuesMax) pairs of layer and expert")
        }
        var values = [Double](repeating: 0, count: extents[0] * extents[1] * extents[2])
        for entry in entries {
            values[(entry.place[0] * extents[1] + entry.place[1]) * extents[2] + entry.place[2]] += entry.load
        }
        try self.init(shape: extents, values: values, file: file)
    }

    private static func isBlank(_ line: Substring) -> Bool { line.allSatisfy { $0.isWhitespace } }

    /// The fields of a line without the blanks and quotation marks round them.
    private static func fields(_ line: Substring) -> [Substring] {
        let separator: Character = line.contains("\t") ? "\t" : line.contains(";") ? ";" : ","
        return line.split(separator: separator, omittingEmptySubsequences: false).map { field in
            var field = field
            while let letter = field.first, letter.isWhitespace || letter == "\"" { field.removeFirst() }
            while let letter = field.last, letter.isWhitespace || letter == "\"" { field.removeLast() }
            return field
        }
    }
}

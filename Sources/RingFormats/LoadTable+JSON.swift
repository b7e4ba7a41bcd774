// Loads in JSON: as SGLang takes and gives them, as vLLM's load balancer dumps them, or just the table.
//
// - SGLang: an object with `logical_count`, [layers, experts] or [steps, layers, experts]: what its recorder counts by expert, and what
//   `--init-expert-location` reads.
// - vLLM: an object with `snapshots`, each with `window_expert_load` (or `latest_expert_load`), [layers, physical experts], and
//   `physical_to_logical_map` of the same shape, which says whose copy each is. The loads of an expert's copies are added up. The map of
//   a snapshot is taken as the one under which its loads were measured.
// - The table itself, or an object with it under `loads`.

extension LoadTable {
    /// Takes the table out of a document; `file` names it in errors.
    init(json: JSONValue, file: String) throws(FormatError) {
        if let snapshots = json["snapshots"] {
            self = try Self.snapshots(snapshots, of: json, file: file)
            return
        }
        let table = json["logical_count"] ?? json["loads"] ?? json
        guard table.arrayValue != nil else {
            throw .malformed("\(file) holds no loads: it needs 'logical_count' (SGLang), 'snapshots' (vLLM), 'loads', or a table at once")
        }
        var reader = TableReader(file: file)
        try reader.read(table)
        try self.init(reader.shape, reader.values, file: file)
    }

    private static func snapshots(_ value: JSONValue, of json: JSONValue, file: String) throws(FormatError) -> LoadTable {
        guard let list = value.arrayValue, !list.isEmpty else { throw .malformed("'snapshots' in \(file) is no list, or an empty one") }
        var all: [Double] = []
        var shape: [Int] = []
        for (number, snapshot) in list.enumerated() {
            let what = "snapshot \(number) of \(file)"
            guard let loads = snapshot["window_expert_load"] ?? snapshot["latest_expert_load"] else {
                throw .malformed("\(what) has neither 'window_expert_load' nor 'latest_expert_load'")
            }
            var reader = TableReader(file: what)
            try reader.read(loads)
            guard reader.shape.count == 2 else { throw .malformed("the loads of \(what) are no table of layers and physical experts") }
            var map = TableReader(file: what + ", physical_to_logical_map")
            guard let mapping = snapshot["physical_to_logical_map"] ?? json["physical_to_logical_map"] else {
                throw .malformed("\(what) has no 'physical_to_logical_map', so whose copies its experts are is not known")
            }
            try map.read(mapping)
            guard map.shape == reader.shape else { throw .malformed("the map of \(what) has another shape than its loads") }
            let experts = try logicalCount(json, map.values, what)
            guard shape.isEmpty || shape == [reader.shape[0], experts] else { throw .malformed("\(what) has another shape than the first") }
            shape = [reader.shape[0], experts]
            all += folded(reader.values, map.values, shape, copies: reader.shape[1])
            guard all.count <= spanMax else { throw .tooLarge("\(file) holds more than \(spanMax) loads: leave out some snapshots") }
        }
        return try LoadTable([list.count] + shape, all, file: file)
    }

    /// Experts of the model: as the file says, else one more than the highest in the map. Checks the map; -1 is a slot without an expert.
    private static func logicalCount(_ json: JSONValue, _ map: [Double], _ what: String) throws(FormatError) -> Int {
        let count = json["num_logical_experts"]?.intValue ?? Int(min(map.max() ?? 0, 1e6)) + 1
        guard count >= 1, count <= 1 << 20, map.allSatisfy({ $0 >= -1 && $0 < Double(count) && $0 == $0.rounded() }) else {
            throw .malformed("the map of \(what) names experts beyond the \(count) that there are, or none at all")
        }
        return count
    }

    private static func folded(_ loads: [Double], _ map: [Double], _ shape: [Int], copies: Int) -> [Double] {
        var sums = [Double](repeating: 0, count: shape[0] * shape[1])
        for place in loads.indices where map[place] >= 0 {
            sums[place / copies * shape[1] + Int(map[place])] += loads[place]
        }
        return sums
    }
}

/// A rectangular table of numbers out of nested arrays.
private struct TableReader {
    let file: String
    private(set) var shape: [Int] = []
    private(set) var values: [Double] = []

    init(file: String) { self.file = file }

    mutating func read(_ value: JSONValue) throws(FormatError) {
        var level = value
        while let elements = level.arrayValue {
            guard let first = elements.first else { throw .malformed("\(file) has an empty list in its table") }
            shape.append(elements.count)
            guard shape.count <= 3 else { throw .malformed("\(file) has a table of more than three dimensions") }
            level = first
        }
        try fill(value, depth: 0)
    }

    private mutating func fill(_ value: JSONValue, depth: Int) throws(FormatError) {
        guard depth < shape.count else {
            guard let number = value.doubleValue else {
                throw .malformed("\(file) has \(value.kindName) in its table, in place \(values.count): loads are numbers")
            }
            values.append(number)
            return
        }
        guard let elements = value.arrayValue, elements.count == shape[depth] else {
            let found = value.arrayValue.map { "\($0.count) elements" } ?? value.kindName
            throw .malformed("\(file) has a row with \(found) after \(values.count) loads: the first of its kind has \(shape[depth])")
        }
        for element in elements { try fill(element, depth: depth + 1) }
    }
}

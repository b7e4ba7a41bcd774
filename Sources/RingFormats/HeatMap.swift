// A picture of what placement does: hosts by layers, before and after, each cell a host's load over its layer's mean. A pure function from
// two tables to SVG, which browsers show and people put into reports.
//
// More hosts than columns share one: a column then shows its busiest host, because a layer waits for that one. White is an even share,
// blue is less, red is more, by the logarithm, so that one host with thirty times the mean does not make three times it look like nothing.
// Both halves have the same scale, so that a pale right half is the answer.

import Glibc

/// Loads of hosts by layer.
public struct HostLoads: Hashable, Sendable {
    /// Layers.
    public let layers: Int
    /// Hosts.
    public let hosts: Int
    /// Loads, [layers, hosts] in row order; tokens, or seconds where hosts are not equally fast.
    public let values: [Double]

    /// A table. Throws for another count of figures, or for one that is negative or no number.
    public init(layers: Int, hosts: Int, values: [Double]) throws(FormatError) {
        guard layers >= 1, hosts >= 1, layers <= 1 << 16, hosts <= 1 << 20, values.count == layers * hosts else {
            throw .invalid("loads of \(layers) layers and \(hosts) hosts are not \(values.count) figures")
        }
        guard values.allSatisfy({ $0 >= 0 && $0 < .infinity }) else { throw .invalid("loads of hosts are finite and at least 0") }
        (self.layers, self.hosts, self.values) = (layers, hosts, values)
    }

    /// Load of a host over its layer's mean; 1 where a layer has no load at all.
    func relative() -> [Double] {
        var result = values
        for layer in 0..<layers {
            let row = layer * hosts..<(layer + 1) * hosts
            let mean = values[row].reduce(0, +) / Double(hosts)
            for place in row { result[place] = mean > 0 ? values[place] / mean : 1 }
        }
        return result
    }

    /// Sum of the layers' means over the sum of their greatest: 1 is an even load everywhere.
    public var balance: Double {
        var (means, greatest) = (0.0, 0.0)
        for layer in 0..<layers {
            let row = values[layer * hosts..<(layer + 1) * hosts]
            means += row.reduce(0, +) / Double(hosts)
            greatest += row.max() ?? 0
        }
        return greatest > 0 ? means / greatest : 1
    }
}

/// Two tables of the same hosts and layers as one picture.
public struct HeatMap: Sendable {
    private let title: String
    private let panels: [(name: String, loads: HostLoads)]

    /// The loads of hosts before and after a change. Throws if the two are not of the same hosts and layers.
    public init(before: HostLoads, after: HostLoads, title: String, names: (before: String, after: String) = ("before", "after"))
        throws(FormatError)
    {
        guard before.layers == after.layers, before.hosts == after.hosts else {
            throw .invalid(
                "a heat map needs the same hosts and layers twice, got \(before.layers) x \(before.hosts) and \(after.layers) x \(after.hosts)"
            )
        }
        self.title = title
        panels = [(names.before, before), (names.after, after)]
    }

    /// Widest and highest a half may be in cells, so that a cell is still seen.
    private static let columnsMax = 224
    private static let rowsMax = 128

    /// The picture. The same tables give the same text.
    public var svg: String {
        let grids = panels.map { Grid($0.loads, columnsMax: Self.columnsMax, rowsMax: Self.rowsMax) }
        let cell = (width: max(3, 560 / grids[0].columns), height: max(4, min(18, 440 / grids[0].rows)))
        let size = (width: grids[0].columns * cell.width, height: grids[0].rows * cell.height)
        let top = grids.map(\.greatest).max() ?? 1
        let scale = HeatScale(greatest: top)
        let (left, above, gap) = (64, 84, 92)
        let width = left + 2 * size.width + gap + 48
        let height = above + size.height + 122
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" viewBox="0 0 \(width) \(height)" \
            font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#222">
            <rect width="\(width)" height="\(height)" fill="#fff"/>
            <text x="\(left)" y="30" font-size="17" font-weight="bold">\(Self.escaped(title))</text>

            """
        for (number, grid) in grids.enumerated() {
            let x = left + number * (size.width + gap)
            text += half(panels[number], grid, scale, at: (x, above), cell)
        }
        return text + legend(scale, grids[0], at: (left, above + size.height + 68)) + "</svg>\n"
    }

    private func half(
        _ panel: (name: String, loads: HostLoads), _ grid: Grid, _ scale: HeatScale, at origin: (x: Int, y: Int),
        _ cell: (width: Int, height: Int)
    ) -> String {
        let (width, height) = (grid.columns * cell.width, grid.rows * cell.height)
        var text = """
            <text x="\(origin.x)" y="\(origin.y - 30)" font-weight="bold">\(Self.escaped(panel.name))</text>
            <text x="\(origin.x)" y="\(origin.y - 12)">balance \(Self.figure(panel.loads.balance, 3)); \
            busiest host \(Self.figure(grid.greatest, 2)) times the mean, in layer \(grid.worstLayer)</text>

            """
        text += cells(grid, scale, at: origin, cell)
        text += "<rect x=\"\(origin.x)\" y=\"\(origin.y)\" width=\"\(width)\" height=\"\(height)\" fill=\"none\" stroke=\"#888\"/>\n"
        for tick in Self.ticks(panel.loads.hosts, most: 8) {
            let x = origin.x + min(width, (tick / grid.hostsEach) * cell.width + cell.width / 2)
            text += "<path d=\"M\(x) \(origin.y + height)v5\" stroke=\"#555\"/>"
            text += "<text x=\"\(x)\" y=\"\(origin.y + height + 19)\" text-anchor=\"middle\">\(tick)</text>\n"
        }
        for tick in Self.ticks(panel.loads.layers, most: 10) {
            let y = origin.y + min(height, (tick / grid.layersEach) * cell.height + cell.height / 2)
            text += "<path d=\"M\(origin.x - 5) \(y)h5\" stroke=\"#555\"/>"
            text += "<text x=\"\(origin.x - 8)\" y=\"\(y + 4)\" text-anchor=\"end\">\(tick)</text>\n"
        }
        let (middle, centre) = (origin.y + height / 2, origin.x + width / 2)
        text += "<text x=\"\(centre)\" y=\"\(origin.y + height + 37)\" text-anchor=\"middle\">host</text>\n"
        text += "<text transform=\"translate(\(origin.x - 44) \(middle)) rotate(-90)\" text-anchor=\"middle\">layer</text>\n"
        return text
    }

    /// All cells, one path for each colour, neighbours in a row as one piece.
    private func cells(_ grid: Grid, _ scale: HeatScale, at origin: (x: Int, y: Int), _ cell: (width: Int, height: Int)) -> String {
        var paths = [String](repeating: "", count: HeatScale.levels)
        for row in 0..<grid.rows {
            var column = 0
            while column < grid.columns {
                let level = scale.level(grid.values[row * grid.columns + column])
                let start = column
                while column < grid.columns, scale.level(grid.values[row * grid.columns + column]) == level { column += 1 }
                let run = (column - start) * cell.width
                paths[level] += "M\(origin.x + start * cell.width) \(origin.y + row * cell.height)h\(run)v\(cell.height)h-\(run)z"
            }
        }
        return paths.enumerated().filter { !$0.element.isEmpty }.map { level, path in
            "<path fill=\"\(scale.colour(level))\" shape-rendering=\"crispEdges\" d=\"\(path)\"/>\n"
        }.joined()
    }

    private func legend(_ scale: HeatScale, _ grid: Grid, at origin: (x: Int, y: Int)) -> String {
        let step = 5
        var text = "<text x=\"\(origin.x)\" y=\"\(origin.y - 6)\">load of a host over its layer's mean</text>\n"
        for level in 0..<HeatScale.levels {
            text +=
                "<rect x=\"\(origin.x + level * step)\" y=\"\(origin.y)\" width=\"\(step)\" height=\"14\" fill=\"\(scale.colour(level))\"/>"
        }
        let top = HeatScale.levels - 1
        let marks = [
            (0, "0"), (HeatScale.even, "1 (even)"), ((HeatScale.even + top) / 2, Self.figure(scale.greatest.squareRoot(), 2)),
            (top, Self.figure(scale.greatest, 2)),
        ]
        for (level, name) in marks {
            let x = origin.x + level * step + step / 2
            text += "<path d=\"M\(x) \(origin.y + 14)v4\" stroke=\"#555\"/>"
            text += "<text x=\"\(x)\" y=\"\(origin.y + 31)\" text-anchor=\"middle\">\(name)</text>\n"
        }
        var notes: [String] = []
        if grid.hostsEach > 1 { notes.append("a column is the busiest of \(grid.hostsEach) hosts") }
        if grid.layersEach > 1 { notes.append("a row is the worst of \(grid.layersEach) layers") }
        guard !notes.isEmpty else { return text }
        let x = origin.x + HeatScale.levels * step + 40
        return text + "<text x=\"\(x)\" y=\"\(origin.y + 11)\">\(notes.joined(separator: "; "))</text>\n"
    }

    /// Round numbers from 0 below `count`, at most `most` of them: steps of 1, 2 or 5 times a power of ten.
    static func ticks(_ count: Int, most: Int) -> [Int] {
        var (step, turn) = (1, 0)
        while (count + step - 1) / step > most {
            step = turn % 3 == 1 ? step / 2 * 5 : step * 2
            turn += 1
        }
        return Array(stride(from: 0, to: count, by: step))
    }

    /// A number with so many digits after the point.
    static func figure(_ value: Double, _ digits: Int) -> String {
        var unit = 1
        for _ in 0..<digits { unit *= 10 }
        guard value.magnitude < 1e12 else { return "\(value)" }
        let scaled = Int((value.magnitude * Double(unit)).rounded())
        let rest = String(scaled % unit)
        let sign = value < 0 && scaled > 0 ? "-" : ""
        return digits == 0 ? "\(sign)\(scaled)" : "\(sign)\(scaled / unit).\(String(repeating: "0", count: digits - rest.count))\(rest)"
    }

    /// Text that may stand in XML: names come from files.
    static func escaped(_ text: String) -> String {
        var clean = ""
        for scalar in text.unicodeScalars.prefix(200) {
            switch scalar {
            case "&": clean += "&amp;"
            case "<": clean += "&lt;"
            case ">": clean += "&gt;"
            case "\"": clean += "&quot;"
            default: clean.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7F ? "?" : scalar)
            }
        }
        return clean
    }
}

/// Cells: hosts and layers in groups, each with its greatest value.
private struct Grid {
    let columns: Int
    let rows: Int
    let hostsEach: Int
    let layersEach: Int
    private(set) var values: [Double]
    private(set) var greatest = 0.0
    private(set) var worstLayer = 0

    init(_ loads: HostLoads, columnsMax: Int, rowsMax: Int) {
        hostsEach = (loads.hosts + columnsMax - 1) / columnsMax
        layersEach = (loads.layers + rowsMax - 1) / rowsMax
        columns = (loads.hosts + hostsEach - 1) / hostsEach
        rows = (loads.layers + layersEach - 1) / layersEach
        values = [Double](repeating: 0, count: columns * rows)
        let relative = loads.relative()
        for layer in 0..<loads.layers {
            for host in 0..<loads.hosts {
                let value = relative[layer * loads.hosts + host]
                let place = layer / layersEach * columns + host / hostsEach
                values[place] = max(values[place], value)
                if value > greatest { (greatest, worstLayer) = (value, layer) }
            }
        }
    }
}

/// Colours from blue over white to red: white is 1, blue goes down to 0 in even steps, red up to the greatest value in even ratios.
struct HeatScale {
    /// Colours that there are.
    static let levels = 65
    /// The one that is white.
    static let even = 24

    /// What the last colour stands for: at least 1.05, so that noise does not look like a fire.
    let greatest: Double

    init(greatest: Double) { self.greatest = max(1.05, greatest) }

    /// The colour of a value.
    func level(_ value: Double) -> Int {
        if value <= 1 { return Int((max(0, value) * Double(Self.even)).rounded()) }
        let share = min(1, log(value) / log(greatest))
        return Self.even + Int((share * Double(Self.levels - 1 - Self.even)).rounded())
    }

    /// A colour as SVG has it. Ends: a blue and a red that differ in lightness from white alike, so that print and eyes that see no red
    /// tell them from it; red goes on to dark.
    func colour(_ level: Int) -> String {
        let stops: [(place: Double, red: Double, green: Double, blue: Double)] = [
            (0, 33, 102, 172), (0.5, 146, 197, 222), (1, 250, 250, 247), (1.35, 244, 165, 130), (1.7, 214, 60, 55), (2, 90, 0, 25),
        ]
        let place =
            level <= Self.even
            ? Double(level) / Double(Self.even) : 1 + Double(level - Self.even) / Double(Self.levels - 1 - Self.even)
        let next = stops.firstIndex { $0.place >= place } ?? stops.count - 1
        let (low, high) = (stops[max(0, next - 1)], stops[next])
        let share = high.place > low.place ? (place - low.place) / (high.place - low.place) : 1
        func part(_ one: Double, _ other: Double) -> String {
            let value = Int((one + (other - one) * share).rounded())
            return (value < 16 ? "0" : "") + String(value, radix: 16)
        }
        return "#" + part(low.red, high.red) + part(low.green, high.green) + part(low.blue, high.blue)
    }
}

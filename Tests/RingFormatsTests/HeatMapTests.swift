// The picture of placement: what it says in words is right, its size is bounded, and names cannot break it.

import Foundation
import RingFormats
import Testing

@Suite("Heat maps")
struct HeatMapTests {
    /// A Zipf-like table, seed 5, and an even one beside it.
    private func map(layers: Int, hosts: Int, title: String = "a map") throws -> String {
        var generator = SeededGenerator(state: 5)
        let before = (0..<layers * hosts).map { _ in 1000 / Double(1 + generator.below(200)) }
        let after = (0..<layers * hosts).map { _ in 1000 + Double(generator.below(30)) }
        return try HeatMap(
            before: HostLoads(layers: layers, hosts: hosts, values: before), after: HostLoads(layers: layers, hosts: hosts, values: after),
            title: title
        ).svg
    }

    @Test("balance and the busiest host are said in words")
    func words() throws {
        // Layer means 2 and 4, greatest 3 and 4: balance 6/7; the busiest host has 1.5 times the mean, in layer 0.
        let before = try HostLoads(layers: 2, hosts: 2, values: [1, 3, 4, 4])
        let after = try HostLoads(layers: 2, hosts: 2, values: [2, 2, 4, 4])
        #expect(abs(before.balance - 6.0 / 7) < 1e-12 && after.balance == 1)
        let svg = try HeatMap(before: before, after: after, title: "two").svg
        #expect(
            svg.contains("balance 0.857; busiest host 1.50 times the mean, in layer 0") && svg.contains("balance 1.000; busiest host 1.00"))
        #expect(svg.contains("1 (even)") && svg.contains(">layer<") && svg.contains(">host<") && !svg.contains("busiest of"))
    }

    @Test(
        "any number of hosts and layers gives a picture of bounded size", arguments: [(1, 1), (58, 8), (60, 64), (92, 896), (300, 10_000)])
    func sizes(layers: Int, hosts: Int) throws {
        let svg = try map(layers: layers, hosts: hosts)
        #expect(isWellFormed(svg) && svg.utf8.count < 1_500_000, "\(svg.utf8.count) bytes")
        #expect(svg.contains("busiest of \((hosts + 223) / 224) hosts") == (hosts > 224))
        #expect(svg.contains("worst of \((layers + 127) / 128) layers") == (layers > 128))
        #expect(try map(layers: layers, hosts: hosts) == svg)
    }

    @Test("a single busy host among thousands is still seen")
    func needle() throws {
        var values = [Double](repeating: 1, count: 10_000)
        let even = try HostLoads(layers: 1, hosts: 10_000, values: values)
        values[7777] = 50
        let svg = try HeatMap(before: HostLoads(layers: 1, hosts: 10_000, values: values), after: even, title: "needle").svg
        #expect(svg.contains("busiest host 49.76 times the mean"))
        // The darkest red stands for it: once in the legend and once in a cell.
        #expect(svg.components(separatedBy: "#5a0019").count == 3)
    }

    @Test("names and titles are text, whatever is in them")
    func escaped() throws {
        let loads = try HostLoads(layers: 1, hosts: 1, values: [0])
        let svg = try HeatMap(before: loads, after: loads, title: "<script>&\"\u{1}", names: ("a<b", "c&d")).svg
        #expect(isWellFormed(svg) && !svg.contains("<script>") && svg.contains("a&lt;b") && svg.contains("c&amp;d"))
    }

    @Test("tables that do not belong together are refused")
    func bad() throws {
        #expect(sentence { _ = try HostLoads(layers: 2, hosts: 2, values: [1]) }.contains("not 1 figures"))
        #expect(sentence { _ = try HostLoads(layers: 0, hosts: 2, values: []) }.contains("not 0 figures"))
        #expect(sentence { _ = try HostLoads(layers: 1, hosts: 1, values: [-1]) }.contains("at least 0"))
        let (one, two) = (try HostLoads(layers: 1, hosts: 1, values: [1]), try HostLoads(layers: 1, hosts: 2, values: [1, 1]))
        #expect(sentence { _ = try HeatMap(before: one, after: two, title: "x") }.contains("1 x 1 and 1 x 2"))
    }
}

/// Whether elements close in order and text is escaped: enough of XML for what is drawn here.
private func isWellFormed(_ text: String) -> Bool {
    var open: [Substring] = []
    for piece in text.split(separator: "<") {
        guard let end = piece.firstIndex(of: ">") else { return false }
        let tag = piece[..<end]
        if tag.hasPrefix("/") {
            if open.popLast() != tag.dropFirst() { return false }
        } else if !tag.hasSuffix("/") {
            open.append(tag.prefix { !$0.isWhitespace })
        }
        let words = piece[end...].dropFirst()
        if words.contains(">") { return false }
        let entities = words.split(separator: "&", omittingEmptySubsequences: false).dropFirst()
        if entities.contains(where: { !$0.prefix(6).contains(";") }) { return false }
    }
    return open.isEmpty
}

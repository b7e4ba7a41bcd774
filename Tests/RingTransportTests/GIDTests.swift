// Which address of an RDMA port is chosen, on tables as devices have them.
import RingTransport
import Testing

@Suite("RDMA addresses")
struct GIDTests {
    private static func ipv4(_ text: String) -> [UInt8] {
        [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + text.split(separator: ".").map { UInt8($0) ?? 0 }
    }
    private static let linkLocal: [UInt8] = [0xFE, 0x80] + [UInt8](repeating: 0, count: 6) + [0x50, 0x54, 0, 0xFF, 0xFE, 0, 0, 1]
    private static let global: [UInt8] = [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [7]

    private static func entry(_ index: Int, _ bytes: [UInt8], _ kind: GID.Kind) -> GIDEntry? {
        GID(bytes).map { GIDEntry(index: index, gid: $0, kind: kind) }
    }

    /// As an mlx5 port with two addresses shows it: every address once for each kind of packet.
    private static let table = [
        entry(0, linkLocal, .roceV1), entry(1, linkLocal, .roceV2), entry(2, global, .roceV1), entry(3, global, .roceV2),
        entry(4, ipv4("10.1.0.5"), .roceV1), entry(5, ipv4("10.1.0.5"), .roceV2), entry(6, ipv4("192.168.7.2"), .roceV2),
        entry(7, [UInt8](repeating: 0, count: 16), .roceV2),
    ].compactMap { $0 }

    @Test("RoCE v2 with an IPv4 address comes first, the data plane's own before all")
    func order() {
        #expect(GIDRule.choose(Self.table, isEthernet: true)?.index == 5)
        #expect(GIDRule.choose(Self.table, isEthernet: true, ownAddress: "192.168.7.2")?.index == 6)
        #expect(GIDRule.choose(Self.table, isEthernet: true, ownAddress: "0.0.0.0")?.index == 5)
        let others = Self.table.filter { $0.gid.ipv4 == nil }
        #expect(GIDRule.choose(others, isEthernet: true)?.index == 3)
        #expect(GIDRule.choose(others.filter { $0.gid.isLinkLocal }, isEthernet: true)?.index == 1)
        #expect(GIDRule.choose(Self.table.filter { $0.kind == .roceV1 }, isEthernet: true)?.index == 0)
    }

    @Test("an index that is asked for is used or refused, never replaced")
    func wanted() {
        #expect(GIDRule.choose(Self.table, isEthernet: true, wanted: 2)?.index == 2)
        #expect(GIDRule.choose(Self.table, isEthernet: true, wanted: 7) == nil)
        #expect(GIDRule.choose(Self.table, isEthernet: true, wanted: 99) == nil)
        #expect(GIDRule.choose([], isEthernet: true) == nil)
    }

    @Test("an InfiniBand port is its own first entry")
    func infiniBand() {
        let entries = [Self.entry(1, Self.global, .infiniBand), Self.entry(0, Self.linkLocal, .infiniBand)].compactMap { $0 }
        #expect(GIDRule.choose(entries, isEthernet: false)?.index == 0)
    }

    @Test("addresses are printed as people write them")
    func text() throws {
        #expect(GID(Self.ipv4("10.1.0.5"))?.description == "::ffff:10.1.0.5")
        #expect(GID(Self.linkLocal)?.description == "fe80:0000:0000:0000:5054:00ff:fe00:0001")
        #expect(GID([1, 2, 3]) == nil)
    }
}

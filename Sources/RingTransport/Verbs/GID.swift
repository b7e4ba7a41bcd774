// The address of an RDMA port, and the rule by which one of the several that a port has is chosen.

/// A 16-byte address of a port: an IPv6 address, or an IPv4 one behind `::ffff:`.
public struct GID: Hashable, Sendable, CustomStringConvertible {
    /// How packets that carry the address look.
    public enum Kind: Int, Hashable, Sendable {
        /// InfiniBand.
        case infiniBand = 0
        /// Ethernet frames of their own type; they do not pass a router.
        case roceV1 = 1
        /// UDP over IP.
        case roceV2 = 2
    }

    /// The 16 bytes, in the order of the wire.
    public let bytes: [UInt8]

    /// An address of these 16 bytes; `nil` when there are not as many.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    /// True for an entry of the table that holds no address.
    public var isZero: Bool { bytes.allSatisfy { $0 == 0 } }

    /// The IPv4 address as text, where it is one.
    public var ipv4: String? {
        guard bytes[..<10].allSatisfy({ $0 == 0 }), bytes[10] == 0xFF, bytes[11] == 0xFF else { return nil }
        return bytes[12...].map(String.init).joined(separator: ".")
    }

    /// True for `fe80::/10`, which every interface has and no router forwards.
    public var isLinkLocal: Bool { bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80 }

    /// `::ffff:10.77.0.1`, or eight groups of four digits.
    public var description: String {
        if let ipv4 { return "::ffff:\(ipv4)" }
        return stride(from: 0, to: 16, by: 2).map { at in
            let group = String(Int(bytes[at]) << 8 | Int(bytes[at + 1]), radix: 16)
            return String(repeating: "0", count: 4 - group.count) + group
        }.joined(separator: ":")
    }
}

/// One entry of a port's address table.
public struct GIDEntry: Hashable, Sendable {
    /// Its place in the table.
    public let index: Int
    /// The address.
    public let gid: GID
    /// How its packets look.
    public let kind: GID.Kind

    /// The entry at `index`.
    public init(index: Int, gid: GID, kind: GID.Kind) { (self.index, self.gid, self.kind) = (index, gid, kind) }
}

/// Which address of a port a ring uses. On Ethernet: the RoCE v2 entry that is the data plane's own address, then RoCE v2
/// with an IPv4 address, then RoCE v2 with an IPv6 address that routers forward, then RoCE v2 with a link-local one, then
/// RoCE v1; among equals the lowest index. On InfiniBand entry 0, which is the port itself.
package enum GIDRule {
    /// The entry to use, or `nil` when the port has none that fits. `wanted` overrides the rule; `ownAddress` is the
    /// numeric address at which the data plane listens.
    package static func choose(_ entries: [GIDEntry], isEthernet: Bool, wanted: Int? = nil, ownAddress: String? = nil) -> GIDEntry? {
        let sound = entries.filter { !$0.gid.isZero }
        if let wanted { return sound.first { $0.index == wanted } }
        if !isEthernet { return sound.min { $0.index < $1.index } }
        return sound.min { (place($0, ownAddress), $0.index) < (place($1, ownAddress), $1.index) }
    }

    private static func place(_ entry: GIDEntry, _ ownAddress: String?) -> Int {
        guard entry.kind == .roceV2 else { return 4 }
        if let ipv4 = entry.gid.ipv4 { return ipv4 == ownAddress ? 0 : 1 }
        return entry.gid.isLinkLocal ? 3 : 2
    }
}

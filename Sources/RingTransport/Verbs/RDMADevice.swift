// Which RDMA ports this machine has, and which of them a ring uses.
import CVerbs
import Glibc

/// One port of one device.
public struct RDMADevice: Hashable, Sendable {
    /// As `ibv_devices` lists it.
    public let name: String
    /// The port's number, from one.
    public let port: Int
    /// True when packets can go in and out.
    public let isActive: Bool
    /// `active`, `down`, ...
    public let state: String
    /// RoCE rather than InfiniBand.
    public let isEthernet: Bool
    /// Bytes of a packet.
    public let mtuBytes: Int
    /// The address that the rule or the options choose; `nil` when the port has none that fits.
    public let address: GIDEntry?
    let lid: UInt16
    let mtu: UInt8

    /// Every port of every device, in order of names; empty on a machine without RDMA, which is no error.
    public static func all(_ options: RDMAOptions = RDMAOptions(), ownAddress: String? = nil) -> [RDMADevice] {
        var found: [RDMADevice] = []
        unsafe forEachDevice { name, device in
            guard let context = unsafe ibv_open_device(device) else { return }
            defer { _ = unsafe ibv_close_device(context) }
            unsafe found += ports(of: context, named: name, options, ownAddress)
        }
        return found.sorted { ($0.name, $0.port) < ($1.name, $1.port) }
    }

    /// The port that a ring uses: the first that is up and has an address. Throws `.system` with what stands in the way.
    public static func choose(_ options: RDMAOptions = RDMAOptions(), ownAddress: String? = nil) throws(TransportError) -> RDMADevice {
        let all = all(options, ownAddress: ownAddress)
        if all.isEmpty { throw .system("this machine has no RDMA device (ibv_devices lists none)") }
        let wanted = all.filter { options.device == nil || options.device == $0.name || options.device == "\($0.name):\($0.port)" }
        guard !wanted.isEmpty else {
            let names = all.map { "\($0.name):\($0.port)" }.joined(separator: ", ")
            throw .system("there is no RDMA device \(options.device ?? ""); there are: \(names)")
        }
        // The port that has the data plane's own address reaches whom the data plane reaches.
        let usable = wanted.filter { $0.isActive && $0.address != nil }
        if let own = usable.first(where: { ownAddress != nil && $0.address?.gid.ipv4 == ownAddress }) ?? usable.first { return own }
        let states = wanted.map { device in
            device.isActive
                ? "\(device.name):\(device.port) has no address \(options.gidIndex.map { "at index \($0)" } ?? "in its table")"
                : "\(device.name):\(device.port) is \(device.state)"
        }
        throw .system("no RDMA port can be used: \(states.joined(separator: ", "))")
    }

    /// Bytes of memory that this process may lock, and so register with a device; `nil` without a limit.
    public static var lockedBytesLimit: UInt64? {
        let limit = ring_verbs_memlock_limit()
        return limit == .max ? nil : limit
    }

    private static func forEachDevice(_ body: (String, UnsafeMutablePointer<ibv_device>) -> Void) {
        var (count, error): (Int32, Int32) = (0, 0)
        guard let list = unsafe ring_verbs_devices(&count, &error) else { return }
        defer { unsafe ibv_free_device_list(list) }
        for place in 0..<Int(count) {
            guard let device = unsafe list[place], let name = unsafe ibv_get_device_name(device) else { continue }
            unsafe body(String(cString: name), device)
        }
    }

    /// Opens the device by its name. Throws `.system` when it is gone or may not be opened.
    static func open(_ name: String) throws(TransportError) -> UnsafeMutablePointer<ibv_context> {
        var opened: UnsafeMutablePointer<ibv_context>?
        unsafe forEachDevice { candidate, device in
            if unsafe candidate == name && opened == nil { unsafe opened = ibv_open_device(device) }
        }
        guard let opened = unsafe opened else {
            throw .system("the RDMA device \(name) cannot be opened; is /dev/infiniband readable for this user?")
        }
        return unsafe opened
    }

    private static func ports(
        of context: UnsafeMutablePointer<ibv_context>, named name: String, _ options: RDMAOptions, _ ownAddress: String?
    ) -> [RDMADevice] {
        var attributes = ibv_device_attr()
        guard unsafe ibv_query_device(context, &attributes) == 0 else { return [] }
        return (1...max(Int(attributes.phys_port_cnt), 1)).compactMap { number in
            var port = ring_verbs_port()
            guard unsafe ring_verbs_query_port(context, UInt8(number), &port) == 0 else { return nil }
            let entries = unsafe addresses(of: context, port: number, count: Int(port.gids))
            return RDMADevice(
                name: name, port: number, isActive: port.is_active, state: VerbsText.state(port.state),
                isEthernet: port.is_ethernet, mtuBytes: 128 << Int(port.mtu),
                address: GIDRule.choose(entries, isEthernet: port.is_ethernet, wanted: options.gidIndex, ownAddress: ownAddress),
                lid: port.lid, mtu: port.mtu)
        }
    }

    private static func addresses(of context: UnsafeMutablePointer<ibv_context>, port: Int, count: Int) -> [GIDEntry] {
        (0..<count).compactMap { index in
            var entry = ring_verbs_gid()
            guard unsafe ring_verbs_query_gid(context, UInt8(port), Int32(index), &entry) == 0 else { return nil }
            let bytes = unsafe withUnsafeBytes(of: entry.bytes) { unsafe Array($0) }
            guard let gid = GID(bytes), let kind = GID.Kind(rawValue: Int(entry.type)) else { return nil }
            return GIDEntry(index: index, gid: gid, kind: kind)
        }
    }
}

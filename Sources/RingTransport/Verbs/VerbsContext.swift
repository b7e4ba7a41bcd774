// One transport's hold on an RDMA device: the opened port, the memory that is registered there, and what happens to it.
import CVerbs
import Glibc
import RingCore
import Synchronization

/// How far a lane is with the undertaking to end registrations.
struct Retirement: BitwiseCopyable {
    /// Number of the last one that it agreed to.
    var agreed = 0
    /// Windows that were to be ended when the present one began.
    var endings: Int?
    /// Frames that it had posted when these were.
    var mark: UInt64?
}

/// Memory that the device may use, until `end`.
///
/// Unchecked because the library's pointer does not change, and whoever ends it is the only one who knows it by then.
@safe struct Registration: @unchecked Sendable {
    fileprivate let region: UnsafeMutablePointer<ibv_mr>

    /// The device uses it no longer.
    func end() { _ = unsafe ibv_dereg_mr(region) }
}

/// The device as one transport uses it. Made by the caller's thread, then shared: the caller registers memory, the I/O
/// thread does all else.
///
/// Unchecked because it holds the library's pointers, which never change after `init`; the table of registrations, whose
/// entries the caller writes before it posts on them (the command ring orders that) and changes only when no post is
/// outstanding; and the I/O thread's own variables, which the connecting thread touches only before that thread starts.
/// The library itself may be called by several threads.
@safe package final class VerbsContext: MemoryRegistrar, @unchecked Sendable {
    /// How peers and the device name registered memory.
    @safe struct Pinned: BitwiseCopyable {
        var base: UnsafeMutableRawPointer
        /// The name of the first byte; keeps the address's place in a huge page and nothing else of it.
        var origin: UInt64
        var localKey: UInt32
        var remoteKey: UInt32
        /// What windows are bound to.
        var region: UnsafeMutablePointer<ibv_mr>
    }

    let device: RDMADevice
    let options: RDMAOptions
    /// Entries that a completion queue may have.
    let completionEntries: Int
    /// Peers are given keys to windows and not to whole registrations.
    package let hasWindows: Bool
    let context: UnsafeMutablePointer<ibv_context>
    let domain: UnsafeMutablePointer<ibv_pd>
    private let pinned: UnsafeMutablePointer<Pinned?>
    private let registrations: Mutex<Registrations>
    /// Registrations that wait for the end of the work posted before them.
    private let retiredCount = Atomic<Int>(0)

    // The I/O thread's own.
    private var lookedAt: Moment?
    private var portDownSince: Moment?
    /// Why no lane of this device carries anything any more, completing "lost: ".
    private(set) var failure: String?
    /// Registrations that are being ended, the number of that undertaking, and lanes that have not agreed to it.
    private var retiring = 0
    private var generation = 0
    private var waiting = 0
    private var lanes = 0

    private struct Registrations {
        var live: [Registration?] = []
        var retired: [Registration] = []
    }

    /// Opens `device`. Throws `.system` with what the device or the system refuses.
    package init(_ device: RDMADevice, options: RDMAOptions) throws(TransportError) {
        (self.device, self.options) = (device, options)
        let context = unsafe try RDMADevice.open(device.name)
        var attributes = ibv_device_attr()
        let error = unsafe ibv_query_device(context, &attributes)
        guard error == 0, let domain = unsafe ibv_alloc_pd(context) else {
            let reason = systemText(error != 0 ? error : errno)
            _ = unsafe ibv_close_device(context)
            throw .system("\(device.name) cannot be used: \(reason)")
        }
        hasWindows = unsafe options.windows && ring_verbs_has_windows(&attributes)
        completionEntries = min(Int(attributes.max_cqe), options.completionEntries ?? .max)
        _ = unsafe ring_verbs_make_nonblocking(context.pointee.async_fd)
        unsafe self.domain = domain
        unsafe self.context = context
        unsafe pinned = .allocate(capacity: TransportLimits.regions)
        unsafe pinned.initialize(repeating: nil, count: TransportLimits.regions)
        registrations = Mutex(Registrations())
    }

    deinit {
        registrations.withLock { registrations in
            for case let registration? in registrations.live { registration.end() }
            for registration in registrations.retired { registration.end() }
        }
        _ = unsafe ibv_dealloc_pd(domain)
        _ = unsafe ibv_close_device(context)
        unsafe pinned.deallocate()
    }

    // MARK: Memory, from the caller's thread

    /// Registers memory under the place that the transport's table gave it. Throws `.system`, with the way out where the
    /// limit on locked memory is the reason.
    package func register(_ bytes: UnsafeMutableRawBufferPointer, at index: Int) throws(TransportError) {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return }
        let (entry, registration) = try unsafe pin(base, bytes.count, isRemote: true)
        unsafe pinned[index] = entry
        registrations.withLock { registrations in
            while registrations.live.count <= index { registrations.live.append(nil) }
            registrations.live[index] = registration
        }
    }

    /// The transport forgets the memory. Its registration goes when the I/O thread sees that nothing posted before can use
    /// it any more; the pages stay where they are until then, whatever their owner does.
    package func unregister(at index: Int) {
        unsafe pinned[index] = nil
        registrations.withLock { registrations in
            guard index < registrations.live.count, let registration = registrations.live[index] else { return }
            registrations.live[index] = nil
            registrations.retired.append(registration)
            retiredCount.add(1, ordering: .releasing)
        }
    }

    /// Registers memory of the transport's own, which peers may not write; the caller frees it.
    func pin(_ base: UnsafeMutableRawPointer, _ count: Int, isRemote: Bool) throws(TransportError)
        -> (Pinned, Registration)
    {
        let origin = UInt64(UInt(bitPattern: base)) & (2 << 20 - 1)
        var error: Int32 = 0
        let (byKey, byWindow) = (isRemote && !hasWindows, isRemote && hasWindows)
        guard let region = unsafe ring_verbs_register(domain, base, count, origin, byKey, byWindow, &error) else {
            throw .system(VerbsText.pinning(count, error: error, device: device.name))
        }
        return unsafe (
            Pinned(
                base: base, origin: origin, localKey: region.pointee.lkey, remoteKey: region.pointee.rkey, region: region),
            Registration(region: region)
        )
    }

    // MARK: From the I/O thread

    /// How the device names the memory of a post; `nil` for the empty memory that is not registered.
    func place(of start: UnsafeMutableRawPointer, in region: Int) -> (place: UInt64, pinned: Pinned)? {
        guard let entry = unsafe pinned[region] else { return nil }
        return unsafe (entry.origin + UInt64(start - entry.base), entry)
    }

    /// True when the port is down now; for somebody who has just failed, before the event of it has come.
    var isPortDown: Bool {
        var port = ring_verbs_port()
        return unsafe portDownSince != nil || ring_verbs_query_port(context, UInt8(device.port), &port) != 0 || !port.is_active
    }

    /// Looks for news of the device, at most every 50 ms, and begins and ends retirements.
    func look(at now: Moment) {
        if let lookedAt, now.seconds(since: lookedAt) < 0.05 { return }
        lookedAt = now
        while let event = nextEvent() {
            switch event {
            case .portDown: if portDownSince == nil { portDownSince = now }
            case .portUp: portDownSince = nil
            case .deviceGone: failure = failure ?? "RDMA: \(device.name) failed or was taken away here"
            }
        }
        if let since = portDownSince, now.seconds(since: since) > options.portGrace.inSeconds {
            failure = failure ?? "RDMA: port \(device.port) of \(device.name) is down here"
        }
        if retiring > 0 && waiting <= 0 {
            free(retiring)
            retiring = 0
        }
        if retiring == 0 {
            retiring = retiredCount.load(ordering: .acquiring)
            if retiring > 0 { (generation, waiting) = (generation + 1, lanes) }
        }
    }

    func addLane() { lanes += 1 }

    /// A lane has ended; nobody waits for it.
    func removeLane(_ retirement: Retirement) {
        lanes -= 1
        if isRetiring(retirement) { waiting -= 1 }
    }

    /// True when a lane has not agreed to the retirement under way.
    func isRetiring(_ retirement: Retirement) -> Bool { retiring > 0 && retirement.agreed != generation }

    /// All frames that a lane had posted when the retirement began have left.
    func agree(_ retirement: inout Retirement) {
        retirement = Retirement(agreed: generation)
        waiting -= 1
    }

    private func free(_ count: Int) {
        registrations.withLock { registrations in
            for _ in 0..<min(count, registrations.retired.count) {
                registrations.retired.removeFirst().end()
                retiredCount.subtract(1, ordering: .relaxed)
            }
        }
    }

    /// What happened to the device since the last call.
    private enum Event {
        case portDown
        case portUp
        case deviceGone
    }

    private func nextEvent() -> Event? {
        while true {
            var port: Int32 = 0
            let type = unsafe ring_verbs_next_event(context, &port)
            if type < 0 { return nil }
            let isOurs = Int(port) == device.port
            switch UInt32(bitPattern: type) {
            case IBV_EVENT_PORT_ERR.rawValue where isOurs: return .portDown
            case IBV_EVENT_PORT_ACTIVE.rawValue where isOurs: return .portUp
            case IBV_EVENT_DEVICE_FATAL.rawValue: return .deviceGone
            // The end of a queue or of a pair shows there, too.
            default: continue
            }
        }
    }
}

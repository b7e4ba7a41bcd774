// Keys that open one block and no more. A registration is a worker's whole arena, and its key would stay good for as long as the
// lane stands; so what a consent names is a memory window of type 2, bound to the block just before the consent goes out and
// ended just before the acknowledgement does.
import CVerbs
import Glibc
import RingCore

/// The windows of one lane. The I/O thread alone uses it.
@safe final class VerbsWindows {
    /// A window and what it was last named for.
    @safe private struct Window {
        let handle: UnsafeMutablePointer<ibv_mw>
        var region: UnsafeMutablePointer<ibv_mr>?
        var place: UInt64 = 0
        var byteCount = 0
    }

    private let context: VerbsContext
    private var windows: [Window] = []
    private(set) var book = WindowBook(capacity: TransportLimits.receivesPerPeer)

    /// Throws `.system` where the device gives none after all.
    init(_ context: VerbsContext) throws(TransportError) {
        self.context = context
        windows.reserveCapacity(TransportLimits.receivesPerPeer)
        if !context.hasWindows { return }
        for _ in 0..<VerbsLimits.windows where !grow() {
            throw .system("\(context.device.name) gives no memory window: \(systemText(errno))")
        }
    }

    deinit { close() }

    /// No key opens anything any more. The queue pair must go after its windows.
    func close() {
        for window in windows { _ = unsafe ibv_dealloc_mw(window.handle) }
        windows = []
    }

    /// A key to `byteCount` bytes at `place`, good when the next consent is out; `nil` when the device gives no further window.
    func name(_ place: UInt64, _ byteCount: Int, of pinned: VerbsContext.Pinned) -> UInt32? {
        if !context.hasWindows { return pinned.remoteKey }
        guard book.hasFree || grow(), let (window, key) = book.name() else { return nil }
        unsafe windows[window].region = pinned.region
        windows[window].place = place
        windows[window].byteCount = byteCount
        return key
    }

    /// The message is over for which `key` was given.
    func forget(_ key: UInt32) { if context.hasWindows { book.forget(key) } }

    /// The change that must go out before a frame of `kind`, which goes out next.
    func change(before kind: FrameHeader.Kind?) -> ring_verbs_window_change {
        switch book.change(before: kind) {
        case nil: return unsafe ring_verbs_window_change()
        case .bind(let index, let key):
            let window = windows[index]
            return unsafe ring_verbs_window_change(
                window: window.handle, region: window.region, place: window.place, count: UInt64(window.byteCount), key: key)
        case .end(let index, let key):
            return unsafe ring_verbs_window_change(window: windows[index].handle, region: nil, place: 0, count: 0, key: key)
        }
    }

    private func grow() -> Bool {
        guard let handle = unsafe ibv_alloc_mw(context.domain, IBV_MW_TYPE_2) else { return false }
        book.add(key: unsafe handle.pointee.rkey)
        unsafe windows.append(Window(handle: handle))
        return true
    }
}

// The lane as the I/O loop sees it: frames of a link out and in, sleep, and the end.
import CRingSystem
import CVerbs
import Glibc
import RingCore

extension VerbsLane: Lane {
    package var kind: LaneKind { .rdma }
    package var isApart: Bool { true }
    package var bell: Int32 { channel }
    /// What travels ahead lies in its frame.
    package var aheadBytes: Int { VerbsLimits.framePayloadBytes }

    // MARK: Out

    package func write(_ link: Link) -> LaneProgress {
        poll()
        var (offered, written) = (0, 0)
        var runs = unsafe (ring_bytes(), ring_bytes())
        unsafe withUnsafeMutablePointer(to: &runs) { tuple in
            unsafe tuple.withMemoryRebound(to: ring_bytes.self, capacity: 2) { runs in
                let count = unsafe link.control.runs(into: runs)
                for place in 0..<count {
                    let byteCount = unsafe runs[place].count
                    offered += byteCount
                    guard let base = unsafe runs[place].base else { continue }
                    for at in stride(from: 0, to: byteCount, by: FrameHeader.byteCount) where canPost {
                        unsafe postControl(UnsafeRawPointer(base + at))
                        written += FrameHeader.byteCount
                    }
                }
            }
        }
        if link.current >= 0 {
            offered += FrameHeader.byteCount + link.payloadLeft
            if written == offered - FrameHeader.byteCount - link.payloadLeft && canPost {
                postPayload(link)
                written = offered
            }
        }
        if failure != nil { return .failed(EIO) }
        link.account(written, controlFirst: true)
        return .wrote(offered: offered, written: written)
    }

    private func postControl(_ frame: UnsafeRawPointer) {
        let kind = FrameHeader.Kind(rawValue: unsafe frame.load(fromByteOffset: 5, as: UInt8.self))
        saidGoodbye = saidGoodbye || kind == .goodbye
        saidLastWords = saidLastWords || kind == .mismatch
        // Heartbeats tell of the frames before them, so that an idle lane knows its queue to be empty.
        let isSignaled = kind == .goodbye || kind == .mismatch || kind == .heartbeat
        unsafe post(frame.assumingMemoryBound(to: UInt8.self), kind, isSignaled: isSignaled)
    }

    private func postPayload(_ link: Link) {
        let count = link.payloadLeft
        unsafe link.encodeHeader(checksum: ring_crc32c(0, link.payload, count))
        guard count > 0, let start = unsafe link.payload else { return unsafe post(UnsafePointer(link.header), link.outgoing?.kind) }
        let payload = unsafe payload(start, count, in: link.payloadRegion)
        let isInFrame = count <= VerbsLimits.framePayloadBytes
        unsafe post(
            UnsafePointer(link.header), link.outgoing?.kind, payload, target: isInFrame ? nil : (link.remote.place, link.remote.key))
    }

    package func name(of start: UnsafeMutableRawPointer, _ byteCount: Int, in region: Int) -> RemotePlace? {
        // What fits into frames is never written by the peer.
        guard byteCount > VerbsLimits.framePayloadBytes, let (place, pinned) = unsafe context.place(of: start, in: region)
        else { return nil }
        guard let key = windows.name(place, byteCount, of: pinned) else {
            fail("\(context.device.name) gives no further memory window: \(systemText(errno))")
            return nil
        }
        return RemotePlace(place: place, key: key)
    }

    package func forget(key: UInt32) { windows.forget(key) }

    // MARK: In

    package func read(_ link: Link, mayFetch: Bool) -> LaneIntake {
        if let open = reading {
            reading = nil
            return link.targetLeft > 0 ? readPayload(open, link) : fail(open, "a frame without the payload that it announces")
        }
        if !hasArrived { poll() }
        guard let next = nextArrived() else { return ending() }
        let bytes = unsafe bytes(of: next)
        unsafe memcpy(link.staging + link.stagingEnd, bytes, FrameHeader.byteCount)
        let kind = FrameHeader.Kind(rawValue: unsafe bytes.load(fromByteOffset: 5, as: UInt8.self))
        // Bytes 40 ..< 48 of a header are the length of the payload.
        let isEmpty = unsafe bytes.load(fromByteOffset: 40, as: UInt64.self) == 0
        if kind?.hasPayload == true && !isEmpty {
            reading = next
        } else {
            guard next.byteCount == FrameHeader.byteCount else { return fail(next, "a frame with bytes that it does not announce") }
            giveBack(next)
        }
        return .bytes(payload: 0, staging: FrameHeader.byteCount, isAll: false)
    }

    /// The payload of the frame whose header has just been read: behind it, or already in its block.
    private func readPayload(_ open: Arrived, _ link: Link) -> LaneIntake {
        let count = link.targetLeft
        guard let target = unsafe link.targetStart else { return fail(open, "a payload for no block") }
        let bytes = unsafe bytes(of: open)
        let isAhead = unsafe bytes.load(fromByteOffset: 5, as: UInt8.self) == FrameHeader.Kind.eager.rawValue
        let isInFrame = count <= VerbsLimits.framePayloadBytes
        guard open.byteCount - FrameHeader.byteCount == (isInFrame ? count : 0), isInFrame || !isAhead else {
            return fail(open, "a frame whose length is not what it says")
        }
        if isInFrame { unsafe memcpy(target, bytes + FrameHeader.byteCount, count) }
        link.checksum = unsafe ring_crc32c(link.checksum, target, count)
        giveBack(open)
        return .bytes(payload: count, staging: 0, isAll: false)
    }

    private func fail(_ open: Arrived, _ what: String) -> LaneIntake { .failed("it sent \(what)") }

    private func ending() -> LaneIntake {
        if let failure { return .failed(failure) }
        if let reason = context.failure { return .failed(reason) }
        return .nothing
    }

    // MARK: Sleep

    package var hasInput: Bool {
        if hasArrived || reading != nil { return true }
        poll()
        return hasArrived || failure != nil || context.failure != nil
    }

    /// Our goodbye counts as output until it has arrived: only then may the connection say the same.
    package var hasOutput: Bool { saidGoodbye && !isDrained && failure == nil }

    package var hasRoom: Bool {
        poll()
        return canPost || saidGoodbye || failure != nil
    }

    package func arm(forRoom: Bool) -> Bool {
        attend()
        watch()
        // Something may have come between the last look and the arming.
        return !hasInput && !(forRoom && (saidGoodbye ? isDrained : canPost))
    }

    package func disarm() {}

    package func hush() -> Bool {
        silence()
        return true
    }

    // MARK: The end

    package func close() {
        if saidLastWords {
            let start = MonotonicClock.now()
            while !isDrained && failure == nil && MonotonicClock.now().seconds(since: start) < VerbsLimits.farewellSeconds { poll() }
        }
        destroy()
    }

    /// Looks after the device, and lets go of memory that the caller has forgotten once no frame of ours can use it.
    private func attend() {
        context.look(at: MonotonicClock.now())
        guard context.isRetiring(retirement) else { return }
        // Nor while a window is bound to it: the device would not let go of the memory.
        let endings = retirement.endings ?? windows.book.forgotten
        retirement.endings = endings
        if retirement.mark == nil && windows.book.ended >= endings { retirement.mark = progress.posted }
        if let mark = retirement.mark, progress.completed >= mark { context.agree(&retirement) }
    }
}

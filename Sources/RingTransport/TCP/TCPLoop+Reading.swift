// Bytes in: headers through a small staging buffer, payload straight into its block, checksummed while it is in the cache.
import CRingSystem
import Glibc
import RingCore

extension TCPLoop {
    /// One link's turn to read, at most `turnBytes`; the poll set reports again if there is more in the socket.
    func read(_ link: Link) {
        var budget = TransportLimits.turnBytes
        while link.isOpen && (budget > 0 || (!link.isClosing && link.hasSealedInput)) {
            if link.isClosing {
                guard discard(link) else { return }
                budget -= Link.stagingBytes
                continue
            }
            compactStaging(link)
            let offered = link.targetLeft + Link.stagingBytes - link.stagingEnd
            let count = readOnce(link, mayFetch: budget > 0)
            if count == -Int64(EAGAIN) { return }
            guard isAlive(link, count) else { return }
            link.heardAt = now
            budget -= Int(count)
            take(Int(count), on: link)
            // Less than there was room for: the socket is empty, another call would only say so.
            if Int(count) < offered { return }
        }
    }

    private func isAlive(_ link: Link, _ count: Int64) -> Bool {
        if count > 0 { return true }
        if count == 0 {
            lose(link, "its connection was closed; its process ended or its host is shutting down")
        } else {
            lose(link, Link.readFailure(Int32(-count)))
        }
        return false
    }

    /// We are leaving: what still comes in is thrown away, so that the socket closes without a reset.
    private func discard(_ link: Link) -> Bool {
        var run = unsafe ring_bytes(base: link.staging, count: Link.stagingBytes)
        let count = unsafe ring_socket_read(link.descriptor, &run, 1)
        if count == -Int64(EAGAIN) { return false }
        if count <= 0 {
            close(link)
            return false
        }
        return true
    }

    /// Moves what is left of a header to the front.
    private func compactStaging(_ link: Link) {
        if link.stagingStart == 0 { return }
        let left = link.stagingEnd - link.stagingStart
        if left > 0 { unsafe memmove(link.staging, link.staging + link.stagingStart, left) }
        (link.stagingStart, link.stagingEnd) = (0, left)
    }

    private func readOnce(_ link: Link, mayFetch: Bool) -> Int64 {
        var runs = unsafe (ring_bytes(), ring_bytes())
        return unsafe withUnsafeMutablePointer(to: &runs) { tuple in
            unsafe tuple.withMemoryRebound(to: ring_bytes.self, capacity: 2) { runs in
                var count = 0
                if link.targetLeft > 0 {
                    unsafe runs[count] = ring_bytes(base: link.targetStart.map { unsafe $0 + link.targetFilled }, count: link.targetLeft)
                    count += 1
                }
                unsafe runs[count] = ring_bytes(base: link.staging + link.stagingEnd, count: Link.stagingBytes - link.stagingEnd)
                return unsafe link.receive(runs, count + 1, mayFetch: mayFetch)
            }
        }
    }

    /// Deals out bytes that have just arrived: first to the payload under way, the rest to the staging buffer.
    private func take(_ count: Int, on link: Link) {
        let ofTarget = min(count, link.targetLeft)
        link.stagingEnd += count - ofTarget
        if link.frame != nil { fillTarget(ofTarget, on: link) }
        while link.isOpen && link.frame == nil && link.stagingEnd - link.stagingStart >= FrameHeader.byteCount {
            let bytes = unsafe Span(_unsafeStart: link.staging + link.stagingStart, count: FrameHeader.byteCount)
            link.stagingStart += FrameHeader.byteCount
            let header: FrameHeader
            do { header = try FrameHeader(decoding: bytes) } catch {
                return lose(link, "it sent bytes that are no frame: \(error)")
            }
            guard header.epoch == epoch, header.job == job, header.source.index == link.peer else {
                return lose(link, "it sent a frame of another job, epoch or rank")
            }
            handle(header, on: link)
            if link.isOpen && link.frame != nil { fillFromStaging(link) }
        }
    }

    /// Copies the payload's first bytes that came in with its header.
    private func fillFromStaging(_ link: Link) {
        let count = min(link.targetLeft, link.stagingEnd - link.stagingStart)
        if count > 0, let start = unsafe link.targetStart {
            unsafe memcpy(start + link.targetFilled, link.staging + link.stagingStart, count)
        }
        link.stagingStart += count
        fillTarget(count, on: link)
    }

    private func fillTarget(_ count: Int, on link: Link) {
        if count > 0, let start = unsafe link.targetStart {
            link.checksum = unsafe ring_crc32c(link.checksum, start + link.targetFilled, count)
        }
        link.targetFilled += count
        link.targetLeft -= count
        guard link.targetLeft == 0, let frame = link.frame else { return }
        link.frame = nil
        payloadArrived(frame, on: link)
    }

    /// Prepares for the payload of `frame`.
    func expectPayload(of frame: FrameHeader, at start: UnsafeMutableRawPointer, for target: PayloadTarget, on link: Link) {
        link.frame = frame
        link.target = target
        unsafe link.targetStart = start
        link.targetFilled = 0
        link.targetLeft = frame.payloadByteCount
        link.checksum = 0
    }

    private func handle(_ header: FrameHeader, on link: Link) {
        switch header.kind {
        case .announce: handleAnnouncement(header, on: link)
        case .eager: handleEager(header, on: link)
        case .consent: handleConsent(header, on: link)
        case .slice: handleSlice(header, on: link)
        case .acknowledge: handleAcknowledgement(header, on: link)
        case .complain: handleComplaint(header, on: link)
        case .abandon: handleAbandonment(header, on: link)
        case .mismatch: handleMismatch(header, on: link)
        case .heartbeat: break
        case .goodbye: lose(link, "it closed its transport")
        }
    }
}

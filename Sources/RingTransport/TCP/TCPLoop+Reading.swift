// Bytes in, through a link's lane: headers by way of a small staging buffer, payload straight into its block.
import CRingSystem
import Glibc
import RingCore

extension TCPLoop {
    /// One link's turn to read, at most `turnBytes`; the poll set or the next look at its lane reports if there is more.
    func read(_ link: Link) {
        var budget = TransportLimits.turnBytes
        while link.isOpen && (budget > 0 || (!link.isClosing && !link.lane.isApart && link.lane.hasInput)) {
            if link.isClosing {
                guard discard(link) else { return }
                budget -= Link.stagingBytes
                continue
            }
            compactStaging(link)
            switch link.lane.read(link, mayFetch: budget > 0) {
            case .bytes(let payload, let staging, let isAll):
                link.heardAt = now
                budget -= payload + staging
                take(payload, staging, on: link)
                budget -= link.fetched
                link.fetched = 0
                if isAll { return }
            case .nothing: return
            case .ended: return lose(link, Self.closedReason)
            case .failed(let reason): return lose(link, reason)
            }
        }
    }

    static let closedReason = "its connection was closed; its process ended or its host is shutting down"

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

    /// Deals out bytes that have just arrived: those of the payload under way, and those of headers.
    private func take(_ payload: Int, _ staging: Int, on link: Link) {
        link.stagingEnd += staging
        if link.frame != nil { filled(payload, on: link) }
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
            link.checksum = unsafe ring_crc32c(link.checksum, start + link.targetFilled, count)
        }
        link.stagingStart += count
        filled(count, on: link)
    }

    /// So many more bytes of the payload are in their block and under its checksum.
    func filled(_ count: Int, on link: Link) {
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
        case .reference: handleReference(header, on: link)
        case .forget: link.lane.giveBack(header.payloadChecksum)
        case .heartbeat: break
        case .goodbye: lose(link, "it closed its transport")
        }
    }
}

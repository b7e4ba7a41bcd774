// Bytes out: what waits on a link, in order of urgency, in as few calls as the socket allows.
import CRingSystem
import Glibc
import RingCore

extension TCPLoop {
    /// One link's turn to write, at most `turnBytes`. Afterwards the link is pending (more to write), watched (the socket
    /// is full), or neither.
    func write(_ link: Link) {
        var budget = TransportLimits.turnBytes
        while budget > 0 {
            if link.current < 0 && !link.isClosing { startFrame(link) }
            guard let wanted = writeOnce(link) else { return }
            if wanted.written < wanted.offered || link.hasSealedOutput { return watchWritable(link, true) }
            if wanted.offered == 0 { break }
            budget -= wanted.written
            link.wroteAt = now
        }
        if link.isClosing && link.current < 0 && link.control.isEmpty && !link.didShutdown {
            link.didShutdown = true
            _ = ring_socket_shutdown_write(link.descriptor)
        }
        watchWritable(link, false)
        if link.hasOutput { markPending(link) }
    }

    /// One call to the socket. Bytes offered and written; `nil` when the link was lost.
    private func writeOnce(_ link: Link) -> (offered: Int, written: Int)? {
        let headerLeft = link.current >= 0 ? FrameHeader.byteCount - link.headerWritten : 0
        // Control frames go before a frame that has not begun and after one that has.
        let controlFirst = link.current < 0 || link.headerWritten == 0
        var runs = unsafe (ring_bytes(), ring_bytes(), ring_bytes(), ring_bytes())
        let (count, offered) = unsafe withUnsafeMutablePointer(to: &runs) { tuple in
            unsafe tuple.withMemoryRebound(to: ring_bytes.self, capacity: 4) { runs in
                var count = controlFirst ? unsafe link.control.runs(into: runs) : 0
                if headerLeft > 0 {
                    unsafe runs[count] = ring_bytes(base: link.header + link.headerWritten, count: headerLeft)
                    count += 1
                }
                if link.payloadLeft > 0 {
                    unsafe runs[count] = ring_bytes(base: link.payload, count: link.payloadLeft)
                    count += 1
                }
                if !controlFirst { count += unsafe link.control.runs(into: runs + count) }
                var offered = 0
                for place in 0..<count { offered += unsafe runs[place].count }
                return (count, offered)
            }
        }
        if count == 0 && !link.hasSealedOutput { return (0, 0) }
        let written = unsafe withUnsafePointer(to: &runs) { tuple in
            unsafe tuple.withMemoryRebound(to: ring_bytes.self, capacity: 4) { runs in
                unsafe link.send(runs, count)
            }
        }
        if written == -Int64(EAGAIN) { return (offered, 0) }
        if written < 0 {
            // What the peer said before it closed explains more than our own error does.
            read(link)
            lose(link, "writing to its connection fails: \(systemText(Int32(-written)))")
            return nil
        }
        account(Int(written), controlFirst, on: link)
        return (offered, Int(written))
    }

    private func account(_ written: Int, _ controlFirst: Bool, on link: Link) {
        var left = written
        if controlFirst { left -= link.control.consume(left) }
        if link.current >= 0 {
            let ofHeader = min(left, FrameHeader.byteCount - link.headerWritten)
            link.headerWritten += ofHeader
            left -= ofHeader
            let ofPayload = min(left, link.payloadLeft)
            if ofPayload > 0, let payload = unsafe link.payload {
                unsafe link.payload = payload + ofPayload
                link.payloadLeft -= ofPayload
                left -= ofPayload
            }
            if link.headerWritten == FrameHeader.byteCount && link.payloadLeft == 0 {
                let slot = link.current
                link.current = -1
                if !link.isClosing { didWrite(frameOf: slot, on: link) }
            }
        }
        if !controlFirst { left -= link.control.consume(left) }
        precondition(left == 0, "the socket took more than it was offered")
    }

    /// Last words to a peer that is being lost, if they do not fall into the middle of a frame. What the socket does not
    /// take at once is not said.
    func say(_ header: FrameHeader, on link: Link) {
        if link.current >= 0 && link.headerWritten > 0 { return }
        var queue = ControlQueue(frames: 1)
        _ = queue.append(header)
        var runs = unsafe (ring_bytes(), ring_bytes(), ring_bytes())
        unsafe withUnsafeMutablePointer(to: &runs) { tuple in
            unsafe tuple.withMemoryRebound(to: ring_bytes.self, capacity: 3) { runs in
                var count = unsafe link.control.runs(into: runs)
                count += unsafe queue.runs(into: runs + count)
                _ = unsafe link.send(runs, count)
            }
        }
    }

    /// Makes `header` and the bytes at `start` the frame that is written next.
    func begin(_ header: FrameHeader, payload start: UnsafeMutableRawPointer, of slot: Int, on link: Link) {
        var complete = header
        complete.payloadChecksum = unsafe ring_crc32c(0, start, header.payloadByteCount)
        var span = unsafe MutableSpan(_unsafeStart: link.header, count: FrameHeader.byteCount)
        complete.encode(into: &span)
        link.headerWritten = 0
        unsafe link.payload = start
        link.payloadLeft = header.payloadByteCount
        link.current = slot
    }
}

// Bytes out: what waits on a link, in order of urgency, through its lane.
import CRingSystem
import RingCore

extension TCPLoop {
    /// One link's turn to write, at most `turnBytes`. Afterwards the link is pending (more to write), watched (the lane is
    /// full), or neither.
    func write(_ link: Link) {
        var budget = TransportLimits.turnBytes
        while budget > 0 {
            if link.current < 0 && !link.isClosing { startFrame(link) }
            guard let wanted = writeOnce(link) else { return }
            if wanted.written < wanted.offered || link.lane.hasOutput { return watchWritable(link, true) }
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

    /// One call to the lane. Bytes offered and written; `nil` when the link was lost.
    private func writeOnce(_ link: Link) -> (offered: Int, written: Int)? {
        switch link.lane.write(link) {
        case .wrote(let offered, let written):
            if link.written >= 0 {
                let slot = link.written
                link.written = -1
                if !link.isClosing { didWrite(frameOf: slot, on: link) }
            }
            return (offered, written)
        case .failed(let code):
            // What the peer said before it closed explains more than our own error does.
            read(link)
            lose(link, "writing to it fails: \(systemText(code))")
            return nil
        }
    }

    /// Last words to a peer that is being lost, if they do not fall into the middle of a frame. What the lane does not take
    /// at once is not said.
    func say(_ header: FrameHeader, on link: Link) {
        if link.current >= 0 && link.headerWritten > 0 { return }
        link.current = -1
        guard link.control.append(header) else { return }
        _ = link.lane.write(link)
    }
}

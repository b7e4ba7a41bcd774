// How things end: one message, one peer, or our own membership.
import CRingSystem
import RingCore

extension TCPLoop {
    /// A peer is gone: what is outstanding with it ends, and the reason is kept. `farewell` is said if it can be.
    func lose(_ link: Link, _ reason: String, farewell: FrameHeader? = nil) {
        if !link.isOpen { return }
        if link.isClosing {
            // We are leaving anyway; everything on the link has ended.
            return close(link)
        }
        mailbox.losses.record(Rank(link.peer), reason)
        if let farewell { say(farewell, on: link) }
        close(link)
        link.current = -1
        endAll(on: link, .lost)
    }

    /// Our own farewell to one peer: acknowledgements that wait go out, then goodbye, then the write side is shut.
    func leave(_ link: Link) {
        link.isClosing = true
        // The frame under way must be finished, or the peer would take what follows for its payload. Its memory stays
        // valid: `close` has not returned.
        endAll(on: link, .cancelled)
        _ = link.control.append(frame(.goodbye, on: link, about: nil))
        markPending(link)
    }

    private func endAll(on link: Link, _ outcome: Completion.Outcome) {
        while let slot = sends.removeFirst(of: &link.posts) { end(send: slot, outcome) }
        while let slot = sends.removeFirst(of: &link.bulk) { end(send: slot, outcome) }
        while let slot = sends.removeFirst(of: &link.waiting) { end(send: slot, outcome) }
        while let slot = receives.removeFirst(of: &link.posted) { end(receive: slot, outcome) }
        while let slot = receives.removeFirst(of: &link.matched) { end(receive: slot, outcome) }
    }

    /// Completes a send that is on no list.
    func end(send slot: Int, _ outcome: Completion.Outcome) {
        mailbox.finish(sends[slot].command, outcome)
        sends.release(slot)
    }

    /// Completes a receive that is on no list.
    func end(receive slot: Int, _ outcome: Completion.Outcome) {
        mailbox.finish(receives[slot].command, outcome)
        receives.release(slot)
    }
}

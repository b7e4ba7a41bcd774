// Who may send how much over a queue pair, as a value: frames that occupy our send queue, receives that the peer has posted
// for us, receives that we have posted again for it. Nothing here knows the library.

/// The accounts of one queue pair. Frames are numbered from zero in the order of their posts.
///
/// Every frame of the peer takes one of `ownReceives` posted receives and gives it back when it has been read. Each frame
/// of ours carries, beside its bytes, how many were given back since the beginning (32 bits, which wrap), so the two
/// accounts cannot drift apart. The last credit is kept for a frame that reports and does nothing else: two ends that have
/// both used up all others can still tell each other about what they gave back.
package struct CreditBook: BitwiseCopyable, Sendable {
    /// Frames that our send queue holds.
    package let sendSlots: Int
    /// Receives that we keep posted.
    package let ownReceives: Int
    /// Receives that the peer keeps posted.
    package let peerReceives: Int
    /// A frame is signaled at least this often, so that its completion frees all before it.
    package let moderation: Int

    /// Frames posted, and how many of them are known to have left the queue.
    package private(set) var posted: UInt64 = 0
    package private(set) var completed: UInt64 = 0
    private var lastSignaled: UInt64 = 0
    private var mustSignal = false
    /// What the peer has told us: receives that it posted again.
    private var peerReturned: UInt32 = 0
    /// Receives that we posted again, and how many the peer was told of.
    private var returned: UInt32 = 0
    private var reported: UInt32 = 0

    package init(sendSlots: Int, ownReceives: Int, peerReceives: Int) {
        precondition(sendSlots >= 2 && ownReceives >= 4 && peerReceives >= 4, "a queue pair of so few places stands still")
        (self.sendSlots, self.ownReceives, self.peerReceives) = (sendSlots, ownReceives, peerReceives)
        moderation = max(sendSlots / 4, 1)
    }

    /// Frames of ours for which the peer has no receive yet.
    private var outstanding: UInt32 { UInt32(truncatingIfNeeded: posted) &- peerReturned }

    /// True when a frame may be posted. A frame that only reports may take the last credit.
    package func canPost(reportOnly: Bool = false) -> Bool {
        posted - completed < UInt64(sendSlots) && Int(outstanding) < peerReceives - (reportOnly ? 0 : 1)
    }

    /// Takes the next frame's number, its place in the send queue, and whether it must be signaled.
    package mutating func post() -> (number: UInt64, slot: Int, isSignaled: Bool) {
        let number = posted
        posted += 1
        reported = returned
        let isSignaled = mustSignal || posted - lastSignaled >= UInt64(moderation)
        if isSignaled { (lastSignaled, mustSignal) = (posted, false) }
        return (number, Int(number % UInt64(sendSlots)), isSignaled)
    }

    /// Frame `number` has left the queue, and with it all before. False for a number that is not under way.
    package mutating func complete(_ number: UInt64) -> Bool {
        guard number >= completed, number < posted else { return false }
        completed = number + 1
        return true
    }

    /// What the next frame carries at its side.
    package var word: UInt32 { returned }

    /// The peer's word. False when it claims more than it can have given back.
    package mutating func accept(_ word: UInt32) -> Bool {
        guard word &- peerReturned <= outstanding else { return false }
        peerReturned = word
        return true
    }

    /// A receive was read and posted again.
    package mutating func giveBack() { returned &+= 1 }

    /// True when the peer should hear what was given back although we have nothing else to say.
    package var owesReport: Bool { returned &- reported >= UInt32(ownReceives / 2) }

    /// True when all frames that were posted are known to have left the queue.
    package var isDrained: Bool { posted == completed }
    /// Makes the next frame a signaled one.
    package mutating func signalNext() { mustSignal = true }
}

// Lanes beside the connections: no descriptor tells of what is in them while we are awake, so they are looked at.
import CRingSystem
import Glibc
import RingCore

extension TCPLoop {
    /// Tells the peers which of the memory that they were lent is forgotten, before anything is said about what took its place.
    func returnLoans() {
        for link in apart where link.isOpen && !link.isClosing {
            while link.isOpen, let key = link.lane.nextReturned() {
                var forgotten = frame(.forget, on: link, about: nil)
                forgotten.payloadChecksum = key
                queue(forgotten, on: link)
            }
        }
    }

    /// A look at every lane apart.
    func visitLanes() {
        for link in apart where link.isOpen {
            if !link.isClosing && link.lane.hasInput {
                isLively = true
                read(link)
            }
            if link.isOpen && link.watchesWritable && link.lane.hasRoom {
                isLively = true
                markPending(link)
            }
        }
    }

    /// Waits awake for a moment, if a lane has just been busy: its other side is likely to answer sooner than this thread could
    /// fall asleep and be woken. Whoever else wants the core gets it meanwhile. True when there is something to do.
    func spin() -> Bool {
        if !isLively || Self.cpuCount == 1 { return false }
        isLively = false
        let end = MonotonicClock.now().nanoseconds + TransportLimits.spinNanoseconds
        repeat {
            for _ in 0..<8 { ring_cpu_pause() }
            _ = sched_yield()
            if !mailbox.commands.isEmpty || mailbox.closeRequested.load(ordering: .relaxed) && leaveBy == nil { return true }
            for link in apart where link.isOpen && (link.lane.hasInput || link.watchesWritable && link.lane.hasRoom) { return true }
        } while MonotonicClock.now().nanoseconds < end
        return false
    }

    private static let cpuCount = PinnedThread.cpuCount

    /// Asks all peers to ring; false when there is something to do already.
    func armLanes() -> Bool {
        var isIdle = true
        for link in apart where link.isOpen && !link.lane.arm(forRoom: link.watchesWritable) { isIdle = false }
        return isIdle
    }

    func disarmLanes() { for link in apart where link.isOpen { link.lane.disarm() } }

    /// The connection of a link whose frames travel apart has something to say: that it is over.
    func readConnection(_ link: Link) {
        if link.isClosing { return read(link) }
        var byte: UInt8 = 0
        let count = unsafe withUnsafeMutableBytes(of: &byte) { bytes in
            var run = unsafe ring_bytes(base: bytes.baseAddress, count: 1)
            return unsafe ring_socket_read(link.descriptor, &run, 1)
        }
        if count == -Int64(EAGAIN) { return }
        if count > 0 { return lose(link, "it wrote to the connection beside its lane") }
        end(link, count == 0 ? Self.closedReason : "its connection failed: \(systemText(Int32(-count)))")
    }

    /// The peer of a lane apart is gone. What it said before is still in the lane; one that goes on writing has had its turns.
    func end(_ link: Link, _ reason: String) {
        if !link.isClosing { for _ in 0..<Self.lastTurns where link.isOpen && link.lane.hasInput { read(link) } }
        lose(link, reason)
    }

    private static let lastTurns = 16
}

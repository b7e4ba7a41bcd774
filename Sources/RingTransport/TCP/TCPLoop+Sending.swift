// The sender's half of the protocol: announce or send ahead, wait for consent, stream slices, wait for the acknowledgement,
// send damaged slices again.
import CRingSystem
import RingCore

extension TCPLoop {
    func accept(send command: Command, on link: Link) {
        guard let slot = sends.take(SendSlot(command: command, generation: nextGeneration())) else {
            preconditionFailure("more sends than the limit lets through")
        }
        sends.append(slot, to: &link.posts)
        markPending(link)
    }

    /// Chooses what is written next: announcements into the control queue, then a message ahead or a slice. Posts keep
    /// their order on the wire, because that order decides which receive they meet.
    func startFrame(_ link: Link) {
        while let slot = link.posts.head {
            let send = sends[slot]
            if send.command.byteCount <= link.lane.aheadBytes && link.eagerCredits > 0 {
                link.eagerCredits -= 1
                sends[slot].holdsCredit = true
                return link.begin(header(.eager, of: slot, on: link), of: slot, send)
            }
            guard link.control.append(announcement(of: slot, on: link)) else { break }
            _ = sends.removeFirst(of: &link.posts)
            sends[slot].state = .waiting
            sends.append(slot, to: &link.waiting)
        }
        guard let slot = link.bulk.head else { return }
        let offset: Int
        if !sends[slot].again.isEmpty {
            offset = sends[slot].again.removeFirst()
            mailbox.counters.retransmissions.add(1, ordering: .relaxed)
        } else {
            offset = sends[slot].next
            sends[slot].next = min(offset + TransportLimits.sliceBytes, sends[slot].command.byteCount)
        }
        let isRead = link.lane.kind == .sharedMemory && sends[slot].remote.key != 0
        var slice = header(isRead ? .reference : .slice, of: slot, on: link)
        slice.offset = offset
        slice.payloadByteCount = min(TransportLimits.sliceBytes, sends[slot].command.byteCount - offset)
        link.begin(slice, of: slot, sends[slot])
    }

    private func announcement(of slot: Int, on link: Link) -> FrameHeader {
        var header = header(.announce, of: slot, on: link)
        let command = sends[slot].command
        if command.byteCount > 0, let place = unsafe link.lane.lend(command.start, command.byteCount, in: Int(command.region)) {
            (header.offset, header.payloadChecksum) = (Int(place.place), place.key)
        }
        return header
    }

    /// A frame with payload has gone out whole.
    func didWrite(frameOf slot: Int, on link: Link) {
        if sends[slot].state == .posted {
            _ = sends.removeFirst(of: &link.posts)
        } else if sends[slot].isAbandoned {
            return abandon(slot, on: link)
        } else if !sends[slot].again.isEmpty || sends[slot].next < sends[slot].command.byteCount {
            return
        } else {
            _ = sends.removeFirst(of: &link.bulk)
        }
        sends[slot].state = .waiting
        sends.append(slot, to: &link.waiting)
    }

    func handleConsent(_ frame: FrameHeader, on link: Link) {
        guard let slot = sendSlot(of: frame, on: link), sends[slot].state == .waiting, sends[slot].receive == 0,
            frame.receive != 0, frame.payloadByteCount == sends[slot].command.byteCount
        else { return lose(link, "it consented to a message that was not announced") }
        if sends[slot].holdsCredit {
            // It went ahead and was damaged on the way: this consent asks for it again.
            sends[slot].retransmissions = 1
            mailbox.counters.retransmissions.add(1, ordering: .relaxed)
            returnCredit(of: slot, on: link)
        }
        sends[slot].receive = frame.receive
        sends[slot].remote = RemotePlace(place: UInt64(frame.offset), key: frame.payloadChecksum)
        sends[slot].state = .streaming
        sends.remove(slot, from: &link.waiting)
        sends.append(slot, to: &link.bulk)
        markPending(link)
    }

    func handleAcknowledgement(_ frame: FrameHeader, on link: Link) {
        guard let slot = sendSlot(of: frame, on: link), sends[slot].state == .waiting else {
            return lose(link, "it acknowledged a message that was not sent")
        }
        returnCredit(of: slot, on: link)
        sends.remove(slot, from: &link.waiting)
        end(send: slot, .sent)
    }

    func handleComplaint(_ frame: FrameHeader, on link: Link) {
        guard let slot = sendSlot(of: frame, on: link), sends[slot].state != .posted, frame.receive != 0,
            sends[slot].receive == 0 || sends[slot].receive == frame.receive,
            frame.offset % TransportLimits.sliceBytes == 0, frame.offset < sends[slot].command.byteCount,
            frame.offset < sends[slot].next || sends[slot].holdsCredit
        else { return lose(link, "it complained about bytes that were not sent") }
        returnCredit(of: slot, on: link)
        if sends[slot].isAbandoned { return }
        sends[slot].receive = frame.receive
        if sends[slot].retransmissions == TransportLimits.retransmissions {
            sends[slot].isAbandoned = true
            // A frame that is half written must be finished first; `didWrite` then comes back to this.
            if link.current != slot { abandon(slot, on: link) }
            return
        }
        sends[slot].retransmissions += 1
        // A message that went ahead has sent no slice yet, but all its bytes: only the damaged one is sent now.
        if sends[slot].next == 0 { sends[slot].next = sends[slot].command.byteCount }
        sends[slot].again.append(frame.offset)
        if sends[slot].state == .waiting {
            sends.remove(slot, from: &link.waiting)
            sends[slot].state = .streaming
            sends.append(slot, to: &link.bulk)
        }
        markPending(link)
    }

    func handleMismatch(_ frame: FrameHeader, on link: Link) {
        guard let slot = sendSlot(of: frame, on: link) else { return lose(link, "it turned down a message that was not sent") }
        let command = sends[slot].command
        lose(link, mismatchReason(tag: command.tag, sent: command.byteCount, expected: frame.payloadByteCount))
    }

    /// Tells the receiver that the message will not come, and ends the send.
    private func abandon(_ slot: Int, on link: Link) {
        let header = header(.abandon, of: slot, on: link)
        if sends[slot].state == .streaming {
            sends.remove(slot, from: &link.bulk)
        } else {
            sends.remove(slot, from: &link.waiting)
        }
        end(send: slot, .damaged)
        queue(header, on: link)
    }

    private func returnCredit(of slot: Int, on link: Link) {
        if !sends[slot].holdsCredit { return }
        sends[slot].holdsCredit = false
        link.eagerCredits += 1
    }

    private func header(_ kind: FrameHeader.Kind, of slot: Int, on link: Link) -> FrameHeader {
        let send = sends[slot]
        var header = frame(kind, on: link, about: send.command.tag)
        header.message = Self.number(slot: slot, generation: send.generation)
        header.receive = send.receive
        header.payloadByteCount = kind == .abandon ? 0 : send.command.byteCount
        return header
    }

    /// The send that a frame of the peer is about, or `nil` when there is no such send.
    private func sendSlot(of frame: FrameHeader, on link: Link) -> Int? {
        let slot = Int(frame.message & 0xFFF)
        guard sends.isTaken(slot), Int(sends[slot].command.peer) == link.peer,
            Self.number(slot: slot, generation: sends[slot].generation) == frame.message,
            sends[slot].command.tag == frame.tag?.bits
        else { return nil }
        return slot
    }
}

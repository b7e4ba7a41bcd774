// The receiver's half of the protocol: match messages with receives, consent, take payload in, acknowledge or complain.
import CRingSystem
import Glibc
import RingCore

extension TCPLoop {
    func accept(receive command: Command, on link: Link) {
        guard let slot = receives.take(ReceiveSlot(command: command, generation: nextGeneration())) else {
            preconditionFailure("more receives than the limit lets through")
        }
        receives.append(slot, to: &link.posted)
        match(command.tag, on: link)
    }

    // MARK: Messages begin

    func handleAnnouncement(_ frame: FrameHeader, on link: Link) {
        guard addArrival(of: frame, place: -1, isComplete: true, on: link) != nil else { return }
        match(frame.tag?.bits ?? 0, on: link)
    }

    func handleEager(_ frame: FrameHeader, on link: Link) {
        let tag = frame.tag?.bits ?? 0
        guard frame.payloadByteCount <= TransportLimits.eagerBytes, frame.offset == 0 else {
            return lose(link, "it sent \(frame.payloadByteCount) bytes ahead of any receive")
        }
        // Straight into its block, if the receive is there, no earlier message of the tag waits, and no fault needs time.
        if options.faults.isEmpty, firstArrival(tag, on: link) == nil, let slot = firstPosted(tag, on: link) {
            guard receives[slot].command.byteCount == frame.payloadByteCount else {
                return turnDown(frame.message, tag, sent: frame.payloadByteCount, slot, on: link)
            }
            link.messagesSeen += 1
            pair(slot, with: frame.message, on: link)
            receives[slot].next = frame.payloadByteCount
            let start = unsafe receives[slot].command.start
            unsafe expectPayload(of: frame, at: start, for: .receive(slot: slot, offset: 0, isAgain: false), on: link)
            return
        }
        guard let place = link.store.take() else { return lose(link, "it sent more messages ahead than it may") }
        guard let arrival = addArrival(of: frame, place: place, isComplete: false, on: link) else { return }
        unsafe expectPayload(of: frame, at: link.store.start(of: place), for: .arrival(slot: arrival), on: link)
    }

    private func addArrival(of frame: FrameHeader, place: Int, isComplete: Bool, on link: Link) -> Int? {
        var arrival = Arrival(
            tag: frame.tag?.bits ?? 0, message: frame.message, byteCount: frame.payloadByteCount, place: place, isComplete: isComplete)
        if frame.kind == .announce { arrival.lent = RemotePlace(place: UInt64(frame.offset), key: frame.payloadChecksum) }
        if let fault = fault(of: link.messagesSeen, on: link) {
            arrival.fault = Int32(fault)
            switch options.faults[fault].action {
            case .drop: arrival.notBefore = .max
            case .delay(let seconds): arrival.notBefore = now.advanced(bySeconds: seconds).nanoseconds
            case .damage, .sever: break
            }
            if arrival.notBefore != .min { link.heldBack += 1 }
        }
        link.messagesSeen += 1
        guard let slot = link.arrivals.take(arrival) else {
            lose(link, "it announced more than \(TransportLimits.sendsPerPeer) messages that have no receive")
            return nil
        }
        link.arrivals.append(slot, to: &link.unmatched)
        return slot
    }

    // MARK: Matching

    /// Brings messages and receives of a tag together, in order, as far as both are there.
    private func match(_ tag: UInt64, on link: Link) {
        while link.isOpen, let arrivalSlot = firstArrival(tag, on: link), let slot = firstPosted(tag, on: link) {
            let arrival = link.arrivals[arrivalSlot]
            if !arrival.isComplete || arrival.notBefore > now.nanoseconds { return }
            guard arrival.byteCount == receives[slot].command.byteCount else {
                return turnDown(arrival.message, tag, sent: arrival.byteCount, slot, on: link)
            }
            if arrival.notBefore != .min { link.heldBack -= 1 }
            link.arrivals.remove(arrivalSlot, from: &link.unmatched)
            link.arrivals.release(arrivalSlot)
            pair(slot, with: arrival.message, on: link)
            receives[slot].fault = arrival.fault
            if arrival.place >= 0 {
                unsafe memcpy(receives[slot].command.start, link.store.start(of: arrival.place), arrival.byteCount)
                link.store.giveBack(arrival.place)
                succeed(slot, on: link)
            } else {
                var consent = header(.consent, of: slot, on: link)
                consent.payloadByteCount = arrival.byteCount
                let command = receives[slot].command
                if let name = unsafe link.lane.name(of: command.start, command.byteCount, in: Int(command.region)) {
                    receives[slot].key = name.key
                    (consent.offset, consent.payloadChecksum) = (Int(name.place), name.key)
                } else if arrival.lent.key != 0, unsafe link.lane.borrowed(arrival.lent, 0, arrival.byteCount) != nil {
                    receives[slot].lent = arrival.lent
                    consent.payloadChecksum = arrival.lent.key
                }
                queue(consent, on: link)
            }
        }
    }

    /// Looks again at messages that a fault held back.
    func matchHeldBack(_ link: Link) {
        var at = link.unmatched.head
        while link.isOpen, let slot = at {
            at = link.arrivals.next(after: slot)
            if link.arrivals[slot].notBefore != .min { match(link.arrivals[slot].tag, on: link) }
            // Matching took slots off the list that is walked; the next tick looks at the rest.
            if link.isOpen && !link.arrivals.isTaken(slot) { return }
        }
    }

    private func pair(_ slot: Int, with message: UInt32, on link: Link) {
        receives.remove(slot, from: &link.posted)
        receives.append(slot, to: &link.matched)
        receives[slot].isMatched = true
        receives[slot].message = message
    }

    /// A message that does not fit its receive: one of the two ranks counts wrongly, so nothing between them can be
    /// trusted to mean what it says. Both are told the sizes.
    private func turnDown(_ message: UInt32, _ tag: UInt64, sent: Int, _ slot: Int, on link: Link) {
        let expected = receives[slot].command.byteCount
        var farewell = frame(.mismatch, on: link, about: tag)
        farewell.message = message
        farewell.payloadByteCount = expected
        lose(link, mismatchReason(tag: tag, sent: sent, expected: expected), farewell: farewell)
    }

    private func firstPosted(_ tag: UInt64, on link: Link) -> Int? {
        var at = link.posted.head
        while let slot = at, receives[slot].command.tag != tag { at = receives.next(after: slot) }
        return at
    }

    private func firstArrival(_ tag: UInt64, on link: Link) -> Int? {
        var at = link.unmatched.head
        while let slot = at, link.arrivals[slot].tag != tag { at = link.arrivals.next(after: slot) }
        return at
    }

    // MARK: Payload

    func handleSlice(_ frame: FrameHeader, on link: Link) {
        guard let slot = receiveSlot(of: frame, on: link) else {
            return lose(link, "it sent bytes for which there is no receive")
        }
        guard let target = target(of: frame, in: slot, on: link) else { return }
        let start = unsafe receives[slot].command.start + frame.offset
        unsafe expectPayload(of: frame, at: start, for: target, on: link)
    }

    /// A slice that lies in the peer's memory: it is copied from there at once.
    func handleReference(_ frame: FrameHeader, on link: Link) {
        guard let slot = receiveSlot(of: frame, on: link), receives[slot].lent.key != 0 else {
            return lose(link, "it refers to bytes that were not to be read from its memory")
        }
        guard let target = target(of: frame, in: slot, on: link) else { return }
        let count = frame.payloadByteCount
        guard let source = unsafe link.lane.borrowed(receives[slot].lent, frame.offset, count) else {
            return lose(link, "it refers to memory that it has not lent, or no longer lends")
        }
        let start = unsafe receives[slot].command.start + frame.offset
        unsafe expectPayload(of: frame, at: start, for: target, on: link)
        link.checksum = unsafe ring_crc32c_copy(0, start, source, count, receives[slot].command.byteCount > TransportLimits.streamedBytes)
        link.lane.didRead(count)
        link.fetched += count
        filled(count, on: link)
    }

    /// Which part of a receive a slice is, if it is the next or was asked for again; else the peer is lost.
    private func target(of frame: FrameHeader, in slot: Int, on link: Link) -> PayloadTarget? {
        let receive = receives[slot]
        let isAgain = frame.offset < receive.next
        let whole = min(TransportLimits.sliceBytes, receive.command.byteCount - min(frame.offset, receive.command.byteCount))
        guard frame.payloadByteCount == whole, whole > 0, isAgain ? receive.damaged.contains(frame.offset) : frame.offset == receive.next
        else {
            lose(link, "it sent bytes \(frame.offset) + \(frame.payloadByteCount) out of turn")
            return nil
        }
        if !isAgain { receives[slot].next += frame.payloadByteCount }
        return .receive(slot: slot, offset: frame.offset, isAgain: isAgain)
    }

    /// The last byte of a payload is in.
    func payloadArrived(_ frame: FrameHeader, on link: Link) {
        switch link.target {
        case .arrival(let slot):
            strike(link.arrivals[slot].fault, isLast: true, on: link)
            link.arrivals[slot].isComplete = true
            if link.checksum != frame.payloadChecksum {
                // Its bytes are worthless; it becomes a message that is announced and still with the sender.
                mailbox.counters.checksumFailures.add(1, ordering: .relaxed)
                link.store.giveBack(link.arrivals[slot].place)
                link.arrivals[slot].place = -1
            }
            match(frame.tag?.bits ?? 0, on: link)
        case .receive(let slot, let offset, let isAgain):
            let byteCount = receives[slot].command.byteCount
            strike(receives[slot].fault, isLast: offset + frame.payloadByteCount == byteCount, on: link)
            if isCut(receives[slot], on: link) { return }
            if link.checksum != frame.payloadChecksum { return complain(slot, frame, on: link) }
            if isAgain { receives[slot].damaged.remove(offset) }
            receives[slot].verified += frame.payloadByteCount
            if frame.kind == .reference { mailbox.counters.bytesBorrowed.add(UInt64(frame.payloadByteCount), ordering: .relaxed) }
            if receives[slot].verified == byteCount { succeed(slot, on: link) }
        }
    }

    private func succeed(_ slot: Int, on link: Link) {
        forgetName(of: slot, on: link)
        queue(header(.acknowledge, of: slot, on: link), on: link)
        if !link.isOpen { return }
        receives.remove(slot, from: &link.matched)
        end(receive: slot, .received)
    }

    /// The peer's key to the block opens nothing any more, from the next frame on.
    private func forgetName(of slot: Int, on link: Link) {
        if let key = receives[slot].key { link.lane.forget(key: key) }
    }

    private func complain(_ slot: Int, _ frame: FrameHeader, on link: Link) {
        mailbox.counters.checksumFailures.add(1, ordering: .relaxed)
        receives[slot].complaints += 1
        // The sender gives up at one complaint more than it retransmits; further ones would tell it nothing.
        if receives[slot].complaints > TransportLimits.retransmissions + 1 { return }
        if !receives[slot].damaged.contains(frame.offset) { receives[slot].damaged.append(frame.offset) }
        var complaint = header(.complain, of: slot, on: link)
        complaint.offset = frame.offset
        complaint.payloadByteCount = frame.payloadByteCount
        queue(complaint, on: link)
    }

    func handleAbandonment(_ frame: FrameHeader, on link: Link) {
        guard let slot = receiveSlot(of: frame, on: link) else {
            return lose(link, "it gave up a message for which there is no receive")
        }
        forgetName(of: slot, on: link)
        receives.remove(slot, from: &link.matched)
        end(receive: slot, .damaged)
    }

    private func header(_ kind: FrameHeader.Kind, of slot: Int, on link: Link) -> FrameHeader {
        let receive = receives[slot]
        var header = frame(kind, on: link, about: receive.command.tag)
        header.message = receive.message
        header.receive = Self.number(slot: slot, generation: receive.generation)
        return header
    }

    /// The matched receive that a frame of the peer is about, or `nil` when there is none.
    private func receiveSlot(of frame: FrameHeader, on link: Link) -> Int? {
        let slot = Int(frame.receive & 0xFFF)
        guard receives.isTaken(slot), receives[slot].isMatched, Int(receives[slot].command.peer) == link.peer,
            Self.number(slot: slot, generation: receives[slot].generation) == frame.receive,
            receives[slot].message == frame.message, receives[slot].command.tag == frame.tag?.bits
        else { return nil }
        return slot
    }

    // MARK: Faults on purpose

    private func fault(of message: Int, on link: Link) -> Int? {
        if options.faults.isEmpty { return nil }
        return options.faults.firstIndex {
            $0.message == message && $0.source.index == link.peer && $0.destination == rank
        }
    }

    /// Flips a byte of the payload that has just arrived, if a fault says so, as if it had been flipped on the way.
    private func strike(_ fault: Int32, isLast: Bool, on link: Link) {
        guard fault >= 0, case .damage(let times) = options.faults[Int(fault)].action, isLast, faultHits[Int(fault)] < times,
            link.targetFilled > 0, let start = unsafe link.targetStart
        else { return }
        faultHits[Int(fault)] += 1
        let last = unsafe start + (link.targetFilled - 1)
        unsafe last.storeBytes(of: last.load(as: UInt8.self) ^ 0x10, as: UInt8.self)
        link.checksum = unsafe ring_crc32c(0, start, link.targetFilled)
    }

    /// Cuts the link when half of a message is there, if a fault says so.
    private func isCut(_ receive: ReceiveSlot, on link: Link) -> Bool {
        guard receive.fault >= 0, options.faults[Int(receive.fault)].action == .sever, receive.next * 2 >= receive.command.byteCount
        else { return false }
        lose(link, "the link was cut on purpose")
        return true
    }
}

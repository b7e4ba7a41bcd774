// How a pair chooses its lane, as a value without sockets: each side is given the other's messages and says what to do next.
// What it takes to make a lane is the makers' business.

/// What a rank would take, in order of preference.
package struct LaneWishes: Sendable {
    /// Kinds apart from the connection, the best first.
    package var sources: [any LaneSource]
    /// Whether the connection itself would do.
    package var takesTCP: Bool

    package init(sources: [any LaneSource] = [], takesTCP: Bool = true) { (self.sources, self.takesTCP) = (sources, takesTCP) }

    /// `only` some kind, or the best there is.
    package init(only kind: LaneKind?, of sources: [any LaneSource]) {
        self.init(sources: sources.filter { kind == nil || $0.kind == kind }, takesTCP: kind == nil || kind == .tcp)
    }

    /// What is wished for, for messages.
    var names: String { LaneTalk.names(sources.map(\.kind) + (takesTCP ? [.tcp] : [])) }
}

/// What the owner of a connection does after handing bytes to a talk.
package enum LaneStep {
    /// Write these bytes and read on.
    case answer([UInt8])
    /// Write these bytes; the choice is made. Without a lane it is the connection.
    case chosen([UInt8], (any Lane)?, LaneChoice)
    /// Write these bytes and close: there is no kind that both can have.
    case failed([UInt8], String)
    /// Close: not our protocol.
    case drop(String)
}

/// One side of the choice.
package final class LaneTalk {
    private enum Phase { case awaitingOffer, awaitingChoice, awaitingConfirmation, awaitingSettlement, over }

    private let session: HandshakeSession
    private let wishes: LaneWishes
    private var phase: Phase
    /// By kind, those that can still be had.
    private var makers: [(kind: LaneKind, maker: any LaneMaker)] = []
    /// What was tried and is not possible.
    private var remarks: [String] = []

    package init(_ session: HandshakeSession, _ wishes: LaneWishes, isDialer: Bool) {
        (self.session, self.wishes) = (session, wishes)
        phase = isDialer ? .awaitingChoice : .awaitingOffer
    }

    /// The caller's first message.
    package func offer() -> [UInt8] {
        var entries: [LaneMessage.Entry] = []
        for source in wishes.sources {
            do throws(LaneFailure) {
                let maker = try source.maker()
                entries.append(LaneMessage.Entry(source.kind, try maker.offer()))
                makers.append((source.kind, maker))
            } catch { remark(source.kind, error) }
        }
        return message(.offer, entries + connection)
    }

    /// A whole message of the peer.
    package func receive(_ bytes: [UInt8]) -> LaneStep {
        guard let message = LaneMessage(decoding: bytes, session) else {
            return .drop("what it says about the lane is malformed or not proved")
        }
        switch (phase, message.stage) {
        case (.awaitingOffer, .offer): return choose(message)
        case (.awaitingChoice, .choice): return confirm(message)
        case (.awaitingConfirmation, .confirmation): return settle(message)
        case (.awaitingSettlement, .settlement): return conclude(message)
        default: return .drop("what it says about the lane is out of order")
        }
    }

    /// Listener: the best kind that both would take and that can be begun here.
    private func choose(_ offer: LaneMessage) -> LaneStep {
        if !offer.text.isEmpty { remarks.append(offer.text) }
        for source in wishes.sources {
            guard let entry = offer.entries.first(where: { $0.kind == source.kind }) else { continue }
            do throws(LaneFailure) {
                let maker = try source.maker()
                let answer = try maker.answer(entry.parameters, session: session)
                makers = [(source.kind, maker)]
                phase = .awaitingConfirmation
                return .answer(message(.choice, [LaneMessage.Entry(source.kind, answer)] + connection))
            } catch { remark(source.kind, error) }
        }
        if offer.entries.contains(where: { $0.kind == .tcp }) && wishes.takesTCP { return takeTCP(.choice) }
        if remarks.isEmpty {
            let theirs = Self.names(offer.entries.map(\.kind))
            remarks.append("the listening rank takes \(wishes.names) and the calling one \(theirs); give both the same --transport")
        }
        return give(up: .choice)
    }

    /// Caller: makes its half of what was chosen.
    private func confirm(_ choice: LaneMessage) -> LaneStep {
        if !choice.text.isEmpty { remarks = [choice.text] }
        guard let chosen = choice.entries.first else { return .failed([], reason) }
        if chosen.kind == .tcp { return wishes.takesTCP ? tcp([]) : .drop("it chose a lane that was not offered") }
        guard let maker = makers.first(where: { $0.kind == chosen.kind }) else { return .drop("it chose a lane that was not offered") }
        makers = [maker]
        do throws(LaneFailure) {
            let confirmation = try maker.maker.confirm(chosen.parameters, session: session)
            phase = .awaitingSettlement
            return .answer(message(.confirmation, [LaneMessage.Entry(chosen.kind, confirmation)] + connection))
        } catch { remark(chosen.kind, error) }
        return wishes.takesTCP && choice.entries.contains { $0.kind == .tcp } ? takeTCP(.confirmation) : give(up: .confirmation)
    }

    /// Listener: makes the other half.
    private func settle(_ confirmation: LaneMessage) -> LaneStep {
        if !confirmation.text.isEmpty { remarks = [confirmation.text] }
        guard let entry = confirmation.entries.first else { return .failed([], reason) }
        if entry.kind == .tcp { return wishes.takesTCP ? tcp([]) : .drop("it confirmed a lane that was not chosen") }
        guard let maker = makers.first, maker.kind == entry.kind else { return .drop("it confirmed a lane that was not chosen") }
        do throws(LaneFailure) {
            try maker.maker.settle(entry.parameters, session: session)
            let bytes = message(.settlement, [LaneMessage.Entry(entry.kind)])
            return done(maker, bytes)
        } catch { remark(entry.kind, error) }
        return wishes.takesTCP && confirmation.entries.contains { $0.kind == .tcp } ? takeTCP(.settlement) : give(up: .settlement)
    }

    /// Caller: the listener's half stands too, or does not.
    private func conclude(_ settlement: LaneMessage) -> LaneStep {
        if !settlement.text.isEmpty { remarks = [settlement.text] }
        guard let entry = settlement.entries.first else { return .failed([], reason) }
        if entry.kind == .tcp { return wishes.takesTCP ? tcp([]) : .failed([], reason) }
        guard let maker = makers.first, maker.kind == entry.kind else { return .drop("it settled on a lane that was not confirmed") }
        return done(maker, [])
    }

    private func done(_ maker: (kind: LaneKind, maker: any LaneMaker), _ bytes: [UInt8]) -> LaneStep {
        phase = .over
        makers = []
        let isBest = wishes.sources.first?.kind == maker.kind || remarks.isEmpty
        return .chosen(bytes, maker.maker.lane(), LaneChoice(maker.kind, remark: isBest ? nil : reason))
    }

    private func takeTCP(_ stage: LaneMessage.Stage) -> LaneStep { tcp(message(stage, [LaneMessage.Entry(.tcp)])) }

    private func tcp(_ bytes: [UInt8]) -> LaneStep {
        phase = .over
        makers = []
        return .chosen(bytes, nil, LaneChoice(.tcp, remark: remarks.isEmpty ? nil : reason))
    }

    private func give(up stage: LaneMessage.Stage) -> LaneStep {
        phase = .over
        makers = []
        return .failed(message(stage, []), reason)
    }

    /// The connection, as what is taken if the rest fails.
    private var connection: [LaneMessage.Entry] { wishes.takesTCP ? [LaneMessage.Entry(.tcp)] : [] }

    private var reason: String { remarks.joined(separator: "; ") }

    static func names(_ kinds: [LaneKind]) -> String {
        kinds.isEmpty ? "nothing" : kinds.map(\.description).joined(separator: " or ")
    }

    private func remark(_ kind: LaneKind, _ failure: LaneFailure) { remarks.append("\(kind) is not possible: \(failure)") }

    private func message(_ stage: LaneMessage.Stage, _ entries: [LaneMessage.Entry]) -> [UInt8] {
        LaneMessage(stage, entries, text: reason).bytes(session)
    }
}

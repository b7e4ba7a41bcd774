// The words with which a pair chooses its lane, after the handshake proper and over the same connection:
//
//     caller                                                            listener
//     offer: every kind it would take, with parameters            ->
//                                                                 <-    choice: the best that both can, with parameters
//     (tcp: that was all)
//     confirmation: made, with parameters; or tcp after all       ->
//                                                                 <-    settlement: the same kind; or tcp after all
//
// A message without kinds is a refusal; its text says why.
import RingCore

/// One message.
///
///     0 magic 4   4 version 1   5 kind 1   6 bytes of the body 2   8 zero 8   16 body   then a proof of 32
///
/// Body: how many kinds 1, for each its number 1, bytes of its parameters 2, parameters; bytes of the text 2, the text.
package struct LaneMessage: Hashable {
    package enum Stage: UInt8 {
        case offer = 6
        case choice = 7
        case confirmation = 8
        case settlement = 9
    }

    /// A kind that is offered, chosen or confirmed.
    package struct Entry: Hashable {
        package var kind: LaneKind
        package var parameters: [UInt8]

        package init(_ kind: LaneKind, _ parameters: [UInt8] = []) { (self.kind, self.parameters) = (kind, parameters) }
    }

    package static let headBytes = 16
    /// Most bytes of one kind's parameters.
    package static let parameterBytes = 256
    /// Most bytes of the text; longer ones are cut.
    package static let textBytes = 400
    /// Most bytes of a body: four kinds and a text.
    package static let bodyBytes = 3 + 4 * (3 + parameterBytes) + textBytes
    private static let proofBytes = 32

    package var stage: Stage
    package var entries: [Entry]
    /// Why there is nothing better, or nothing at all.
    package var text: String

    package init(_ stage: Stage, _ entries: [Entry], text: String = "") { (self.stage, self.entries, self.text) = (stage, entries, text) }

    /// Bytes of the message that begins with `bytes`, as far as they tell: its head, until that is there. `nil` when no
    /// message begins so.
    package static func byteCount(of bytes: [UInt8]) -> Int? {
        if bytes.count < headBytes { return headBytes }
        let body = Int(bytes[6]) | Int(bytes[7]) << 8
        guard couldBeHandshake(bytes), bytes[4] == FrameHeader.version, body <= bodyBytes else { return nil }
        return headBytes + body + proofBytes
    }

    /// The message with its proof.
    package func bytes(_ session: HandshakeSession) -> [UInt8] {
        var body = [UInt8(entries.count)]
        for entry in entries {
            precondition(entry.parameters.count <= Self.parameterBytes, "\(entry.parameters.count) bytes of parameters")
            body += [entry.kind.rawValue] + Self.size(entry.parameters.count) + entry.parameters
        }
        let letters = Array(text.utf8.prefix(Self.textBytes))
        body += Self.size(letters.count) + letters
        let plain =
            handshakeMagicBytes + [FrameHeader.version, stage.rawValue] + Self.size(body.count) + [UInt8](repeating: 0, count: 8) + body
        return plain + session.proof(of: Self.role(stage), plain)
    }

    /// The message, if it is well-formed and proved.
    package init?(decoding bytes: [UInt8], _ session: HandshakeSession) {
        guard let count = Self.byteCount(of: bytes), count == bytes.count, count > Self.headBytes, let stage = Stage(rawValue: bytes[5])
        else { return nil }
        let plain = Array(bytes.dropLast(Self.proofBytes))
        guard isSameProof(session.proof(of: Self.role(stage), plain), Array(bytes.suffix(Self.proofBytes))) else { return nil }
        var rest = plain[Self.headBytes...]
        guard let kinds = rest.popFirst() else { return nil }
        var entries: [Entry] = []
        for _ in 0..<kinds {
            guard let number = rest.popFirst(), let parameters = Self.run(&rest) else { return nil }
            // A kind that this build does not know cannot be chosen; the others can.
            if let kind = LaneKind(rawValue: number) { entries.append(Entry(kind, parameters)) }
        }
        guard let letters = Self.run(&rest), rest.isEmpty else { return nil }
        self.init(stage, entries, text: String(decoding: letters, as: UTF8.self))
    }

    private static func role(_ stage: Stage) -> String { "lane \(stage.rawValue)" }

    private static func size(_ count: Int) -> [UInt8] { [UInt8(count & 0xFF), UInt8(count >> 8)] }

    private static func run(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        guard let low = rest.popFirst(), let high = rest.popFirst() else { return nil }
        let count = Int(low) | Int(high) << 8
        guard rest.count >= count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }
}

// The handshake as two values without sockets or clocks: each is given the bytes it asked for and says what to do next.
//
//     dialer                          acceptor
//     greeting (claims, nonce)   ->
//                                <-   challenge (nonce)       or a refusal
//     proof                      ->
//                                <-   welcome (its own proof) or a refusal
//
// The dialer proves itself first, so that a stranger learns nothing that depends on the secret.
import RingCore

/// What the owner of a connection does after handing bytes to a handshake.
package enum HandshakeStep: Hashable {
    /// Write these bytes, then read `wantedByteCount` more.
    case answer([UInt8])
    /// Write these bytes; the connection belongs to this rank.
    case established(Rank, [UInt8])
    /// Write these bytes and close: the peer knows the protocol but does not fit.
    case refuse(Refusal, [UInt8])
    /// Close without a word: not our protocol.
    case drop(String)
    /// Close: the peer turned us down.
    case turnedDown(Refusal)
}

/// The side that calls.
package struct DialerHandshake {
    private enum Phase { case awaitingChallenge, awaitingWelcome(challenge: [UInt8]), over }
    private let identity: HandshakeIdentity
    private let peer: Rank
    package let greeting: Greeting
    private var phase = Phase.awaitingChallenge
    /// What encrypts the connection, once it is established and if the ring is sealed.
    package private(set) var sealKeys: SealKeys?
    /// What both ends know, once it is established.
    package private(set) var session: HandshakeSession?

    /// Bytes that the next call of `receive` must bring.
    package var wantedByteCount: Int { Answer.byteCount }

    package init(_ identity: HandshakeIdentity, to peer: Rank, nonce: [UInt8]) {
        (self.identity, self.peer) = (identity, peer)
        greeting = Greeting(
            source: identity.rank, destination: peer, world: identity.world, job: identity.job, epoch: identity.epoch,
            isSealed: identity.isSealed, nonce: nonce)
    }

    package mutating func receive(_ bytes: [UInt8]) -> HandshakeStep {
        guard let answer = Answer(decoding: bytes) else { return .drop("it does not speak the ringmaster data plane") }
        if answer.kind == .refusal { return .turnedDown(answer.refusal ?? .version) }
        switch (phase, answer.kind) {
        case (.awaitingChallenge, .challenge):
            phase = .awaitingWelcome(challenge: answer.value)
            return .answer(Answer(.proof, proof(of: "dialer", answer.value)).bytes)
        case (.awaitingWelcome(let challenge), .welcome):
            phase = .over
            guard isSameProof(proof(of: "acceptor", challenge), answer.value) else { return .turnedDown(.secret) }
            session = HandshakeSession(secret: identity.secret, greeting: greeting, challenge: challenge)
            if identity.isSealed {
                sealKeys = SealKeys(secret: identity.secret, greeting: greeting, challenge: challenge, isDialer: true)
            }
            return .established(peer, [])
        default:
            return .drop("its handshake is out of order")
        }
    }

    private func proof(of role: String, _ challenge: [UInt8]) -> [UInt8] {
        handshakeProof(of: role, secret: identity.secret, greeting: greeting, challenge: challenge)
    }
}

/// The side that listens.
package struct AcceptorHandshake {
    private enum Phase { case awaitingGreeting, awaitingProof(Greeting), over }
    private let identity: HandshakeIdentity
    private let nonce: [UInt8]
    private var phase = Phase.awaitingGreeting
    /// What encrypts the connection, once it is established and if the ring is sealed.
    package private(set) var sealKeys: SealKeys?
    /// What both ends know, once it is established.
    package private(set) var session: HandshakeSession?

    /// Bytes that the next call of `receive` must bring.
    package var wantedByteCount: Int {
        if case .awaitingGreeting = phase { return Greeting.byteCount }
        return Answer.byteCount
    }

    package init(_ identity: HandshakeIdentity, nonce: [UInt8]) { (self.identity, self.nonce) = (identity, nonce) }

    package mutating func receive(_ bytes: [UInt8]) -> HandshakeStep {
        switch phase {
        case .awaitingGreeting:
            let greeting: Greeting
            do { greeting = try Greeting(decoding: bytes) } catch {
                if case .version = error { return refuse(.version) }
                return .drop("it does not speak the ringmaster data plane")
            }
            if let refusal = refusal(of: greeting) { return refuse(refusal) }
            phase = .awaitingProof(greeting)
            return .answer(Answer(.challenge, nonce).bytes)
        case .awaitingProof(let greeting):
            phase = .over
            guard let answer = Answer(decoding: bytes), answer.kind == .proof else { return .drop("its handshake is out of order") }
            guard isSameProof(proof(of: "dialer", greeting), answer.value) else { return refuse(.secret) }
            session = HandshakeSession(secret: identity.secret, greeting: greeting, challenge: nonce)
            if identity.isSealed {
                sealKeys = SealKeys(secret: identity.secret, greeting: greeting, challenge: nonce, isDialer: false)
            }
            return .established(Rank(greeting.source), Answer(.welcome, proof(of: "acceptor", greeting)).bytes)
        case .over:
            preconditionFailure("a handshake that is over was given bytes")
        }
    }

    /// Version, place, then age: the first that does not fit is what the caller should repair.
    private func refusal(of greeting: Greeting) -> Refusal? {
        let isCaller = greeting.source > identity.rank.index && greeting.source < identity.world.count
        guard greeting.world == identity.world.count, greeting.destination == identity.rank.index, isCaller else {
            // Another epoch may have another plan; its age is then what matters.
            return age(of: greeting) ?? .ring
        }
        if let refusal = age(of: greeting) { return refusal }
        return greeting.isSealed == identity.isSealed ? nil : .sealing
    }

    private func age(of greeting: Greeting) -> Refusal? {
        let theirs = (greeting.epoch, greeting.job)
        let ours = (identity.epoch, identity.job)
        return theirs == ours ? nil : (theirs < ours ? .stale : .early)
    }

    private func refuse(_ refusal: Refusal) -> HandshakeStep { .refuse(refusal, Answer(refusing: refusal).bytes) }

    private func proof(of role: String, _ greeting: Greeting) -> [UInt8] {
        handshakeProof(of: role, secret: identity.secret, greeting: greeting, challenge: nonce)
    }
}

// Which keys encrypt a connection: made from the job's secret and both random numbers of its handshake, one a direction.
import Crypto
import RingCore

/// The keys of one direction of one connection.
package struct DirectionKey: Hashable, Sendable {
    package static let keyBytes = 32
    package static let nonceBytes = 12

    /// Key of AES-256.
    package let key: [UInt8]
    /// What record numbers are combined with.
    package let nonce: [UInt8]

    package init(key: [UInt8], nonce: [UInt8]) {
        precondition(key.count == Self.keyBytes && nonce.count == Self.nonceBytes, "a key of \(key.count), a nonce of \(nonce.count) bytes")
        (self.key, self.nonce) = (key, nonce)
    }
}

/// The keys of one connection, as one of its ends uses them.
package struct SealKeys: Hashable, Sendable {
    package let sending: DirectionKey
    package let receiving: DirectionKey

    package init(sending: DirectionKey, receiving: DirectionKey) { (self.sending, self.receiving) = (sending, receiving) }

    /// HKDF-SHA256 (RFC 5869) over the secret, salted by the challenge, with the greeting in its context: two connections
    /// never share a key, since each end has put a fresh random number in, so record numbers may begin at zero in each.
    package init(secret: [UInt8], greeting: Greeting, challenge: [UInt8], isDialer: Bool) {
        func key(of role: String) -> DirectionKey {
            let context = Array("ringmaster data plane \(FrameHeader.version) sealed by \(role)".utf8) + greeting.bytes
            let bytes = unsafe HKDF<SHA256>.deriveKey(
                inputKeyMaterial: SymmetricKey(data: secret), salt: challenge, info: context,
                outputByteCount: DirectionKey.keyBytes + DirectionKey.nonceBytes
            ).withUnsafeBytes { unsafe Array($0) }
            return DirectionKey(key: Array(bytes[..<DirectionKey.keyBytes]), nonce: Array(bytes[DirectionKey.keyBytes...]))
        }
        let (dialer, acceptor) = (key(of: "dialer"), key(of: "acceptor"))
        self.init(sending: isDialer ? dialer : acceptor, receiving: isDialer ? acceptor : dialer)
    }
}

// AES-256-GCM over records, by OpenSSL: the cipher's state is made once for a direction, a record costs no allocation.
import COpenSSL
import RingCore

/// One direction's cipher. Records are numbered from zero; the number is part of the nonce and never sent, so a record that
/// is left out, doubled or moved does not open (as in TLS 1.3, RFC 8446 section 5.3). One thread at a time uses it.
@safe package final class RecordCipher {
    /// Bytes of the tag behind a record's ciphertext.
    package static let tagBytes = 16

    private let context: OpaquePointer
    private let isSealing: Bool
    private let base: [UInt8]
    private var nonce: [UInt8]
    private var number: UInt64 = 0

    /// A cipher that seals, or opens, the records of one direction. Throws `.system` if the library refuses.
    package init(_ key: DirectionKey, isSealing: Bool) throws(TransportError) {
        guard let context = unsafe EVP_CIPHER_CTX_new() else { throw .system("no memory for a cipher") }
        unsafe self.context = context
        self.isSealing = isSealing
        (base, nonce) = (key.nonce, key.nonce)
        let direction: Int32 = isSealing ? 1 : 0
        guard unsafe EVP_CipherInit_ex(context, EVP_aes_256_gcm(), nil, key.key, nil, direction) == 1 else {
            throw .system("OpenSSL has no AES-256-GCM: look at its configuration (FIPS, providers)")
        }
    }

    deinit { unsafe EVP_CIPHER_CTX_free(context) }

    /// Begins the next record; `header` is authenticated, not encrypted. False if the library fails.
    package func begin(header: UnsafeRawPointer, count: Int) -> Bool {
        for place in 0..<8 { nonce[4 + place] = base[4 + place] ^ UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * place)) }
        // 2^64 records of 64 KiB are not reached, and each connection has keys of its own.
        number &+= 1
        var written: Int32 = 0
        let bytes = unsafe header.assumingMemoryBound(to: UInt8.self)
        return unsafe EVP_CipherInit_ex(context, nil, nil, nil, nonce, isSealing ? 1 : 0) == 1
            && EVP_CipherUpdate(context, nil, &written, bytes, Int32(count)) == 1
    }

    /// Encrypts or decrypts `count` further bytes of the record; source and target may be the same.
    package func update(_ source: UnsafeRawPointer, into target: UnsafeMutableRawPointer, count: Int) -> Bool {
        var written: Int32 = 0
        return unsafe EVP_CipherUpdate(
            context, target.assumingMemoryBound(to: UInt8.self), &written, source.assumingMemoryBound(to: UInt8.self), Int32(count)) == 1
            && Int(written) == count
    }

    /// Ends a record that is sealed and writes its tag.
    package func seal(tag: UnsafeMutableRawPointer) -> Bool {
        var written: Int32 = 0
        // GCM has no last block: nothing is written beyond what `update` wrote.
        return unsafe EVP_CipherFinal_ex(context, tag.assumingMemoryBound(to: UInt8.self), &written) == 1 && written == 0
            && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(Self.tagBytes), tag) == 1
    }

    /// Ends a record that is opened; false if its bytes, its header or its place in the order are not the sealer's.
    package func verify(tag: UnsafeMutableRawPointer) -> Bool {
        var written: Int32 = 0
        var nothing: UInt8 = 0
        return unsafe EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(Self.tagBytes), tag) == 1
            && EVP_CipherFinal_ex(context, &nothing, &written) == 1
    }
}

// Prompts that come from files: text as bytes, or token ids as JSON or as raw words.

import Foundation
import RingCore
import RingFormats

enum PromptFile {
    /// Most bytes of a prompt's text: eight a token for the longest context of 2^28 tokens that is likely here.
    private static let textLimit = 1 << 31
    /// Most bytes of a file of token ids.
    private static let idLimit = 1 << 31

    /// The bytes of a file, or of stdin for `-`.
    static func bytes(_ path: String) throws(CommandError) -> [UInt8] {
        if path == "-" { return Array(FileHandle.standardInput.readDataToEndOfFile()) }
        return try reading { () throws(FormatError) in try FileText.bytes(path: path, limit: textLimit) }
    }

    /// Token ids: a JSON array if the file begins like one, else unsigned 32-bit little-endian words.
    static func tokens(_ path: String) throws(CommandError) -> [UInt32] {
        let bytes = try reading { () throws(FormatError) in try FileText.bytes(path: path, limit: idLimit) }
        // A file of words may begin with the byte `[` too: only a valid array counts as JSON.
        if bytes.first(where: { !Character(UnicodeScalar($0)).isWhitespace }) == UInt8(ascii: "["),
            let values = (try? JSONValue(parsing: bytes, file: path))?.arrayValue
        {
            return try values.enumerated().map { place, value throws(CommandError) in
                guard let id = value.intValue, let id = UInt32(exactly: id) else {
                    throw .failed("\(path): element \(place) is not a token id (a whole number from 0 to 4294967295)")
                }
                return id
            }
        }
        guard bytes.count % 4 == 0 else {
            throw .failed("\(path) is neither a JSON array nor whole 32-bit words: it has \(bytes.count) bytes")
        }
        return stride(from: 0, to: bytes.count, by: 4).map { place in
            UInt32(bytes[place]) | UInt32(bytes[place + 1]) << 8 | UInt32(bytes[place + 2]) << 16 | UInt32(bytes[place + 3]) << 24
        }
    }
}

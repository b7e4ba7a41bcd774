// Newline-delimited JSON as it arrives: whole lines, each within a limit, and an error with a name when the connection breaks.

import AsyncHTTPClient
import Foundation
import NIOCore

/// The lines of one response. A value has one reader.
public struct LineStream {
    private var parts: HTTPClientResponse.Body.AsyncIterator
    private var part = ByteBuffer()
    private var line = Data()
    /// Called for every part that arrives, and with the error that ended the connection.
    private let heard: (_ error: (any Error)?) -> ClientError?

    init(_ body: HTTPClientResponse.Body, heard: @escaping (_ error: (any Error)?) -> ClientError?) {
        parts = body.makeAsyncIterator()
        self.heard = heard
    }

    /// The next line without its newline; empty for a sign of life, `nil` when the server has ended the stream.
    public mutating func next() async throws(ClientError) -> Data? {
        while true {
            let bytes = part.readableBytesView
            if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
                try append(bytes[..<end])
                part.moveReaderIndex(forwardBy: end - bytes.startIndex + 1)
                defer { line = Data() }
                return line
            }
            try append(bytes)
            do {
                guard let more = try await parts.next() else {
                    if line.isEmpty { return nil }
                    throw ClientError.broken("the stream ended within a line")
                }
                _ = heard(nil)
                part = more
            } catch let error as ClientError {
                throw error
            } catch {
                throw heard(error) ?? .broken("\(error)")
            }
        }
    }

    private mutating func append(_ bytes: ByteBufferView) throws(ClientError) {
        guard line.count + bytes.count <= ClientLimits.lineBytes else {
            throw .garbled("a line of more than \(ClientLimits.lineBytes) bytes")
        }
        line.append(contentsOf: bytes)
    }
}

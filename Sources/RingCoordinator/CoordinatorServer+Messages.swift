// What the routes share: numbers in paths and queries, JSON bodies, streams of lines.

import Foundation
import Hummingbird
import NIOCore

extension CoordinatorServer {
    /// A number in the path.
    static func number(_ context: Context, _ name: String = "id") throws(APIError) -> UInt64 {
        guard let text = context.parameters.get(name), let number = UInt64(text) else {
            throw APIError(.badRequest, "the path needs a number for \(name)", parameter: name)
        }
        return number
    }

    /// A number in the query; `fallback` if it is not there.
    static func query(_ request: Request, _ name: String, default fallback: Int? = nil) throws(APIError) -> Int {
        guard let text = request.uri.queryParameters[Substring(name)] else {
            if let fallback { return fallback }
            throw APIError(.badRequest, "the query needs \(name)=NUMBER", parameter: name)
        }
        guard let number = Int(text), number >= 0 else {
            throw APIError(.badRequest, "the query needs \(name)=NUMBER", parameter: name)
        }
        return number
    }

    /// A JSON body.
    static func body<Value: Decodable>(_ type: Value.Type, of request: Request, limit: Int) async throws -> Value {
        let buffer = try await request.body.collect(upTo: limit)
        do {
            return try ControlJSON.decode(type, from: .init(buffer.readableBytesView))
        } catch {
            throw APIError(.badRequest, "the body is not the JSON this route takes: \(error)")
        }
    }

    /// A response whose body is a line an element, `nil` being a blank line that only shows that somebody is there. `ended` runs when
    /// nobody reads any more, for whatever reason.
    static func lines<Items: AsyncSequence & Sendable>(
        _ items: Items, ended: @escaping @Sendable () async -> Void = {}
    ) -> Response where Items.Element == String? {
        let body = ResponseBody { writer in
            do {
                // A first line at once, so that the reader knows that it is heard.
                try await writer.write(ByteBuffer(string: "\n"))
                for try await line in items { try await writer.write(ByteBuffer(string: (line ?? "") + "\n")) }
            } catch {
                await ended()
                throw error
            }
            await ended()
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: [.contentType: "application/x-ndjson", .cacheControl: "no-store"], body: body)
    }
}

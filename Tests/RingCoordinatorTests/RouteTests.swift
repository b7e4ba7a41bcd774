// What the HTTP interface refuses, and how it says so.

import Foundation
import RingControl
import RingCoordinator
import Testing

@Suite("Routes", .serialized, .timeLimit(.minutes(1)))
struct RouteTests {
    private static let guarded = [
        ("GET", "/v1/workers"), ("POST", "/v1/workers"), ("GET", "/v1/workers/1/directives"), ("POST", "/v1/workers/1/reports?batch=1"),
        ("POST", "/v1/workers/1/trace?job=1&epoch=1"),
        ("GET", "/v1/jobs"), ("POST", "/v1/jobs"), ("GET", "/v1/jobs/1"), ("DELETE", "/v1/jobs/1"), ("GET", "/v1/jobs/1/events"),
        ("GET", "/v1/jobs/1/prompt?start=0&count=1"), ("PUT", "/v1/jobs/1/prompt?start=0"),
    ]

    @Test("every route but the health checks needs the token")
    func authorisation() async throws {
        try await Bench.run { bench in
            for (method, path) in Self.guarded {
                for token in [nil, "", "secre", "Secret", "secretsecret"] {
                    let (status, text) = try await bench.ask(method, path, token: token)
                    #expect(status == 401, "\(method) \(path) with \(token ?? "no token"): \(text)")
                    #expect(text.contains(#""code":"unauthorized""#), "\(text)")
                }
            }
            for path in ["/healthz", "/readyz", "/version"] { try await bench.expect(200, "GET", path, token: nil) }
        }
    }

    @Test("errors have OpenAI's shape and a stable code")
    func shapes() async throws {
        try await Bench.run { bench in
            let cases: [(String, String, String, UInt, String)] = [
                ("POST", "/v1/jobs", "{", 400, "bad_request"),
                ("POST", "/v1/jobs", #"{"workers":1,"spec":{"kind":"dance"}}"#, 400, "bad_request"),
                ("POST", "/v1/jobs", generateRequest(tokens: 0, workers: 1), 400, "bad_request"),
                ("POST", "/v1/jobs", generateRequest(tokens: 10, workers: 0), 400, "bad_request"),
                ("POST", "/v1/jobs", generateRequest(tokens: 1 << 30, workers: 1), 413, "too_large"),
                ("GET", "/v1/jobs/7", "", 404, "not_found"), ("GET", "/v1/jobs/x", "", 400, "bad_request"),
                ("DELETE", "/v1/jobs/7", "", 404, "not_found"), ("GET", "/v1/jobs/7/events", "", 404, "not_found"),
                ("GET", "/v1/workers/7/directives", "", 404, "not_found"), ("GET", "/v1/elephants", "", 404, "not_found"),
                ("POST", "/v1/workers/7/reports?batch=1", "", 404, "not_found"),
                ("POST", "/v1/workers/7/reports", "", 400, "bad_request"),
                ("POST", "/v1/workers/7/trace?job=1&epoch=1", "", 404, "not_found"),
                ("POST", "/v1/workers/7/trace?job=1", "", 400, "bad_request"),
                ("POST", "/v1/workers/7/reports?batch=1", "nonsense", 400, "bad_request"),
                ("POST", "/v1/workers", #"{"name":"a"}"#, 400, "bad_request"),
            ]
            for (method, path, body, status, code) in cases {
                let answer = try await bench.ask(method, path, json: body)
                #expect(answer.status == status, "\(method) \(path) \(body): \(answer.text)")
                #expect(answer.text.contains("\"code\":\"\(code)\""), "\(method) \(path) \(body): \(answer.text)")
                #expect(answer.text.hasPrefix(#"{"error":{"#) && answer.text.contains(#""type":"invalid_request_error""#))
            }
        }
    }

    @Test("a body beyond its limit is refused with 413")
    func tooLarge() async throws {
        try await Bench.run { bench in
            let body = [UInt8](repeating: UInt8(ascii: " "), count: CoordinatorLimits.jsonBytes + 1)
            try await bench.expect(413, "POST", "/v1/jobs", body)
            let reports = [UInt8](repeating: UInt8(ascii: "\n"), count: CoordinatorLimits.reportBytes + 1)
            try await bench.expect(413, "POST", "/v1/workers/1/reports?batch=1", reports)
        }
    }

    @Test("prompt pieces must lie in the prompt, and what is not there cannot be fetched")
    func promptRanges() async throws {
        try await Bench.run { bench in
            _ = try await bench.ask("POST", "/v1/jobs", json: generateRequest(tokens: 10, workers: 1))
            try await bench.expect(400, "PUT", "/v1/jobs/1/prompt?start=8", words(0..<3))
            try await bench.expect(400, "PUT", "/v1/jobs/1/prompt?start=0", [1, 2, 3])
            try await bench.expect(400, "PUT", "/v1/jobs/1/prompt", words(0..<3))
            try await bench.expect(400, "PUT", "/v1/jobs/1/prompt?start=9223372036854775807", words(0..<3))
            try await bench.expect(204, "PUT", "/v1/jobs/1/prompt?start=4", words(4..<7))
            let answer = try await bench.ask("GET", "/v1/jobs/1/prompt?start=4&count=3").text
            #expect(answer == String(decoding: words(4..<7), as: UTF8.self))
            try await bench.expect(400, "GET", "/v1/jobs/1/prompt?start=4&count=7")
            try await bench.expect(400, "GET", "/v1/jobs/1/prompt?start=-1&count=1")
            try await bench.expect(400, "GET", "/v1/jobs/1/prompt?start=0&count=9223372036854775807")
        }
    }

    @Test("only loopback is listened on")
    func loopback() async throws {
        let server = CoordinatorServer(shell: try CoordinatorShell(version: "1", policy: CoordinatorPolicy()), token: JoinToken.random())
        await #expect(throws: ServerError.self) { try await server.run(host: "0.0.0.0") { _ in } }
    }

    @Test("a port that is taken is an error with the address in it")
    func portTaken() async throws {
        try await Bench.run { bench in
            let port = Int(bench.address.split(separator: ":").last ?? "") ?? 0
            let server = CoordinatorServer(
                shell: try CoordinatorShell(version: "1", policy: CoordinatorPolicy()), token: JoinToken.random())
            let error = await #expect(throws: ServerError.self) { try await server.run(port: port) { _ in } }
            #expect(error?.description.contains("127.0.0.1:\(port)") == true)
        }
    }
}

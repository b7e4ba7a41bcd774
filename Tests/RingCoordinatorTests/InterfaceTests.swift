// /ui as it leaves the server: what the page may do, and that its script makes no markup of what it is told.

import AsyncHTTPClient
import Crypto
import Foundation
import NIOCore
import RingCoordinator
import Testing

@Suite("Interface page", .serialized, .timeLimit(.minutes(1)))
struct InterfacePageTests {
    /// The page and its headers as a browser gets them.
    private static func page() async throws -> (text: String, policy: String, headers: [(String, String)]) {
        try await Bench.run { bench in
            var request = HTTPClientRequest(url: bench.address + "/ui")
            request.headers.add(name: "Authorization", value: "Bearer secret")
            let response = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
            let text = String(buffer: try await response.body.collect(upTo: 1 << 20))
            #expect(response.status == .ok)
            return (text, response.headers.first(name: "Content-Security-Policy") ?? "", response.headers.map { ($0.name, $0.value) })
        }
    }

    /// What stands between two tags.
    private static func inside(_ tag: String, of text: String) throws -> String {
        let start = try #require(text.firstRange(of: "<\(tag)>")), end = try #require(text.firstRange(of: "</\(tag)>"))
        return String(text[start.upperBound..<end.lowerBound])
    }

    @Test("the policy allows this script and this style by their hashes, and nothing from elsewhere")
    func policy() async throws {
        let (text, policy, headers) = try await Self.page()
        for (tag, directive) in [("script", "script-src"), ("style", "style-src")] {
            let hash = Data(SHA256.hash(data: Data(try Self.inside(tag, of: text).utf8))).base64EncodedString()
            #expect(policy.contains("\(directive) 'sha256-\(hash)'"), "\(policy)")
        }
        for part in ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            #expect(policy.contains(part))
        }
        #expect(!policy.contains("unsafe") && !policy.contains("*"))
        #expect(headers.contains { $0.0.lowercased() == "x-content-type-options" && $0.1 == "nosniff" })
        #expect(headers.contains { $0.0.lowercased() == "content-type" && $0.1 == "text/html; charset=utf-8" })
    }

    @Test("nothing is fetched from elsewhere, and nothing but text is put into the page")
    func text() async throws {
        let (text, _, _) = try await Self.page()
        #expect(text.count < 40_000)
        #expect(text.matches(of: /<(script|style|link|img|iframe|object)/).count == 3, "one style, one script, one icon")
        // The name of a namespace, which nobody fetches, is the only address.
        let addresses = text.matches(of: /https?:\/\/[^"'` ]+/).map { String($0.output) }
        #expect(addresses == ["http://www.w3.org/2000/svg"])
        for word in [
            "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "setAttribute(\"style\"", " style=\"",
        ] {
            #expect(!text.contains(word), "\(word)")
        }
        // Handlers in attributes would not run under the policy.
        #expect(!text.contains(/\son[a-z]+="/))
    }

    @Test("the page is for everybody, since it holds no state; the metrics are not, and count what was asked")
    func guarded() async throws {
        try await Bench.run { bench in
            #expect(try await bench.ask("GET", "/ui", token: nil).text == InterfacePageTests.page().text)
            try await bench.expect(401, "GET", "/metrics", token: nil)
            try await bench.expect(404, "GET", "/v1/elephants/17")
            let answer = try await bench.ask("GET", "/metrics")
            #expect(answer.status == 200 && answer.text.contains("\nringmaster_workers{state=\"idle\"} 0\n"))
            for (route, status) in [("/metrics", "4xx"), ("/ui", "2xx"), ("none", "4xx")] {
                let line = "\nringmaster_http_requests_total{method=\"GET\",route=\"\(route)\",status=\"\(status)\"} 1\n"
                #expect(answer.text.contains(line), "\(line) is not in\(answer.text)")
            }
        }
    }
}

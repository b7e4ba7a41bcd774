// What a stranger learns: nothing. A cluster full of names is scanned without a credential; every answer is the same.

import Foundation
import RingClient
import RingControl
import RingCoordinator
import Testing

@Suite("Attack: scanning", .serialized, .timeLimit(.minutes(2)))
struct AttackScanTests {
    private static let open: Set<String> = ["GET /healthz", "GET /readyz", "GET /version", "GET /ui", "GET /v1/authority"]

    /// Methods and paths: every route, routes that do not exist, things that exist and that do not.
    private static var targets: [(String, String)] {
        let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "SEARCH"]
        let paths =
            Set(AccessTable.routes.map { String($0.route.split(separator: " ")[1]) }).flatMap { path in
                ["1", "2", "trillian", "nobody"].map { path.replacing("{}", with: $0) }
            } + [
                "/", "/v1", "/v1/", "/v2/jobs", "/admin", "/.git/config", "/v1/jobs/1/secret", "//v1/jobs", "/v1//jobs", "/V1/JOBS",
                "/debug/pprof",
            ]
        return methods.flatMap { method in Set(paths).sorted().map { (method, $0) } }
    }

    @Test("every port, every route, every method: without a credential not a byte of state comes back")
    func everything() async throws {
        try await SecurityBench.run { bench in
            // Something to be found: a worker, its session, a job, their names.
            let worker = Caller(address: bench.address, tls: try await bench.worker("trillian").tlsConfiguration())
            #expect(try await worker.ask("POST", "/v1/workers", registration("trillian")).status == 201)
            let key = try bench.key("zaphod", .submit)
            let (status, text) = try await bench.ask("POST", "/v1/jobs", json: attendRequest(workers: 1), key: key)
            #expect(status == 201, "\(text)")
            for credential in [
                nil, "", "rmk_", "rmk_" + String(repeating: "0", count: 64), key + "0", String(key.dropLast()), key.uppercased(),
            ] {
                let stranger = Caller(address: bench.address, tls: try bench.trust(), key: credential)
                var answers: Set<String> = []
                for (method, path) in Self.targets.prefix(credential == nil ? .max : 40) {
                    let (status, text) = try await stranger.ask(method, path)
                    for secret in ["zaphod", "trillian", "attend", "queued", "\"jobs\"", "\"workers\"", "PRIVATE"]
                    where !Self.isOpen(method, path) {
                        #expect(!text.contains(secret), "\(method) \(path) says \(secret): \(text)")
                    }
                    guard !Self.isOpen(method, path) else { continue }
                    if path == "/v1/join", method == "POST" { continue }
                    #expect(status == 401 || status == 429 || method == "HEAD" || status == 400, "\(method) \(path): \(status)")
                    answers.insert(text)
                }
                // One sentence for all, another when there were too many, and nothing.
                #expect(answers.subtracting([""]).count <= 2, "\(answers)")
                await stranger.close()
            }
            await worker.close()
        }
    }

    private static func isOpen(_ method: String, _ path: String) -> Bool { open.contains(method + " " + path) }

    @Test("what is open tells that there is a server and which version, and no more")
    func openRoutes() async throws {
        try await SecurityBench.run { bench in
            _ = try await bench.worker("trillian")
            let answers = [
                "/healthz": "ok\n", "/readyz": "{\"ready\":true,\"reasons\":[]}\n",
                "/version": "{\"version\":\"\(RingmasterVersion.text)\"}\n",
            ]
            for (path, text) in answers { #expect(try await bench.ask("GET", path).text == text) }
            #expect(try await bench.ask("GET", "/ui").text.contains("trillian") == false)
            #expect(try await bench.ask("GET", "/v1/authority").text.contains("PRIVATE") == false)
        }
    }

    @Test("guessing keys brings refusals that cost nothing after a while, and never shuts out those who have one")
    func guessing() async throws {
        try await SecurityBench.run { bench in
            let guesser = Caller(address: bench.address, tls: try bench.trust(), key: "rmk_guess")
            let owner = Caller(address: bench.address, tls: try bench.trust(), key: try bench.key("alice", .read))
            var statuses: Set<UInt> = []
            for _ in 0..<400 { statuses.insert(try await guesser.ask("GET", "/v1/jobs").status) }
            #expect(statuses == [401, 429], "\(statuses)")
            #expect(try await owner.ask("GET", "/v1/jobs").status == 200)
            await guesser.close()
            await owner.close()
        }
    }

    @Test("nothing that opens a door lies in the state folder as it was given out")
    func disk() async throws {
        try await SecurityBench.run { bench in
            let token = try bench.security.tokens.create().text
            let key = try bench.key("alice", .admin)
            let secrets = [String(token.dropFirst(7)), String(key.dropFirst(4))]
            let files = try FileManager.default.contentsOfDirectory(atPath: bench.folder.path)
            #expect(files.count >= 4)
            #expect(try mode(of: bench.folder.path) == 0o700)
            for file in files {
                let path = bench.folder.path + "/" + file
                #expect(try mode(of: path) == 0o600, "\(file)")
                let text = String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
                for secret in secrets { #expect(!text.contains(secret), "\(file)") }
            }
        }
    }
}

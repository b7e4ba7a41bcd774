// Every route against every kind of credential. The table here is written from the documentation, not from the server's own table.

import Foundation
import NIOSSL
import RingClient
import RingControl
import RingCoordinator
import RingWorker
import Testing

@Suite("Attack: roles", .serialized, .timeLimit(.minutes(2)))
struct AttackRoleTests {
    /// Who may use a route: letters of r(ead) s(ubmit) a(dmin) w(orker) n(obody).
    private static let table: [(method: String, path: String, who: String)] = [
        ("GET", "/healthz", "nrsaw"), ("GET", "/readyz", "nrsaw"), ("GET", "/version", "nrsaw"), ("GET", "/ui", "nrsaw"),
        ("GET", "/v1/authority", "nrsaw"), ("POST", "/v1/join", "nrsaw"),
        ("GET", "/metrics", "rsa"), ("GET", "/v1/cluster", "rsa"), ("GET", "/v1/workers", "rsa"),
        ("GET", "/v1/jobs", "rsa"), ("GET", "/v1/jobs/{7}", "rsa"), ("GET", "/v1/jobs/{7}/events", "rsa"),
        ("POST", "/v1/jobs", "sa"), ("DELETE", "/v1/jobs/{7}", "sa"), ("PUT", "/v1/jobs/{7}/prompt", "sa"),
        ("GET", "/v1/jobs/{7}/prompt", "w"), ("POST", "/v1/workers", "w"), ("GET", "/v1/workers/{7}/directives", "w"),
        ("POST", "/v1/workers/{7}/reports", "w"), ("POST", "/v1/workers/{7}/trace", "w"),
        ("POST", "/v1/workers/{7}/facts", "w"),
        ("POST", "/v1/workers/{mallory}/certificate", "w"),
        ("POST", "/v1/workers/{mallory}/drain", "a"), ("POST", "/v1/drain", "a"),
    ]

    @Test("every route opens for exactly those roles that the documentation names")
    func everyRoute() async throws {
        try await SecurityBench.run { bench in
            let worker = try await bench.worker("mallory").tlsConfiguration()
            let callers: [(Character, Caller)] = [
                ("n", Caller(address: bench.address, tls: try bench.trust())),
                ("r", Caller(address: bench.address, tls: try bench.trust(), key: try bench.key("reader", .read))),
                ("s", Caller(address: bench.address, tls: try bench.trust(), key: try bench.key("submitter", .submit))),
                ("a", Caller(address: bench.address, tls: try bench.trust(), key: try bench.key("root", .admin))),
                ("w", Caller(address: bench.address, tls: worker)),
            ]
            for (method, pattern, who) in Self.table {
                let path = pattern.replacing("{", with: "").replacing("}", with: "")
                for (letter, caller) in callers {
                    let (status, text) = try await caller.ask(method, path)
                    // /v1/join answers 400 to an empty body, whoever sends it.
                    let isTurnedAway = status == 401 || status == 403
                    #expect(isTurnedAway != who.contains(letter), "\(method) \(path) as \(letter): \(status) \(text)")
                    if letter == "n", isTurnedAway { #expect(status == 401, "\(method) \(path): \(status)") }
                    if letter != "n", isTurnedAway { #expect(status == 403, "\(method) \(path) as \(letter): \(status)") }
                }
            }
            for (_, caller) in callers { await caller.close() }
        }
    }

    @Test("the table above and the server's own have every route that the router has, and no other")
    func complete() async throws {
        try await SecurityBench.run { bench in
            let routes = Set(bench.server.router().routes.map { AccessTable.key($0.method, "\($0.path)") })
            #expect(routes.count > 20)
            #expect(routes == Set(AccessTable.routes.map(\.route)))
            let documented = Self.table.map { "\($0.method) \($0.path.replacing(/{[^}]*}/, with: "{}"))" }
            #expect(routes == Set(documented))
        }
    }

    @Test("a key with a role is no worker, and a key beside a certificate must be good itself")
    func mixed() async throws {
        try await SecurityBench.run { bench in
            let worker = try await bench.worker("mallory").tlsConfiguration()
            #expect(try await bench.ask("GET", "/v1/jobs/1/prompt?start=0&count=1", key: try bench.key("root", .admin)).status == 403)
            #expect(try await bench.ask("GET", "/v1/jobs/1/prompt?start=0&count=1", key: "rmk_wrong", tls: worker).status == 401)
            #expect(try await bench.ask("GET", "/v1/jobs", key: try bench.key("r", .read), tls: worker).status == 200)
            #expect(try await bench.ask("GET", "/v1/jobs/1/prompt?start=0&count=1", tls: worker).status == 404)
        }
    }

    @Test("a worker joins, speaks and renews under its own name only")
    func anothersName() async throws {
        try await SecurityBench.run { bench in
            let alice = Caller(address: bench.address, tls: try await bench.worker("alice").tlsConfiguration())
            let mallory = Caller(address: bench.address, tls: try await bench.worker("mallory").tlsConfiguration())
            let (joined, text) = try await alice.ask("POST", "/v1/workers", registration("alice"))
            #expect(joined == 201, "\(text)")
            let id = text.filter(\.isNumber)
            #expect(try await mallory.ask("POST", "/v1/workers", registration("alice")).status == 403)
            #expect(try await mallory.ask("POST", "/v1/workers", Array("{}".utf8)).status == 400)
            #expect(try await mallory.ask("POST", "/v1/workers/\(id)/reports?batch=1").status == 403)
            #expect(try await mallory.ask("POST", "/v1/workers/\(id)/facts", Array("{}".utf8)).status == 403)
            #expect(try await mallory.ask("GET", "/v1/workers/\(id)/directives").status == 403)
            #expect(try await mallory.ask("POST", "/v1/workers/alice/drain").status == 403)
            #expect(try await mallory.ask("POST", "/v1/workers/alice/certificate").status == 403)
            // A session that is not there is told as such, so that a worker of a restarted coordinator joins again.
            #expect(try await mallory.ask("POST", "/v1/workers/9999/reports?batch=1").status == 404)
            #expect(try await alice.ask("POST", "/v1/workers/\(id)/reports?batch=1").status == 204)
            await alice.close()
            await mallory.close()
        }
    }

    @Test("a submitter cancels its own jobs, an administrator anybody's")
    func cancelling() async throws {
        try await SecurityBench.run { bench in
            let (alice, bob, root) = (
                try bench.key("alice", .submit), try bench.key("bob", .submit), try bench.key("root", .admin)
            )
            let (status, text) = try await bench.ask("POST", "/v1/jobs", json: attendRequest(workers: 1), key: alice)
            #expect(status == 201, "\(text)")
            #expect(text.contains(#""owner":"alice""#), "\(text)")
            #expect(try await bench.ask("DELETE", "/v1/jobs/1", key: bob).status == 403)
            #expect(try await bench.ask("GET", "/v1/jobs/1", key: bob).text.contains(#""state":"cancelled""#) == false)
            #expect(try await bench.ask("DELETE", "/v1/jobs/1", key: alice).status == 200)
            _ = try await bench.ask("POST", "/v1/jobs", json: attendRequest(workers: 1), key: alice)
            #expect(try await bench.ask("DELETE", "/v1/jobs/2", key: root).status == 200)
            let entries = try bench.security.audit.verified().filter { $0.action == .cancelJob }
            #expect(entries.map(\.actor) == ["root"] && entries.map(\.target) == ["job 2"], "\(entries)")
        }
    }
}

/// A worker's registration as it posts it.
func registration(_ name: String) -> [UInt8] {
    Array(
        """
        {"name":"\(name)","pid":1,"machine":"m","isa":"scalar","cpus":1,"numa_nodes":1,"memory_bytes":1073741824,
        "data_host":"127.0.0.1","data_port":9,"version":"\(RingmasterVersion.text)","instance":"\(name)-1"}
        """.utf8)
}

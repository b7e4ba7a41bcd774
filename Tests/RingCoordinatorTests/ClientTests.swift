// The client against servers that break off, fall silent, repeat themselves, lie or refuse: what it then does is asked for again,
// and what the caller hears.

import Foundation
import RingClient
import RingControl
import RingCore
import Synchronization
import Testing

@Suite("Client", .timeLimit(.minutes(1)))
struct ClientTests {
    /// A client of a fake server whose patience and silence are short.
    private func withClient<Result>(
        _ server: FakeServer, patience: Double = 5, silence: Double = 4, _ body: (ClusterClient) async throws -> Result
    ) async throws -> Result {
        // The server answers for as long as it is held.
        defer { withExtendedLifetime(server) {} }
        var configuration = ClusterConnection.Configuration(address: server.address, key: "k")
        configuration.silenceSeconds = silence
        let connection = try ClusterConnection(configuration)
        do {
            let result = try await body(ClusterClient(connection, patienceSeconds: patience))
            await connection.close()
            return result
        } catch {
            await connection.close()
            throw error
        }
    }

    private static func job(_ id: Int, _ state: String = "queued") -> String {
        """
        {"id":\(id),"kind":"attend","state":"\(state)","owner":"o","priority":0,"tokens":64,"workers":[],"attempt":0,"retries":1,"epoch":0,\
        "tokens_generated":0,"submitted_at":1.5}
        """
    }

    private static func token(_ sequence: Int, _ index: Int) -> String {
        #"{"seq":\#(sequence),"at":1.5,"type":"token","index":\#(index),"id":\#(100 + index)}"# + "\n"
    }

    private static func succeeded(_ sequence: Int) -> String { #"{"seq":\#(sequence),"at":2,"type":"succeeded","workers":[]}"# + "\n" }

    private var order: JobOrder {
        let shape = AttentionShape(tokens: 64, heads: 2, kvHeads: 1, headDim: 64, valueDim: 64, element: .f32)
        return JobOrder(.attend(AttendSpec(input: .seeded(seed: 1), shape: shape, causal: true)))
    }

    private func idempotencyKey(_ request: String) -> String? {
        request.firstMatch(of: /(?i)idempotency-key: ([^\r]+)/).map { String($0.1) }
    }

    // MARK: sending again

    @Test("a submission whose connection breaks is sent again under the same key")
    func submissionBreaks() async throws {
        let server = try FakeServer { _, number in number < 2 ? [.drop] : [FakeServer.answer(201, Self.job(7))] }
        let (job, isNew) = try await withClient(server) { try await $0.submit(order) }
        #expect(job.id.number == 7 && job.state == .queued && isNew)
        let keys = server.requests.map(idempotencyKey)
        #expect(keys.count == 3 && Set(keys).count == 1 && keys[0]?.count == 36, "\(keys)")
        let second = try await withClient(server) { try await $0.submit(order) }
        #expect(second.job.id.number == 7)
        #expect(idempotencyKey(server.requests[3]) != keys[0], "two submissions share a key")
    }

    @Test("a broken connection is tried for as long as patience lasts")
    func patience() async throws {
        let server = try FakeServer { _, _ in [.drop] }
        let started = ContinuousClock.now
        let error = await #expect(throws: ClientError.self) { try await withClient(server, patience: 0.6) { try await $0.cluster() } }
        guard case .broken = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(ContinuousClock.now - started > .milliseconds(600))
        #expect(server.requests.count >= 2)
    }

    @Test("where nobody listens is told at once")
    func unreachable() async throws {
        let address = try FakeServer { _, _ in [] }.address  // closed again
        let connection = try ClusterConnection(.init(address: address))
        let started = ContinuousClock.now
        let error = await #expect(throws: ClientError.self) { try await ClusterClient(connection).version() }
        await connection.close()
        guard case .unreachable(let sentence) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(sentence.contains(address) && sentence.contains("refused"), "\(sentence)")
        #expect(ContinuousClock.now - started < .seconds(ClientLimits.patienceSeconds / 2), "patience is for coordinators that were there")
    }

    @Test("a prompt goes in pieces, little-endian, and a piece that breaks is sent again")
    func promptPieces() async throws {
        let server = try FakeServer { _, number in number == 1 ? [.drop] : [FakeServer.answer(204, "")] }
        let ids = [UInt32](repeating: 0x41424344, count: ClientLimits.promptTokensPerRequest + 2)
        try await withClient(server) { try await $0.storePrompt(ids, of: JobNumber(3)) }
        let second = "PUT /v1/jobs/3/prompt?start=\(ClientLimits.promptTokensPerRequest)"
        #expect(server.lines == ["PUT /v1/jobs/3/prompt?start=0", second, second])
        #expect(server.requests.last?.hasSuffix("\r\n\r\nDCBADCBA") == true)
        #expect(server.requests.allSatisfy { $0.contains("Bearer k") })
    }

    // MARK: streams

    @Test("events go on behind the last one seen when a stream breaks within a line, and none is given twice")
    func eventsResume() async throws {
        let given = Mutex(0)
        let server = try FakeServer { _, number in
            switch number {
            case 0:
                [
                    FakeServer.streamHead, FakeServer.piece("\n" + Self.token(1, 0)),
                    FakeServer.piece(Self.token(2, 1) + #"{"seq":3,"at":1,"ty"#), .until { given.withLock { $0 } == 2 }, .drop,
                ]
            case 1: [.drop]
            // Repeats what is known already, and ends as a coordinator does that goes down.
            case 2: [FakeServer.streamHead, FakeServer.piece("\n" + Self.token(2, 1) + Self.token(3, 2)), FakeServer.streamEnd]
            default: [FakeServer.streamHead, FakeServer.piece(Self.succeeded(4)), FakeServer.streamEnd]
            }
        }
        let seen = try await withClient(server) { client in
            var seen: [Int?] = []
            for try await news in client.events(of: JobNumber(9)) {
                seen.append(news.sequence)
                given.withLock { $0 += 1 }
            }
            return seen
        }
        #expect(seen == [1, 2, 3, 4])
        let afters = server.lines.map { $0.replacing("GET /v1/jobs/9/events?after=", with: "") }
        #expect(afters == ["0", "2", "2", "3"])
    }

    @Test("a stream without a sign of life is opened anew")
    func silence() async throws {
        let server = try FakeServer { _, number in
            number == 0
                ? [FakeServer.streamHead, FakeServer.piece(Self.token(1, 0)), .hang]
                : [FakeServer.streamHead, FakeServer.piece(Self.succeeded(2)), FakeServer.streamEnd]
        }
        let started = ContinuousClock.now
        let count = try await withClient(server, silence: 0.4) { client in
            var count = 0
            for try await _ in client.events(of: JobNumber(1)) { count += 1 }
            return count
        }
        #expect(count == 2 && server.requests.count >= 2)
        #expect(ContinuousClock.now - started > .milliseconds(350))
    }

    @Test("signs of life keep a quiet stream open")
    func keepAlive() async throws {
        let quiet: [FakeServer.Step] = (0..<14).flatMap { _ in [.pause(milliseconds: 250), FakeServer.piece("\n")] }
        let server = try FakeServer { _, _ in [FakeServer.streamHead] + quiet + [FakeServer.piece(Self.succeeded(1)), FakeServer.streamEnd]
        }
        try await withClient(server, silence: 2) { client in
            for try await _ in client.events(of: JobNumber(1)) {}
        }
        #expect(server.requests.count == 1)
    }

    @Test("a missing event is an error, not a shorter story")
    func gap() async throws {
        let server = try FakeServer { _, _ in [FakeServer.streamHead, FakeServer.piece(Self.token(1, 0) + Self.token(3, 2)), .hang] }
        await #expect(throws: ClientError.garbled("event 2 of job 1 is missing: the coordinator sent event 3 next")) {
            try await withClient(server) { client in
                for try await _ in client.events(of: JobNumber(1)) {}
            }
        }
    }

    @Test("what is no event, and a line without an end, are errors")
    func garbledLines() async throws {
        let flood = String(repeating: "x", count: 1 << 20)
        for pieces in [["{\"type\":\"fly\"}\n"], ["no JSON\n"], [String](repeating: flood, count: 9)] {
            let server = try FakeServer { _, _ in [FakeServer.streamHead] + pieces.map(FakeServer.piece) + [.hang] }
            let error = await #expect(throws: ClientError.self) {
                try await withClient(server) { client in
                    for try await _ in client.events(of: JobNumber(1)) {}
                }
            }
            guard case .garbled = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }

    @Test("a reader of what is there ends at the second sign of life; a follower of a settled job ends too")
    func soFar() async throws {
        let server = try FakeServer { request, _ in
            if request.hasPrefix("GET /v1/jobs/2 ") { return [FakeServer.answer(200, Self.job(2, "succeeded"))] }
            if request.contains("after=5") {
                // The newest progress comes on every connection, also where nothing can follow.
                let progress =
                    #"{"at":1,"type":"progress","progress":{"phase":"attend","layer":0,"layers":1,"step":0,"steps":1,"#
                    + #""tokens_done":1,"tokens_total":1}}"# + "\n"
                return [FakeServer.streamHead, FakeServer.piece("\n" + progress), FakeServer.streamEnd]
            }
            return [FakeServer.streamHead, FakeServer.piece("\n" + Self.token(1, 0) + "\n"), .hang]
        }
        try await withClient(server, silence: 5) { client in
            var count = 0
            for try await _ in client.eventsSoFar(of: JobNumber(2)) { count += 1 }
            #expect(count == 1)
            for try await news in client.events(of: JobNumber(2), after: 5) { #expect(news.sequence == nil) }
        }
    }

    // MARK: refusals and limits

    @Test("a refusal has the server's sentence, its code and when to come back")
    func refusals() async throws {
        let server = try FakeServer { request, _ in
            if request.contains("/jobs/1 ") {
                let body = #"{"error":{"message":"256 jobs are open","type":"x","param":null,"code":"busy"}}"#
                return [FakeServer.answer(429, body, ["Retry-After: 7"])]
            }
            if request.contains("/jobs/2 ") { return [FakeServer.answer(302, "", ["Location: /v1/jobs/3"])] }
            return [FakeServer.answer(502, "<html>bad gateway</html>")]
        }
        try await withClient(server) { client in
            let busy = ClientError.Refusal(status: 429, code: "busy", message: "256 jobs are open", retryAfterSeconds: 7)
            await #expect(throws: ClientError.refused(busy)) { try await client.job(JobNumber(1)) }
            for (job, status) in [(2, 302), (4, 502)] {
                let error = await #expect(throws: ClientError.self) { try await client.job(JobNumber(UInt64(job))) }
                guard case .refused(let refusal) = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
                #expect(refusal.status == status && refusal.message == "\(server.address) answers with HTTP status \(status)")
            }
        }
        #expect(server.requests.count == 3, "a redirect was followed: \(server.lines)")
    }

    @Test("an answer that is too long, that drips, or that is no JSON has a name")
    func answers() async throws {
        let server = try FakeServer { request, _ in
            if request.contains("/long") { return [FakeServer.answer(200, String(repeating: "x", count: 5000))] }
            if request.contains("/drip") {
                return [.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")]
                    + (0..<100).flatMap { _ in [.send("x"), FakeServer.Step.pause(milliseconds: 50)] }
            }
            return [FakeServer.answer(200, "{}")]
        }
        try await withClient(server) { client in
            var long = ClusterRequest("GET", "/long")
            long.answerBytes = 4999
            await #expect(throws: ClientError.garbled("the answer to GET /long has more than 4999 bytes")) {
                try await client.connection.exchange(long)
            }
            var drip = ClusterRequest("GET", "/drip")
            drip.seconds = 1
            await #expect(throws: ClientError.broken("\(server.address) did not answer within 1 s")) {
                try await client.connection.exchange(drip)
            }
            let error = await #expect(throws: ClientError.self) { try await client.cluster() }
            guard case .garbled = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }

    @Test("a cancelled task hears so at once")
    func cancelled() async throws {
        let server = try FakeServer { _, _ in [.hang] }
        let task = Task { try await withClient(server, silence: 30) { try await $0.version() } }
        while server.requests.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        task.cancel()
        let started = ContinuousClock.now
        await #expect(throws: ClientError.cancelled) { try await task.value }
        #expect(ContinuousClock.now - started < .seconds(15), "half of the silence that it would wait out")
    }

    @Test("only loopback is spoken to in clear")
    func addresses() throws {
        for good in ["http://127.0.0.1:7411", "http://localhost:1/", "http://[::1]:7411", "https://10.0.0.1:7411", "https://c.example"] {
            #expect(throws: Never.self) { try ClusterAddress.checked(good) }
        }
        let bad = [
            "http://10.0.0.1:7411", "http://127.0.0.1.evil.org", "http://localhost.evil.org:1", "http://user@127.0.0.1:1", "127.0.0.1:7411",
            "ftp://127.0.0.1", "https://h/path", "https://h?x", "", "http://", "http://127.1:1", "http://0.0.0.0:1",
        ]
        for address in bad { #expect(throws: ClientError.self, "\(address)") { try ClusterAddress.checked(address) } }
    }

    @Test("a server that speaks no TLS is not trusted")
    func noTLS() async throws {
        let server = try FakeServer { _, _ in [FakeServer.answer(200, "{}")] }
        let connection = try ClusterConnection(.init(address: "https://127.0.0.1:\(server.port)", key: "secret"))
        let error = await #expect(throws: ClientError.self) { try await ClusterClient(connection, patienceSeconds: 0).version() }
        await connection.close()
        if case .refused = error { Issue.record("it was spoken to in clear") }
        #expect(server.requests.allSatisfy { !$0.contains("secret") })
        #expect(throws: ClientError.self) { try ClusterTLS.configuration(authority: Data("no certificate".utf8)) }
    }

    @Test("pauses grow to their limit and differ")
    func backoff() {
        var backoff = Backoff()
        let pauses = (0..<12).map { _ in backoff.next() }
        for (turn, pause) in pauses.enumerated() {
            let whole = min(ClientLimits.pauseSecondsMin * Double(1 << turn), ClientLimits.pauseSecondsMax)
            #expect(pause >= whole / 2 && pause <= whole)
        }
        #expect(Set(pauses.suffix(5)).count > 1)
        #expect(backoff.next(atLeast: 60) == 60)
    }
}

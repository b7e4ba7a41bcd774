// Every pair of ranks meets once, finds the same link, and is not held up for ever by one that goes.
import RingCore
import RingTransport
import Synchronization
import Testing

@Suite("Link survey", .serialized, .timeLimit(.minutes(5)))
struct LinkSurveyTests {
    @Test("every pair meets once, in the same round at both ends, and nobody waits for more than one round", arguments: 1...33)
    func partners(count: Int) {
        let world = WorldSize(count)
        let all = world.ranks.map { LinkSurvey.partners(of: $0, in: world) }
        var met: Set<[Int]> = []
        for (rank, partners) in all.enumerated() {
            #expect(partners.count == (count == 1 ? 0 : count + count % 2 - 1))
            for (round, partner) in partners.enumerated() {
                guard let partner else { continue }
                #expect(partner.index != rank && all[partner.index][round] == Rank(rank), "rank \(rank) of \(count), round \(round)")
                if rank < partner.index { #expect(met.insert([rank, partner.index]).inserted) }
            }
            #expect(partners.count { $0 == nil } == (count > 1 ? count % 2 : 0))
        }
        #expect(met.count == count * (count - 1) / 2)
    }

    /// What each rank of `count` finds over TCP, or why it finds nothing. The rank `absent` leaves as soon as it is connected.
    private func survey(_ count: Int, absent: Int? = nil) throws -> [Result<[LinkSurvey.Link], TransportError>] {
        let listeners = try (0..<count).map { _ in try TCPListener() }
        let found = Findings()
        try together(
            (0..<count).map { rank in
                {
                    var wire = try connectTransport(listeners[rank], rank: rank, peers: listeners.map(\.address), world: count)
                    defer { wire.close() }
                    if rank == absent { return }
                    let survey = LinkSurvey(messageBytes: 100_000, messages: 5, patience: .seconds(10))
                    do throws(TransportError) { found.set(rank, .success(try survey.run(over: &wire))) } catch {
                        found.set(rank, .failure(error))
                    }
                }
            })
        return (0..<count).compactMap { found.all[$0] }
    }

    @Test("each rank finds a rate and a delay for each other", arguments: [1, 2, 3, 4, 5])
    func found(count: Int) throws {
        let all = try survey(count)
        #expect(all.count == count)
        for (rank, links) in all.enumerated() {
            let links = try links.get()
            #expect(links.map(\.peer.index) == (0..<count).filter { $0 != rank })
            for link in links {
                // A tenth of the slowest loopback there is, and more than any memory moves.
                #expect(link.bytesPerSecond > 1e6 && link.bytesPerSecond < 1e12, "\(link)")
                #expect(link.roundTripSeconds > 1e-7 && link.roundTripSeconds < 1, "\(link)")
            }
        }
    }

    @Test("who meets a rank that is gone gives up and names it; who meets nobody else then names who gave up", arguments: [3, 4, 5])
    func gone(count: Int) throws {
        let all = try survey(count, absent: 2)
        #expect(all.count == count - 1)
        var named: Set<Rank> = []
        for result in all {
            guard case .failure(.lost(let rank, _)) = result else {
                Issue.record("\(result)")
                continue
            }
            named.insert(rank)
        }
        #expect(named.contains(Rank(2)))
    }
}

private final class Findings: Sendable {
    private let results = Mutex<[Int: Result<[LinkSurvey.Link], TransportError>]>([:])
    func set(_ rank: Int, _ result: Result<[LinkSurvey.Link], TransportError>) { results.withLock { $0[rank] = result } }
    var all: [Int: Result<[LinkSurvey.Link], TransportError>] { results.withLock { $0 } }
}

// Ranks follow on one another by rack and machine, and a ring of equal groups is told so.

import RingControl
import RingCore
import Testing

@Suite("Nearness")
struct NearnessTests {
    private struct Joining {
        let name: String, machine: String, rack: String?
    }

    /// The parts of an attention job over all of these workers, by rank.
    private func placed(_ workers: [Joining], speeds: [Double]? = nil) -> [Assignment] {
        var play = Play()
        for (place, worker) in workers.enumerated() {
            play.join(worker.name, machine: worker.machine, speed: speeds?[place], rack: worker.rack)
        }
        play.submit(attendSpec(tokens: 1 << 16), workers: workers.count)
        var parts: [Assignment] = []
        for case .send(.prepare(let part), _) in play.directives { parts.append(part) }
        return parts.sorted { $0.rank < $1.rank }
    }

    private func names(_ parts: [Assignment]) -> [String] { parts.first?.peers.map(\.worker) ?? [] }

    @Test("two racks of two machines of two workers: ranks by rack, machine and name, in groups of a rack")
    func racks() throws {
        let workers = (0..<8).map { Joining(name: "w\($0)", machine: "m\($0 % 4)", rack: "r\($0 % 2)") }
        let parts = placed(workers)
        #expect(names(parts) == ["w0", "w4", "w2", "w6", "w1", "w5", "w3", "w7"])
        #expect(parts.map(\.groupSize) == Array(repeating: 4, count: 8))
        let plans = Set(try parts.map { try $0.plan() })
        #expect(plans.count == 1 && plans.first?.tour == RingTour(WorldSize(8), groupSize: 4), "every rank is told the same")
    }

    @Test("without racks the workers of a machine are a group")
    func machines() {
        let parts = placed((0..<6).map { Joining(name: "w\($0)", machine: "m\($0 % 2)", rack: nil) })
        #expect(names(parts) == ["w0", "w2", "w4", "w1", "w3", "w5"] && parts.allSatisfy { $0.groupSize == 3 })
    }

    @Test(
        "one machine, workers each on their own, unequal groups and racks that only some have are one ring",
        arguments: [
            ["m/", "m/", "m/", "m/"], ["a/", "b/", "c/", "d/"], ["a/", "a/", "a/", "b/"], ["a/r", "a/r", "b/s", "c/s", "d/s"],
            ["a/r", "b/r", "c/"],
        ])
    func plain(places: [String]) throws {
        let workers = places.enumerated().map { index, place in
            let parts = place.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            return Joining(name: "w\(index)", machine: parts[0], rack: parts[1].isEmpty ? nil : parts[1])
        }
        let parts = placed(workers)
        #expect(parts.count == places.count && parts.allSatisfy { $0.groupSize == nil }, "\(places)")
        #expect(try parts.allSatisfy { try !$0.plan().tour.isGrouped })
    }

    @Test("machines of one name in two racks are two machines")
    func sameName() {
        let workers = ["r", "s", "t"].flatMap { (rack: String) -> [Joining] in
            (0..<2).map { (place: Int) -> Joining in Joining(name: rack + String(place), machine: "node", rack: rack) }
        }
        let parts = placed(workers)
        #expect(parts.allSatisfy { $0.groupSize == 2 } && names(parts) == ["r0", "r1", "s0", "s1", "t0", "t1"])
    }

    @Test("widths by speed keep the groups")
    func speeds() throws {
        let workers = (0..<4).map { Joining(name: "w\($0)", machine: "m\($0 / 2)", rack: nil) }
        let parts = placed(workers, speeds: [4, 1, 1, 1])
        let plan = try #require(try parts.first?.plan())
        #expect(plan.tour.groupSize == 2 && plan.tokens(of: Rank(0)) > 2 * plan.tokens(of: Rank(1)))
    }

    @Test("a run that goes on from a broken one keeps its groups, whichever worker leads it", arguments: ["a2", "b2", "a3"])
    func goesOn(leader: String) throws {
        var play = Play()
        // Two of each machine do it; a3 and b3 stand by.
        for name in ["a1", "a2", "b1", "b2"] { play.join(name, machine: String(name.prefix(1))) }
        play.submit(generateSpec(), workers: 4, retries: 1)
        play.tell(.promptStored(JobNumber(1)), "prompt is stored")
        let (broken, next) = (Run(JobNumber(1), Epoch(1)), ["a2", "a3", "b1", "b2"])
        for name in ["a1", "a2", "b1", "b2"] { play.report(name, .ready(broken)) }
        for name in ["a3", "b3"] { play.join(name, machine: String(name.prefix(1))) }
        play.lose("a1", "was killed by SIGKILL", at: 1)
        // Quarters of the prompt; the last is held by the leader, or by nobody where it is new.
        for name in ["a2", "b1", "b2"] {
            let start = name == leader ? 75 : ["a2": 0, "b1": 25, "b2": 50][name] ?? 0
            play.report(name, .kept(broken, [Share(start: start, length: 25, layers: 2)]), at: 1)
            play.report(name, .stopped(broken), at: 1)
        }
        var parts: [Assignment] = []
        for case .send(.prepare(let part), _) in play.directives { parts.append(part) }
        parts.sort { $0.rank < $1.rank }
        try #require(parts.count == 4 && parts.allSatisfy { $0.resumes == broken }, "\(play.transcript)")
        let names = names(parts)
        #expect(names.sorted() == next && parts.allSatisfy { $0.groupSize == 2 }, "\(names)")
        #expect(names[0].prefix(1) == names[1].prefix(1) && names[2].prefix(1) == names[3].prefix(1), "\(names)")
        let plan = try parts[0].plan()
        #expect(plan.owner(of: 99) == Rank(0) && plan.tour == RingTour(WorldSize(4), groupSize: 2))
        if next.contains(leader) && leader != "a3" { #expect(names[0] == leader) }
        #expect(try #require(play.machine.jobView(JobNumber(1))).groupSize == 2)
    }

    @Test("groups that do not make up the world, as only a broken coordinator says, are refused")
    func hostile() throws {
        var part = try #require(placed((0..<4).map { Joining(name: "w\($0)", machine: "m", rack: nil) }).first)
        for size in [3, 0, -1, 5, Int.max, Int.min] {
            part.groupSize = size
            #expect(throws: PlanError.self) { try part.plan() }
        }
    }

    @Test("a rack's name is bounded")
    func bounded() {
        var play = Play()
        for rack in ["", String(repeating: "r", count: 10_000)] {
            play.join("w", rack: rack)
            #expect(play.workers["w"] == nil)
        }
    }
}

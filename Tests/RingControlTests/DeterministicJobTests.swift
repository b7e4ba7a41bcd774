// Deterministic jobs as the coordinator places them: shards on the grid, keys and values going round, one instruction set.
import RingControl
import RingCore
import Testing

@Suite("Deterministic jobs")
struct DeterministicJobTests {
    private func spec(tokens: Int = 4096, new: Int? = nil) -> AttendSpec {
        guard case .attend(var spec) = attendSpec(tokens: tokens) else { preconditionFailure("no attention job") }
        spec.deterministic = true
        spec.queryRows = new.map { Array(tokens - $0..<tokens) }
        return spec
    }

    private func cluster(_ sets: [String]) -> Play {
        var play = Play()
        for (place, set) in sets.enumerated() {
            play.join("w\(place)", machine: "m\(place)", cpus: 4, speed: place % 2 == 0 ? 50 : 20, memoryBytes: 1 << 36, isa: set)
        }
        return play
    }

    private func parts(_ play: Play) -> [(assignment: Assignment, spec: AttendSpec)] {
        play.directives.compactMap {
            guard case .send(.prepare(let part), _) = $0, case .attend(let spec) = part.spec else { return nil }
            return (part, spec)
        }
    }

    @Test("shards lie on the grid whatever the speeds, and every rank is told schedule and set", arguments: [nil, 40])
    func placed(new: Int?) throws {
        var play = cluster(["avx2", "avx2", "avx2"])
        play.submit(.attend(spec(tokens: 150_000, new: new)), workers: 3)
        let placed = parts(play)
        #expect(placed.count == 3)
        #expect(placed.allSatisfy { $0.spec.schedule == .passKV && $0.spec.isa == "avx2" && $0.spec.deterministic == true })
        let plans = try placed.map { try $0.assignment.plan() }
        #expect(Set(plans).count == 1 && plans[0].grain == 1024)
        #expect(plans[0].world.ranks.allSatisfy { plans[0].chunks(of: $0).allSatisfy { $0.start % 1024 == 0 } })
    }

    @Test("workers of one set are taken where there are enough of them, as many as idle are the most of one set")
    func chosen() throws {
        var play = cluster(["amx", "avx2", "amx", "avx2", "avx2"])
        play.submit(.attend(spec()), workers: 2)
        #expect(parts(play).map(\.spec.isa) == ["avx2", "avx2"])
        var open = cluster(["amx", "avx2", "amx", "avx2", "avx2"])
        open.submit(.attend(spec()), workers: nil)
        #expect(parts(open).count == 3 && parts(open).allSatisfy { $0.spec.isa == "avx2" })
    }

    @Test("where there are workers enough but not of one set, the job fails and names two that differ")
    func mixed() throws {
        var play = cluster(["amx", "avx2", "avx2"])
        play.submit(.attend(spec()), workers: 3)
        #expect(parts(play).isEmpty)
        let failures = play.directives.compactMap { directive -> Failure? in
            guard case .emit(_, _, _, .failed(let failure)) = directive else { return nil }
            return failure
        }
        let failure = try #require(failures.first)
        #expect(failure.code == .invalidInput && failure.message.contains("w0 (amx)") && failure.message.contains("w1 (avx2)"))
        // A set that the submitter names is the submitter's to answer for.
        var named = cluster(["amx", "avx2", "avx2"])
        var asked = spec()
        asked.isa = "avx2"
        named.submit(.attend(asked), workers: 3)
        #expect(parts(named).map(\.spec.isa) == ["avx2", "avx2", "avx2"])
    }

    @Test("what cannot be meant is refused in a sentence")
    func refused() {
        var byQueries = spec()
        byQueries.schedule = .passQ
        var unasked = spec()
        (unasked.deterministic, unasked.isa) = (nil, "avx2")
        for (spec, word) in [(byQueries, "deterministic"), (unasked, "isa")] {
            var play = cluster(["avx2"])
            play.submit(.attend(spec), workers: 1)
            let refusals = play.directives.compactMap { directive -> String? in
                guard case .refused(_, .invalid(let why)) = directive else { return nil }
                return why
            }
            #expect(refusals.count == 1 && refusals[0].contains(word), "\(refusals)")
        }
    }
}

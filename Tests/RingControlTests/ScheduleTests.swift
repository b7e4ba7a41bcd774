// Which schedule a job gets when it is placed: the one that was asked for, else the coordinator's choice, the same for every rank.

import RingControl
import RingCore
import Testing

@Suite("Schedules of jobs")
struct ScheduleTests {
    /// The assignments of a job whose last `new` of `tokens` tokens have queries; `nil` is all of them.
    private func placed(tokens: Int, new: Int?, asked: Schedule? = nil, workers: Int = 3, policy: CoordinatorPolicy = Play.calm) throws
        -> [Assignment]
    {
        var play = Play(policy: policy)
        for place in 0..<workers { play.join("w\(place)", machine: "m\(place)", cpus: 4, speed: 50, memoryBytes: 1 << 36) }
        guard case .attend(var spec) = attendSpec(tokens: tokens) else { return [] }
        spec.queryRows = new.map { Array(tokens - $0..<tokens) }
        spec.schedule = asked
        play.submit(.attend(spec), workers: workers)
        var parts: [Assignment] = []
        for case .send(.prepare(let part), _) in play.directives { parts.append(part) }
        #expect(parts.count == workers)
        return parts
    }

    private func schedules(_ parts: [Assignment]) -> [Schedule?] {
        parts.map { part in
            guard case .attend(let spec) = part.spec else { return nil }
            return spec.schedule
        }
    }

    @Test("a short turn over a long past passes queries, and every rank is told so")
    func short() throws {
        #expect(schedules(try placed(tokens: 1 << 18, new: 16)) == [.passQ, .passQ, .passQ])
    }

    @Test("what is asked for is what is done, and queries everywhere are left as they are", arguments: Schedule.allCases)
    func asked(schedule: Schedule) throws {
        #expect(schedules(try placed(tokens: 1 << 18, new: 16, asked: schedule)) == [schedule, schedule, schedule])
        #expect(schedules(try placed(tokens: 1 << 18, new: nil)) == [nil, nil, nil])
        #expect(schedules(try placed(tokens: 1 << 18, new: nil, asked: schedule)) == [schedule, schedule, schedule])
    }

    @Test(
        "the speed of links decides: over slow ones a long turn passes queries, which are fewer bytes, over fast ones keys and values"
    )
    func links() throws {
        func chosen(gigabits: Double?) throws -> [Schedule?] {
            var policy = Play.calm
            policy.linkBytesPerSecond = gigabits.map(ScheduleFigures.payload(gigabits:))
            return schedules(try placed(tokens: 1 << 17, new: 1 << 15, policy: policy))
        }
        let (slow, fast) = (try chosen(gigabits: 0.01), try chosen(gigabits: 400))
        #expect(slow == [.passQ, .passQ, .passQ] && fast == [.passKV, .passKV, .passKV], "\(slow) \(fast)")
        // Nobody said anything: a link of ten.
        #expect(try chosen(gigabits: nil) == chosen(gigabits: 10))
    }

    @Test("one rank has nothing to choose")
    func alone() throws {
        #expect(schedules(try placed(tokens: 4096, new: 16, workers: 1)) == [nil])
    }

    @Test("a turn is dealt so that each rank has an equal part of the past and of the new tokens")
    func dealt() throws {
        let parts = try placed(tokens: 100_000, new: 3000)
        let plans = try parts.map { try $0.plan() }
        #expect(Set(plans).count == 1)
        for rank in plans[0].world.ranks {
            #expect(abs(plans[0].owned(Array(97_000..<100_000), by: rank).count - 1000) <= 128)
            #expect(abs(plans[0].tokens(of: rank) - 33_333) <= 192)
        }
    }
}

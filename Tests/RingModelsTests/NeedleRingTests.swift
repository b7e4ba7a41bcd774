// The demo model on a ring: every task is answered right whatever the number of ranks and the storage of keys and
// values, and a ring broken on purpose answers wrong. That is what makes a right answer worth something.
import RingCore
import RingEngine
import RingFormats
import RingKernels
import RingModels
import Testing

@Suite("Needle model on a ring")
struct NeedleRingTests {
    @Test("every task is answered", arguments: Haystack.Task.allCases, [1, 2, 3, 5])
    func answers(task: Haystack.Task, world: Int) throws {
        try withNeedleFolder(seed: 4, as: .bf16) { folder in
            for (seed, element) in [(UInt64(1), ElementType.f32), (2, .bf16)] {
                let hay = try Haystack.make(model: folder, tokens: 2500 + 61 * world, task: task, seed: seed)
                let ring = ModelRing(folder: folder, world: world, element: element, threads: 2)
                let end = try #require(hay.expectedTokenIDs.last)
                let outcome = try ring.run(hay.tokenIDs, tokensMax: hay.expectedTokenIDs.count + 4, stops: [end])
                #expect(outcome.errors.isEmpty, "\(outcome.errors)")
                #expect(outcome.tokens == hay.expectedTokenIDs, "\(task) seed \(seed) \(element) on \(world) ranks")
            }
        }
    }

    @Test(
        "a shard dropped, doubled or merged without its weight changes the answer",
        arguments: [RingFault.Action.drop, .twice, .unweighted], [2, 3, 4])
    func broken(action: RingFault.Action, world: Int) throws {
        try withNeedleFolder(seed: 4) { folder in
            let hay = try Haystack.make(model: folder, tokens: 6000, task: .vote, seed: 9)
            #expect(hay.worlds?.contains(world) == true)
            let owners: [Rank?] = action == .unweighted ? [nil] : WorldSize(world).ranks.map { $0 }
            for owner in owners {
                var ring = ModelRing(folder: folder, world: world)
                // Layer 0 looks back by one token; it is layer 1 that weighs the votes.
                ring.fault = RingFault(action, kvOwner: owner, layer: 1)
                let outcome = try ring.run(hay.tokenIDs, tokensMax: 1)
                #expect(outcome.errors.isEmpty, "\(outcome.errors)")
                #expect(
                    outcome.tokens.first != hay.expectedTokenIDs.first, "\(action) of \(String(describing: owner)), \(world) ranks: unseen")
            }
        }
    }

    @Test("a chain breaks when any shard is dropped in prefill", arguments: [2, 4])
    func chain(world: Int) throws {
        try withNeedleFolder(seed: 4) { folder in
            let hay = try Haystack.make(model: folder, tokens: 6000, task: .chain, seed: 3)
            for owner in WorldSize(world).ranks {
                var ring = ModelRing(folder: folder, world: world)
                // Dropping layer 0's shard loses "the token before me" for every key whose predecessor is in it.
                ring.fault = RingFault(.drop, kvOwner: owner, layer: 0)
                let outcome = try ring.run(hay.tokenIDs, tokensMax: hay.expectedTokenIDs.count)
                #expect(outcome.tokens != hay.expectedTokenIDs, "dropping \(owner) of \(world) went unseen")
            }
        }
    }
}

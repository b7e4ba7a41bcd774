// Whoever submits jobs and follows them: retries with the same idempotency key, comes back to where it was, changes its mind.

import RingControl
import RingCore

/// A client with one job of its own, or one that looks on at another's.
struct ClientNode {
    /// Where it stands.
    enum Stage: Hashable { case waiting, submitting, prompting, following, done }

    /// Seconds after which it begins.
    let beginsAt: Double
    /// The client whose job it looks on at; `nil` is its own.
    let watches: Int?
    private(set) var submission: Submission
    let prompt: [UInt32]
    let oracle: Oracle?
    /// Seconds after its beginning at which it gives the job up.
    let cancelsAfter: Double?
    /// It does not come back once the job is taken.
    let leaves: Bool
    /// Nothing but the job itself can make it fail.
    let mustSucceed: Bool
    /// Comes after all trouble.
    private(set) var isProbe = false

    var stage = Stage.waiting
    /// The request that it waits for.
    var request: UInt64?
    /// The job, once it was acknowledged.
    var job: JobNumber?
    /// Token ids of the prompt that were taken.
    var stored = 0
    var connection: Int?
    var cancelling: UInt64?
    var wantsCancel = false
    var failures = 0
    /// When anything was last heard on the stream.
    var heardAt: Int64 = 0

    // What it has seen of the job.
    var seen = 0
    var tokens = 0
    var epoch: UInt64 = 0
    var isFinal = false

    /// `takesAll` is how likely it wants as many workers as are idle.
    init(number: Int, workersMax: Int, takesAll: Double, seconds: Double, hasSlack: Bool, _ random: inout SplitMix64) {
        beginsAt = random.between(0.1, seconds * 0.8)
        watches = nil
        let tokens = 1 + random.below(random.chance(0.2) ? 70 : 24)
        var spec: JobSpec
        if random.chance(0.7) {
            var generate = GenerateSpec(modelFolder: "m", promptTokenCount: tokens, maxTokens: random.below(12))
            generate.seed = random.next() >> 1
            spec = .generate(generate)
            prompt = (0..<tokens).map { _ in UInt32(random.below(50_000)) }
        } else {
            let shape = AttentionShape(tokens: tokens, heads: 1, kvHeads: 1, headDim: 32, valueDim: 32, element: .f32)
            let seed = random.next()
            var attend = AttendSpec(input: .seeded(seed: seed), shape: shape, causal: random.chance(0.6))
            attend.mask = Self.mask(causal: attend.causal, tokens: tokens, seed: seed)
            spec = .attend(attend)
            prompt = (0..<tokens).map { IntegerModel.seededID(attend, at: $0) }
        }
        var submission = Submission(
            spec: spec, workers: random.chance(takesAll) ? nil : 1 + random.below(workersMax), threads: 1)
        submission.owner = "owner\(random.below(3))"
        submission.priority = random.below(3) - 1
        submission.retries = hasSlack ? random.below(4) : 0
        submission.idempotencyKey = "key\(number)"
        if hasSlack, random.chance(0.1) { submission.timeoutSeconds = random.between(0.5, 6) }
        self.submission = submission
        oracle = Oracle(spec, prompt: prompt)
        cancelsAfter = random.chance(0.1) ? random.between(0, 2) : nil
        leaves = random.chance(0.08)
        mustSucceed = cancelsAfter == nil && submission.timeoutSeconds == nil && !leaves
    }

    /// Half of the masks have something beyond the causal rule. They draw from a generator of their own, so that adding one moves no
    /// other seed's story.
    private static func mask(causal: Bool, tokens: Int, seed: UInt64) -> MaskSpec? {
        var random = SplitMix64(seed)
        guard random.chance(0.5) else { return nil }
        var mask = MaskSpec()
        switch causal ? random.below(4) : 0 {
        case 1: (mask.window, mask.sinks) = (1 + random.below(tokens), random.below(4))
        case 2: mask.prefix = 1 + random.below(tokens)
        case 3: mask.chunk = 1 + random.below(tokens)
        default: break
        }
        if random.chance(0.5) {
            var (lengths, left): ([Int], Int) = ([], tokens)
            while left > 0 {
                lengths.append(1 + random.below(left))
                left -= lengths[lengths.count - 1]
            }
            mask.documents = lengths
        }
        return mask
    }

    /// A job on every worker that comes when all trouble is over for long enough: it must succeed at the first attempt.
    init(probing workers: Int, at seconds: Double, _ random: inout SplitMix64) {
        (beginsAt, watches, cancelsAfter, leaves, mustSucceed) = (seconds, nil, nil, false, true)
        isProbe = true
        var spec = GenerateSpec(modelFolder: "m", promptTokenCount: 40, maxTokens: 3)
        spec.seed = random.next() >> 1
        submission = Submission(spec: .generate(spec), workers: workers, threads: 1)
        submission.owner = "probe"
        submission.idempotencyKey = "probe"
        prompt = (0..<40).map { _ in UInt32(random.below(50_000)) }
        oracle = Oracle(.generate(spec), prompt: prompt)
    }

    init(watching other: Int, seconds: Double, _ random: inout SplitMix64) {
        beginsAt = random.between(0.3, seconds)
        watches = other
        submission = Submission(spec: .generate(GenerateSpec(modelFolder: "m", promptTokenCount: 1, maxTokens: 0)), workers: 1, threads: 1)
        (prompt, oracle, cancelsAfter, leaves, mustSucceed) = ([], nil, nil, false, false)
    }
}

// What a submission may not ask for: each is refused with a sentence before anybody works on it.

import RingControl
import RingCore
import Testing

@Suite("Submissions")
struct SubmissionTests {
    private func refusal(_ spec: JobSpec, workers: Int? = 1, threads: Int? = nil) -> String? {
        var play = Play()
        play.submit(spec, workers: workers, threads: threads)
        for case .refused(_, .invalid(let sentence)) in play.directives { return sentence }
        return nil
    }

    private func attend(_ change: (inout AttendSpec) -> Void) -> JobSpec {
        guard case .attend(var spec) = attendSpec() else { preconditionFailure("attendSpec gives an attend job") }
        change(&spec)
        return .attend(spec)
    }

    private func generate(_ change: (inout GenerateSpec) -> Void) -> JobSpec {
        guard case .generate(var spec) = generateSpec() else { preconditionFailure("generateSpec gives a generate job") }
        change(&spec)
        return .generate(spec)
    }

    @Test("a sound one is taken")
    func sound() {
        #expect(refusal(attendSpec(tokens: 1), workers: 5) == nil)
        #expect(refusal(generateSpec(tokens: 1), workers: 5) == nil)
    }

    @Test("workers, threads and tokens have bounds")
    func bounds() {
        #expect(refusal(attendSpec(), workers: 0)?.contains("workers") == true)
        #expect(refusal(attendSpec(), workers: Limits.ranks + 1)?.contains("workers") == true)
        #expect(refusal(attendSpec(), threads: 0)?.contains("threads") == true)
        #expect(refusal(attendSpec(tokens: 0))?.contains("tokens") == true)
        #expect(refusal(generateSpec(tokens: -1))?.contains("tokens") == true)
    }

    @Test("int8 is for keys and values that are kept, and only there has an error tolerance a meaning")
    func int8() {
        #expect(refusal(attend { $0.kvElement = .int8 }) == nil)
        #expect(refusal(attend { ($0.kvElement, $0.errorTolerance) = (.int8, 0.5) }) == nil)
        #expect(refusal(attend { $0.shape.element = .int8 })?.contains("not as int8") == true)
        #expect(refusal(attend { ($0.kvElement, $0.errorTolerance) = (.bf16, 0.5) })?.contains("int8, got bf16") == true)
        for tolerance in [0, -1, .nan, .infinity] {
            #expect(
                refusal(attend { ($0.kvElement, $0.errorTolerance) = (.int8, tolerance) })?.contains("positive") == true, "\(tolerance)")
        }
    }

    @Test("attention shapes that no kernel runs are named")
    func shapes() {
        #expect(refusal(attend { $0.shape.kvHeads = 3 })?.contains("multiple of kv_heads") == true)
        #expect(refusal(attend { $0.shape.kvHeads = 0 })?.contains("multiple of kv_heads") == true)
        #expect(refusal(attend { $0.shape.headDim = 60 })?.contains("head_dim") == true)
        #expect(refusal(attend { $0.shape.valueDim = 264 })?.contains("v_dim") == true)
        for (change, word) in [
            ({ $0.window = 0 }, "window"), ({ ($0.window, $0.prefix) = (3, 3) }, "one rule"), ({ $0.sinks = 2 }, "need a window"),
            ({ $0.documents = [99] }, "99 tokens together"), ({ $0.documents = [50, 51] }, "longer than the context"),
            ({ $0.documents = [] }, "documents"), ({ $0.documents = [100, 0] }, "at least 1"), ({ $0.chunk = -1 }, "chunk"),
            ({ $0.documents = Array(repeating: 1, count: ControlLimits.documents + 1) }, "at most"),
            ({ $0.documents = [Int.max, Int.max, 2] }, "longer than the context"), ({ $0.window = .max }, "window"),
        ] as [((inout MaskSpec) -> Void, String)] {
            var mask = MaskSpec()
            change(&mask)
            #expect(refusal(attend { $0.mask = mask })?.contains(word) == true, "\(mask)")
        }
        var window = MaskSpec()
        window.window = 5
        #expect(refusal(attend { ($0.causal, $0.mask) = (false, window) })?.contains("causal") == true)
        #expect(refusal(attend { $0.mask = window }) == nil)
        #expect(refusal(attend { $0.scale = .nan })?.contains("scale") == true)
        #expect(refusal(attend { $0.outputRows = [3, 3] })?.contains("output rows") == true)
        #expect(refusal(attend { $0.outputRows = [100] })?.contains("output rows") == true)
        #expect(refusal(attend { $0.outputRows = [0, 99] }) == nil)
    }

    @Test("sampling that makes no sense is named")
    func sampling() {
        #expect(refusal(generate { $0.temperature = .nan })?.contains("temperature") == true)
        #expect(refusal(generate { $0.topP = 0 })?.contains("top_p") == true)
        #expect(refusal(generate { $0.topK = -1 })?.contains("top_k") == true)
        #expect(refusal(generate { $0.maxTokens = -1 })?.contains("max_tokens") == true)
        #expect(refusal(generate { $0.modelFolder = "" })?.contains("model folder") == true)
        #expect(refusal(generate { $0.logitsRows = [RowRange(start: 0, count: 101)] })?.contains("logits rows") == true)
        #expect(refusal(generate { $0.logitsRows = [RowRange(start: 5, count: 2), RowRange(start: 6, count: 1)] }) != nil)
        #expect(refusal(generate { $0.logitsRows = [RowRange(start: 0, count: Int.max)] }) != nil)
        #expect(refusal(generate { $0.logitsRows = [RowRange(start: 0, count: 5), RowRange(start: 9, count: 91)] }) == nil)
    }
}

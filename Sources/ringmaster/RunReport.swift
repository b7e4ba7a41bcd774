// The figures of a finished run, for people and for scripts.

import RingControl
import RingFormats

struct RunReport {
    private let summaries: [WorkerSummary]
    private let prompt: Int
    private let ids: [UInt32]
    private let answer: String
    private let spec: GenerateSpec

    init(_ summaries: [WorkerSummary], prompt: Int, answer: Answer, spec: GenerateSpec) {
        self.summaries = summaries
        self.prompt = prompt
        ids = answer.ids
        self.answer = answer.text
        self.spec = spec
    }

    private var loadSeconds: Double { summaries.map(\.loadSeconds).max() ?? 0 }
    private var prefillSeconds: Double { summaries.map(\.prefillSeconds).max() ?? 0 }
    private var decodeSeconds: Double { summaries.map(\.decodeSeconds).max() ?? 0 }
    private var prefillRate: Double { prefillSeconds > 0 ? Double(prompt) / prefillSeconds : 0 }
    /// The first token comes out of prefill, so the steps of decode are one fewer.
    private var decodeRate: Double { decodeSeconds > 0 ? Double(max(0, ids.count - 1)) / decodeSeconds : 0 }
    private var bytesSent: Int { summaries.reduce(0) { $0 + $1.bytesSent } }
    private var steps: Int { summaries.map(\.steps).max() ?? 0 }
    private var stoppedItself: Bool { ids.last.map { spec.stopTokens.contains($0) && !spec.ignoreEOS } ?? false }

    /// For `--json`.
    var json: JSONValue {
        [
            "text": .string(answer),
            "token_ids": .array(ids.map { .integer(Int64($0)) }),
            "finish_reason": .string(stoppedItself ? "stop" : "length"),
            "usage": ["prompt_tokens": .integer(Int64(prompt)), "completion_tokens": .integer(Int64(ids.count))],
            "workers": .integer(Int64(summaries.count)),
            "timings": [
                "load_seconds": .number(loadSeconds), "prefill_seconds": .number(prefillSeconds),
                "prefill_tokens_per_second": .number(prefillRate), "decode_seconds": .number(decodeSeconds),
                "decode_tokens_per_second": .number(decodeRate),
            ],
            "ring": [
                "exposed_communication_fraction": .number(exposedFraction(summaries)), "bytes_sent": .integer(Int64(bytesSent)),
                "steps": .integer(Int64(steps)),
            ],
            "worker_figures": workerObjects(summaries),
        ]
    }

    /// For people.
    var text: String {
        """
        \(grouped(prompt)) prompt tokens in \(fixed(prefillSeconds, 2)) s (\(grouped(Int(prefillRate))) tok/s), \
        \(grouped(ids.count)) tokens out in \(fixed(decodeSeconds, 2)) s, loaded in \(fixed(loadSeconds, 2)) s
        \(workerTable(summaries))
        """
    }
}

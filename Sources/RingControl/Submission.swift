// What a submitter wants done, and what can be said against it before anybody works on it.

import RingCore

/// What a submitter wants done.
public struct Submission: Hashable, Sendable, Codable {
    /// What to do.
    public var spec: JobSpec
    /// How many workers do it; `nil` takes as many as are idle when its turn comes.
    public var workers: Int?
    /// Compute threads of each; `nil` shares the cores of a machine among its workers.
    public var threads: Int?
    /// Whose job it is: turns go round owners.
    public var owner = ""
    /// -100 ... 100; a higher one goes first.
    public var priority = 0
    /// How many more attempts are made when a worker is lost or the data plane breaks.
    public var retries = 0
    /// Seconds from its submission within which it must have ended; `nil` is no limit.
    public var timeoutSeconds: Double?
    /// A second submission of the same owner with the same key is the same job.
    public var idempotencyKey: String?
    /// Whether workers note what they do and hand it over at the end; `nil` is no.
    public var traces: Bool?

    /// A submission of its parts; the rest can be set afterwards.
    public init(spec: JobSpec, workers: Int?, threads: Int?) {
        self.spec = spec
        self.workers = workers
        self.threads = threads
    }
}

/// What a submitter posts to `/v1/jobs`; what it leaves out is the coordinator's to choose. Whose job it is and its
/// idempotency key travel beside it.
public struct JobOrder: Hashable, Sendable, Codable {
    /// What to do.
    public var spec: JobSpec
    /// How many workers do it; `nil` is as many as are idle when its turn comes.
    public var workers: Int?
    /// Compute threads of each; `nil` shares the cores of a machine.
    public var threads: Int?
    /// -100 ... 100, a higher one first; `nil` is 0.
    public var priority: Int?
    /// Seconds within which it must have ended; `nil` is no limit.
    public var timeoutSeconds: Double?
    /// How many more attempts are made when a worker is lost; `nil` is 1.
    public var retries: Int?

    /// An order; the rest can be set afterwards.
    public init(_ spec: JobSpec) { self.spec = spec }
}

extension Submission {
    /// The submission of an order by `owner`.
    public init(_ order: JobOrder, owner: String, idempotencyKey: String?) {
        self.init(spec: order.spec, workers: order.workers, threads: order.threads)
        self.owner = owner
        self.idempotencyKey = idempotencyKey
        priority = order.priority ?? 0
        timeoutSeconds = order.timeoutSeconds
        retries = order.retries ?? 1
    }

    /// What is wrong with it, as a sentence; `nil` if nothing is. The files it names are the submitter's and the workers' to check.
    var objection: String? {
        if let workers, workers < 1 || workers > Limits.ranks { return "a job has 1 to \(Limits.ranks) workers, got \(workers)" }
        if let threads, threads < 1 || threads > 1024 { return "a worker has 1 to 1024 threads, got \(threads)" }
        if let workers, workers > spec.workersMax { return "a \(spec.kind) job has at most \(spec.workersMax) workers, got \(workers)" }
        if case .measure(let spec) = spec {
            if let objection = spec.objection { return objection }
        } else if spec.tokens < 1 || spec.tokens > Limits.tokens {
            return "a context has 1 to \(Limits.tokens) tokens, got \(spec.tokens)"
        }
        if priority < -100 || priority > 100 { return "priority is -100 to 100, got \(priority)" }
        if retries < 0 || retries > ControlLimits.retries { return "retries is 0 to \(ControlLimits.retries), got \(retries)" }
        if let timeoutSeconds, !(timeoutSeconds > 0 && timeoutSeconds <= ControlLimits.timeoutSeconds) {
            return "timeout_seconds is above 0 and at most \(Int(ControlLimits.timeoutSeconds)), got \(timeoutSeconds)"
        }
        if owner.utf8.count > ControlLimits.textBytes { return "an owner's name has at most \(ControlLimits.textBytes) bytes" }
        if let key = idempotencyKey, key.isEmpty || key.utf8.count > ControlLimits.keyBytes {
            return "an idempotency key has 1 to \(ControlLimits.keyBytes) bytes"
        }
        switch spec {
        case .generate(let spec): return spec.objection
        case .attend(let spec): return spec.objection
        case .measure: return nil
        }
    }
}

extension GenerateSpec {
    var objection: String? {
        if modelFolder.isEmpty || modelFolder.utf8.count > ControlLimits.textBytes { return "a model folder is needed" }
        if maxTokens < 0 || maxTokens > ControlLimits.tokensGenerated {
            return "max_tokens is 0 to \(ControlLimits.tokensGenerated), got \(maxTokens)"
        }
        if !(temperature >= 0 && temperature <= 100) { return "temperature is 0 to 100, got \(temperature)" }
        if !(topP > 0 && topP <= 1) { return "top_p is above 0 and at most 1, got \(topP)" }
        if answered != 0 { return "answered is for the coordinator to set" }
        if topK < 0 { return "top_k is 0 (no limit) or more, got \(topK)" }
        if stopTokens.count > ControlLimits.stopTokens { return "at most \(ControlLimits.stopTokens) stop tokens, got \(stopTokens.count)" }
        if let rows = logitsRows {
            if rows.count > ControlLimits.rowRanges { return "at most \(ControlLimits.rowRanges) ranges of logits rows" }
            var end = 0
            for range in rows {
                guard range.start >= end, range.count >= 1, range.count <= promptTokenCount - range.start else {
                    return "logits rows \(range.start)+\(range.count) do not follow the ones before or leave the prompt of "
                        + "\(promptTokenCount) tokens"
                }
                end = range.start + range.count
            }
        }
        return nil
    }
}

extension AttendSpec {
    var objection: String? {
        if shape.kvHeads < 1 || shape.heads < 1 || shape.heads % shape.kvHeads != 0 {
            return "heads must be a multiple of kv_heads, got \(shape.heads) and \(shape.kvHeads)"
        }
        for (name, width) in [("head_dim", shape.headDim), ("v_dim", shape.valueDim)]
        where width < 32 || width > 256 || width % 8 != 0 {
            return "\(name) is a multiple of 8 from 32 to 256, got \(width)"
        }
        do throws(MaskError) { _ = try resolvedMask() } catch { return "\(error)" }
        if shape.element == .int8 { return "q, k and v are given as f32 or bf16, not as int8: that is a kv_element" }
        if let errorTolerance {
            if kvElement != .int8 { return "an error_tolerance goes with a kv_element of int8, got \(kvElement.rawValue)" }
            if !(errorTolerance.isFinite && errorTolerance > 0) { return "error_tolerance is a positive number, got \(errorTolerance)" }
        }
        if let scale, !(scale.isFinite && scale > 0) { return "scale is a positive number, got \(scale)" }
        for (name, rows) in [("output", outputRows), ("query", queryRows)] {
            guard let rows else { continue }
            if rows.count > ControlLimits.rowRanges { return "at most \(ControlLimits.rowRanges) \(name) rows" }
            if zip(rows, rows.dropFirst()).contains(where: { $0 >= $1 }) || rows.contains(where: { $0 < 0 || $0 >= shape.tokens }) {
                return "\(name) rows must ascend and lie in the \(shape.tokens) tokens"
            }
        }
        if deterministic == true, kvElement == .int8 { return "a deterministic job keeps keys and values as f32 or bf16, not int8" }
        if deterministic == true, schedule == .passQ {
            return "a deterministic job passes keys and values: with queries going round, partials would be merged in an order of ranks"
        }
        if let isa, isa.isEmpty || isa.utf8.count > ControlLimits.keyBytes { return "isa is the name of an instruction set" }
        if isa != nil, deterministic != true { return "isa is for deterministic jobs: others compute by what each worker has" }
        if let queryRows, outputPath != nil {
            // What is not computed must not stand in a result as zeros.
            let computed = Set(queryRows)
            guard let outputRows, outputRows.allSatisfy(computed.contains) else { return "output rows must be among the query rows" }
        }
        return nil
    }
}

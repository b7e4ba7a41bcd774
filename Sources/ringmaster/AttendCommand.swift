// `ringmaster attend`: exact ring attention over given or seeded queries, keys and values. The piece that other programs call.

import ArgumentParser
import Foundation
import RingControl
import RingCore
import RingFormats
import RingKernels
import RingModels
import RingWorker

struct AttendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attend",
        abstract: "Exact attention over q, k and v from a file or a seed, on worker processes of this machine.",
        discussion: """
            The input is a safetensors file with q [tokens, heads, head_dim], k [tokens, kv_heads, head_dim] and v [tokens, kv_heads, v_dim], \
            all F32 or all BF16; the output holds out [tokens, heads, v_dim] and lse [tokens, heads] (natural logarithm), both F32.
            """)

    @OptionGroup(title: "Input") var input: AttendInput
    @OptionGroup(title: "Attention") var attention: AttendOptions
    @OptionGroup(title: "Cluster") var cluster: ClusterOptions
    @OptionGroup(title: "Figures") var figures: FigureOptions
    @Flag(help: "Print what each schedule would need, which one is chosen and why, and predicted beside measured seconds.")
    var explain = false
    @OptionGroup(title: "Planning") var planning: PlanOptions

    mutating func validate() throws {
        try attention.check(against: input)
        if planning.plan && (attention.output != nil || attention.verifyRows != nil) {
            throw ValidationError("--plan computes nothing: it goes with neither --output nor --verify-rows")
        }
    }

    /// Widths that the attention kernels run at speed.
    static func takes(_ width: Int) -> Bool { (32...256).contains(width) && width % 8 == 0 }

    func run() async throws {
        let kernels = try fromKernels { () throws(KernelError) in try Kernels.fromEnvironment() }
        let (source, origin) = try input.open(kernels)
        var spec = try attention.spec(of: origin, shape: AttentionShape(source.shape), seed: input.seed)
        let explanation = try explanation(of: spec, kernels)
        if planning.plan {
            if cluster.json { return Console.out((explanation?.json() ?? .null).text(pretty: true)) }
            return explanation?.tell() ?? ()
        }
        spec.schedule = explanation?.schedule ?? spec.schedule
        if explain { explanation?.tell() }
        try MemoryCheck.run(workers: cluster.workers) { () throws(ExecutionError) in
            try MemoryEstimate(attend: spec, workers: cluster.workers)
        }
        let result = try AttendResult(for: &spec, output: attention.output, verifyRows: attention.verifyRows)
        let follower = JobFollower(
            spec: .attend(spec), workers: cluster.workers, threads: cluster.threads, prompt: [], lane: try cluster.lane.workerArguments(),
            verbose: cluster.verbose, trace: try figures.traceFile(), numa: cluster.numa)
        let summaries: [WorkerSummary]
        let outcome: OracleCheck.Outcome?
        do {
            summaries = try await follower.run()
            outcome = try result.check(source, spec, summaries)
            try result.keep()
        } catch {
            result.discard()
            throw error
        }
        figures.tell(summaries)
        if explain { explanation?.compare(summaries) }
        try AttendReport(spec, summaries, outcome, explain ? explanation : nil).print(asJSON: cluster.json)
    }

    /// The schedules weighed against each other, where somebody wants to know or a choice is to be made: with queries everywhere and on one
    /// worker there is none.
    private func explanation(of spec: AttendSpec, _ kernels: Kernels) throws(CommandError) -> Explanation? {
        let wish = attention.sharing.schedule.schedule
        let weighs = wish == nil && spec.deterministic == nil && spec.queryRows != nil && cluster.workers > 1
        guard explain || planning.plan || weighs else { return nil }
        let rings = ScheduleMeasurement.Rings(
            workers: cluster.workers, threads: cluster.threads ?? planning.threadsEach(workers: cluster.workers), nodes: planning.nodes,
            linkGigabits: planning.linkGbits, lane: try cluster.lane.choice().lane)
        return try ScheduleMeasurement.explain(spec, wish, over: rings, kernels: kernels)
    }
}

/// What is computed over q, k and v, and what becomes of the result.
struct AttendOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Safetensors file for the result.", valueName: "file"))
    var output: String?
    @Flag(inversion: .prefixedNo, help: "Whether a query sees only keys at or before its own position.")
    var causal = true
    @OptionGroup var mask: MaskOptions
    @OptionGroup var sharing: ScheduleOptions
    @Flag(
        help: """
            The same bits on any number of workers and threads, whatever comes first; takes 16 bytes where a value of the result takes 4 \
            while it is computed.
            """)
    var deterministic = false
    @Option(help: ArgumentHelp("Factor on q.k (default: 1/sqrt(head_dim)).", valueName: "s"))
    var scale: Double?
    @Option(help: ArgumentHelp("How keys and values are kept and sent: f32, bf16 or int8 (default: as they are given).", valueName: "type"))
    var kvDtype: KeptType?
    @Option(
        help: ArgumentHelp(
            "With --kv-dtype int8: where it could change an element of the output by more than this, keep and send bf16 instead.",
            valueName: "x"))
    var tolerance: Double?
    @Option(
        help: ArgumentHelp("Check this many random rows against attention in double precision.", valueName: "rows"),
        transform: { try TokenCount(parsing: $0).value })
    var verifyRows: Int?
    @Option(
        help: ArgumentHelp(
            "Compute only this many random query rows of --seed, over the keys and values of the whole context; --verify-rows picks among them.",
            valueName: "rows"), transform: { try TokenCount(parsing: $0).value })
    var sampleQueries: Int?

    /// Refuses values that cannot be meant.
    func check(against input: AttendInput) throws {
        try sharing.check(sampleQueries: sampleQueries, output: output)
        if deterministic, kvDtype?.element == .int8 {
            throw ValidationError("--deterministic goes with f32 and bf16 keys and values: --kv-dtype int8 is not among them")
        }
        if deterministic, sharing.schedule == .passQ {
            throw ValidationError(
                "--deterministic passes keys and values: with --schedule pass-q bits would depend on the number of workers")
        }
        if let tokens = input.tokens, let new = sharing.new, new > tokens {
            throw ValidationError("--new \(new) is more than --tokens \(tokens)")
        }
        if let sampleQueries {
            guard (1...ControlLimits.rowRanges).contains(sampleQueries) else {
                throw ValidationError("--sample-queries is 1 to \(ControlLimits.rowRanges), got \(sampleQueries)")
            }
            guard output == nil else {
                throw ValidationError(
                    "--sample-queries computes a few rows only: check them with --verify-rows, there is no --output of them")
            }
        }
        if let mask = mask.spec, let tokens = input.tokens {
            do throws(MaskError) { _ = try mask.mask(causal: causal, tokens: tokens) } catch { throw ValidationError("\(error)") }
        }
        if let tolerance {
            guard kvDtype == .int8 else {
                throw ValidationError("--tolerance says what --kv-dtype int8 may change: it goes with nothing else")
            }
            guard tolerance.isFinite, tolerance > 0 else { throw ValidationError("--tolerance is a positive number, got \(tolerance)") }
        }
        if let scale, !(scale.isFinite && scale > 0) { throw ValidationError("--scale is a positive number, got \(scale)") }
        if let verifyRows, verifyRows < 1 || verifyRows > ControlLimits.rowRanges {
            throw ValidationError("--verify-rows is 1 to \(ControlLimits.rowRanges), got \(verifyRows)")
        }
        if input.input != nil && output == nil && verifyRows == nil {
            throw ValidationError("say what to do with the result: --output FILE, or --verify-rows R")
        }
    }

    /// The specification of attention over `origin`, whose result nobody keeps yet.
    func spec(of origin: AttendSpec.Input, shape: AttentionShape, seed: UInt64) throws(CommandError) -> AttendSpec {
        var spec = AttendSpec(input: origin, shape: shape, causal: causal)
        spec.scale = scale
        spec.mask = mask.spec
        do throws(MaskError) { _ = try spec.resolvedMask() } catch { throw .failed("\(error)") }
        if let kvDtype { spec.kvElement = kvDtype.element }
        spec.errorTolerance = tolerance
        if let sampleQueries { spec.queryRows = SampledRows.choose(sampleQueries, of: shape.tokens, seed: seed) }
        if let rows = try sharing.rows(of: shape.tokens) { spec.queryRows = rows }
        spec.schedule = deterministic ? .passKV : sharing.schedule.schedule
        if deterministic { spec.deterministic = true }
        for (name, width) in [("head_dim", shape.headDim), ("v_dim", shape.valueDim)] where !AttendCommand.takes(width) {
            throw .failed("\(name) is \(width) in the input: it must be a multiple of 8 from 32 to 256")
        }
        return spec
    }
}

/// Where q, k and v come from: a file, or a seed and a shape.
struct AttendInput: ParsableArguments {
    @Option(help: ArgumentHelp("Safetensors file with q, k and v.", valueName: "file"))
    var input: String?
    @Option(
        help: ArgumentHelp("Instead of a file: tokens of a seeded problem.", valueName: "n"),
        transform: { try TokenCount(parsing: $0).value })
    var tokens: Int?
    @Option(help: ArgumentHelp("Query heads of a seeded problem.", valueName: "n"))
    var heads: Int = 8
    @Option(help: ArgumentHelp("Key and value heads (default: as many as query heads).", valueName: "n"))
    var kvHeads: Int?
    @Option(help: ArgumentHelp("Elements of a query or key, a multiple of 8 from 32 to 256.", valueName: "n"))
    var headDim: Int = 128
    @Option(name: .customLong("v-dim"), help: ArgumentHelp("Elements of a value (default: head_dim).", valueName: "n"))
    var valueDim: Int?
    @Option(help: ArgumentHelp("Seed of a seeded problem, and of --sample-queries.", valueName: "s"))
    var seed: UInt64 = 0
    @Option(help: ArgumentHelp("Type of a seeded problem: f32 or bf16.", valueName: "type"))
    var dtype: KVType = .f32

    mutating func validate() throws {
        guard (input == nil) != (tokens == nil) else { throw ValidationError("give either --input FILE or --tokens N (a seeded problem)") }
        if let tokens, !(1...Limits.tokens).contains(tokens) { throw ValidationError("--tokens is 1 to \(Limits.tokens), got \(tokens)") }
        let keyHeads = kvHeads ?? heads
        guard heads >= 1, heads <= 65536, keyHeads >= 1, heads % keyHeads == 0 else {
            throw ValidationError("--kv-heads must divide --heads, got \(keyHeads) and \(heads)")
        }
        for (name, width) in [("--head-dim", headDim), ("--v-dim", valueDim ?? headDim)]
        where !AttendCommand.takes(width) {
            throw ValidationError("\(name) is a multiple of 8 from 32 to 256, got \(width)")
        }
    }

    /// The rows, and what to tell the workers about them.
    func open(_ kernels: Kernels) throws(CommandError) -> (AttentionSource, AttendSpec.Input) {
        if let input {
            let path = absolutePath(input)
            return (try reading { () throws(FormatError) in try AttentionSource(path: path, kernels: kernels) }, .file(path: path))
        }
        let shape = AttentionSource.Shape(
            tokens: tokens ?? 1, heads: heads, kvHeads: kvHeads ?? heads, headDim: headDim, valueDim: valueDim ?? headDim,
            element: dtype == .f32 ? .f32 : .bf16)
        return (AttentionSource(seed: seed, shape: shape, kernels: kernels), .seeded(seed: seed))
    }
}

extension AttentionShape {
    /// The shape of a source in the words of a specification.
    init(_ shape: AttentionSource.Shape) {
        self.init(
            tokens: shape.tokens, heads: shape.heads, kvHeads: shape.kvHeads, headDim: shape.headDim, valueDim: shape.valueDim,
            element: shape.element == .f32 ? .f32 : .bf16)
    }
}

// What a job will hold in memory, said in bytes before any work starts: from shapes alone, the buffers as the engine
// makes them, the rest on the safe side.

import RingControl
import RingCore
import RingEngine
import RingFormats
import RingKernels
import RingModels
import RingTransport

/// The memory of one job whose workers all run on one machine.
public struct MemoryEstimate: Hashable, Sendable {
    /// Weights as the kernels of this machine take them, in every worker that needs them.
    public private(set) var weights = 0
    /// Keys and values, receive buffers, activations and scratch of every worker.
    public private(set) var context = 0
    /// What processes cost before they hold a token.
    public let processes: Int

    /// A worker without a job: program, runtime, network.
    private static let processBytes = 48 << 20

    /// Bytes in all.
    public var total: Int { weights + context + processes }

    /// A generate job over `workers` workers of `threads` threads each. Throws when the model's shape fits no kernel.
    public init(generate spec: GenerateSpec, config: ModelConfig, workers: Int, threads: Int) throws(ExecutionError) {
        processes = workers * Self.processBytes
        let kernels = try ExecutionParts.kernels()
        for rank in 0..<workers {
            weights += ModelWeights.byteCount(config, withHead: rank == 0 || spec.logitsPath != nil, kernels: kernels)
        }
        let plan = try Self.plan(.generate(spec), workers: workers)
        do throws(KernelError) {
            let shape = try ModelRank<InProcessTransport>.shape(
                config, plan: plan, element: ElementType(spec.kvElement), decodeTokensMax: spec.maxTokens)
            for rank in plan.world.ranks {
                context += ModelRank<InProcessTransport>.byteCount(config, shape: shape, rank: rank, threads: threads)
            }
        } catch { throw ExecutionParts.error(error) }
    }

    /// An attend job over `workers` workers. Where int8 may prove too coarse, it is what bf16 needs.
    public init(attend spec: AttendSpec, workers: Int) throws(ExecutionError) {
        processes = workers * Self.processBytes
        let plan = try Self.plan(.attend(spec), workers: workers)
        let problem = AttentionSource.Shape(spec.shape)
        do throws(KernelError) {
            let shape = try AttentionRank<InProcessTransport>.shape(
                problem, plan: plan, element: spec.errorTolerance == nil ? ElementType(spec.kvElement) : .bf16, scale: spec.scale)
            if spec.schedule == .passQ {
                let rowsMax = plan.queryRuns(at: spec.queryRows).map { $0.reduce(0) { $0 + $1.chunk.length } }.max() ?? 0
                context += plan.world.count * shape.queryByteCount(rowsMax: rowsMax)
            }
            for rank in plan.world.ranks {
                let rows = spec.queryRows.map { plan.owned($0, by: rank).count } ?? plan.tokens(of: rank)
                context += shape.byteCount(of: rank) + AttentionBuffers.byteCount(problem, tokens: rows, under: plan)
            }
        } catch { throw ExecutionParts.error(error) }
    }

    private static func plan(_ spec: JobSpec, workers: Int) throws(ExecutionError) -> ShardPlan {
        do throws(PlanError) {
            return try spec.plan(over: WorldSize(workers))
        } catch { throw ExecutionError(.invalidInput, "\(error)") }
    }
}

extension AttentionSource.Shape {
    /// The shape of a specification in the words of the engine.
    public init(_ shape: AttentionShape) {
        self.init(
            tokens: shape.tokens, heads: shape.heads, kvHeads: shape.kvHeads, headDim: shape.headDim, valueDim: shape.valueDim,
            element: ElementType(shape.element))
    }
}

extension ElementType {
    /// The type of a specification in the words of the kernels.
    public init(_ kind: ElementKind) {
        switch kind {
        case .f32: self = .f32
        case .bf16: self = .bf16
        case .int8: self = .int8
        }
    }
}

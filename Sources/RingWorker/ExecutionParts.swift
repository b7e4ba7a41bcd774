// What both kinds of job need: kernels, threads, connections to the other ranks, and errors in the words of a job.
import Foundation
import RingControl
import RingCore
import RingEngine
import RingFormats
import RingKernels
import RingModels
import RingTransport

/// Steps that every job takes, whatever it computes.
enum ExecutionParts {
    /// The kernels of the instruction set that the job names, else those that this machine or `RINGMASTER_ISA` chooses.
    static func kernels(_ isa: String? = nil) throws(ExecutionError) -> Kernels {
        guard isa == nil || isa.flatMap(InstructionSet.init(rawValue:)) != nil else {
            throw ExecutionError(
                .invalidInput, "the job's isa \((isa ?? "").debugDescription) is no instruction set that this worker knows")
        }
        do throws(KernelError) {
            guard let set = isa.flatMap(InstructionSet.init(rawValue:)) else { return try Kernels.fromEnvironment() }
            return try Kernels(set)
        } catch { throw Self.error(error) }
    }

    /// The job's compute threads.
    static func pool(_ assignment: Assignment, cpus: [Int]) throws(ExecutionError) -> ComputePool {
        do throws(TransportError) {
            return try ComputePool(threads: assignment.threads, cpus: cpus, prepare: Kernels.prepareThreadForLinear)
        } catch { throw Self.error(error) }
    }

    /// Who owns which tokens.
    static func plan(_ assignment: Assignment) throws(ExecutionError) -> ShardPlan {
        do throws(PlanError) {
            return try assignment.plan()
        } catch { throw ExecutionError(.invalidInput, "\(error)") }
    }

    /// Connections to every other rank.
    static func connect(_ assignment: Assignment, _ context: ExecutionContext) throws(ExecutionError) -> TCPTransport {
        guard let secret = bytes(ofHex: assignment.secret) else {
            throw ExecutionError(.protocolMismatch, "the job's secret is no hexadecimal text; run the same version everywhere")
        }
        var options = TCPOptions()
        options.isSealed = assignment.isEncrypted
        (options.lane, options.rdma) = (context.lanes.wanted, context.lanes.rdma)
        do throws(TransportError) {
            let wire = try TCPTransport.connect(
                listener: context.listener, rank: Rank(assignment.rank), world: WorldSize(assignment.world),
                peers: assignment.peers.map { PeerAddress($0.host, UInt16(clamping: $0.port)) }, secret: secret,
                epoch: assignment.epoch, job: assignment.job, deadline: .seconds(ExecutionLimits.connectSeconds), options: options)
            context.lanes.note(wire.lanes)
            return wire
        } catch { throw Self.error(error) }
    }

    private static func bytes(ofHex text: String) -> [UInt8]? {
        let digits = text.compactMap(\.hexDigitValue)
        guard digits.count == text.count, digits.count % 2 == 0 else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    /// Where a rank notes what it does, if somebody wants to see it.
    static func recorder(_ assignment: Assignment) -> TraceRecorder? {
        assignment.traces == true ? TraceRecorder(threads: assignment.threads) : nil
    }

    /// Hands over what a rank has noted.
    static func handOver(_ recorder: TraceRecorder?, of assignment: Assignment, _ context: ExecutionContext) {
        guard let recorder else { return }
        let (events, dropped) = recorder.result
        let offset = Int64(Date().timeIntervalSince1970 * 1e9) - MonotonicClock.now().nanoseconds
        // A name that is longer than a trace can hold is cut.
        let machine = String(MachineFacts().hostName.prefix(60))
        let trace = RankTrace(rank: Rank(assignment.rank), machine: machine, clockOffset: offset, droppedCount: dropped, events: events)
        context.handOver(trace.bytes)
    }

    /// A rank's ring steps for its report: a query and a key that it sees cost `flopsPerPair`. In a large ring some steps in a row are
    /// one entry, so that the whole ring's stay below `ControlLimits.stepFigures`.
    static func ringSteps(_ totals: StepTotals, flopsPerPair: Double) -> [RingStepFigures] {
        let world = max(totals.steps.count, 1)
        let entries = max(ControlLimits.stepFigures / world, 1)
        let span = (world + entries - 1) / entries
        return stride(from: 0, to: totals.steps.count, by: span).map { first in
            let group = totals.steps[first..<min(first + span, totals.steps.count)]
            var figures = RingStepFigures(step: first, steps: group.count, passes: totals.passes)
            for step in group {
                figures.computeSeconds += step.computeSeconds
                figures.exposedSeconds += step.exposedSeconds
                figures.sendSeconds += step.sendSeconds
                figures.receiveSeconds += step.receiveSeconds
                figures.bytesSent += step.bytesSent
                figures.bytesReceived += step.bytesReceived
                figures.flops += Double(step.pairs) * flopsPerPair
            }
            return figures
        }
    }

    static func error(_ error: ModelError) -> ExecutionError {
        switch error {
        case .format(let format): self.error(format)
        case .nonFiniteWeight, .nonFiniteLogits: ExecutionError(.nonFinite, "\(error)")
        case .unsupported: ExecutionError(.invalidModel, "\(error)")
        case .tokenOutOfRange: ExecutionError(.invalidInput, "\(error)")
        case .kernel(let kernel): self.error(kernel)
        case .engine(let engine): self.error(engine)
        }
    }

    static func error(_ error: FormatError) -> ExecutionError {
        switch error {
        case .unreadable: ExecutionError(.fileAccess, error.message)
        case .malformed, .unsupported, .tooLarge: ExecutionError(.invalidModel, error.message)
        case .invalid: ExecutionError(.invalidInput, error.message)
        }
    }

    static func error(_ error: KernelError) -> ExecutionError {
        switch error {
        case .outOfMemory: ExecutionError(.insufficientMemory, "\(error)")
        case .unsupportedDimension, .invalidCount, .unknownInstructionSet, .unsupportedInstructionSet, .unknownActivations:
            ExecutionError(.invalidInput, "\(error)")
        case .linearFailed, .threadFailed: ExecutionError(.internalError, "\(error)")
        }
    }

    static func error(_ error: EngineError) -> ExecutionError {
        switch error {
        case .lost(let rank, _, _, _): ExecutionError(.workerLost, "\(error)", lostRank: rank.index)
        case .damaged: ExecutionError(.damagedData, "\(error)")
        case .nonFinite: ExecutionError(.nonFinite, "\(error)")
        case .memory(let kernel): self.error(kernel)
        case .transport(let transport): self.error(transport)
        case .stalled, .protocolViolation, .cancelled: ExecutionError(.transport, "\(error)")
        }
    }

    static func error(_ error: TransportError) -> ExecutionError {
        switch error {
        case .lost(let rank, _), .unreachable(let rank, _): ExecutionError(.workerLost, "\(error)", lostRank: rank.index)
        case .timedOut(let rank, _): ExecutionError(.transport, "\(error)", lostRank: rank?.index)
        default: ExecutionError(.transport, "\(error)")
        }
    }
}

/// Bounds of a job's execution.
enum ExecutionLimits {
    /// Seconds within which the ring must be connected. Every rank loads before it connects, so this must outlast the
    /// difference between the fastest and the slowest disk.
    static let connectSeconds = 300
}

// What a coordinator and a worker say to each other: one registration, directives down, reports up.

import RingCore

/// What a worker says of itself when it joins.
public struct WorkerRegistration: Hashable, Sendable, Codable {
    /// Its name, unique among the living workers of a coordinator. Ranks are given in the order of racks, machines and names.
    public var name: String
    /// Its process number, for people.
    public var pid: Int
    /// The name of its machine: workers that share it share cores.
    public var machine: String
    /// The kernel table it chose.
    public var isa: String
    /// Cores it may run on.
    public var cpus: Int
    /// NUMA nodes of its machine.
    public var numaNodes: Int
    /// Memory of its machine, in bytes.
    public var memoryBytes: Int
    /// Address on which its data plane listens.
    public var dataHost: String
    /// Port on which its data plane listens.
    public var dataPort: Int
    /// Version of its program; another one than the coordinator's is refused.
    public var version: String
    /// Random text drawn when the process started: tells a worker that comes back from another one of the same name.
    public var instance: String
    /// How often this process has asked to be let in, this time included; `nil` if it does not count. Tells an earlier request that
    /// comes late from a new one.
    public var attempt: Int?
    /// How fast one of its compute threads is, compared with those of other workers: any unit, as long as all use the same; `nil` if it was
    /// not measured. Shards are as wide as their workers are fast.
    public var speed: Double?
    /// Whether somebody told it its speed: then its runs do not change that. `nil` is no.
    public var speedIsTold: Bool?
    /// Its rack, or whatever else stands behind one slow link; `nil` if nobody said. Ranks of one rack follow on one another.
    public var rack: String?
    /// The NUMA nodes that it is bound to; `nil` if it runs anywhere on its machine.
    public var homeNodes: [Int]?

    /// A registration of its parts.
    public init(
        name: String, pid: Int, machine: String, isa: String, cpus: Int, numaNodes: Int, memoryBytes: Int, dataHost: String,
        dataPort: Int, version: String, instance: String = ""
    ) {
        self.name = name
        self.pid = pid
        self.machine = machine
        self.isa = isa
        self.cpus = cpus
        self.numaNodes = numaNodes
        self.memoryBytes = memoryBytes
        self.dataHost = dataHost
        self.dataPort = dataPort
        self.version = version
        self.instance = instance
    }

    /// Whether the two have cores in common: on one machine, unless each is bound to nodes of its own.
    func sharesCores(with other: WorkerRegistration) -> Bool {
        guard machine == other.machine else { return false }
        guard let home = homeNodes, let others = other.homeNodes else { return true }
        return home.contains(where: others.contains)
    }
}

/// Where the memory of a worker that is bound to NUMA nodes was found to lie.
public struct MemoryLocality: Hashable, Sendable, Codable {
    /// The nodes that it is bound to.
    public var nodes: [Int]
    /// Pages of its engine that were looked at: those it has touched, or a sample of them.
    public var pages: Int
    /// Those of them that lie on its nodes.
    public var pagesLocal: Int
    /// Bytes of the process that lie on transparent huge pages.
    public var hugeBytes: Int

    /// What was found.
    public init(nodes: [Int], pages: Int, pagesLocal: Int, hugeBytes: Int) {
        self.nodes = nodes
        self.pages = pages
        self.pagesLocal = pagesLocal
        self.hugeBytes = hugeBytes
    }

    /// The share of its pages that lie on its nodes, 0 ... 1, whatever a worker may have said.
    public var share: Double { pages > 0 ? min(max(Double(pagesLocal) / Double(pages), 0), 1) : 1 }
}

/// What a worker is told.
public enum WorkerDirective: Hashable, Sendable {
    /// Load, connect, and report `ready`.
    case prepare(Assignment)
    /// Every rank is ready: run.
    case start(Run)
    /// Give the run up, and report `stopped`, also if it is not known.
    case abort(Run, reason: String)
    /// What was kept of this run is not wanted: give its memory back.
    case forget(Run)
    /// Leave: nothing more will be asked. A process that was started for one coordinator ends.
    case stop
}

/// How far a worker is.
public struct WorkerProgress: Hashable, Sendable {
    /// What it is doing. A later phase never goes back to an earlier one.
    public enum Phase: String, Hashable, Sendable, Codable, CaseIterable {
        /// Reading weights or inputs, connecting.
        case loading
        /// Passing the prompt through the model.
        case prefill
        /// Generating tokens.
        case decode
        /// Attention alone.
        case attend
    }

    /// What it is doing.
    public var phase: Phase
    /// The layer it is in, counted from zero.
    public var layer: Int
    /// Layers in all.
    public var layers: Int
    /// The ring step (decode: the token) it is in, counted from zero.
    public var step: Int
    /// Ring steps (decode: tokens wanted) in all.
    public var steps: Int
    /// Of its own tokens, how many are done; a token half-way through the layers counts half.
    public var tokensDone: Int
    /// Its own tokens.
    public var tokensTotal: Int
    /// Seconds in which its engine has computed in this run. The linear part of a layer under way is counted as its attention goes
    /// on, so that this fits `tokensDone`.
    public var computeSeconds: Double
    /// Seconds in which its engine has had nothing to do but wait for communication in this run.
    public var exposedSeconds: Double
    /// What its data travels by to and from other ranks: `tcp`, `shared-memory`, or `shared-memory 1, tcp 2` where they differ.
    public var transport: String?
    /// Why that is not something better, if something better was tried.
    public var transportRemark: String?

    /// Progress of its parts.
    public init(
        phase: Phase, layer: Int, layers: Int, step: Int, steps: Int, tokensDone: Int, tokensTotal: Int, computeSeconds: Double = 0,
        exposedSeconds: Double = 0
    ) {
        self.phase = phase
        self.layer = layer
        self.layers = layers
        self.step = step
        self.steps = steps
        self.tokensDone = tokensDone
        self.tokensTotal = tokensTotal
        self.computeSeconds = computeSeconds
        self.exposedSeconds = exposedSeconds
    }
}

/// What some ring steps cost one rank, over all layers.
public struct RingStepFigures: Hashable, Sendable, Codable {
    /// The first of the steps, counted from zero.
    public var step: Int
    /// How many steps in a row these are: one, where the ring is not so large that they would be too many to tell.
    public var steps: Int
    /// Trips round the ring that are added up: a model makes one a layer.
    public var passes: Int
    /// Seconds under attention.
    public var computeSeconds: Double
    /// Seconds in which nothing was computed because keys and values had not come; in the last step also the wait for the last sends.
    public var exposedSeconds: Double
    /// Seconds from the post of what was sent on to the news that the next rank has it.
    public var sendSeconds: Double
    /// Seconds from the post of the receive to the news that all is here.
    public var receiveSeconds: Double
    /// Payload bytes that were sent on.
    public var bytesSent: Int
    /// Payload bytes that came.
    public var bytesReceived: Int
    /// Floating-point operations of the attention.
    public var flops: Double

    /// Figures of no time and no bytes.
    public init(step: Int, steps: Int, passes: Int) {
        self.step = step
        self.steps = steps
        self.passes = passes
        (computeSeconds, exposedSeconds, sendSeconds, receiveSeconds) = (0, 0, 0, 0)
        (bytesSent, bytesReceived, flops) = (0, 0, 0)
    }
}

/// What a worker did, in figures.
public struct WorkerSummary: Hashable, Sendable, Codable {
    /// Its place in the ring.
    public var rank: Int
    /// Tokens it owned.
    public var tokensOwned = 0
    /// Seconds for reading weights or inputs and connecting.
    public var loadSeconds = 0.0
    /// Seconds of prefill, or of attention.
    public var prefillSeconds = 0.0
    /// Seconds of decode.
    public var decodeSeconds = 0.0
    /// Seconds in which the engine computed.
    public var computeSeconds = 0.0
    /// Seconds in which the engine had nothing to do but wait for communication.
    public var exposedSeconds = 0.0
    /// Bytes it sent on the data plane.
    public var bytesSent = 0
    /// Bytes it received on the data plane.
    public var bytesReceived = 0
    /// Floating-point operations it did.
    public var flops = 0.0
    /// Ring steps it took.
    public var steps = 0
    /// The most memory it held, in bytes.
    public var peakResidentBytes = 0
    /// Payloads that were asked for again.
    public var retransmissions = 0
    /// The kernel table it used.
    public var isa = ""
    /// What its data travelled by to and from other ranks: `tcp`, `shared-memory`, or `shared-memory 1, tcp 2` where they differed.
    public var transport: String?
    /// The answer; only the leading rank gives it.
    public var generatedTokens: [UInt32]?
    /// Where keys and values were to be int8: the most by which that can change an element of the output of any rank.
    public var errorBound: Double?
    /// How keys and values were kept in the end, where they were to be int8.
    public var kvElement: ElementKind?
    /// Its ring steps in order, at most `ControlLimits.stepFigures` entries over all ranks.
    public var ringSteps: [RingStepFigures]?
    /// Where its memory lay when it was done; `nil` if it is bound to no node, or cannot tell.
    public var locality: MemoryLocality?
    /// Its links to every other rank, by rank, of a job that measures them.
    public var links: [LinkFigures]?

    /// The figures of `rank`, all zero.
    public init(rank: Int) { self.rank = rank }
}

/// What a worker reports.
public enum WorkerReport: Hashable, Sendable {
    /// Loaded and connected.
    case ready(Run)
    /// How far it is. Only the newest counts, so they may be thinned out.
    case progress(Run, WorkerProgress)
    /// Token `index` of the answer. Only the leading rank reports them, in order.
    case token(Run, index: Int, id: UInt32)
    /// Done.
    case finished(Run, WorkerSummary)
    /// It could not go on. `lostRank`: because that rank is gone.
    case failed(Run, FailureCode, message: String, lostRank: Int?)
    /// What it still holds of a run that broke, and could go on from. Comes before `failed` or `stopped`.
    case kept(Run, [Share])
    /// It gave the run up as it was told to.
    case stopped(Run)

    /// The run that is meant.
    public var run: Run {
        switch self {
        case .ready(let run), .progress(let run, _), .token(let run, _, _), .finished(let run, _), .failed(let run, _, _, _),
            .kept(let run, _), .stopped(let run):
            run
        }
    }
}

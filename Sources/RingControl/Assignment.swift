// One rank's part of a job: everything a worker must know before it can load and connect.

import RingCore

/// Another worker of the same job, as seen on the data plane.
public struct Peer: Hashable, Sendable, Codable {
    /// Address on which its data plane listens.
    public var host: String
    /// Port on which its data plane listens.
    public var port: Int
    /// Name of the worker.
    public var worker: String

    /// A peer of its parts.
    public init(host: String, port: Int, worker: String) {
        self.host = host
        self.port = port
        self.worker = worker
    }
}

/// One rank's part of a job.
public struct Assignment: Hashable, Sendable, Codable {
    /// The job.
    public var job: JobNumber
    /// The membership version under which the ring was made; every frame of the data plane carries it.
    public var epoch: Epoch
    /// This worker's place in the ring.
    public var rank: Int
    /// The attempt that this is.
    public var run: Run { Run(job, epoch) }
    /// Number of ranks.
    public var world: Int
    /// Every rank's address, by rank; this worker's own is among them.
    public var peers: [Peer]
    /// 32 random bytes in hex that each peer must prove to know when it connects. Empty in the machine, which draws
    /// nothing; the shell draws one for each run when the assignment leaves it.
    public var secret = ""
    /// Whether the ring's connections are encrypted, with keys made from the secret.
    public var isEncrypted = false
    /// Tokens that are dealt.
    public var tokens: Int
    /// How they are dealt.
    public var layout: ShardPlan.Layout
    /// What every rank owns, where `layout` does not say it: under masks and speeds that no layout balances, and where a broken ring is
    /// gone on from. A share that has been through layers is held by its rank since the run `resumes`.
    public var shares: [[Share]] = []
    /// The run that this one goes on from.
    public var resumes: Run?
    /// Compute threads of this worker.
    public var threads: Int
    /// This worker's place among the job's workers on its machine, `0 ..< localCount`: which cores are its own.
    public var localIndex: Int
    /// The job's workers on this machine.
    public var localCount: Int
    /// Ranks of a group whose links among each other are faster than those to the other groups; `nil` where it is one ring.
    public var groupSize: Int?
    /// Whether it notes what it does and hands that over before it reports its end; `nil` is no.
    public var traces: Bool?
    /// What to do.
    public var spec: JobSpec

    /// An assignment of its parts.
    public init(
        job: JobNumber, epoch: Epoch, rank: Int, peers: [Peer], threads: Int, localIndex: Int, localCount: Int,
        spec: JobSpec
    ) {
        self.job = job
        self.epoch = epoch
        self.rank = rank
        world = peers.count
        self.peers = peers
        tokens = spec.tokens
        layout = spec.layout
        self.threads = threads
        self.localIndex = localIndex
        self.localCount = localCount
        self.spec = spec
    }

    /// Takes over who owns which tokens.
    mutating func take(_ plan: ShardPlan) {
        guard plan.layout == nil else { return }
        shares = plan.world.ranks.map { rank in plan.chunks(of: rank).map { Share(start: $0.start, length: $0.length, layers: 0) } }
    }

    /// Who owns which tokens.
    public func plan() throws(PlanError) -> ShardPlan {
        var plan: ShardPlan
        if shares.isEmpty {
            plan = try ShardPlan(layout, tokens: tokens, over: WorldSize(world), grain: spec.grain)
        } else {
            guard shares.count == world else { throw .shares("it has \(shares.count) ranks in a world of \(world)") }
            plan = try ShardPlan(shares: shares, tokens: tokens, grain: spec.grain)
        }
        if let groupSize {
            guard let tour = RingTour(plan.world, groupSize: groupSize) else {
                throw .shares("groups of \(groupSize) do not make up \(world) ranks")
            }
            plan.tour = tour
        }
        return plan
    }
}

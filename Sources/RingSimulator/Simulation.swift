// A whole cluster in one value under virtual time: the real machines of coordinator and worker, the real ring passes, and a
// model of everything between them: processes, links, disk, clocks. What is real and what is modelled: Docs/SIMULATOR.md.

import RingControl
import RingCore

/// A simulated cluster.
public struct Simulation {
    /// One process; 0 is the coordinator, then come workers, then clients.
    struct Process {
        /// Counts its lives: what was meant for an earlier one does not reach it.
        var life = 0
        var isUp = false
        /// Without power nothing answers, not even a refusal.
        var hasPower = true
        var pausedUntil: Int64 = 0
        var clockOffset: Int64 = 0
        var clockRate = 1.0
        /// Numbers its wake-ups: only the newest counts.
        var wakes = 0
    }

    var options: SimulationOptions
    var now: Int64 = 0
    var queue = EventQueue<Action>()
    /// One stream of chance for the network, one for what processes do.
    var network: SplitMix64
    var work: SplitMix64
    var processes: [Process] = []
    var coordinator: CoordinatorNode
    var workers: [WorkerNode] = []
    var clients: [ClientNode] = []
    var connections: [Connection] = []
    var channels: [DataChannel] = []
    var channelPlaces: [Int: Int] = [:]
    var requests: UInt64 = 0

    var plan: FaultPlan
    var partitions: [(from: Int, to: Int, until: Int64)] = []
    var slow: (delay: Double, until: Int64) = (0, 0)
    var lossy: (part: Double, until: Int64) = (0, 0)
    /// By worker: how many times as long its computing takes, and until when.
    var slowed: [(times: Double, until: Int64)]
    /// Who computed for which job while slowed.
    var hindered: [(job: JobNumber, worker: String)] = []
    var diskFullUntil: Int64 = 0
    var diskSlowUntil: Int64 = 0
    /// A death that comes before this moment is not timed: something else is wrong too.
    var disturbedUntil: Int64 = -1
    var deaths: [Death] = []
    /// When trouble and new jobs end.
    let quietAt: Int64
    var isDone = false

    var told: [JobTold] = []
    var outcome: SimulationOutcome
    let cpuSeconds: (() -> Double)?

    /// Plays a simulation to its end, or to the first claim that does not hold. `cpuSeconds` is a clock of CPU time, read
    /// round the coordinator's machine; without one nothing is measured.
    public static func run(_ options: SimulationOptions, cpuSeconds: (() -> Double)? = nil) -> SimulationOutcome {
        var simulation = Simulation(options, cpuSeconds)
        simulation.play()
        return simulation.outcome
    }

    private init(_ options: SimulationOptions, _ cpuSeconds: (() -> Double)?) {
        var random = SplitMix64(options.seed)
        let nodes = options.nodes ?? 2 + random.below(4)
        let jobs = options.jobs ?? 3 + random.below(7)
        let seconds = options.hours.map { 3600 * $0 } ?? options.seconds ?? random.between(3, 8)
        self.options = options
        self.cpuSeconds = cpuSeconds
        outcome = SimulationOutcome(options: options)
        quietAt = Int64(seconds * 1e9)
        network = random.fork()
        work = random.fork()
        var scenario = random.fork()
        var trouble = random.fork()
        // Every other client looks on from the side.
        let watchers = options.endsByTime ? 0 : 1 + scenario.below(jobs)
        plan = FaultPlan(options, workers: nodes, clients: jobs + watchers, seconds: seconds, random: &trouble)
        coordinator = CoordinatorNode(policy: Self.policy(options.mutation))
        for number in 1...nodes { workers.append(WorkerNode(name: "w\(Self.padded(number, to: nodes))", jitter: scenario.next())) }
        for number in 0..<jobs {
            clients.append(
                ClientNode(
                    number: number, workersMax: min(nodes, 5), takesAll: nodes > 100 ? 0 : 0.15, seconds: seconds,
                    hasSlack: !options.faults.isEmpty, &scenario))
        }
        let hasEnd = !options.faults.isEmpty && options.hours == nil
        if hasEnd { clients.append(ClientNode(probing: nodes, at: seconds + SimulationLimits.probeSeconds, &scenario)) }
        for _ in 0..<watchers { clients.append(ClientNode(watching: scenario.below(jobs), seconds: seconds, &scenario)) }
        processes = Array(repeating: Process(), count: 1 + nodes + clients.count)
        told = Array(repeating: JobTold(), count: jobs + 1)
        slowed = Array(repeating: (1, 0), count: nodes)
    }

    /// The daemon's deadlines, the long ones shortened: they would only make simulations longer.
    static func policy(_ mutation: Mutation?) -> CoordinatorPolicy {
        var policy = CoordinatorPolicy.daemon
        (policy.promptSeconds, policy.prepareSeconds, policy.stallSeconds) = (15, 15, 12)
        (policy.abortSeconds, policy.patienceSeconds) = (5, 3)
        // Runs take a second here, not an hour.
        (policy.paceSeconds, policy.paceIntervalSeconds) = (SimulatedEngine.stepSeconds, 0)
        if mutation == .hastySilence { policy.silenceSeconds = 0.1 }
        return policy
    }

    /// Names sort like numbers.
    private static func padded(_ number: Int, to most: Int) -> String {
        String(repeating: "0", count: max(0, String(most).count - String(number).count)) + String(number)
    }

    private mutating func play() {
        startCoordinator()
        for worker in workers.indices { queue.push(.restart(1 + worker), at: work.span(0, workers.count > 100 ? 1 : 0.2)) }
        for client in clients.indices {
            processes[node(ofClient: client)].isUp = true
            queue.push(.timer(node: node(ofClient: client), life: 0, .submit), at: Int64(clients[client].beginsAt * 1e9))
        }
        for (index, entry) in plan.faults.enumerated() { queue.push(.fault(index), at: Int64(entry.at * 1e9)) }
        queue.push(.look, at: quietAt)
        if options.hours != nil { beginSteadyTrouble() }
        while !isDone, outcome.violation == nil, let (time, action) = queue.pop() {
            now = time
            outcome.events += 1
            outcome.digest = scramble(outcome.digest, UInt64(bitPattern: time))
            perform(action)
        }
        conclude()
    }

    private mutating func perform(_ action: Action) {
        switch action {
        case .packet(let packet): deliver(packet)
        case .stream(let connection): deliverLine(of: connection)
        case .data(let channel): deliverFrame(of: channel)
        case .timer(let node, let life, let timer):
            guard processes[node].isUp, processes[node].life == life else { return }
            if processes[node].pausedUntil > now {
                queue.push(action, at: processes[node].pausedUntil)
                return
            }
            if node == 0 {
                coordinatorTimer(timer)
            } else if node <= workers.count {
                workerTimer(node - 1, timer)
            } else {
                clientTimer(node - 1 - workers.count, timer)
            }
        case .fault(let index): inject(plan.faults[index].fault)
        case .pause(let node): pauseSteadily(node)
        case .restart(let node): restart(node)
        case .deathDue(let death): checkDeath(death)
        case .look: look()
        }
    }

    /// After trouble has ended: is everything settled, or is it too late for that?
    private mutating func look() {
        if now == quietAt {
            // What was armed and never went off is trouble too.
            coordinator.crashAtWrite = nil
            for place in workers.indices { workers[place].crashAtReport = nil }
        }
        if options.endsByTime ? now >= quietAt : isSettled {
            isDone = true
        } else if now > quietAt + Int64(SimulationLimits.livenessSeconds * 1e9) {
            fail("liveness", "\(Int(SimulationLimits.livenessSeconds)) s after the last fault \(unsettled)")
        } else {
            queue.push(.look, at: now + 250_000_000)
        }
    }

    // MARK: names, clocks, timers

    func node(ofClient client: Int) -> Int { 1 + workers.count + client }

    func name(of node: Int) -> String {
        if node == 0 { return "coordinator" }
        return node <= workers.count ? workers[node - 1].name : "c\(node - workers.count)"
    }

    /// What a process's clock shows.
    func clock(of node: Int) -> Moment {
        let process = processes[node]
        return Moment(nanoseconds: process.clockOffset + (process.clockRate == 1 ? now : Int64(Double(now) * process.clockRate)))
    }

    /// When a process's clock shows a moment, not before now.
    func time(of moment: Moment, at node: Int) -> Int64 {
        let process = processes[node]
        let elapsed = moment.nanoseconds - process.clockOffset
        return max(now, process.clockRate == 1 ? elapsed : Int64(Double(elapsed) / process.clockRate) + 1)
    }

    mutating func wake(_ node: Int, at moment: Moment) {
        processes[node].wakes += 1
        queue.push(.timer(node: node, life: processes[node].life, .wake(processes[node].wakes)), at: time(of: moment, at: node))
    }

    mutating func after(_ seconds: Double, _ node: Int, _ timer: Timer) {
        queue.push(.timer(node: node, life: processes[node].life, timer), at: now + Int64(seconds * 1e9))
    }

    /// A line of the transcript, if one is kept.
    mutating func note(_ node: Int, _ text: @autoclosure () -> String) {
        guard options.keepsTranscript, outcome.violation == nil else { return }
        outcome.transcript.append("\(seconds(now)) \(name(of: node)): \(text())")
    }

    /// Virtual seconds with nine digits.
    func seconds(_ time: Int64) -> String {
        let fraction = String(time % 1_000_000_000)
        return "\(time / 1_000_000_000)." + String(repeating: "0", count: 9 - fraction.count) + fraction
    }

    mutating func fail(_ checker: String, _ message: String) {
        guard outcome.violation == nil else { return }
        outcome.violation = Violation(checker: checker, message: message, seconds: Double(now) / 1e9)
        if options.keepsTranscript { outcome.transcript.append("\(seconds(now)) checker \(checker): \(message)") }
    }
}

/// Bounds of a simulation.
enum SimulationLimits {
    /// Virtual seconds after the last fault within which every open job must have ended: a run that hangs in its load, one
    /// that hangs under way, and one that goes through, each with a worker that must be given up.
    static let livenessSeconds = 90.0
    /// Seconds after the last fault by which every worker must be in again: a silence that was not noticed, and the longest
    /// wait before another attempt to join.
    static let probeSeconds = 12.0
    /// Of steady trouble: mean seconds between two pauses of a process, the most seconds by which a message is late, and the part
    /// of all packets that is lost on the first try.
    static let steadyPauseEvery = 2.0, steadyDelay = 0.1, steadyLoss = 0.01
    /// Seconds within which the death of a process must have been noticed.
    static let deathSeconds = 1.0
    /// Directives that wait for the disk; a disk that is full for seven seconds holds a few hundred.
    static let directivesWaiting = 50_000
    /// Directives that a worker has not seen.
    static let directivesUnseen = 1024
    /// Reports that wait in a worker.
    static let reportsWaiting = 4096
    /// Lines on their way in one stream.
    static let linesWaiting = 65_536
    /// Seconds for which a packet is sent again before its connection gives up.
    static let packetSeconds = 10.0
}

// A worker's shell, modelled: requests with deadlines, one batch of reports at a time, signs of life, one engine.

import RingControl
import RingCore

extension Simulation {
    mutating func startWorker(_ place: Int) {
        let node = 1 + place
        processes[node].isUp = true
        processes[node].clockOffset = plan.hasSkew ? work.span(-1000, 1000) : 0
        processes[node].clockRate = plan.hasSkew ? work.between(0.999, 1.001) : 1
        workers[place].reset()
        note(node, "starts")
        after(workers.count > 100 ? work.between(0, 0.25) : 0.25, node, .heartbeat)
        tell(place, .started)
    }

    /// Gives the machine an event and carries out what follows.
    mutating func tell(_ place: Int, _ event: WorkerMachine.Event) {
        var directives: [WorkerMachine.Directive] = []
        workers[place].machine.handle(event, at: clock(of: 1 + place), into: &directives)
        for directive in directives {
            guard processes[1 + place].isUp else { return }
            obey(place, directive)
        }
    }

    private mutating func obey(_ place: Int, _ directive: WorkerMachine.Directive) {
        let node = 1 + place
        if case .wake = directive {} else { note(node, Describe.directive(directive)) }
        switch directive {
        case .join:
            workers[place].attempts += 1
            workers[place].joining = ask(node, .join(registration(place)), within: 2)
        case .openStream(let id, let seen):
            if let earlier = workers[place].stream { closeConnection(earlier) }
            let connection = openConnection(node)
            workers[place].stream = connection
            workers[place].opening = ask(node, .openStream(id, after: seen, connection: connection), within: 2)
        case .closeSession:
            if let stream = workers[place].stream { closeConnection(stream) }
            workers[place].closeSession()
        case .fetchPrompt(let assignment): fetch(place, assignment, tries: 0)
        case .cancelFetch: workers[place].fetching = nil
        case .startEngine(let assignment): startEngine(place, assignment)
        case .releaseEngine(let run):
            if workers[place].engine?.run == run { turnEngine(place, .released) }
        case .cancelEngine(let run): cancelEngine(place, run)
        case .dropKept(let run): if workers[place].kept?.run == run { workers[place].kept = nil }
        case .report(let report): put(place, report)
        case .drainSelf:
            workers[place].isLeaving = true
            sendReports(place, evenNone: true)
        case .wake(let moment): wake(node, at: moment)
        case .leave: leave(place)
        }
    }

    private func registration(_ place: Int) -> WorkerRegistration {
        var registration = WorkerRegistration(
            name: workers[place].name, pid: 1000 + place, machine: "m\(place / 2)", isa: "avx512", cpus: 4, numaNodes: 1,
            memoryBytes: 1 << 34, dataHost: "10.0.0.1", dataPort: 7000 + place, version: RingmasterVersion.text,
            instance: "\(workers[place].name).\(processes[1 + place].life)")
        registration.attempt = workers[place].attempts
        return registration
    }

    /// The process ends of itself, after a word or two; something starts it again.
    private mutating func leave(_ place: Int) {
        sendReports(place, evenNone: false)
        crash(1 + place, withMachine: false, seconds: work.between(0.1, 1.5))
    }

    // MARK: reports

    private mutating func put(_ place: Int, _ report: WorkerReport) {
        if let seconds = workers[place].crashAtReport {
            note(1 + place, "dies instead of reporting")
            crash(1 + place, withMachine: false, seconds: seconds)
            return
        }
        if case .progress = report {
            workers[place].progress = report
            return
        }
        workers[place].outbox.append(report)
        if workers[place].outbox.count > SimulationLimits.reportsWaiting { fail("bounded", "\(workers[place].outbox.count) reports wait") }
        sendReports(place, evenNone: false)
    }

    private mutating func sendReports(_ place: Int, evenNone: Bool) {
        guard workers[place].machine.worker != nil, workers[place].sent == nil else { return }
        let reports = workers[place].takeReports()
        guard evenNone || !reports.isEmpty else { return }
        workers[place].batch += 1
        workers[place].sent = (nil, workers[place].batch, reports)
        sendBatch(place)
    }

    private mutating func sendBatch(_ place: Int) {
        guard let id = workers[place].machine.worker, let sent = workers[place].sent, sent.request == nil else { return }
        let request = Request.report(
            id, batch: sent.batch, seen: workers[place].seen, isLeaving: workers[place].isLeaving, sent.reports)
        let number = ask(1 + place, request, within: 2)
        workers[place].sent?.request = number
    }

    // MARK: what comes back

    mutating func workerTimer(_ place: Int, _ timer: Timer) {
        let node = 1 + place
        switch timer {
        case .wake(let number):
            if number == processes[node].wakes { tell(place, .tick) }
        case .heartbeat:
            sendReports(place, evenNone: true)
            after(options.mutation == .rareHeartbeats ? 6 : 0.25, node, .heartbeat)
        case .timeout(let request): workerHears(place, request, .broken)
        case .again:
            sendBatch(place)
            if let fetching = workers[place].fetching, fetching.request == nil {
                fetch(place, fetching.assignment, tries: fetching.tries)
            }
        case .engine(let run, let event):
            if workers[place].engine?.run == run { turnEngine(place, event) }
        case .engineEnded(let run):
            guard workers[place].engine?.run == run else { return }
            workers[place].engine = nil
            tell(place, .engineEnded(run))
        case .written, .synced, .submit, .cancel: break
        }
    }

    mutating func workerHears(_ place: Int, _ request: UInt64, _ response: Response) {
        if case .broken = response {} else { tell(place, .coordinatorHeard) }
        if workers[place].joining == request {
            workers[place].joining = nil
            noteJoin(place, response)
        } else if workers[place].opening == request {
            workers[place].opening = nil
            noteOpening(place, response)
        } else if workers[place].sent?.request == request {
            noteReported(place, response)
        } else if workers[place].fetching?.request == request {
            noteFetched(place, response)
        }
    }

    private mutating func noteJoin(_ place: Int, _ response: Response) {
        switch response {
        case .welcome(let id):
            workers[place].closeSession()
            tell(place, .joined(id))
        case .turnedAway(let reason, let isTemporary): tell(place, .turnedAway(reason: reason, isTemporary: isTemporary))
        default: tell(place, .requestFailed)
        }
    }

    private mutating func noteOpening(_ place: Int, _ response: Response) {
        if let stream = workers[place].stream { closeConnection(stream) }
        workers[place].stream = nil
        if case .unknown = response { tell(place, .sessionLost) } else { tell(place, .streamClosed) }
    }

    private mutating func noteReported(_ place: Int, _ response: Response) {
        switch response {
        case .done:
            workers[place].sent = nil
            sendReports(place, evenNone: false)
        case .unknown: tell(place, .sessionLost)
        default:
            workers[place].sent?.request = nil
            after(0.1, 1 + place, .again)
        }
    }

    mutating func workerReads(_ place: Int, _ item: StreamItem, from connection: Int) {
        guard workers[place].stream == connection else { return }
        switch item {
        case .opened:
            workers[place].opening = nil
            tell(place, .streamOpened)
        case .directive(let sequence, let directive):
            workers[place].seen = max(workers[place].seen, sequence)
            note(1 + place, "reads directive \(sequence)")
            tell(place, .directive(sequence: sequence, directive))
        case .keepAlive: tell(place, .coordinatorHeard)
        case .closed:
            workers[place].stream = nil
            workers[place].opening = nil
            tell(place, .streamClosed)
        case .news: break
        }
    }

    // MARK: prompts

    private mutating func fetch(_ place: Int, _ assignment: Assignment, tries: Int) {
        let plan = try? assignment.plan()
        let chunks = plan?.chunks(of: Rank(assignment.rank)) ?? []
        workers[place].fetching = (ask(1 + place, .fetchPrompt(assignment.job, chunks), within: 2), assignment, tries + 1)
    }

    private mutating func noteFetched(_ place: Int, _ response: Response) {
        guard let (_, assignment, tries) = workers[place].fetching else { return }
        switch response {
        case .prompt(let ids):
            workers[place].fetching = nil
            workers[place].prompt = (assignment.run, ids)
            tell(place, .promptFetched(assignment.run))
        case .broken where tries < 4:
            workers[place].fetching?.request = nil
            after(0.1, 1 + place, .again)
        default:
            workers[place].fetching = nil
            tell(place, .promptFailed(assignment.run, "it is not there"))
        }
    }
}

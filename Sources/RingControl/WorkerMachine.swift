// Every decision of a worker's control session as a value: when to join, what a directive means for the run that is held,
// what is reported and what is swallowed, when to leave. It opens no socket, reads no clock and starts no thread, so that
// the daemon, the simulator and a test turn the same machine.
//
// A session: apart -> joining -> joined, and back to apart when the coordinator is gone or takes the worker for a stranger;
// over once it has left. A run: fetching its prompt -> engine -> ended. What each event leads to is in WorkerMachine+*.swift.

import RingCore

/// The machine behind a worker.
public struct WorkerMachine: Sendable {
    /// What happened.
    public enum Event: Hashable, Sendable {
        /// The process is up. Comes first, once.
        case started
        /// `join` was answered: the worker is in.
        case joined(WorkerID)
        /// `join` was answered: the worker is not let in; a temporary reason may pass.
        case turnedAway(reason: String, isTemporary: Bool)
        /// `join` was not answered.
        case requestFailed
        /// The coordinator does not know this worker's number (404 to any request): it is another one, or has given it up.
        case sessionLost
        /// `openStream` was answered: directives follow.
        case streamOpened
        /// The stream of directives has ended, or could not be opened.
        case streamClosed
        /// Anything came from the coordinator: an answer, a line, a keep-alive.
        case coordinatorHeard
        /// A directive, numbered from 1 for each worker number. One that was seen before changes nothing.
        case directive(sequence: UInt64, WorkerDirective)
        /// `fetchPrompt` is done.
        case promptFetched(Run)
        /// `fetchPrompt` cannot be done; the sentence says why.
        case promptFailed(Run, String)
        /// The engine has something to tell.
        case engineReported(WorkerReport)
        /// The engine's thread has ended; nothing more comes from it.
        case engineEnded(Run)
        /// The worker is to leave: what runs may end, within a grace.
        case drainRequested
        /// The worker is to leave at once.
        case stopRequested
        /// Time has passed.
        case tick
    }

    /// What to do, in order.
    public enum Directive: Hashable, Sendable {
        /// Ask to be let in, once, within the deadline of a request; answer by `joined`, `turnedAway` or `requestFailed`.
        case join
        /// Read directives behind number `after`; answer by `streamOpened`, later or instead `streamClosed`.
        case openStream(WorkerID, after: UInt64)
        /// The session is over: end its stream and its requests, drop what is not yet reported. The reason completes "the
        /// coordinator is gone: ...".
        case closeSession(reason: String)
        /// Get the rank's part of the prompt.
        case fetchPrompt(Assignment)
        /// The prompt is no longer wanted; nothing is answered.
        case cancelFetch(Run)
        /// Start the engine: it loads, connects and reports `ready`.
        case startEngine(Assignment)
        /// Every rank is ready: let the engine run.
        case releaseEngine(Run)
        /// Let the engine give up; `engineEnded` follows.
        case cancelEngine(Run)
        /// Give back what the engine kept of a run that broke.
        case dropKept(Run)
        /// Tell the coordinator, in the session that is open, in order, again until it is answered.
        case report(WorkerReport)
        /// Tell the coordinator, again until it is answered, that this worker is to leave.
        case drainSelf(WorkerID)
        /// Send a `tick` at this moment.
        case wake(at: Moment)
        /// End the process, after a moment for what is not yet reported. Nothing follows.
        case leave(Departure)
    }

    /// Why a worker leaves.
    public enum Departure: Hashable, Sendable {
        /// The coordinator said so.
        case toldToStop
        /// It was asked to leave and holds nothing any more.
        case drained
        /// It was asked to leave at once.
        case interrupted
        /// The coordinator cannot be reached or has fallen silent; the sentence says which.
        case coordinatorGone(String)
        /// The coordinator does not let it in.
        case turnedAway(String)
    }

    /// Where the session stands.
    enum Session: Hashable, Sendable {
        /// Waits before it asks to be let in, again.
        case apart(until: Moment)
        /// Has asked to be let in.
        case joining
        /// Is in.
        case joined(WorkerID)
        /// Has left.
        case over
    }

    /// Where the stream of directives stands, in a session that is joined.
    enum Stream: Hashable, Sendable {
        case closed(retryAt: Moment)
        case opening
        case open
    }

    /// The run that has an engine or fetches its prompt for one.
    struct Held: Sendable {
        let assignment: Assignment
        var isFetching: Bool
        /// Whether the engine was told that every rank is ready.
        var isReleased = false
        /// Nobody wants it any more; its engine may still wind down.
        var isGivenUp = false
        /// The last word about it has gone out, or nobody is left who wants it.
        var isSettled = false

        var run: Run { assignment.run }
    }

    /// How long to wait for what.
    public let policy: WorkerPolicy

    var session = Session.apart(until: Moment(nanoseconds: 0))
    var stream = Stream.opening
    /// Attempts in a row that failed: of joining, or of opening the stream.
    var failures = 0
    /// Since when it has had no session.
    var apartSince = Moment(nanoseconds: 0)
    var heardAt = Moment(nanoseconds: 0)
    /// The number of the last directive that was obeyed.
    var sequence: UInt64 = 0
    var held: Held?
    /// What the engine kept of a run that broke, and until when it waits for one that goes on from it.
    var kept: (run: Run, until: Moment)?
    /// What to begin when the engine of the held run has ended.
    var next: Assignment?
    /// When a run must have ended, of a worker that is to leave.
    var graceEnds: Moment?
    /// It leaves as soon as its engine has ended, or at this moment.
    var leaving: (why: Departure, by: Moment)?
    private var wakeAt: Moment?

    /// A worker that has not started.
    public init(policy: WorkerPolicy) { self.policy = policy }

    /// Its number, while it is in.
    public var worker: WorkerID? {
        if case .joined(let worker) = session { return worker }
        return nil
    }

    /// The run that it holds.
    public var run: Run? { held?.run }
    /// Whether it is to leave.
    public var isDraining: Bool { graceEnds != nil || leaving != nil }
    /// When it asks to be let in again, while it waits to.
    public var asksAgainAt: Moment? {
        if case .apart(let until) = session, leaving == nil { return until }
        return nil
    }
    /// Whether it has left.
    public var isOver: Bool { session == .over }

    /// Applies `event` and appends what follows from it. News about a session or a run that is over is late and changes
    /// nothing.
    public mutating func handle(_ event: Event, at now: Moment, into directives: inout [Directive]) {
        if session == .over { return }
        forgiveLateness(now)
        // A wake-up that came a little early, by another clock, is asked for again.
        if event == .tick { wakeAt = nil }
        apply(event, now, &directives)
        expire(now, &directives)
        guard session != .over, let deadline = nextDeadline else { return }
        // One wake-up is outstanding at a time: what only moves deadlines back asks for none.
        if wakeAt.map({ deadline < $0 || $0 <= now }) ?? true {
            wakeAt = deadline
            directives.append(.wake(at: deadline))
        }
    }

    private mutating func apply(_ event: Event, _ now: Moment, _ directives: inout [Directive]) {
        switch event {
        case .started:
            apartSince = now
            join(&directives)
        case .joined(let worker): noteJoined(worker, now, &directives)
        case .turnedAway(let reason, let isTemporary): noteTurnedAway(reason, isTemporary, now, &directives)
        case .requestFailed:
            if session == .joining { waitToJoin(now) }
        case .sessionLost:
            if worker != nil { endSession("it does not know this worker any more", now, &directives) }
        case .streamOpened: noteStreamOpened(now)
        case .streamClosed: noteStreamClosed(now)
        case .coordinatorHeard: heardAt = now
        case .directive(let number, let directive): obey(number, directive, now, &directives)
        case .promptFetched(let run): notePrompt(run, &directives)
        case .promptFailed(let run, let message): notePromptFailed(run, message, now, &directives)
        case .engineReported(let report): forward(report, now, &directives)
        case .engineEnded(let run): noteEnded(run, now, &directives)
        case .drainRequested: drain(now, &directives)
        case .stopRequested: interrupt(now, &directives)
        case .tick: break
        }
    }

    /// A wake-up that comes late means that this process, not the coordinator, was asleep: what it has said meanwhile
    /// waits to be read, and its silence counts from now.
    private mutating func forgiveLateness(_ now: Moment) {
        guard let wakeAt, now.seconds(since: wakeAt) > policy.latenessSeconds else { return }
        heardAt = now
        self.wakeAt = nil
    }
}

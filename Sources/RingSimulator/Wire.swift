// What travels between processes on the control plane, and what can happen at a moment of virtual time.

import RingControl
import RingCore

/// What a worker or a client asks of the coordinator: the routes of its HTTP interface. Boxed, as what follows is: these values
/// are moved about far more often than they are made.
indirect enum Request: Sendable {
    case join(WorkerRegistration)
    case report(WorkerID, batch: UInt64, seen: UInt64, isLeaving: Bool, [WorkerReport])
    case openStream(WorkerID, after: UInt64, connection: Int)
    case fetchPrompt(JobNumber, [Chunk])
    case submit(Submission)
    case storePrompt(JobNumber, start: Int, [UInt32])
    case follow(JobNumber, after: Int, connection: Int)
    case cancel(JobNumber)
}

/// What it answers.
indirect enum Response: Sendable {
    case done
    /// 404.
    case unknown
    /// 503.
    case unavailable
    case welcome(WorkerID)
    case turnedAway(reason: String, isTemporary: Bool)
    case accepted(JobNumber)
    case refused(Coordinator.Refusal)
    case prompt([UInt32])
    /// The connection was refused or has broken; whether the request had any effect is not known.
    case broken
}

/// One line of a stream.
indirect enum StreamItem: Sendable {
    case opened
    case directive(UInt64, WorkerDirective)
    case news(sequence: Int?, JobEvent)
    case keepAlive
    case closed
}

/// One message between two processes.
struct Packet: Sendable {
    enum Body: Sendable {
        case request(UInt64, Request)
        case response(UInt64, Response)
        /// The reader of a stream has gone.
        case left(connection: Int)
    }

    let from: Int
    let to: Int
    let sentAt: Int64
    let body: Body
}

/// Lines of a stream on their way, in order.
struct Connection: Sendable {
    let reader: Int
    let readerLife: Int
    var items: [StreamItem] = []
    var read = 0
    var lastArrival: Int64 = 0
    /// Nobody reads it any more.
    var isClosed = false
}

/// Frames of the data plane between two workers on their way, in order.
struct DataChannel: Sendable {
    let from: Int
    let to: Int
    var frames: [(run: Run, from: Int, frame: SimulatedEngine.Frame)] = []
    var read = 0
    var lastArrival: Int64 = 0
}

/// A timer of a process.
enum Timer: Sendable {
    /// The machine asked to be woken, for the so manieth time.
    case wake(Int)
    /// A request was not answered in time.
    case timeout(UInt64)
    /// Signs of life.
    case heartbeat
    /// Try again what did not work.
    case again
    case engine(Run, SimulatedEngine.Event)
    case engineEnded(Run)
    /// The disk has done its part.
    case written
    case synced
    /// A client's own plans.
    case submit
    case cancel
}

/// What can happen.
enum Action: Sendable {
    case packet(Packet)
    case stream(Int)
    case data(Int)
    case timer(node: Int, life: Int, Timer)
    case fault(Int)
    /// A process stands still for a while, and not for the last time.
    case pause(Int)
    case restart(Int)
    /// Whether a death was noticed in time.
    case deathDue(Int)
    /// Whether all is over.
    case look
}

// How long one connection may take for what it is doing: a value that is told what happens and says by when more must have happened.
// (The framework's own idle timeout begins anew with every byte of a body, so a client that sends one byte a second would hold
// a connection for ever.)

import NIOCore

/// What one connection still owes the server.
package struct Patience {
    private enum Reading {
        case nothing
        /// Bytes of a request whose head is not whole.
        case head(since: NIODeadline)
        case body(since: NIODeadline, bytes: Int)
    }

    private let limits: ClientPatience
    private var reading = Reading.nothing
    /// Requests that have not been answered to the end.
    private var unanswered = 0
    /// When the connection last became idle.
    private var idleSince: NIODeadline
    private var hasServed = false
    /// Since when the client has not read what it was sent.
    private var unreadSince: NIODeadline?
    /// When a request was answered whose body is still coming.
    private var answeredEarly: NIODeadline?

    package init(_ limits: ClientPatience, at now: NIODeadline) { (self.limits, idleSince) = (limits, now) }

    /// By when something must have happened; `nil` while it is the server's turn.
    package var deadline: NIODeadline? {
        var deadline: NIODeadline?
        func bound(_ next: NIODeadline) { deadline = min(deadline ?? next, next) }
        switch reading {
        case .head(let since): bound(since + limits.head)
        case .body(let since, let bytes):
            bound(since + limits.body + .milliseconds(Int64(bytes) * 1000 / Int64(max(1, limits.bytesPerSecond))))
        case .nothing:
            if unanswered == 0 { bound(idleSince + (hasServed ? limits.idle : limits.head)) }
        }
        if let answeredEarly { bound(answeredEarly + limits.linger) }
        if let unreadSince { bound(unreadSince + limits.unread) }
        return deadline
    }

    /// Bytes have come, before anything is made of them.
    package mutating func bytesCame(at now: NIODeadline) { if case .nothing = reading { reading = .head(since: now) } }

    /// A request's head is whole.
    package mutating func headCame(at now: NIODeadline) {
        unanswered += 1
        reading = .body(since: now, bytes: 0)
    }

    /// A piece of a body has come.
    package mutating func bodyCame(_ count: Int) {
        if case .body(let since, let bytes) = reading { reading = .body(since: since, bytes: bytes + count) }
    }

    /// A request is whole.
    package mutating func requestEnded(at now: NIODeadline) {
        reading = .nothing
        answeredEarly = nil
        if unanswered == 0 { idleSince = now }
    }

    /// An answer has been written to its end.
    package mutating func answerEnded(at now: NIODeadline) {
        unanswered = max(0, unanswered - 1)
        hasServed = true
        idleSince = now
        if case .body = reading, unanswered == 0 { answeredEarly = now }
    }

    /// The connection can take more bytes, or cannot.
    package mutating func becameWritable(_ isWritable: Bool, at now: NIODeadline) { unreadSince = isWritable ? nil : unreadSince ?? now }
}

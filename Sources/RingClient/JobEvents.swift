// The events of a job as a sequence that outlives connections: when one breaks, or the coordinator restarts, it asks again for
// what follows the last event it gave, so that none is lost and none is seen twice.

import Foundation
import RingControl
import RingCore

/// The events of one job behind a place, in order.
public struct JobEvents: AsyncSequence, Sendable {
    /// One event with its place.
    public typealias Element = JobNews

    let client: ClusterClient
    let job: JobNumber
    let after: Int
    /// Whether to wait for what is yet to happen.
    let follows: Bool

    /// A reader from the beginning.
    public func makeAsyncIterator() -> Iterator { Iterator(events: self) }

    /// A reader.
    public struct Iterator: AsyncIteratorProtocol {
        private let events: JobEvents
        /// The number of the last event that was given.
        private var seen: Int
        private var stream: LineStream?
        private var backoff = Backoff()
        /// When the coordinator was last heard.
        private var heardAt = ContinuousClock.now
        /// Signs of life on this connection: the second one comes behind everything that has happened so far.
        private var blanks = 0
        /// Streams in a row that the coordinator ended without a lasting event.
        private var emptyStreams = 0
        private var isOver = false

        init(events: JobEvents) {
            self.events = events
            seen = events.after
        }

        /// The next event; `nil` behind the one that settles the job, or for a reader that does not follow when there is no more.
        public mutating func next() async throws(ClientError) -> JobNews? {
            while !isOver {
                do throws(ClientError) {
                    if let news = try await read() { return news }
                } catch {
                    stream = nil
                    try await recover(from: error)
                }
            }
            return nil
        }

        /// Reads a line; `nil` if it is no news.
        private mutating func read() async throws(ClientError) -> JobNews? {
            if stream == nil {
                stream = try await events.client.connection.lines("/v1/jobs/\(events.job)/events?after=\(seen)")
                blanks = 0
            }
            let line = try await stream?.next() ?? nil
            (heardAt, backoff) = (.now, Backoff())
            guard let line else {
                stream = nil
                try await streamEnded()
                return nil
            }
            guard !line.isEmpty else {
                blanks += 1
                if blanks > 1 && !events.follows { isOver = true }
                return nil
            }
            return try take(try ClusterClient.decode(JobNews.self, line))
        }

        private mutating func take(_ news: JobNews) throws(ClientError) -> JobNews? {
            // The newest progress comes on every connection, also behind the end.
            guard let sequence = news.sequence else { return news }
            emptyStreams = 0
            // What was asked for is what follows `seen`; an event before that is late news, one behind it means a loss.
            guard sequence > seen else { return nil }
            guard sequence == seen + 1 else {
                throw .garbled("event \(seen + 1) of job \(events.job) is missing: the coordinator sent event \(sequence) next")
            }
            seen = sequence
            isOver = news.event.isFinal
            return news
        }

        /// The coordinator ended the stream: because it goes down, or because there is nothing behind this place and never will be.
        private mutating func streamEnded() async throws(ClientError) {
            emptyStreams += 1
            guard events.follows, emptyStreams > 1 else {
                isOver = !events.follows
                return
            }
            isOver = try await events.client.job(events.job).state.isSettled
            if !isOver, !(await backoff.wait()) { throw .cancelled }
        }

        /// Waits before the next attempt, or throws if there is to be none.
        private mutating func recover(from error: ClientError) async throws(ClientError) {
            var least = 0.0
            switch error {
            case .broken, .unreachable: break
            case .refused(let refusal) where refusal.isTemporary: least = refusal.retryAfterSeconds ?? 0
            default: throw error
            }
            guard ContinuousClock.now - heardAt < .seconds(events.client.patienceSeconds) else { throw error }
            guard await backoff.wait(atLeast: least) else { throw .cancelled }
        }
    }
}

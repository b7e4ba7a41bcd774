// What is kept of a job for those who follow it: every event that counts, once, and the newest progress. A follower has
// a place in it and asks for what comes next, so a slow one costs nothing and misses no token.

import RingControl
import RingCore

/// The events of one job.
package struct JobJournal {
    package init() {}

    /// Everything but progress, in order. Bounded by `ControlLimits.tokensGenerated` and a handful of phases.
    package private(set) var events: [JobEvent] = []
    package private(set) var progress: JobProgress?
    /// Counts progress, so that a follower knows whether it has seen the newest.
    package private(set) var progressRevision = 0

    package var isSettled: Bool { events.last?.isFinal ?? false }

    package mutating func append(_ event: JobEvent) {
        if case .progress(let newest) = event {
            progress = newest
            progressRevision += 1
        } else {
            events.append(event)
        }
    }

    /// Where a follower is.
    package struct Place {
        package init() {}
        init(events: Int, progressRevision: Int) {
            self.events = events
            self.progressRevision = progressRevision
        }

        var events = 0
        var progressRevision = 0
    }

    /// What a follower at `place` has not seen; moves the place.
    package func news(after place: inout Place) -> [JobEvent] {
        var news: [JobEvent] = []
        if let progress, place.progressRevision < progressRevision { news.append(.progress(progress)) }
        news += events[place.events...]
        place = Place(events: events.count, progressRevision: progressRevision)
        return news
    }
}

/// The events of a job from its beginning to the one that settles it.
public struct JobFeed: AsyncSequence, Sendable {
    /// What a follower gets.
    public enum Element: Sendable {
        /// Something happened.
        case event(JobEvent)
        /// Nothing happened for a while.
        case idle
    }

    let shell: CoordinatorShell
    let job: JobNumber
    let bell: AsyncStream<Void>

    /// The feed from its beginning.
    public func makeAsyncIterator() -> Iterator { Iterator(feed: self, bell: bell.makeAsyncIterator()) }

    /// A follower.
    public struct Iterator: AsyncIteratorProtocol {
        let feed: JobFeed
        var bell: AsyncStream<Void>.AsyncIterator
        var place = JobJournal.Place()
        var news: [JobEvent] = []
        var isOver = false

        init(feed: JobFeed, bell: AsyncStream<Void>.AsyncIterator) {
            self.feed = feed
            self.bell = bell
        }

        /// What comes next; `nil` after the event that settles the job, or when the job is forgotten.
        public mutating func next() async -> Element? {
            if isOver { return nil }
            if news.isEmpty {
                guard let (more, moved) = await feed.shell.news(of: feed.job, after: place) else { return nil }
                place = moved
                news = more.reversed()
            }
            guard let event = news.popLast() else {
                // Rung when something happens and once a keep-alive interval; ends when the server does.
                guard await bell.next() != nil else {
                    isOver = true
                    return nil
                }
                guard let (more, moved) = await feed.shell.news(of: feed.job, after: place) else { return nil }
                place = moved
                news = more.reversed()
                guard let event = news.popLast() else { return .idle }
                return deliver(event)
            }
            return deliver(event)
        }

        private mutating func deliver(_ event: JobEvent) -> Element {
            isOver = event.isFinal
            return .event(event)
        }
    }
}

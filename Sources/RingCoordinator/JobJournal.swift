// What is kept of a job for those who follow it: every event that counts, once, and the newest progress. A follower has
// a place in it and asks for what comes next, so a slow one costs nothing and misses no token.

import RingControl
import RingCore

/// The events of one job.
package struct JobJournal {
    package init(_ events: [JobNews] = []) {
        for news in events { append(news) }
    }

    /// Everything but progress, in order. Bounded by `ControlLimits.tokensGenerated` and a handful of phases a run.
    package private(set) var events: [JobNews] = []
    /// The answer so far.
    package private(set) var answer: [UInt32] = []
    package private(set) var progress: JobNews?
    /// Counts progress, so that a follower knows whether it has seen the newest.
    package private(set) var progressRevision = 0

    package var isSettled: Bool { events.last?.event.isFinal ?? false }

    package mutating func append(_ news: JobNews) {
        if case .token(_, let id) = news.event { answer.append(id) }
        if case .retrying = news.event { progress = nil }
        if news.event.isDurable {
            events.append(news)
        } else {
            progress = news
            progressRevision += 1
        }
    }

    /// Where a follower is: the sequence number of the last event it has seen, and the newest progress.
    package struct Place: Sendable {
        package init(after sequence: Int = 0) { self.sequence = sequence }

        var sequence: Int
        var progressRevision = 0
    }

    /// What a follower at `place` has not seen; moves the place.
    package func news(after place: inout Place) -> [JobNews] {
        var news: [JobNews] = []
        if let progress, place.progressRevision < progressRevision { news.append(progress) }
        // Sequence numbers are 1, 2, ... without gaps.
        news += events.dropFirst(max(0, place.sequence))
        place.sequence = max(place.sequence, events.count)
        place.progressRevision = progressRevision
        return news
    }
}

/// The events of a job from some place to the one that settles it.
public struct JobFeed: AsyncSequence, Sendable {
    /// What a follower gets.
    public enum Element: Sendable {
        /// Something happened.
        case news(JobNews)
        /// Nothing happened for a while.
        case idle
    }

    let shell: CoordinatorShell
    let job: JobNumber
    let bell: AsyncStream<Void>
    var place = JobJournal.Place()

    /// The feed from its place.
    public func makeAsyncIterator() -> Iterator { Iterator(feed: self, bell: bell.makeAsyncIterator(), place: place) }

    /// A follower.
    public struct Iterator: AsyncIteratorProtocol {
        let feed: JobFeed
        var bell: AsyncStream<Void>.AsyncIterator
        var place: JobJournal.Place
        var news: [JobNews] = []
        var isOver = false

        init(feed: JobFeed, bell: AsyncStream<Void>.AsyncIterator, place: JobJournal.Place) {
            self.feed = feed
            self.bell = bell
            self.place = place
        }

        /// What comes next; `nil` after the event that settles the job, or when the job is forgotten.
        public mutating func next() async -> Element? {
            if isOver { return nil }
            if news.isEmpty, !(await look()) { return nil }
            guard let event = news.popLast() else {
                // Rung when something happens and once a keep-alive interval; ends when the server does.
                guard await bell.next() != nil, await look() else {
                    isOver = true
                    return nil
                }
                guard let event = news.popLast() else { return .idle }
                return deliver(event)
            }
            return deliver(event)
        }

        /// Takes what is new; false if there can be nothing more.
        private mutating func look() async -> Bool {
            guard let (more, moved, isSettled) = await feed.shell.news(of: feed.job, after: place) else { return false }
            place = moved
            news = more.reversed()
            // Somebody who has seen the last event and asks for what follows it gets an end, not a wait.
            return !(isSettled && news.isEmpty)
        }

        private mutating func deliver(_ news: JobNews) -> Element {
            isOver = news.event.isFinal
            return .news(news)
        }
    }
}

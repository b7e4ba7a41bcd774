// What clients do: submit, store the prompt, follow, come back, cancel.

import RingControl
import RingCore

extension Simulation {
    mutating func clientTimer(_ place: Int, _ timer: Timer) {
        switch timer {
        case .submit:
            if let seconds = clients[place].cancelsAfter { after(seconds, node(ofClient: place), .cancel) }
            advance(place)
        case .again: advance(place)
        case .cancel:
            clients[place].wantsCancel = true
            cancel(place)
        case .timeout(let request): clientHears(place, request, .broken)
        case .heartbeat: watchStream(place)
        case .wake, .engine, .engineEnded, .written, .synced: break
        }
    }

    /// Does what comes next.
    private mutating func advance(_ place: Int) {
        let node = node(ofClient: place)
        guard clients[place].request == nil, clients[place].stage != .done else { return }
        guard let job = clients[place].job else {
            submit(place)
            return
        }
        if case .generate = clients[place].submission.spec, clients[place].watches == nil,
            clients[place].stored < clients[place].prompt.count
        {
            clients[place].stage = .prompting
            let start = clients[place].stored
            let piece = Array(clients[place].prompt[start..<min(start + 16, clients[place].prompt.count)])
            clients[place].request = ask(node, .storePrompt(job, start: start, piece), within: 2)
            return
        }
        clients[place].stage = .following
        let connection = openConnection(node)
        clients[place].connection = connection
        clients[place].request = ask(node, .follow(job, after: clients[place].seen, connection: connection), within: 2)
    }

    private mutating func submit(_ place: Int) {
        let node = node(ofClient: place)
        if let other = clients[place].watches {
            // Looks on as soon as there is something to look on at.
            if let job = clients[other].job {
                clients[place].job = job
                advance(place)
            } else if clients[other].stage == .done {
                clients[place].stage = .done
            } else {
                after(0.3, node, .again)
            }
            return
        }
        clients[place].stage = .submitting
        clients[place].request = ask(node, .submit(clients[place].submission), within: 2)
    }

    private mutating func cancel(_ place: Int) {
        guard clients[place].wantsCancel, clients[place].cancelling == nil, let job = clients[place].job else { return }
        clients[place].cancelling = ask(node(ofClient: place), .cancel(job), within: 2)
    }

    /// Tries again after a while that grows.
    private mutating func retry(_ place: Int) {
        clients[place].failures += 1
        after(min(0.1 * Double(clients[place].failures), 1) + work.between(0, 0.1), node(ofClient: place), .again)
    }

    mutating func clientHears(_ place: Int, _ request: UInt64, _ response: Response) {
        if clients[place].cancelling == request {
            clients[place].cancelling = nil
            switch response {
            case .done: clients[place].wantsCancel = false
            case .unknown: fail("acknowledged", "job \(Describe.job(clients[place].job)) is unknown to who cancels it")
            default: after(0.3, node(ofClient: place), .cancel)
            }
            return
        }
        guard clients[place].request == request else { return }
        clients[place].request = nil
        switch (clients[place].stage, response) {
        case (.submitting, .accepted(let job)):
            noteAcknowledged(place, job)
            clients[place].failures = 0
            if clients[place].leaves {
                clients[place].stage = .done
            } else {
                cancel(place)
                advance(place)
            }
        case (.submitting, .refused(.invalid(let reason))): fail("acknowledged", "a good submission was refused: \(reason)")
        case (.submitting, .refused(.keyTaken(let job))): fail("acknowledged", "the key belongs to job \(job)")
        case (.prompting, .done):
            clients[place].stored = min(clients[place].stored + 16, clients[place].prompt.count)
            advance(place)
        case (.prompting, .unknown):
            // Settled meanwhile: its events say how.
            clients[place].stored = clients[place].prompt.count
            advance(place)
        case (.following, .unknown): fail("acknowledged", "job \(Describe.job(clients[place].job)) is unknown to who follows it")
        case (.following, _):
            closeStream(place)
            retry(place)
        default: retry(place)
        }
    }

    private mutating func closeStream(_ place: Int) {
        if let connection = clients[place].connection { closeConnection(connection) }
        clients[place].connection = nil
    }

    mutating func clientReads(_ place: Int, _ item: StreamItem, from connection: Int) {
        guard clients[place].connection == connection else { return }
        clients[place].heardAt = now
        switch item {
        case .opened:
            clients[place].request = nil
            clients[place].failures = 0
            after(5, node(ofClient: place), .heartbeat)
        case .news(let sequence?, let event): noteNews(place, sequence, event)
        case .news, .keepAlive, .directive: break
        case .closed:
            clients[place].connection = nil
            clients[place].request = nil
            if clients[place].isFinal {
                clients[place].stage = .done
            } else {
                retry(place)
            }
        }
    }

    /// A stream on which nothing is heard for five seconds has nobody at its other end.
    private mutating func watchStream(_ place: Int) {
        guard clients[place].connection != nil, clients[place].request == nil else { return }
        if now - clients[place].heardAt >= 5_000_000_000 {
            closeStream(place)
            retry(place)
        } else {
            after(1, node(ofClient: place), .heartbeat)
        }
    }
}

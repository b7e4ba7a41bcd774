// Trouble as it comes: who dies, what hangs, what is cut, and when it is over.

import RingControl
import RingCore

extension Simulation {
    mutating func inject(_ fault: Fault) {
        outcome.faults += 1
        note(0, "fault: \(fault)")
        switch fault {
        case .partition(let from, let to, let isOneWay, let seconds):
            cut(from, to, seconds)
            if !isOneWay { cut(to, from, seconds) }
        case .isolation(let node, let seconds):
            cut(node, -1, seconds)
            cut(-1, node, seconds)
        case .pause(let node, let seconds):
            processes[node].pausedUntil = max(processes[node].pausedUntil, end(seconds))
        case .crash(let node, let withMachine, let seconds): crash(node, withMachine: withMachine, seconds: seconds)
        case .crashAtWrite(let stage, let seconds): coordinator.crashAtWrite = (stage, seconds)
        case .crashAtReport(let node, let seconds): workers[node - 1].crashAtReport = seconds
        case .drain(let node):
            guard processes[node].isUp else { return }
            note(node, "is told to leave")
            tell(node - 1, .drainRequested)
        case .drainCoordinator:
            if processes[0].isUp { decide([.draining]) }
        case .diskFull(let seconds): diskFullUntil = end(seconds)
        case .diskSlow(let seconds): diskSlowUntil = end(seconds)
        case .slowLinks(let delay, let seconds): slow = (delay, end(seconds))
        case .lossyLinks(let part, let seconds): lossy = (part, end(seconds))
        case .breakStreams(let node): breakStreams(node)
        case .breakData(let first, let second): breakData(first, second)
        case .slowWorker(let node, let factor, let seconds): slowed[node - 1] = (factor, now + Int64(seconds * 1e9))
        }
    }

    /// The moment at which a fault that begins now is over; deaths that come until a little later are not timed.
    private mutating func end(_ seconds: Double) -> Int64 {
        let end = now + Int64(seconds * 1e9)
        disturbedUntil = max(disturbedUntil, end + 6_000_000_000)
        return end
    }

    private mutating func cut(_ from: Int, _ to: Int, _ seconds: Double) {
        partitions.removeAll { $0.until <= now }
        partitions.append((from, to, end(seconds)))
    }

    /// A process dies and comes back after a while.
    mutating func crash(_ node: Int, withMachine: Bool, seconds: Double) {
        guard processes[node].isUp else { return }
        note(node, withMachine ? "dies with its machine" : "dies")
        processes[node].isUp = false
        processes[node].hasPower = !withMachine
        processes[node].pausedUntil = 0
        processes[node].life += 1
        if node == 0 {
            crashCoordinator(withMachine: withMachine)
            _ = end(seconds)
        } else if node <= workers.count {
            crashWorker(node - 1, withMachine: withMachine)
        }
        queue.push(.restart(node), at: now + Int64(seconds * 1e9))
    }

    private mutating func crashCoordinator(withMachine: Bool) {
        // What was written and not synced may be there, or not, but never in part.
        if let batch = coordinator.writing, coordinator.isWritten, work.chance(0.5) {
            note(0, "its last write is on the disk")
            commit(batch)
        }
        for connection in connections.indices where !connections[connection].isClosed {
            if withMachine {
                connections[connection].items = []
                connections[connection].read = 0
            } else {
                write(.closed, to: connection)
            }
        }
    }

    private mutating func crashWorker(_ place: Int, withMachine: Bool) {
        let node = 1 + place
        noteDeath(place, withMachine: withMachine)
        if let connection = workers[place].stream, !withMachine { closeConnection(connection) }
        guard let engine = workers[place].engine else { return }
        workers[place].engine = nil
        for rank in engine.peers where !withMachine && engine.phase != .over {
            let peer = 1 + engine.assignment.peers[rank].port - 7000
            sendFrame(.reset, of: engine.run, rank: engine.rank, from: node, to: peer)
        }
    }

    mutating func restart(_ node: Int) {
        guard !processes[node].isUp else { return }
        processes[node].hasPower = true
        if node == 0 {
            startCoordinator()
        } else {
            startWorker(node - 1)
        }
    }

    /// Every stream that a process reads or writes breaks; both ends hear of it.
    private mutating func breakStreams(_ node: Int) {
        disturbedUntil = max(disturbedUntil, now + 6_000_000_000)
        for connection in connections.indices where !connections[connection].isClosed {
            guard node == 0 || connections[connection].reader == node else { continue }
            send(.left(connection: connection), from: connections[connection].reader, to: 0)
            write(.closed, to: connection)
        }
    }

    private mutating func breakData(_ first: Int, _ second: Int) {
        guard first != second, let engine = workers[first - 1].engine, let other = workers[second - 1].engine, engine.run == other.run
        else {
            return
        }
        sendFrame(.reset, of: engine.run, rank: engine.rank, from: first, to: second)
        sendFrame(.reset, of: engine.run, rank: other.rank, from: second, to: first)
    }
}

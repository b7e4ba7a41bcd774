// Links: delay, loss with repetition, duplication, partitions, connections that keep order and break.

import RingControl
import RingCore

extension Simulation {
    /// How long something takes from one process to another now.
    mutating func delay() -> Int64 {
        var seconds = network.between(0.00005, 0.0008)
        if now < slow.until { seconds += network.between(0, slow.delay) }
        if now < lossy.until {
            // What is lost is sent again after a while that doubles, as TCP does.
            var again = 0.2
            while again < 4, network.chance(lossy.part) {
                seconds += again
                again *= 2
            }
        }
        return Int64(seconds * 1e9)
    }

    func isCut(_ from: Int, _ to: Int) -> Bool {
        partitions.contains { $0.until > now && ($0.from == from || $0.from < 0) && ($0.to == to || $0.to < 0) }
    }

    // MARK: requests and answers

    /// Sends a request to the coordinator; within `seconds` an answer or a `timeout` follows.
    mutating func ask(_ node: Int, _ request: Request, within seconds: Double) -> UInt64 {
        requests += 1
        let body = Packet.Body.request(requests, request)
        send(body, from: node, to: 0)
        after(seconds, node, .timeout(requests))
        guard now < lossy.until else { return requests }
        if network.chance(0.1) { send(body, from: node, to: 0) }
        if network.chance(lossy.part * 0.2) { send(.response(requests, .broken), from: 0, to: node) }
        return requests
    }

    mutating func answer(_ node: Int, _ request: UInt64, _ response: Response) {
        send(.response(request, response), from: 0, to: node)
    }

    mutating func send(_ body: Packet.Body, from: Int, to: Int) {
        queue.push(.packet(Packet(from: from, to: to, sentAt: now, body: body)), at: now + delay())
    }

    mutating func deliver(_ packet: Packet) {
        if processes[packet.to].isUp && processes[packet.to].pausedUntil > now {
            queue.push(.packet(packet), at: processes[packet.to].pausedUntil)
            return
        }
        if isCut(packet.from, packet.to) {
            guard now - packet.sentAt < Int64(SimulationLimits.packetSeconds * 1e9) else { return }
            queue.push(.packet(packet), at: now + network.span(0.1, 0.4))
            return
        }
        guard processes[packet.to].isUp else {
            // A machine whose process is gone refuses; one without power says nothing.
            if processes[packet.to].hasPower, case .request(let number, _) = packet.body {
                send(.response(number, .broken), from: packet.to, to: packet.from)
            }
            return
        }
        switch packet.body {
        case .request(let number, let request): serve(request, number, from: packet.from)
        case .response(let number, let response):
            if packet.to <= workers.count {
                workerHears(packet.to - 1, number, response)
            } else {
                clientHears(packet.to - 1 - workers.count, number, response)
            }
        case .left(let connection): streamLeft(connection)
        }
    }

    // MARK: streams

    mutating func openConnection(_ node: Int) -> Int {
        connections.append(Connection(reader: node, readerLife: processes[node].life))
        return connections.count - 1
    }

    /// The coordinator writes a line.
    mutating func write(_ item: StreamItem, to connection: Int) {
        guard !connections[connection].isClosed else { return }
        let arrival = max(connections[connection].lastArrival, now + delay())
        connections[connection].items.append(item)
        connections[connection].lastArrival = arrival
        if connections[connection].items.count - connections[connection].read > SimulationLimits.linesWaiting {
            fail("bounded", "\(SimulationLimits.linesWaiting) lines wait for \(name(of: connections[connection].reader))")
        }
        queue.push(.stream(connection), at: arrival)
    }

    mutating func deliverLine(of connection: Int) {
        let reader = connections[connection].reader
        guard !connections[connection].isClosed, connections[connection].read < connections[connection].items.count,
            processes[reader].isUp, processes[reader].life == connections[connection].readerLife
        else { return }
        if processes[reader].pausedUntil > now {
            queue.push(.stream(connection), at: processes[reader].pausedUntil)
            return
        }
        if isCut(0, reader) {
            queue.push(.stream(connection), at: now + network.span(0.1, 0.4))
            return
        }
        let item = connections[connection].items[connections[connection].read]
        connections[connection].read += 1
        if connections[connection].read == connections[connection].items.count {
            connections[connection].items.removeAll(keepingCapacity: true)
            connections[connection].read = 0
        }
        if case .closed = item { connections[connection].isClosed = true }
        if reader <= workers.count {
            workerReads(reader - 1, item, from: connection)
        } else {
            clientReads(reader - 1 - workers.count, item, from: connection)
        }
    }

    /// The reader gives a stream up; the coordinator hears of it if it can.
    mutating func closeConnection(_ connection: Int) {
        guard !connections[connection].isClosed else { return }
        connections[connection].isClosed = true
        send(.left(connection: connection), from: connections[connection].reader, to: 0)
    }

    // MARK: data plane

    mutating func sendFrame(_ frame: SimulatedEngine.Frame, of run: Run, rank: Int, from: Int, to: Int) {
        let key = from * processes.count + to
        let place: Int
        if let known = channelPlaces[key] {
            place = known
        } else {
            place = channels.count
            channels.append(DataChannel(from: from, to: to))
            channelPlaces[key] = place
        }
        let arrival = max(channels[place].lastArrival, now + delay())
        channels[place].frames.append((run, rank, frame))
        channels[place].lastArrival = arrival
        queue.push(.data(place), at: arrival)
    }

    mutating func deliverFrame(of channel: Int) {
        let (from, to) = (channels[channel].from, channels[channel].to)
        guard channels[channel].read < channels[channel].frames.count else { return }
        if processes[to].isUp && processes[to].pausedUntil > now {
            queue.push(.data(channel), at: processes[to].pausedUntil)
            return
        }
        if isCut(from, to) {
            queue.push(.data(channel), at: now + network.span(0.1, 0.4))
            return
        }
        let (run, rank, frame) = channels[channel].frames[channels[channel].read]
        channels[channel].read += 1
        if channels[channel].read == channels[channel].frames.count {
            channels[channel].frames.removeAll(keepingCapacity: true)
            channels[channel].read = 0
        }
        guard processes[to].isUp, workers[to - 1].engine?.run == run else {
            refuseFrame(frame, of: run, from: from, to: to)
            return
        }
        turnEngine(to - 1, .frame(frame, from: rank))
    }

    /// Nobody there is at this run: who wants more than to meet finds the connection broken.
    private mutating func refuseFrame(_ frame: SimulatedEngine.Frame, of run: Run, from: Int, to: Int) {
        switch frame {
        case .hello, .reset, .done: return
        case .offer, .taken, .query, .partial: break
        }
        guard processes[to].isUp || processes[to].hasPower, let engine = workers[from - 1].engine, engine.run == run,
            let rank = engine.assignment.peers.firstIndex(where: { $0.worker == workers[to - 1].name })
        else { return }
        sendFrame(.reset, of: run, rank: rank, from: to, to: from)
    }
}

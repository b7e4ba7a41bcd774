// Small messages of decoding: post, with patience for a full transport, and wait for a number of completions.
import RingCore
import RingTransport

extension RingEngine where Wire: ~Copyable {
    /// Posts a send, waiting for room.
    mutating func post(layer: Int, send block: BlockRef, _ peer: Rank, _ tag: MessageTag) throws(EngineError) {
        try post(layer: layer) { (wire) throws(TransportError) in try wire.post(send: block, to: peer, tag: tag) }
    }

    /// Posts a receive, waiting for room.
    mutating func post(layer: Int, receive block: BlockRef, _ peer: Rank, _ tag: MessageTag) throws(EngineError) {
        try post(layer: layer) { (wire) throws(TransportError) in try wire.post(receive: block, from: peer, tag: tag) }
    }

    private mutating func post(layer: Int, _ order: (inout Wire) throws(TransportError) -> Posted) throws(EngineError) {
        let (start, limit) = (MonotonicClock.now(), patienceSeconds)
        do throws(TransportError) {
            while try order(&wire) == .full {
                if MonotonicClock.now().seconds(since: start) > limit { throw TransportError.timedOut(nil, seconds: limit) }
                _ = wire.wait(atMost: .milliseconds(1))
            }
        } catch {
            if case .lost(let rank, let reason) = error { throw .lost(rank, layer: layer, step: decode.tokens, reason: reason) }
            throw .transport(error)
        }
    }

    /// Waits until `count` posted messages have completed, early ones included. Sleeps at once: to look again and again for a
    /// moment first gained nothing where threads share cores (Docs/PERFORMANCE.md, decoding). With `peersMayLeave`, a peer that owes
    /// nothing any more may be gone already.
    mutating func awaitCompletions(_ count: Int, layer: Int, peersMayLeave: Bool = false) throws(EngineError) {
        decode.awaited += count
        let limit = patienceSeconds
        var last = MonotonicClock.now()
        while decode.awaited > 0 {
            if isCancelled() { throw .cancelled }
            decode.completions.removeAll(keepingCapacity: true)
            if wire.poll(into: &decode.completions) == 0 {
                if !peersMayLeave, let lost = wire.lostPeers.first {
                    throw .lost(lost, layer: layer, step: decode.tokens, reason: wire.lossReason(of: lost) ?? "connection lost")
                }
                let waited = MonotonicClock.now().seconds(since: last)
                if waited > limit { throw .stalled(layer: layer, step: decode.tokens, seconds: waited) }
                _ = wire.wait(atMost: .milliseconds(50))
                continue
            }
            last = MonotonicClock.now()
            for completion in decode.completions {
                switch completion.outcome {
                case .sent, .received: decode.awaited -= 1
                case .lost where peersMayLeave: decode.awaited -= 1
                case .damaged: throw .damaged(completion.peer, layer: layer, step: decode.tokens)
                case .lost, .cancelled:
                    let reason = wire.lossReason(of: completion.peer) ?? "connection lost"
                    throw .lost(completion.peer, layer: layer, step: decode.tokens, reason: reason)
                }
            }
        }
    }

    /// Returns when every rank has called it, so that nobody closes a connection that somebody still reads.
    public mutating func barrier() throws(EngineError) {
        for peer in decode.others {
            try post(layer: 0, receive: decode.barrier.block(peer.index), peer, MessageTag(.probe, layer: 0, step: 0, piece: 0))
        }
        for peer in decode.others {
            try post(layer: 0, send: decode.barrier.block(rank.index), peer, MessageTag(.probe, layer: 0, step: 0, piece: 0))
        }
        try awaitCompletions(2 * decode.others.count, layer: 0, peersMayLeave: true)
    }
}

// What all ranks must know before they decide something together: the largest of the sizes that each of them has. Every rank tells every
// other, so that all compare the same numbers and come to the same bits.
import RingCore
import RingKernels
import RingTransport

extension RingEngine where Wire: ~Copyable {
    /// The largest at each place of what the ranks give. All give as many numbers, none of them negative or NaN, and call this at the same
    /// point of their work.
    public mutating func largest(of own: [Float]) throws(EngineError) -> [Float] {
        let messages = try MessageBuffer(floats: own.count, slots: plan.world.count, registeredWith: &wire)
        comparing = messages
        messages.floats(rank.index).copy(from: own.span, toRow: 0)
        let tag = MessageTag(.maxima, layer: 0, step: 0, piece: 0)
        for peer in decode.others { try post(layer: 0, receive: messages.block(peer.index), peer, tag) }
        for peer in decode.others { try post(layer: 0, send: messages.block(rank.index), peer, tag) }
        try awaitCompletions(2 * decode.others.count, layer: 0)
        var largest = own
        for peer in decode.others {
            let theirs = messages.floats(peer.index)
            for place in own.indices {
                let value = theirs[0, place]
                guard value >= 0 else { throw .protocolViolation("\(peer) compares \(value), which is no size of anything") }
                largest[place] = max(largest[place], value)
            }
        }
        do throws(TransportError) { try wire.unregister(messages.region) } catch { throw .transport(error) }
        comparing = nil
        return largest
    }
}

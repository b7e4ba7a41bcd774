// What one transport lends: its regions that lie in memory which other processes can be let read. Written by the thread that
// registers memory, read by the I/O thread when it announces a message.
import Synchronization

/// Memory of ours that a peer may read.
struct Loan: Sendable {
    /// Names this registration to the peers: the region's index under a count of registrations; never zero.
    var key: UInt32
    /// Keeps the descriptor open.
    var memory: AnonymousMemory
    /// Where the registered bytes lie in it.
    var range: Range<Int>
}

/// The loans of one transport, by region.
final class LoanBook: Sendable {
    private struct State {
        var loans: [Loan?] = []
        var registrations: UInt32 = 0
    }
    private let state = Mutex(State())
    /// Rises whenever a region is forgotten.
    let returns = Atomic<Int>(0)

    private static let indexBits: UInt32 = 10

    /// A region has been registered together with its owner: it can be lent if that is shareable memory in which it lies.
    func register(_ bytes: UnsafeMutableRawBufferPointer, of owner: (any AnyObject & Sendable)?, at index: Int) {
        guard let memory = owner as? AnonymousMemory, memory.isShareable, let start = bytes.baseAddress,
            let base = unsafe memory.bytes.baseAddress
        else { return }
        let offset = unsafe start - UnsafeMutableRawPointer(base)
        guard offset >= 0, offset <= memory.byteCount, bytes.count <= memory.byteCount - offset else { return }
        state.withLock { state in
            while state.loans.count <= index { state.loans.append(nil) }
            state.registrations = (state.registrations + 1) & (1 << (32 - Self.indexBits) - 1)
            if state.registrations == 0 { state.registrations = 1 }
            let key = state.registrations << Self.indexBits | UInt32(index)
            state.loans[index] = Loan(key: key, memory: memory, range: offset..<offset + bytes.count)
        }
    }

    /// True when the region had been lendable: the peers that hold it should let go.
    func unregister(at index: Int) -> Bool {
        let wasThere = state.withLock { state in
            guard index < state.loans.count, state.loans[index] != nil else { return false }
            state.loans[index] = nil
            return true
        }
        if wasThere { returns.add(1, ordering: .releasing) }
        return wasThere
    }

    /// What can be lent of a region.
    func loan(at index: Int) -> Loan? { state.withLock { index < $0.loans.count ? $0.loans[index] : nil } }

    /// The region of a key.
    static func index(of key: UInt32) -> Int { Int(key & (1 << indexBits - 1)) }
}

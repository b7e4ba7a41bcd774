// Our side as the lender of one pair: which of our regions the peer has been given, and the giving.
import CRingSystem
import Glibc

/// What one peer may read of ours. The I/O thread alone uses it.
final class LentMemory {
    private let book: LoanBook
    /// By region, the key under which the peer has it; 0 if it has not. Made when the first is lent.
    private var keys: [UInt32] = []
    private var count = 0
    private var returnsSeen: Int
    /// Descriptors that could not be handed over; a pair in which it goes on failing uses its ring.
    private var failures = 0

    private static let failuresMax = 16

    init(_ book: LoanBook) {
        self.book = book
        returnsSeen = book.returns.load(ordering: .relaxed)
    }

    /// Where the peer at the other end of `socket` can read the `byteCount` bytes at `start` of a region, if it can. The first time
    /// it is given the memory, before anything that the caller does next.
    func place(of start: UnsafeMutableRawPointer, _ byteCount: Int, in region: Int, over socket: Int32) -> RemotePlace? {
        guard let loan = book.loan(at: region), let base = unsafe loan.memory.bytes.baseAddress else { return nil }
        let place = unsafe start - base - loan.range.lowerBound
        guard place >= 0, byteCount <= loan.range.count - place, place <= TransportLimits.messageBytes - byteCount else { return nil }
        if region >= keys.count { keys += Array(repeating: 0, count: region + 1 - keys.count) }
        // One that the peer should let go of first is not there for it yet.
        if keys[region] != loan.key { guard keys[region] == 0, lend(loan, as: region, over: socket) else { return nil } }
        return RemotePlace(place: UInt64(place), key: loan.key)
    }

    private func lend(_ loan: Loan, as region: Int, over socket: Int32) -> Bool {
        guard count < TransportLimits.lentRegions, failures < Self.failuresMax else { return false }
        let notice = LoanNotice(key: loan.key, offset: loan.range.lowerBound, count: loan.range.count).bytes
        let readable = ring_shareable_lend(loan.memory.descriptor)
        let error =
            readable < 0
            ? -readable
            : unsafe notice.withUnsafeBytes { raw in
                unsafe raw.baseAddress.map { unsafe ring_local_send(socket, $0, raw.count, readable) } ?? 0
            }
        if readable >= 0 { _ = ring_socket_close(readable) }
        // A full socket is one that the peer will empty.
        if error != 0 && error != EAGAIN { failures += 1 }
        if error != 0 { return false }
        keys[region] = loan.key
        count += 1
        return true
    }

    /// The key of a region that has been forgotten here and not yet there; `nil` when there is none.
    func nextReturned() -> UInt32? {
        let returns = book.returns.load(ordering: .acquiring)
        if returns == returnsSeen { return nil }
        for region in keys.indices where keys[region] != 0 && book.loan(at: region)?.key != keys[region] {
            defer { keys[region] = 0 }
            count -= 1
            return keys[region]
        }
        returnsSeen = returns
        return nil
    }
}

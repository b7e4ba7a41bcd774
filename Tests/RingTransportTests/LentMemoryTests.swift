// Memory that one rank lets another read: that messages out of it are copied once, whatever their place and length, and that regions
// may come and go.
import CRingSystem
import Glibc
import RingCore
import RingTransport
import Synchronization
import Testing

private let shared: TCPOptions = {
    var options = TCPOptions()
    options.lane = .sharedMemory
    return options
}()

@Suite("Lent memory", .serialized, .timeLimit(.minutes(5)))
struct LentMemoryTests {
    /// Runs both ranks of a ring over shared memory.
    private func pair(_ body: @escaping @Sendable (inout TCPTransport) throws -> Void) throws {
        let listeners = try (0..<2).map { _ in try TCPListener() }
        try together(
            (0..<2).map { rank in
                {
                    var transport = try connectTransport(listeners[rank], rank: rank, peers: listeners.map(\.address), options: shared)
                    try body(&transport)
                    transport.close()
                }
            })
    }

    @Test("odd lengths at odd places come out byte for byte, and all that is large is copied but once")
    func exact() throws {
        let seed: UInt64 = 11
        // Around the sizes of a message that goes ahead, a line, a page, a slice and a huge page.
        let sizes = [65_537, 70_001, 131_073, 262_143, 262_144, 262_145, 300_007, 524_289, 2_097_151, 2_097_153, 3_333_333]
        try pair { transport in
            let (rank, peer) = (transport.rank.index, Rank(1 - transport.rank.index))
            let half = sizes.reduce(0) { $0 + $1 + 97 }
            let memory = try AnonymousMemory(byteCount: 2 * half, isShareable: true)
            #expect(memory.isShareable)
            if rank == 0 { memory.settle(0..<memory.byteCount) }
            let region = try unsafe transport.register(memory.bytes, keeping: memory)
            fill(memory, 0..<half, seed: seed + UInt64(rank))
            var completions: [Completion] = []
            var offset = 13
            for (step, size) in sizes.enumerated() {
                let tag = MessageTag(.probe, layer: 0, step: step, piece: 0)
                _ = try transport.post(
                    receive: BlockRef(region: region, offset: half + offset, byteCount: size), from: peer, tag: tag)
                _ = try transport.post(send: BlockRef(region: region, offset: offset, byteCount: size), to: peer, tag: tag)
                offset += size + 3 + step
            }
            try settle(&transport, &completions, 2 * sizes.count)
            #expect(completions.allSatisfy { $0.outcome == .sent || $0.outcome == .received })
            let expected = try AnonymousMemory(byteCount: half)
            fill(expected, 0..<half, seed: seed + UInt64(peer.index))
            offset = 13
            for (step, size) in sizes.enumerated() {
                guard let (own, others) = unsafe pointers(memory, half + offset, expected, offset) else { throw Failure("no memory") }
                let isEqual = unsafe memcmp(own, others, size) == 0
                #expect(isEqual, "seed \(seed), \(size) bytes at \(offset)")
                // Not a byte beside it.
                let isClean = (0..<3 + step).allSatisfy { unsafe memory.bytes[half + offset + size + $0] == 0 }
                #expect(isClean, "behind \(size) bytes")
                offset += size + 3 + step
            }
            let counters = transport.counters
            #expect(counters.bytesBorrowed == UInt64(sizes.reduce(0, +)))
        }
    }

    @Test("memory without an owner, private memory, and small messages go through the ring", arguments: [0, 1, 2])
    func notLent(way: Int) throws {
        try pair { transport in
            let peer = Rank(1 - transport.rank.index)
            let memory = try AnonymousMemory(byteCount: 1 << 20, isShareable: way != 1)
            let region = try unsafe way == 0 ? transport.register(memory.bytes) : transport.register(memory.bytes, keeping: memory)
            let size = way == 2 ? 60_000 : 300_000
            let tag = MessageTag(.probe, layer: 0, step: 0, piece: 0)
            _ = try transport.post(receive: BlockRef(region: region, offset: 500_000, byteCount: size), from: peer, tag: tag)
            _ = try transport.post(send: BlockRef(region: region, offset: 0, byteCount: size), to: peer, tag: tag)
            var completions: [Completion] = []
            try settle(&transport, &completions, 2)
            let counters = transport.counters
            #expect(counters.bytesReceived == UInt64(size) && counters.bytesBorrowed == 0)
        }
    }

    @Test("regions come and go: what follows is read from the new memory, and nobody keeps the old mapped")
    func regions() throws {
        let lent = Lent()
        try pair { transport in
            let (rank, peer) = (transport.rank.index, Rank(1 - transport.rank.index))
            let own = try AnonymousMemory(byteCount: 300_000)
            let kept = try unsafe transport.register(own.bytes)
            var completions: [Completion] = []
            // More than may be lent at a time, and one index of the table again and again.
            for step in 0..<200 {
                let tag = MessageTag(.probe, layer: 0, step: step, piece: 0)
                if step % 2 == rank {
                    let memory = try AnonymousMemory(byteCount: 300_000, isShareable: true)
                    fill(memory, 0..<300_000, seed: UInt64(step))
                    lent.add(memory)
                    let region = try unsafe transport.register(memory.bytes, keeping: memory)
                    _ = try transport.post(send: BlockRef(region: region, offset: 0, byteCount: 300_000), to: peer, tag: tag)
                    try settle(&transport, &completions, 1)
                    try transport.unregister(region)
                } else {
                    _ = try transport.post(receive: BlockRef(region: kept, offset: 0, byteCount: 300_000), from: peer, tag: tag)
                    try settle(&transport, &completions, 1)
                    let expected = try AnonymousMemory(byteCount: 300_000)
                    fill(expected, 0..<300_000, seed: UInt64(step))
                    guard let (found, right) = unsafe pointers(own, 0, expected, 0) else { throw Failure("no memory") }
                    let isEqual = unsafe memcmp(found, right, 300_000) == 0
                    #expect(isEqual, "step \(step)")
                }
            }
            let counters = transport.counters
            #expect(counters.bytesBorrowed == 100 * 300_000)
            let start = MonotonicClock.now()
            while lent.mappings > 0 {
                if MonotonicClock.now().seconds(since: start) > 10 { throw Failure("\(lent.mappings) mappings are left") }
                usleep(5000)
            }
            _ = try transport.post(
                send: BlockRef(region: kept, offset: 0, byteCount: 8), to: peer, tag: MessageTag(.probe, layer: 0, step: 999, piece: 0))
            _ = try transport.post(
                receive: BlockRef(region: kept, offset: 8, byteCount: 8), from: peer, tag: MessageTag(.probe, layer: 0, step: 999, piece: 0)
            )
            try settle(&transport, &completions, 2)
        }
    }

    @Test("nothing can be written by what a reader is given, nothing can be cut, and a hole reads as zeros")
    func readOnly() throws {
        let memory = try AnonymousMemory(byteCount: 5 << 20, isShareable: true)
        fill(memory, 0..<memory.byteCount, seed: 3)
        let lent = ring_shareable_lend(memory.descriptor)
        defer { _ = close(lent) }
        var length = 0
        let whole = unsafe ring_shareable_check(lent, memory.byteCount, &length)
        #expect(lent >= 0 && whole == 0 && length == 6 << 20)
        let more = unsafe ring_shareable_check(lent, 7 << 20, &length)
        #expect(more == EPROTO)
        #expect(ftruncate(lent, 4096) != 0 && ftruncate(memory.descriptor, 4096) != 0)
        let written = unsafe pwrite(lent, [UInt8(1)], 1, 0)
        #expect(written < 0)
        let writable = unsafe mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, lent, 0)
        let isRefused = unsafe writable == MAP_FAILED
        #expect(isRefused)
        let borrowed = BorrowedMemory()
        borrowed.take(LoanNotice(key: 9, offset: 0, count: memory.byteCount), dup(lent))
        guard let start = unsafe borrowed.start(of: RemotePlace(place: 0, key: 9), 0, memory.byteCount) else { throw Failure("not mapped") }
        let isFilled = unsafe start.load(fromByteOffset: 4096, as: UInt64.self) != 0
        #expect(isFilled)
        memory.discard()
        let isZero = (0..<memory.byteCount / 4096).allSatisfy { unsafe start.load(fromByteOffset: 4096 * $0, as: UInt64.self) == 0 }
        #expect(isZero)
    }

    @Test(
        "what can be had of huge pages is had: a kernel that is asked for them gives them",
        .enabled(if: hasCollapse, "this kernel is older than 6.1, or forbids huge pages"))
    func onHugePages() { #expect(AnonymousMemory.lending() == .hugePages) }

    @Test("memory is laid on huge pages without losing what it holds")
    func settled() throws {
        let memory = try AnonymousMemory(byteCount: (4 << 20) + 5, isShareable: true)
        let expected = try AnonymousMemory(byteCount: memory.byteCount)
        for part in [expected, memory] { fill(part, 0..<part.byteCount, seed: 5) }
        memory.settle(100..<memory.byteCount)
        memory.settle(0..<memory.byteCount)
        guard let (own, right) = unsafe pointers(memory, 0, expected, 0) else { throw Failure("no memory") }
        let isEqual = unsafe memcmp(own, right, memory.byteCount) == 0
        #expect(isEqual)
        memory.discard()
        let isZero = unsafe memory.bytes.allSatisfy { $0 == 0 }
        #expect(isZero)
    }
}

/// Whether the kernel puts private memory on huge pages when it is asked to, which is the same request.
private let hasCollapse: Bool = {
    guard ring_huge_pages_are_allowed(), let memory = try? AnonymousMemory(byteCount: 2 << 20), let base = unsafe memory.bytes.baseAddress
    else { return false }
    return unsafe ring_shareable_settle(base, 2 << 20) == 0
}()

/// Waits for `count` completions.
private func settle(_ transport: inout TCPTransport, _ completions: inout [Completion], _ count: Int) throws {
    completions.removeAll(keepingCapacity: true)
    while completions.count < count {
        guard transport.wait(atMost: .seconds(20)) else { throw Failure("\(completions.count) of \(count) messages end") }
        _ = transport.poll(into: &completions)
    }
    if let bad = completions.first(where: { $0.outcome != .sent && $0.outcome != .received }) { throw Failure("\(bad)") }
}

/// Bytes that depend on the seed and the place, in whole words; what is left over stays zero.
private func fill(_ memory: AnonymousMemory, _ range: Range<Int>, seed: UInt64) {
    guard let base = unsafe memory.bytes.baseAddress else { return }
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    for at in stride(from: range.lowerBound, to: range.upperBound - 7, by: 8) {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        unsafe (base + at).storeBytes(of: state, as: UInt64.self)
    }
}

private func pointers(
    _ one: AnonymousMemory, _ offset: Int, _ other: AnonymousMemory, _ otherOffset: Int
) -> (UnsafeRawPointer, UnsafeRawPointer)? {
    guard let first = unsafe one.bytes.baseAddress, let second = unsafe other.bytes.baseAddress else { return nil }
    return unsafe (UnsafeRawPointer(first + offset), UnsafeRawPointer(second + otherOffset))
}

/// What was lent in a test, and how much of it this process, in which both ranks are, still maps to read it.
private final class Lent: Sendable {
    private let inodes = Mutex<Set<String>>([])

    func add(_ memory: AnonymousMemory) {
        var facts = stat()
        if unsafe fstat(memory.descriptor, &facts) == 0 { inodes.withLock { _ = $0.insert("\(facts.st_ino)") } }
    }

    /// Mappings that can only be read are those of a reader.
    var mappings: Int {
        guard let file = unsafe fopen("/proc/self/maps", "r") else { return -1 }
        defer { unsafe fclose(file) }
        var (count, line) = (0, [CChar](repeating: 0, count: 512))
        while unsafe fgets(&line, 512, file) != nil {
            let words = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
            if words.count > 4, words[1] == "r--s", inodes.withLock({ $0.contains(String(words[4])) }) { count += 1 }
        }
        return count
    }
}

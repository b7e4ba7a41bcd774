// The parts below the seam, each on its own.
import CRingSystem
import Glibc
import RingCore
import RingTransport
import Testing

@Suite("Checksum")
struct ChecksumTests {
    @Test("known values of CRC32C")
    func known() {
        // RFC 3720, appendix B.4, and the check value of the catalogue of parametrised CRC algorithms.
        let cases: [([UInt8], UInt32)] = [
            (Array("123456789".utf8), 0xE306_9283), ([], 0), ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
            ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43), (Array(0..<32), 0x46DD_794E),
        ]
        for (bytes, expected) in cases {
            unsafe bytes.withUnsafeBytes { raw in
                #expect(unsafe Checksum.crc32c(raw) == expected)
                #expect(unsafe Checksum.portable(raw) == expected)
            }
        }
    }

    @Test("the instruction, wide multiplications and the tables agree on every length and alignment, whole and in parts")
    func agreement() {
        let seed: UInt64 = 3
        var generator = SeededGenerator(seed: seed)
        let bytes = (0..<40_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        unsafe bytes.withUnsafeBytes { raw in
            for count in Array(0..<1100) + [1279, 1280, 1281, 1535, 2048, 3 * 4096 - 1, 3 * 4096, 3 * 4096 + 1, 6 * 4096 + 777, 39_000] {
                let start = count % 9
                let part = unsafe UnsafeRawBufferPointer(rebasing: raw[start..<start + count])
                let (fast, slow) = unsafe (Checksum.crc32c(part), Checksum.portable(part))
                #expect(fast == slow, "seed \(seed), \(count) bytes at \(start)")
                #expect(unsafe Checksum.narrow(part) == slow, "seed \(seed), \(count) bytes at \(start)")
                let cut = count * 2 / 3
                let first = unsafe Checksum.crc32c(UnsafeRawBufferPointer(rebasing: part[..<cut]))
                let both = unsafe Checksum.crc32c(UnsafeRawBufferPointer(rebasing: part[cut...]), continuing: first)
                #expect(both == fast, "seed \(seed), \(count) bytes in two parts")
            }
        }
    }

    @Test("copying and checksumming in one pass gives the copy and the checksum, whatever the length, alignment and way of storing")
    func copying() {
        let seed: UInt64 = 4
        var generator = SeededGenerator(seed: seed)
        let bytes = (0..<80_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let counts = [0, 1, 7, 8, 63, 64, 65, 1000, 12_287, 12_288, 12_289, 16_384, 24_577, 40_000, 49_152, 70_001]
        for (place, count) in (counts + counts + counts).enumerated() {
            let (from, to) = (place % 5, place % 3 == 0 ? 0 : place % 67)
            var copy = [UInt8](repeating: 0xAA, count: count + 200)
            for (streams, isNarrow) in [(false, false), (true, false), (false, true), (true, true)] {
                let sum = unsafe bytes.withUnsafeBytes { source in
                    unsafe copy.withUnsafeMutableBytes { target in
                        guard let start = source.baseAddress, let end = target.baseAddress else { return UInt32(0) }
                        // Stores past the caches need places that are multiples of 32, or 64; the code sees to it.
                        let aligned = (32 - Int(bitPattern: end) % 32) % 32 + to
                        let (goal, origin) = unsafe (end + aligned, start + from)
                        let sum: UInt32
                        if isNarrow {
                            sum = unsafe ring_crc32c_narrow_copy(77, goal, origin, count, streams)
                        } else {
                            sum = unsafe ring_crc32c_copy(77, goal, origin, count, streams)
                        }
                        let isWhole = (0..<count).allSatisfy { unsafe target[aligned + $0] == source[from + $0] }
                        let isAlone = unsafe (0..<aligned).allSatisfy { unsafe target[$0] == 0xAA } && target[aligned + count] == 0xAA
                        #expect(isWhole && isAlone, "seed \(seed), \(count) bytes, \(from) to \(to)")
                        for index in 0..<target.count { unsafe target[index] = 0xAA }
                        return sum
                    }
                }
                let expected = unsafe bytes.withUnsafeBytes {
                    unsafe Checksum.portable(UnsafeRawBufferPointer(rebasing: $0[from..<from + count]), continuing: 77)
                }
                #expect(sum == expected, "seed \(seed), \(count) bytes, \(from) to \(to), streams \(streams)")
            }
        }
    }

    @Test("the header's checksum in RingCore is the same function")
    func header() {
        let header = FakePeer.frame(.heartbeat)
        let bytes = header.bytes
        let expected = unsafe bytes.withUnsafeBytes { unsafe Checksum.crc32c(UnsafeRawBufferPointer(rebasing: $0[..<60])) }
        let found = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[60 + $1]) << UInt32($1 * 8) }
        #expect(found == expected)
    }
}

@Suite("Threads and memory")
struct HelperTests {
    @Test("a thread runs under its name and can be waited for twice")
    func thread() throws {
        let flag = Flag()
        let thread = try PinnedThread.start(name: "a-name-that-is-too-long") {
            var name = [CChar](repeating: 0, count: 32)
            unsafe ring_thread_current_name(&name, name.count)
            if String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) == "a-name-that-is-" { flag.set() }
        }
        #expect(!thread.isCurrent)
        thread.join()
        thread.join()
        #expect(flag.isSet)
    }

    @Test("a thread stays on its CPU; a CPU that does not exist is an error")
    func pinning() throws {
        let cpus = PinnedThread.cpus
        #expect(!cpus.isEmpty && cpus.count == PinnedThread.cpuCount)
        for cpu in cpus {
            let flag = Flag()
            try PinnedThread.start(name: "pinned", cpu: cpu) { if ring_cpu_current() == Int32(cpu) { flag.set() } }.join()
            #expect(flag.isSet)
        }
        #expect(throws: TransportError.self) { try PinnedThread.start(name: "nowhere", cpu: 1023) {} }
    }

    @Test("a pinned thread does not pass its CPU on to the threads it starts")
    func pinningIsNotInherited() throws {
        let cpus = PinnedThread.cpus
        let started = Flag()
        // An engine thread pinned to one core starts compute threads on the others.
        try PinnedThread.start(name: "parent", cpu: cpus[0]) {
            let last = cpus[cpus.count - 1]
            let child = try? PinnedThread.start(name: "child", cpu: last) { if ring_cpu_current() == Int32(last) { started.set() } }
            child?.join()
        }.join()
        #expect(started.isSet)
    }

    @Test("memory is zero, aligned, and zero again after being given back", arguments: [1, 4096, 100_000, 5 << 20])
    func memory(byteCount: Int) throws {
        let memory = try AnonymousMemory(byteCount: byteCount)
        #expect(memory.byteCount == byteCount)
        let alignment = byteCount >= 2 << 20 ? 2 << 20 : 4096
        #expect(unsafe UInt(bitPattern: memory.bytes.baseAddress) % UInt(alignment) == 0)
        #expect(unsafe memory.bytes.allSatisfy { $0 == 0 })
        for index in stride(from: 0, to: byteCount, by: 511) { unsafe memory.bytes[index] = 9 }
        memory.discard()
        #expect(unsafe memory.bytes.allSatisfy { $0 == 0 })
    }

    @Test("memory that no machine has is an error")
    func tooMuch() {
        #expect(throws: TransportError.self) { try AnonymousMemory(byteCount: Int.max / 2) }
    }

    @Test("the clock does not go back")
    func clock() {
        var last = MonotonicClock.now()
        for _ in 0..<1000 {
            let now = MonotonicClock.now()
            #expect(now >= last)
            last = now
        }
    }
}

@Suite("Tables")
struct TableTests {
    @Test("a pool against a model: takes, lists and releases in random order")
    func pool() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        var pool = SlotPool<Int>(capacity: 10)
        var lists = [SlotList(), SlotList()]
        var model: [[(slot: Int, value: Int)]] = [[], []]
        for step in 0..<20_000 {
            let which = Int.random(in: 0...1, using: &generator)
            switch Int.random(in: 0...3, using: &generator) {
            case 0, 1:
                let isFull = model[0].count + model[1].count == 10
                let slot = pool.take(step)
                #expect((slot == nil) == isFull, "seed \(seed), step \(step)")
                guard let slot else { continue }
                pool.append(slot, to: &lists[which])
                model[which].append((slot, step))
            case 2:
                let slot = pool.removeFirst(of: &lists[which])
                let expected = model[which].isEmpty ? nil : model[which].removeFirst()
                #expect(slot == expected?.slot, "seed \(seed), step \(step)")
                guard let slot, let expected else { continue }
                let value = pool[slot]
                #expect(value == expected.value, "seed \(seed), step \(step)")
                pool.release(slot)
                let isTaken = pool.isTaken(slot)
                #expect(!isTaken)
            default:
                guard let place = model[which].indices.randomElement(using: &generator) else { continue }
                let slot = model[which].remove(at: place).slot
                pool.remove(slot, from: &lists[which])
                pool.release(slot)
            }
            var walked: [Int] = []
            var at = lists[which].head
            while let slot = at {
                walked.append(slot)
                at = pool.next(after: slot)
            }
            #expect(walked == model[which].map(\.slot) && lists[which].count == walked.count, "seed \(seed), step \(step)")
            let taken = pool.takenCount
            #expect(taken == model[0].count + model[1].count)
        }
    }

    @Test("a handoff ring keeps order between two threads and refuses when full")
    func ring() throws {
        let ring = HandoffRing<Int>(capacity: 8)
        for value in 0..<8 { #expect(ring.push(value)) }
        #expect(!ring.push(8))
        for value in 0..<8 { #expect(ring.pop() == value) }
        #expect(ring.pop() == nil && ring.isEmpty)
        try together([
            { for value in 0..<200_000 { while !ring.push(value) { sched_yield() } } },
            {
                for expected in 0..<200_000 {
                    var value = ring.pop()
                    while value == nil {
                        sched_yield()
                        value = ring.pop()
                    }
                    if value != expected { throw Failure("\(expected) came as \(value ?? -1)") }
                }
            },
        ])
    }

    @Test("an offset set is a short list without surprises")
    func offsets() {
        var set = OffsetSet()
        for offset in [5, 0, 7] { set.append(offset) }
        #expect(set.contains(0) && !set.contains(1) && set.count == 3)
        set.remove(0)
        set.remove(99)
        #expect(!set.contains(0) && set.removeFirst() == 5 && set.removeFirst() == 7 && set.isEmpty)
        for offset in [1, 2, 3, 4] { set.append(offset) }
        set.remove(4)
        #expect(set.count == 3 && !set.contains(4))
    }
}

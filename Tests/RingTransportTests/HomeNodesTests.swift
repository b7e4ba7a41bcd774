// Where pages lie, asked of the kernel; who answers at a port. Binding itself is tested on whole processes (EndToEndTests), since it would
// bind this one.
import Glibc
import RingCore
import RingTransport
import Testing

@Suite("Pages and their nodes")
struct PageCountTests {
    @Test("touched pages have a node, untouched ones none, and the counts add up", arguments: [1 << 16, 300, 7, 1])
    func counts(limit: Int) throws {
        // Less than a huge page, so that touching one page is touching one.
        let pages = 300
        let memory = try AnonymousMemory(byteCount: pages * 4096, hugePages: false)
        for page in 0..<150 { unsafe memory.bytes.storeBytes(of: 1, toByteOffset: page * 4096, as: UInt8.self) }
        var count = PageCount()
        try unsafe count.look(at: UnsafeRawBufferPointer(memory.bytes), limit: limit)
        let looked = count.touched + count.untouched
        #expect(looked <= limit && looked > limit / 2 - 1 || looked == pages)
        if looked == pages { #expect(count.touched == 150 && count.untouched == 150) }
        #expect(count.on(Array(0..<1024)) == count.touched && count.on([1_000_000]) == 0)
        #expect(count.on([0, 0]) == count.on([0]), "a node counts once")
    }

    @Test("a look at part of a page is a look at the page, and at nothing is none")
    func parts() throws {
        let memory = try AnonymousMemory(byteCount: 3 * 4096, hugePages: false)
        unsafe memory.bytes.storeBytes(of: 1, toByteOffset: 4096, as: UInt8.self)
        var count = PageCount()
        try unsafe count.look(at: UnsafeRawBufferPointer(rebasing: memory.bytes[4095..<4097]))
        #expect(count.touched == 1 && count.untouched == 1)
        try unsafe count.look(at: UnsafeRawBufferPointer(rebasing: memory.bytes[..<0]))
        #expect(count.touched == 1 && count.untouched == 1)
    }

    @Test("a thread that nobody has bound takes memory from where it runs")
    func unbound() { #expect(HomeNodes.ofThisThread() == []) }
}

@Suite("Reach")
struct ReachTests {
    @Test("an open port is reached, a closed one and one without a name are not")
    func reach() throws {
        let listener = try TCPListener(report: { _ in })
        #expect(Reach.refusal(at: listener.address, seconds: 2) == nil)
        listener.close()
        #expect(Reach.refusal(at: listener.address, seconds: 2) != nil)
        #expect(Reach.refusal(at: PeerAddress("no-such-host.invalid", 1), seconds: 2) != nil)
    }

    @Test("a look is counted and not written about")
    func quiet() throws {
        let lines = Counter()
        let listener = try TCPListener(report: { _ in lines.increment() })
        for _ in 0..<20 { #expect(Reach.refusal(at: listener.address, seconds: 2) == nil) }
        for _ in 0..<200 where listener.refusals.strangers < 20 { usleep(10_000) }
        #expect(listener.refusals.strangers == 20 && lines.value == 0)
        // Who speaks, and wrongly, is written about as before.
        try FakePeer(to: listener.port).write(Array("GET / HTTP/1.1\r\n\r\n".utf8))
        for _ in 0..<200 where lines.value == 0 { usleep(10_000) }
        #expect(lines.value == 1)
    }

    @Test("loopback's address is loopback's interface's, and nobody's is none")
    func interfaces() {
        #expect(Reach.interface(of: "127.0.0.1") == "lo")
        #expect(Reach.interface(of: "192.0.2.77") == nil && Reach.interface(of: "no-such-host.invalid") == nil)
    }
}

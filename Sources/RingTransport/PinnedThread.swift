// POSIX threads with a name and a CPU: where the engine computes and the transports move bytes.
import CRingSystem
import Synchronization

/// A thread outside Swift's pool. It takes no signals of the process, may block and may spin.
public final class PinnedThread: Sendable {
    private let handle: UInt
    private let joined = Mutex(false)

    private init(handle: UInt) { self.handle = handle }

    deinit {
        // Nobody can wait for it any more: let the system clean up when it ends.
        if !joined.withLock({ $0 }) { _ = ring_thread_detach(handle) }
    }

    /// Starts a thread that runs `body`. `name` is cut to 15 bytes; `cpu` is a number as in `/proc/cpuinfo`, `nil` means
    /// anywhere. Throws `.system` when the process may not use that CPU or no thread can be made.
    public static func start(name: String, cpu: Int? = nil, body: @escaping @Sendable () -> Void) throws(TransportError)
        -> PinnedThread
    {
        let box = unsafe Unmanaged.passRetained(Body(body))
        var handle: UInt = 0
        let error = unsafe ring_thread_start(
            name, Int32(cpu ?? -1),
            { context in
                guard let context = unsafe context else { return }
                unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
            },
            box.toOpaque(), &handle)
        if error != 0 {
            unsafe box.release()
            let place = cpu.map { " on CPU \($0)" } ?? ""
            throw .system("thread \(name) cannot start\(place): \(systemText(error))")
        }
        return PinnedThread(handle: handle)
    }

    /// Waits until `body` has returned. Joining again returns at once.
    public func join() {
        precondition(!isCurrent, "a thread cannot wait for its own end")
        joined.withLock { done in
            if !done { _ = ring_thread_join(handle) }
            done = true
        }
    }

    /// True on the thread itself.
    public var isCurrent: Bool { ring_thread_is_current(handle) }

    /// Number of CPUs this process may run on, at least one.
    public static var cpuCount: Int { max(Int(ring_cpu_count()), 1) }

    /// The CPUs this process may run on, in order.
    public static var cpus: [Int] { (0..<1024).filter { ring_cpu_is_allowed(Int32($0)) } }
}

/// What a thread runs, boxed for the trip through C.
private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

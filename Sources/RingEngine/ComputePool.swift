// The compute threads of a worker. One of them is the engine thread itself, which takes tasks one at a time and looks
// after the transport between two of them; that is how communication goes on under compute without a thread to spare.
import RingKernels
import RingTransport
import Synchronization

/// A fixed set of threads that share parallel loops. All methods but `init` are for the engine thread alone.
public final class ComputePool: Sendable {
    /// A loop's body: called once for each task index, with the index of the thread that runs it.
    public typealias Body = @Sendable (_ task: Int, _ thread: Int) -> Void

    private struct Loop: Sendable {
        var generation = 0
        var count = 0
        var body: Body?
        var idleHelpers = 0
        var stopping = false
    }

    /// Number of threads, the engine thread included.
    public let threads: Int
    private let loop = Mutex(Loop())
    private let gate = Gate()
    private let next = Atomic<Int>(0)
    private let helpers = Mutex<[PinnedThread]>([])

    /// Starts `threads` - 1 helpers, pinned to `cpus` in turn when given (the first CPU is the engine thread's own).
    /// `prepare` runs once on every thread, the caller's included.
    public init(threads: Int, cpus: [Int] = [], prepare: @escaping @Sendable () -> Void = {}) throws(TransportError) {
        precondition(threads >= 1 && threads <= EngineLimits.threads, "a pool has 1 to \(EngineLimits.threads) threads, got \(threads)")
        self.threads = threads
        var started: [PinnedThread] = []
        for index in 1..<max(threads, 1) {
            let cpu = cpus.isEmpty ? nil : cpus[index % cpus.count]
            let thread = try PinnedThread.start(name: "compute-\(index)", cpu: cpu) { [self] in
                prepare()
                serve(as: index)
            }
            started.append(thread)
        }
        prepare()
        let all = started
        helpers.withLock { $0 = all }
    }

    /// Runs `body` for every task of `0 ..< count` on all threads and returns when all are done.
    public func forEach(_ count: Int, _ body: @escaping Body) {
        start(count, body)
        while step() {}
        finish()
    }

    /// Opens a loop; helpers begin at once. Follow with `step` until it says false, then `finish`.
    public func start(_ count: Int, _ body: @escaping Body) {
        next.store(0, ordering: .relaxed)
        gate.update {
            loop.withLock {
                precondition($0.body == nil, "a loop is open already")
                $0.generation += 1
                $0.count = count
                $0.body = body
                $0.idleHelpers = 0
            }
        }
    }

    /// Runs one task on the calling thread; false when no task is left to take.
    public func step() -> Bool {
        let (count, body) = loop.withLock { ($0.count, $0.body) }
        guard let body else { preconditionFailure("step outside a loop") }
        let task = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard task < count else { return false }
        body(task, 0)
        return true
    }

    /// Tasks of the open loop that some thread has taken, or more once none is left.
    public var taken: Int { next.load(ordering: .relaxed) }

    /// Gives the loop's remaining tasks up; those that run already are waited for by `finish`.
    public func abandon() { next.store(Int.max / 2, ordering: .relaxed) }

    /// Waits for the helpers' last tasks and closes the loop.
    public func finish() {
        gate.wait { loop.withLock { $0.idleHelpers == threads - 1 } }
        loop.withLock { $0.body = nil }
    }

    /// Ends the helpers; the pool cannot be used afterwards.
    public func shutdown() {
        gate.update { loop.withLock { $0.stopping = true } }
        for thread in helpers.withLock({ $0 }) { thread.join() }
        helpers.withLock { $0 = [] }
    }

    private func serve(as index: Int) {
        var seen = 0
        while true {
            gate.wait { loop.withLock { $0.stopping || $0.generation != seen } }
            let current = loop.withLock { $0 }
            if current.stopping { return }
            seen = current.generation
            if let body = current.body {
                while true {
                    let task = next.wrappingAdd(1, ordering: .relaxed).oldValue
                    guard task < current.count else { break }
                    body(task, index)
                }
            }
            gate.update { loop.withLock { $0.idleHelpers += 1 } }
        }
    }
}

extension ComputePool {
    /// A pool without pinning whose threads are ready for linear layers; for rings inside one process.
    public static func make(threads: Int) throws(EngineError) -> ComputePool {
        do throws(TransportError) {
            return try ComputePool(threads: threads, prepare: Kernels.prepareThreadForLinear)
        } catch { throw .transport(error) }
    }
}

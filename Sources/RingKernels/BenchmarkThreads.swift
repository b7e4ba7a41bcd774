// Plain threads for measurements. The engine has its own pinned pool; this is not it.
import Glibc

/// Runs `body(index)` on `count` fresh threads and waits for all of them.
func runThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws(KernelError) {
    var threads: [pthread_t] = []
    var failure: Int32 = 0
    for index in 0..<count {
        var thread = pthread_t()
        let box = unsafe Unmanaged.passRetained(ThreadBody { body(index) })
        failure = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        if failure != 0 {
            unsafe box.release()
            break
        }
        threads.append(thread)
    }
    for thread in threads { pthread_join(thread, nil) }
    if failure != 0 { throw .threadFailed(errno: Int(failure)) }
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

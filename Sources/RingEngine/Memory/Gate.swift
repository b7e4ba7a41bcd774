// A mutex with a condition, because the compute pool must sleep between loops and the standard library's Mutex cannot
// wait. The pthread objects live at a fixed address for as long as the gate does.
import Glibc

/// A monitor: run a body under the lock, or sleep until a condition under the lock holds.
@safe
final class Gate: @unchecked Sendable {
    // Proof of Sendable: both pointers are set once in init, never change, and pthread objects are made for sharing.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    init() {
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe condition.initialize(to: pthread_cond_t())
        let made = unsafe pthread_mutex_init(mutex, nil) | pthread_cond_init(condition, nil)
        precondition(made == 0, "the system has no memory for a mutex")
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// Runs `body` under the lock, then wakes every waiter.
    func update(_ body: () -> Void) {
        unsafe pthread_mutex_lock(mutex)
        body()
        unsafe pthread_cond_broadcast(condition)
        unsafe pthread_mutex_unlock(mutex)
    }

    /// Sleeps until `condition` holds under the lock.
    func wait(until holds: () -> Bool) {
        unsafe pthread_mutex_lock(mutex)
        while !holds() { unsafe pthread_cond_wait(condition, mutex) }
        unsafe pthread_mutex_unlock(mutex)
    }
}

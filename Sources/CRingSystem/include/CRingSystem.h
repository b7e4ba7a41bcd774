// What Swift says badly: CRC32C instructions, thread creation with a name and a CPU, anonymous memory, epoll's packed
// structs, and socket calls whose arguments are unions. No tensor, no policy; every function returns errno values.
#ifndef CRINGSYSTEM_H
#define CRINGSYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring_numa.h"

// CRC32C (Castagnoli, reflected polynomial 0x82F63B78) of `count` bytes, continuing `crc`; begin with 0.
// ring_crc32c(ring_crc32c(0, a), b) equals the checksum of a followed by b.
uint32_t ring_crc32c(uint32_t crc, const void *_Nullable bytes, size_t count);
// The same by tables, whatever the processor; the twin against which the fast one is tested.
uint32_t ring_crc32c_portable(uint32_t crc, const void *_Nullable bytes, size_t count);
// The checksum of `count` bytes at `from`, which are copied to `to` in the same pass over memory; the two must not overlap.
// `streams` keeps the copy out of the caches: for more bytes than they hold, that nobody reads at once.
uint32_t ring_crc32c_copy(uint32_t crc, void *_Nullable to, const void *_Nullable from, size_t count, bool streams);
// The same without wide multiplications, as on a processor that has none; for tests.
uint32_t ring_crc32c_narrow(uint32_t crc, const void *_Nullable bytes, size_t count);
uint32_t ring_crc32c_narrow_copy(uint32_t crc, void *_Nullable to, const void *_Nullable from, size_t count, bool streams);
// True when ring_crc32c uses the processor's instruction.
bool ring_crc32c_is_accelerated(void);

// Starts a thread that calls body(context). `name` is cut to 15 bytes. `cpu` < 0 means anywhere. Returns 0 and the
// thread in *handle, or an errno value; when the CPU is not allowed nothing is started and the value is EINVAL.
int ring_thread_start(const char *_Nonnull name, int cpu, void (*_Nonnull body)(void *_Nullable), void *_Nullable context,
                      uintptr_t *_Nonnull handle);
// Waits for the end of the thread. Once for each handle.
int ring_thread_join(uintptr_t handle);
// Gives up the right to join.
int ring_thread_detach(uintptr_t handle);
// True when the calling thread is the one of `handle`.
bool ring_thread_is_current(uintptr_t handle);
// Number of CPUs the process may run on, and whether it may run on `cpu`.
int ring_cpu_count(void);
bool ring_cpu_is_allowed(int cpu);
// The CPU on which the caller runs just now, and its thread's name (at most 15 bytes and a zero).
int ring_cpu_current(void);
void ring_thread_current_name(char *_Nonnull name, size_t limit);

// Nanoseconds of CLOCK_MONOTONIC.
int64_t ring_clock_nanoseconds(void);

// Zeroed anonymous memory, not reserved in swap, aligned to 2 MiB when `huge` asks for transparent huge pages, else to
// a page. Returns NULL and an errno value in *error.
void *_Nullable ring_memory_map(size_t count, bool huge, int *_Nonnull error);
int ring_memory_unmap(void *_Nonnull base, size_t count);
// Gives the pages back; the memory reads as zero afterwards.
int ring_memory_discard(void *_Nonnull base, size_t count);
size_t ring_page_size(void);

// Memory of ours that other processes may be let read: a descriptor of `count` bytes, never shorter or longer, whose pages are
// taken when they are touched; or -errno. -ENOTSUP where the system keeps strict accounts of memory (vm.overcommit_memory 2):
// there a page that cannot be had is a SIGBUS, for whoever touches it.
int ring_shareable_create(size_t count);
// Maps its first `count` bytes, aligned to 2 MiB if there are that many, to write and with a wish for huge pages or only to read.
// NULL and an errno value in *error. ring_memory_unmap ends it.
void *_Nullable ring_shareable_map(int descriptor, size_t count, bool writes, int *_Nonnull error);
// A descriptor of the same memory by which nothing can be written; or -errno.
int ring_shareable_lend(int descriptor);
// 0 when a descriptor that somebody else made is such memory of at least `count` bytes: reading it cannot fail then. EPROTO or
// another errno value if not. Its length to *bytes.
int ring_shareable_check(int descriptor, size_t count, size_t *_Nonnull bytes);
// Gives pages back, for every process that maps them; they read as zero afterwards.
int ring_shareable_discard(void *_Nonnull base, size_t count);
// Puts the huge pages (2 MiB) that touch [base, base + count), all of which must be mapped, in the place of small ones where
// the system does not do so by itself. What they hold stays. 0 or an errno value: then they are small ones.
int ring_shareable_settle(void *_Nonnull base, size_t count);
// Whether the administrator lets programs have huge pages (transparent_hugepage/enabled): a request to settle would not ask.
bool ring_huge_pages_are_allowed(void);
// Bytes that malloc has given out and not got back, over all its arenas.
size_t ring_heap_bytes_in_use(void);

// eventfd as a doorbell: nonblocking, close-on-exec. Functions return a descriptor or -errno.
int ring_event_create(void);
void ring_event_signal(int descriptor);
void ring_event_drain(int descriptor);
// Sleeps until the descriptor is readable or the time is over. 1 readable, 0 time over, -errno.
int ring_event_wait(int descriptor, int64_t nanoseconds);

// One readiness report. `events` is a set of the bits below.
typedef struct {
    uint64_t key;
    uint32_t events;
} ring_poll_event;
static const uint32_t ring_poll_readable = 1;
static const uint32_t ring_poll_writable = 2;
static const uint32_t ring_poll_hangup = 4;

int ring_poll_create(void);
// Adds (or changes, when `change`) the interest in a descriptor; level-triggered.
int ring_poll_watch(int poll, int descriptor, uint64_t key, bool readable, bool writable, bool change);
int ring_poll_forget(int poll, int descriptor);
// Number of events written (at most `limit`, at most 64), 0 when the time is over, or -errno. `milliseconds` < 0: for ever.
int ring_poll_wait(int poll, ring_poll_event *_Nonnull events, int limit, int milliseconds);

// Sockets. Every descriptor is nonblocking and close-on-exec. Functions return a descriptor, 0, a count, or -errno.
int ring_socket_listen(const char *_Nonnull host, uint16_t port, int backlog, uint16_t *_Nonnull bound_port);
// A connection that was waiting, or -EAGAIN. The peer's numeric address goes to `address`.
int ring_socket_accept(int listener, char *_Nonnull address, size_t address_limit);
// Begins to connect; the descriptor turns writable when it is decided. -EHOSTUNREACH when the name has no address.
int ring_socket_dial(const char *_Nonnull host, uint16_t port);
// 0 or the errno value with which a connect failed.
int ring_socket_error(int descriptor);
// TCP_NODELAY, keepalive, user timeout, buffers as large as the system allows up to `buffer_bytes` (0: leave alone).
int ring_socket_tune(int descriptor, int buffer_bytes, int user_timeout_milliseconds);
int ring_socket_shutdown_write(int descriptor);
int ring_socket_close(int descriptor);

// A run of bytes; the layout of struct iovec.
typedef struct {
    void *_Nullable base;
    size_t count;
} ring_bytes;
// Bytes moved, 0 at the end of the stream (reads), or -errno; never raises SIGPIPE.
int64_t ring_socket_read(int descriptor, const ring_bytes *_Nonnull runs, int count);
int64_t ring_socket_write(int descriptor, const ring_bytes *_Nonnull runs, int count);

// Memory that two processes share. A descriptor of `count` bytes that nobody can make shorter or longer, its pages taken; or
// -errno (-EFBIG beyond the limit of file sizes).
int ring_shared_create(size_t count);
// 0 when a descriptor that somebody else made is such memory of exactly `count` bytes; EPROTO or another errno value if not.
int ring_shared_check(int descriptor, size_t count);
// Maps it for reading and writing; NULL and an errno value in *error. ring_memory_unmap ends it.
void *_Nullable ring_shared_map(int descriptor, size_t count, int *_Nonnull error);

// Unix sockets with abstract names, nonblocking, that keep messages apart: who shares our network namespace can call, whoever it
// is. A descriptor or -errno.
int ring_local_listen(const char *_Nonnull name);
int ring_local_dial(const char *_Nonnull name);
int ring_local_accept(int listener);
// Whether the other end belongs to the user that we are.
bool ring_local_is_same_user(int descriptor);
// Sends `count` bytes and a descriptor; takes exactly as many and one descriptor. 0 or an errno value: EPROTO when something
// else came, EMFILE when this process can have no more descriptors.
int ring_local_send(int descriptor, const void *_Nonnull bytes, size_t count, int passed);
int ring_local_receive(int descriptor, void *_Nonnull bytes, size_t count, int *_Nonnull passed);
// The next message, cut to `limit` bytes, and the descriptor that came with it, else -1. Bytes, 0 when the other end is closed,
// -EAGAIN when there is none, or -errno.
int64_t ring_local_take(int descriptor, void *_Nonnull bytes, size_t limit, int *_Nonnull passed);
// A connection as a bell: a message of one byte. What it says is that there is something to see elsewhere.
void ring_local_ring(int descriptor);
// What this host calls itself since it was started; false when it does not say. `limit` 40 is enough.
bool ring_host_identity(char *_Nonnull text, size_t limit);
// The effective user.
uint32_t ring_user(void);

// Words of shared memory. The other side may change them at any time, so each is read once and then judged.
static inline uint64_t ring_word_load(const uint64_t *_Nonnull word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void ring_word_store(uint64_t *_Nonnull word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
static inline uint64_t ring_word_exchange(uint64_t *_Nonnull word, uint64_t value) {
    return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);
}
static inline void ring_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
// Lets the other hardware thread, and the memory, breathe in a loop that waits.
static inline void ring_cpu_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Fills with bytes from the kernel's random source. 0 or an errno value.
int ring_random_fill(void *_Nonnull bytes, size_t count);
// Writes one line to stderr.
void ring_stderr_line(const char *_Nonnull line);

#endif

// Where threads run and where memory lies, by the system calls themselves: libnuma wraps the same ones, and would be one more
// library that must be there at run time. Sets are little-endian words of bits. Every function returns 0 or an errno value.
#ifndef RING_NUMA_H
#define RING_NUMA_H

#include <stddef.h>
#include <stdint.h>

// Lets every thread of this process, and those that they will start, run on these CPUs alone.
int ring_process_run_on(const uint64_t *_Nonnull cpus, size_t words);
// The caller and the threads that it will start take new pages from these nodes: alone when `strict`, else first. No nodes:
// from where they run, which is how the system begins. EPERM or ENOSYS where a container forbids it.
int ring_thread_take_memory(const uint64_t *_Nonnull nodes, size_t words, int strict);
// The nodes of the caller's policy, and 0 (none), 1 (first these) or 2 (alone these) in *strict.
int ring_thread_memory_nodes(uint64_t *_Nonnull nodes, size_t words, int *_Nonnull strict);
// The node of each of `count` pages, the first at `base`, each `stride` bytes behind the one before; -1 is a page that nobody has
// touched. Nothing is moved.
int ring_pages_locate(const void *_Nonnull base, size_t stride, size_t count, int32_t *_Nonnull nodes);
// The interface that has the address of `host`, a name or a number, cut to `limit` bytes; ENODEV if none has it.
int ring_interface_of(const char *_Nonnull host, char *_Nonnull name, size_t limit);

#endif

// Anonymous memory for KV blocks and receive buffers, and the kernel's random bytes.
#define _GNU_SOURCE
#include "CRingSystem.h"

#include <errno.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

size_t ring_page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

void *ring_memory_map(size_t count, bool huge, int *error) {
    const size_t unit = huge ? (size_t)2 << 20 : ring_page_size();
    // One unit more, so that an aligned stretch lies inside; what sticks out goes back at once.
    size_t total = count + unit;
    if (count == 0 || total < count) {
        *error = EINVAL;
        return NULL;
    }
    uint8_t *base = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        *error = errno;
        return NULL;
    }
    const size_t page = ring_page_size();
    size_t head = (unit - (uintptr_t)base % unit) % unit;
    size_t kept = (count + page - 1) / page * page;
    if (head > 0) munmap(base, head);
    if (total - head > kept) munmap(base + head + kept, total - head - kept);
#ifdef MADV_HUGEPAGE
    // A wish: without transparent huge pages the memory is merely slower.
    if (huge) (void)madvise(base + head, kept, MADV_HUGEPAGE);
#endif
    *error = 0;
    return base + head;
}

int ring_memory_unmap(void *base, size_t count) { return munmap(base, count) == 0 ? 0 : errno; }

int ring_memory_discard(void *base, size_t count) { return madvise(base, count, MADV_DONTNEED) == 0 ? 0 : errno; }

size_t ring_heap_bytes_in_use(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

int ring_random_fill(void *bytes, size_t count) {
    uint8_t *p = bytes;
    while (count > 0) {
        ssize_t got = getrandom(p, count, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        p += got;
        count -= (size_t)got;
    }
    return 0;
}

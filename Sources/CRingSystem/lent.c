// Memory of one process that others read: a memfd whose size is sealed, and whose readers get a descriptor that cannot write.
//
// Reading it cannot raise SIGBUS, whatever its owner does: it cannot be cut (the seal), a hole is filled with zeros by whoever reads
// it, and that fails only where the system keeps strict accounts, which is refused on both sides, or in memory of reserved huge
// pages, which is refused by the reader.
#define _GNU_SOURCE
#include "CRingSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
static const size_t huge = (size_t)2 << 20;

// From linux/magic.h and linux/mman.h, which not every libc has in these versions.
enum { tmpfs_magic = 0x01021994, populate_write = 23, collapse = 25 };

static bool counts_strictly(void) {
    char mode = '2';
    int descriptor = open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return true;
    ssize_t got = read(descriptor, &mode, 1);
    close(descriptor);
    return got != 1 || mode == '2';
}

int ring_shareable_create(size_t count) {
    struct rlimit limit;
    // Beyond this limit ftruncate would not only fail but raise SIGXFSZ.
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < count) return -EFBIG;
    if (counts_strictly()) return -ENOTSUP;
    int descriptor = memfd_create("ringmaster-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0) return -errno;
    int error = ftruncate(descriptor, (off_t)count) == 0 ? 0 : errno;
    if (error == 0 && fcntl(descriptor, F_ADD_SEALS, seals) != 0) error = errno;
    if (error == 0) return descriptor;
    close(descriptor);
    return -error;
}

int ring_shareable_lend(int descriptor) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    int lent = open(path, O_RDONLY | O_CLOEXEC);
    return lent >= 0 ? lent : -errno;
}

int ring_shareable_check(int descriptor, size_t count, size_t *bytes) {
    struct stat facts;
    struct statfs kind;
    if (fstat(descriptor, &facts) != 0 || fstatfs(descriptor, &kind) != 0) return errno;
    int found = fcntl(descriptor, F_GET_SEALS);
    if (found < 0) return errno;
    *bytes = (size_t)facts.st_size;
    if ((found & seals) != seals || facts.st_size < 0 || (size_t)facts.st_size < count || kind.f_type != tmpfs_magic) return EPROTO;
    return counts_strictly() ? ENOTSUP : 0;
}

void *ring_shareable_map(int descriptor, size_t count, bool writes, int *error) {
    const size_t unit = count >= huge ? huge : ring_page_size();
    const size_t page = ring_page_size(), kept = (count + page - 1) / page * page;
    if (count == 0 || count > SIZE_MAX / 2) {
        *error = EINVAL;
        return NULL;
    }
    // One unit more, so that an aligned stretch lies inside; what sticks out goes back at once.
    uint8_t *base = mmap(NULL, kept + unit, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        *error = errno;
        return NULL;
    }
    size_t head = (unit - (uintptr_t)base % unit) % unit;
    if (head > 0) munmap(base, head);
    if (unit > head) munmap(base + head + kept, unit - head);
    base += head;
    if (mmap(base, kept, PROT_READ | (writes ? PROT_WRITE : 0), MAP_SHARED | MAP_FIXED, descriptor, 0) == MAP_FAILED) {
        *error = errno;
        munmap(base, kept);
        return NULL;
    }
    // A wish: whether the system grants it says transparent_hugepage/shmem_enabled.
    if (writes && unit == huge) (void)madvise(base, kept, MADV_HUGEPAGE);
    *error = 0;
    return base;
}

int ring_shareable_discard(void *base, size_t count) { return madvise(base, count, MADV_REMOVE) == 0 ? 0 : errno; }

int ring_shareable_settle(void *base, size_t count) {
    uint8_t *at = (uint8_t *)((uintptr_t)base & ~(huge - 1)), *end = (uint8_t *)base + count;
    for (; at < end; at += huge) {
        // One small page first, as if it had been written: it says on which node the huge one belongs, and without any there is nothing
        // to replace. What it holds stays, and others may write meanwhile.
        if (madvise(at, ring_page_size(), populate_write) != 0) return errno;
        int tries = 3;
        while (madvise(at, huge, collapse) != 0) {
            if (errno != EAGAIN || --tries == 0) return errno;
        }
    }
    return 0;
}

bool ring_huge_pages_are_allowed(void) {
    char text[64] = {0};
    int descriptor = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return false;
    ssize_t got = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    return got > 0 && strstr(text, "[never]") == NULL;
}

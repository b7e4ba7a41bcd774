// Memory that two processes share: sealed memfds, the Unix socket that hands them over, and who sits at its other end. What one
// side lends the other to read is in lent.c.
#define _GNU_SOURCE
#include "CRingSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

int ring_shared_create(size_t count) {
    // Beyond this limit ftruncate would not only fail but raise SIGXFSZ.
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < count) return -EFBIG;
    int descriptor = memfd_create("ringmaster-lane", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0) return -errno;
    int error = ftruncate(descriptor, (off_t)count) == 0 ? 0 : errno;
    // The pages are taken now: later their lack would be a SIGBUS.
    if (error == 0) error = posix_fallocate(descriptor, 0, (off_t)count);
    if (error == 0 && fcntl(descriptor, F_ADD_SEALS, seals) != 0) error = errno;
    if (error == 0) return descriptor;
    close(descriptor);
    return -error;
}

int ring_shared_check(int descriptor, size_t count) {
    struct stat facts;
    if (fstat(descriptor, &facts) != 0) return errno;
    // Without these seals its other owner could shorten it under our hands.
    int found = fcntl(descriptor, F_GET_SEALS);
    if (found < 0) return errno;
    if ((found & seals) != seals || facts.st_size != (off_t)count) return EPROTO;
    // Taken pages stay taken, unless holes are punched: then they come back as zeros, or not at all when memory is short.
    return facts.st_blocks * 512 >= (off_t)count ? 0 : EPROTO;
}

void *ring_shared_map(int descriptor, size_t count, int *error) {
    void *base = mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    *error = base == MAP_FAILED ? errno : 0;
    return base == MAP_FAILED ? NULL : base;
}

// An abstract address: a zero, then the name; it ends with the socket and lies in no folder.
static socklen_t abstract_address(const char *name, struct sockaddr_un *address) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    size_t count = strnlen(name, sizeof address->sun_path - 1);
    memcpy(address->sun_path + 1, name, count);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + count);
}

int ring_local_listen(const char *name) {
    struct sockaddr_un address;
    const socklen_t size = abstract_address(name, &address);
    int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    if (bind(descriptor, (struct sockaddr *)&address, size) == 0 && listen(descriptor, 8) == 0) return descriptor;
    const int error = errno;
    close(descriptor);
    return -error;
}

int ring_local_dial(const char *name) {
    struct sockaddr_un address;
    const socklen_t size = abstract_address(name, &address);
    int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    if (connect(descriptor, (struct sockaddr *)&address, size) == 0) return descriptor;
    const int error = errno;
    close(descriptor);
    return -error;
}

int ring_local_accept(int listener) {
    int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return descriptor >= 0 ? descriptor : -errno;
}

bool ring_local_is_same_user(int descriptor) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

int ring_local_send(int descriptor, const void *bytes, size_t count, int passed) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec run = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &run, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof passed);
    memcpy(CMSG_DATA(header), &passed, sizeof passed);
    ssize_t sent = sendmsg(descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return errno;
    return (size_t)sent == count ? 0 : EIO;
}

int64_t ring_local_take(int descriptor, void *bytes, size_t limit, int *passed) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec run = {.iov_base = bytes, .iov_len = limit};
    struct msghdr message = {.msg_iov = &run, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *passed = -1;
    ssize_t got;
    do got = recvmsg(descriptor, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0) return -errno;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const size_t descriptors = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t place = 0; place < descriptors; place++) {
            int one;
            memcpy(&one, CMSG_DATA(header) + place * sizeof one, sizeof one);
            // More than one were never asked for.
            if (*passed < 0) *passed = one;
            else close(one);
        }
    }
    // A descriptor that was sent and did not come: this process may have no more of them.
    if (*passed < 0 && (message.msg_flags & MSG_CTRUNC)) return -EMFILE;
    return got;
}

int ring_local_receive(int descriptor, void *bytes, size_t count, int *passed) {
    const int64_t got = ring_local_take(descriptor, bytes, count, passed);
    if (got < 0) return (int)-got;
    if (*passed < 0) return EPROTO;
    if ((size_t)got == count) return 0;
    close(*passed);
    *passed = -1;
    return EPROTO;
}

void ring_local_ring(int descriptor) {
    const char one = 1;
    // A full socket is a bell that rings already, a closed one is found out by reading.
    (void)send(descriptor, &one, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool ring_host_identity(char *text, size_t limit) {
    int descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return false;
    ssize_t got = read(descriptor, text, limit - 1);
    close(descriptor);
    if (got <= 0) return false;
    text[got] = 0;
    return true;
}

uint32_t ring_user(void) { return (uint32_t)geteuid(); }

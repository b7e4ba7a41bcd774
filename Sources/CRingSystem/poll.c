// Readiness: an eventfd as doorbell, epoll without its packed union, and a line on stderr.
#define _GNU_SOURCE
#include "CRingSystem.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

int ring_event_create(void) {
    int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return descriptor >= 0 ? descriptor : -errno;
}

void ring_event_signal(int descriptor) {
    const uint64_t one = 1;
    // A full counter is a bell that rings already.
    while (write(descriptor, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void ring_event_drain(int descriptor) {
    uint64_t count;
    while (read(descriptor, &count, sizeof count) < 0 && errno == EINTR) {
    }
}

int ring_event_wait(int descriptor, int64_t nanoseconds) {
    struct pollfd entry = {.fd = descriptor, .events = POLLIN};
    if (nanoseconds < 0) nanoseconds = 0;
    struct timespec limit = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    int count = ppoll(&entry, 1, &limit, NULL);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    return count;
}

int ring_poll_create(void) {
    int descriptor = epoll_create1(EPOLL_CLOEXEC);
    return descriptor >= 0 ? descriptor : -errno;
}

int ring_poll_watch(int poll, int descriptor, uint64_t key, bool readable, bool writable, bool change) {
    struct epoll_event event = {.events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0), .data = {.u64 = key}};
    return epoll_ctl(poll, change ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, descriptor, &event) == 0 ? 0 : -errno;
}

int ring_poll_forget(int poll, int descriptor) {
    return epoll_ctl(poll, EPOLL_CTL_DEL, descriptor, NULL) == 0 ? 0 : -errno;
}

int ring_poll_wait(int poll, ring_poll_event *events, int limit, int milliseconds) {
    struct epoll_event raw[64];
    if (limit > 64) limit = 64;
    int count = epoll_wait(poll, raw, limit, milliseconds);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int place = 0; place < count; place++) {
        events[place].key = raw[place].data.u64;
        events[place].events = ((raw[place].events & EPOLLIN) ? ring_poll_readable : 0) |
                               ((raw[place].events & EPOLLOUT) ? ring_poll_writable : 0) |
                               ((raw[place].events & (EPOLLHUP | EPOLLERR)) ? ring_poll_hangup : 0);
    }
    return count;
}

void ring_stderr_line(const char *line) {
    struct iovec runs[2] = {{.iov_base = (void *)line, .iov_len = strlen(line)}, {.iov_base = "\n", .iov_len = 1}};
    // One call, so that lines of several processes do not mix; a closed stderr is nobody's problem.
    if (writev(STDERR_FILENO, runs, 2) < 0) return;
}

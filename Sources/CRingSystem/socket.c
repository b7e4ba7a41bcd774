// TCP sockets, nonblocking from birth. Addresses are resolved here because sockaddr unions and getaddrinfo's lists read
// badly in Swift.
#define _GNU_SOURCE
#include "CRingSystem.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(ring_bytes) == sizeof(struct iovec), "ring_bytes is struct iovec");
_Static_assert(offsetof(ring_bytes, count) == offsetof(struct iovec, iov_len), "ring_bytes is struct iovec");

static int resolve(const char *host, uint16_t port, bool passive, struct addrinfo **list) {
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0);
    return getaddrinfo(host, service, &hints, list) == 0 && *list != NULL ? 0 : -EHOSTUNREACH;
}

static uint16_t port_of(int descriptor) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(descriptor, (struct sockaddr *)&address, &size) != 0) return 0;
    if (address.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

int ring_socket_listen(const char *host, uint16_t port, int backlog, uint16_t *bound_port) {
    struct addrinfo *list = NULL;
    int error = resolve(host, port, true, &list);
    if (error != 0) return error;
    int descriptor = socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    error = descriptor < 0 ? -errno : 0;
    const int yes = 1;
    if (error == 0 && setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0) error = -errno;
    if (error == 0 && bind(descriptor, list->ai_addr, list->ai_addrlen) != 0) error = -errno;
    if (error == 0 && listen(descriptor, backlog) != 0) error = -errno;
    freeaddrinfo(list);
    if (error != 0) {
        if (descriptor >= 0) close(descriptor);
        return error;
    }
    *bound_port = port_of(descriptor);
    return descriptor;
}

int ring_socket_accept(int listener, char *address, size_t address_limit) {
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    int descriptor = accept4(listener, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) {
        // Errors of a connection that died while it waited are not errors of the listener: accept(2), "Error handling".
        switch (errno) {
        case EINTR: case ECONNABORTED: case EPROTO: case EPERM: case ENETDOWN: case ENOPROTOOPT: case EHOSTDOWN:
        case ENONET: case EHOSTUNREACH: case EOPNOTSUPP: case ENETUNREACH: return -EAGAIN;
        default: return -errno;
        }
    }
    char host[64], service[8];
    if (getnameinfo((struct sockaddr *)&peer, size, host, sizeof host, service, sizeof service,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        snprintf(address, address_limit, "%s port %s", host, service);
    else
        snprintf(address, address_limit, "an unknown address");
    return descriptor;
}

int ring_socket_dial(const char *host, uint16_t port) {
    struct addrinfo *list = NULL;
    int error = resolve(host, port, false, &list);
    if (error != 0) return error;
    int descriptor = socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    error = descriptor < 0 ? -errno : 0;
    if (error == 0 && connect(descriptor, list->ai_addr, list->ai_addrlen) != 0 && errno != EINPROGRESS) error = -errno;
    freeaddrinfo(list);
    if (error != 0) {
        if (descriptor >= 0) close(descriptor);
        return error;
    }
    return descriptor;
}

int ring_socket_error(int descriptor) {
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

static long buffer_limit(const char *path) {
    FILE *file = fopen(path, "re");
    long limit = 0;
    if (file == NULL) return 0;
    if (fscanf(file, "%ld", &limit) != 1) limit = 0;
    fclose(file);
    return limit;
}

int ring_socket_tune(int descriptor, int buffer_bytes, int user_timeout_milliseconds) {
    const int yes = 1, idle = 5, interval = 2, probes = 3;
    if (setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0) return -errno;
    // The rest are wishes: the transport has its own heartbeat and its own deadlines.
    (void)setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    if (user_timeout_milliseconds > 0) {
        const unsigned limit = (unsigned)user_timeout_milliseconds;
        (void)setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
    }
    // A fixed size switches the kernel's own tuning off, so it is only worth having when the system grants all of it.
    if (buffer_bytes > 0 && buffer_limit("/proc/sys/net/core/wmem_max") >= buffer_bytes)
        (void)setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
    if (buffer_bytes > 0 && buffer_limit("/proc/sys/net/core/rmem_max") >= buffer_bytes)
        (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
    return 0;
}

int ring_socket_shutdown_write(int descriptor) { return shutdown(descriptor, SHUT_WR) == 0 ? 0 : -errno; }

int ring_socket_close(int descriptor) { return close(descriptor) == 0 ? 0 : -errno; }

int64_t ring_socket_read(int descriptor, const ring_bytes *runs, int count) {
    for (;;) {
        ssize_t moved = readv(descriptor, (const struct iovec *)runs, count);
        if (moved >= 0) return moved;
        if (errno != EINTR) return -(int64_t)errno;
    }
}

int64_t ring_socket_write(int descriptor, const ring_bytes *runs, int count) {
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)runs, .msg_iovlen = (size_t)count};
    for (;;) {
        ssize_t moved = sendmsg(descriptor, &message, MSG_NOSIGNAL);
        if (moved >= 0) return moved;
        if (errno != EINTR) return -(int64_t)errno;
    }
}

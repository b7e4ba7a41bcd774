// Which network interface carries an address.
#define _GNU_SOURCE
#include "ring_numa.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static bool is_same(const struct sockaddr *one, const struct sockaddr *other) {
    if (one->sa_family != other->sa_family) return false;
    if (one->sa_family == AF_INET)
        return ((const struct sockaddr_in *)one)->sin_addr.s_addr == ((const struct sockaddr_in *)other)->sin_addr.s_addr;
    return one->sa_family == AF_INET6 && memcmp(&((const struct sockaddr_in6 *)one)->sin6_addr,
                                                &((const struct sockaddr_in6 *)other)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

int ring_interface_of(const char *host, char *name, size_t limit) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *wanted = NULL;
    struct ifaddrs *interfaces = NULL;
    if (getaddrinfo(host, NULL, &hints, &wanted) != 0) return EHOSTUNREACH;
    int error = getifaddrs(&interfaces) == 0 ? ENODEV : errno;
    for (struct ifaddrs *one = interfaces; one != NULL && error == ENODEV; one = one->ifa_next) {
        for (struct addrinfo *address = wanted; address != NULL && one->ifa_addr != NULL; address = address->ai_next) {
            if (!is_same(one->ifa_addr, address->ai_addr)) continue;
            snprintf(name, limit, "%s", one->ifa_name);
            error = 0;
            break;
        }
    }
    if (interfaces != NULL) freeifaddrs(interfaces);
    freeaddrinfo(wanted);
    return error;
}

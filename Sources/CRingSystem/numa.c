// NUMA by system calls: affinity of a whole process, memory policy, and where pages lie.
#define _GNU_SOURCE
#include "ring_numa.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// From linux/mempolicy.h, which not every libc ships.
enum { policy_default = 0, policy_preferred = 1, policy_bind = 2, policy_preferred_many = 5 };

enum { pages_at_once = 1024, set_words = 128 };

static int set_affinity_of_all(const uint64_t *cpus, size_t bytes, int *missed) {
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL) return sched_setaffinity(0, bytes, (const cpu_set_t *)cpus) == 0 ? 0 : errno;
    int error = 0;
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        pid_t thread = (pid_t)atoi(task->d_name);
        if (thread <= 0) continue;
        // A thread that has ended meanwhile needs none.
        if (sched_setaffinity(thread, bytes, (const cpu_set_t *)cpus) != 0 && errno != ESRCH) error = errno;
        *missed += 1;
    }
    closedir(tasks);
    return error;
}

int ring_process_run_on(const uint64_t *cpus, size_t words) {
    // Threads may start threads while the folder is read; the second look finds those that began before their parents were bound.
    int before = 0, after = 0;
    int error = set_affinity_of_all(cpus, words * sizeof *cpus, &before);
    return error != 0 ? error : set_affinity_of_all(cpus, words * sizeof *cpus, &after);
}

static int count_of(const uint64_t *nodes, size_t words) {
    int count = 0;
    for (size_t word = 0; word < words; word++) count += __builtin_popcountll(nodes[word]);
    return count;
}

int ring_thread_take_memory(const uint64_t *nodes, size_t words, int strict) {
    // The kernel counts one bit less than it is told.
    const unsigned long bits = words * 64 + 1;
    const int count = count_of(nodes, words);
    if (count == 0) return syscall(SYS_set_mempolicy, policy_default, NULL, 0UL) == 0 ? 0 : errno;
    const int policy = strict ? policy_bind : count == 1 ? policy_preferred : policy_preferred_many;
    if (syscall(SYS_set_mempolicy, policy, nodes, bits) == 0) return 0;
    // Before Linux 5.15 there was no preference for several nodes; pages then lie where they are first touched, by threads that run
    // on these nodes alone.
    if (policy == policy_preferred_many && errno == EINVAL) return syscall(SYS_set_mempolicy, policy_default, NULL, 0UL) == 0 ? 0 : errno;
    return errno;
}

int ring_thread_memory_nodes(uint64_t *nodes, size_t words, int *strict) {
    int policy = 0;
    memset(nodes, 0, words * sizeof *nodes);
    // The kernel refuses fewer bits than it may have nodes.
    uint64_t all[set_words] = {0};
    if (syscall(SYS_get_mempolicy, &policy, all, sizeof all * 8UL, NULL, 0UL) != 0) return errno;
    memcpy(nodes, all, (words < set_words ? words : set_words) * sizeof *nodes);
    *strict = policy == policy_bind ? 2 : policy == policy_preferred || policy == policy_preferred_many ? 1 : 0;
    return 0;
}

int ring_pages_locate(const void *base, size_t stride, size_t count, int32_t *nodes) {
    const void *pages[pages_at_once];
    int status[pages_at_once];
    for (size_t done = 0; done < count;) {
        size_t now = count - done < pages_at_once ? count - done : pages_at_once;
        for (size_t page = 0; page < now; page++) pages[page] = (const char *)base + (done + page) * stride;
        if (syscall(SYS_move_pages, 0, (unsigned long)now, pages, NULL, status, 0) != 0) return errno;
        // The zero page, and what is not there, have no node.
        for (size_t page = 0; page < now; page++) nodes[done + page] = status[page] < 0 ? -1 : status[page];
        done += now;
    }
    return 0;
}

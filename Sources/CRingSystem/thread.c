// Threads with a name and a CPU, and the clock they read.
#define _GNU_SOURCE
#include "CRingSystem.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    void (*body)(void *);
    void *context;
    char name[16];
} start_note;

static void *run(void *argument) {
    start_note note = *(start_note *)argument;
    free(argument);
    pthread_setname_np(pthread_self(), note.name);
    note.body(note.context);
    return NULL;
}

// The process's own set, which is the main thread's: the caller may be pinned, and what it starts must not inherit that.
static bool allowed_set(cpu_set_t *set) { return sched_getaffinity(getpid(), sizeof *set, set) == 0; }

int ring_cpu_count(void) {
    cpu_set_t set;
    return allowed_set(&set) ? CPU_COUNT(&set) : 1;
}

bool ring_cpu_is_allowed(int cpu) {
    cpu_set_t set;
    return cpu >= 0 && cpu < CPU_SETSIZE && allowed_set(&set) && CPU_ISSET(cpu, &set);
}

int ring_cpu_current(void) { return sched_getcpu(); }

void ring_thread_current_name(char *name, size_t limit) {
    if (pthread_getname_np(pthread_self(), name, limit) != 0 && limit > 0) name[0] = 0;
}

int ring_thread_start(const char *name, int cpu, void (*body)(void *), void *context, uintptr_t *handle) {
    if (cpu >= 0 && !ring_cpu_is_allowed(cpu)) return EINVAL;
    start_note *note = malloc(sizeof *note);
    if (note == NULL) return ENOMEM;
    note->body = body;
    note->context = context;
    strncpy(note->name, name, sizeof note->name - 1);
    note->name[sizeof note->name - 1] = 0;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    cpu_set_t set;
    const bool known = allowed_set(&set);
    if (cpu >= 0) {
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
    }
    if (cpu >= 0 || known) pthread_attr_setaffinity_np(&attributes, sizeof set, &set);
    // Signals belong to the process's own shell: a compute thread must not be the one that is interrupted. Those that a
    // thread brings upon itself stay, so that a crash is still reported.
    const int own[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS, SIGPROF};
    sigset_t others, before;
    sigfillset(&others);
    for (size_t place = 0; place < sizeof own / sizeof own[0]; place++) sigdelset(&others, own[place]);
    pthread_sigmask(SIG_SETMASK, &others, &before);
    pthread_t thread;
    int error = pthread_create(&thread, &attributes, run, note);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        free(note);
        return error;
    }
    *handle = (uintptr_t)thread;
    return 0;
}

int ring_thread_join(uintptr_t handle) { return pthread_join((pthread_t)handle, NULL); }

int ring_thread_detach(uintptr_t handle) { return pthread_detach((pthread_t)handle); }

bool ring_thread_is_current(uintptr_t handle) { return pthread_equal(pthread_self(), (pthread_t)handle) != 0; }

int64_t ring_clock_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

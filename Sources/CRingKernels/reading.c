// The plain read loop: what a stream of loads gets from memory, the roofline of decoding. Eight independent sums over
// consecutive vectors, as STREAM's kernels are compiled; no hint to the caches, no order but the obvious one.
#include "internal.h"

static inline __attribute__((always_inline)) uint64_t sum_words(const uint8_t *bytes, int64_t count) {
    typedef uint64_t vector __attribute__((vector_size(64), aligned(1)));
    uint64_t sum = 0;
    vector sums[8] = {0};
    int64_t at = 0;
    for (; at + (int64_t)sizeof sums <= count; at += sizeof sums)
        for (int lane = 0; lane < 8; lane++) sums[lane] += ((const vector *)(bytes + at))[lane];
    for (int lane = 0; lane < 8; lane++)
        for (int word = 0; word < 8; word++) sum += sums[lane][word];
    for (; at < count; at++) sum += bytes[at];
    return sum;
}

static uint64_t sum_anywhere(const uint8_t *bytes, int64_t count) { return sum_words(bytes, count); }

#if defined(__x86_64__)
static __attribute__((target("avx2"))) uint64_t sum_avx2(const uint8_t *bytes, int64_t count) { return sum_words(bytes, count); }
static __attribute__((target("avx512f"))) uint64_t sum_avx512(const uint8_t *bytes, int64_t count) {
    return sum_words(bytes, count);
}
#endif

uint64_t ring_read_bytes(const void *bytes, int64_t count) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return sum_avx512(bytes, count);
    if (__builtin_cpu_supports("avx2")) return sum_avx2(bytes, count);
#endif
    return sum_anywhere(bytes, count);
}

// What one core can do at most: multiply-adds in registers, with enough independent accumulators to hide their latency.
// Benchmarks run these in the same minute as the kernel, because clocks and neighbours change.
#include "internal.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Plain C at the architecture's base: 8 vectors of 4 lanes, a multiplication and an addition each.
double ring_peak_f32_scalar(int64_t rounds) {
    typedef float lanes __attribute__((vector_size(16)));
    volatile float seed = 0.5f;
    const float one = seed;
    const lanes a = {one, one, one, one};
    lanes sums[8] = {a, a, a, a, a, a, a, a};
    for (int64_t round = 0; round < rounds; round++) {
        for (int i = 0; i < 8; i++) sums[i] = sums[i] * a + a;
        __asm__ volatile("" : "+x"(sums[0]), "+x"(sums[1]), "+x"(sums[2]), "+x"(sums[3]), "+x"(sums[4]), "+x"(sums[5]),
                             "+x"(sums[6]), "+x"(sums[7]));
    }
    volatile float sink = 0;
    for (int i = 0; i < 8; i++) sink += sums[i][0];
    return (double)rounds * 8 * 4 * 2;
}

#if defined(__x86_64__)

#define RING_REPEAT_12(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define RING_REPEAT_24(X)                                                                                              \
    RING_REPEAT_12(X) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23)

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
double ring_peak_f32_avx2(int64_t rounds) {
    volatile float seed = 0.5f;
    const __m256 a = _mm256_set1_ps(seed);
    __m256 sums[12];
    for (int i = 0; i < 12; i++) sums[i] = a;
    for (int64_t round = 0; round < rounds; round++) {
#define RING_STEP(i) __asm__ volatile("vfmadd231ps %1, %1, %0" : "+x"(sums[i]) : "x"(a));
        RING_REPEAT_12(RING_STEP)
#undef RING_STEP
    }
    volatile float sink = 0;
    for (int i = 0; i < 12; i++) sink += _mm256_cvtss_f32(sums[i]);
    return (double)rounds * 12 * 8 * 2;
}
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx512f,avx512bf16"))), apply_to = function)
double ring_peak_f32_avx512(int64_t rounds) {
    volatile float seed = 0.5f;
    const __m512 a = _mm512_set1_ps(seed);
    __m512 sums[24];
    for (int i = 0; i < 24; i++) sums[i] = a;
    for (int64_t round = 0; round < rounds; round++) {
#define RING_STEP(i) __asm__ volatile("vfmadd231ps %1, %1, %0" : "+v"(sums[i]) : "v"(a));
        RING_REPEAT_24(RING_STEP)
#undef RING_STEP
    }
    volatile float sink = 0;
    for (int i = 0; i < 24; i++) sink += _mm512_cvtss_f32(sums[i]);
    return (double)rounds * 24 * 16 * 2;
}

double ring_peak_bf16_avx512bf16(int64_t rounds) {
    volatile int seed = 0x3f003f00; // a pair of 0.5
    const __m512i a = _mm512_set1_epi32(seed);
    __m512 sums[24];
    for (int i = 0; i < 24; i++) sums[i] = _mm512_setzero_ps();
    for (int64_t round = 0; round < rounds; round++) {
#define RING_STEP(i) __asm__ volatile("vdpbf16ps %1, %1, %0" : "+v"(sums[i]) : "v"(a));
        RING_REPEAT_24(RING_STEP)
#undef RING_STEP
    }
    volatile float sink = 0;
    for (int i = 0; i < 24; i++) sink += _mm512_cvtss_f32(sums[i]);
    return (double)rounds * 24 * 32 * 2;
}
#pragma clang attribute pop
#endif

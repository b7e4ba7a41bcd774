// CRC32C by carry-less multiplication of 512 bits at a time, for processors that have it: 64 bytes take two multiplications, where the
// checksum instruction takes eight. Four runs of 64 bytes are kept as polynomials and moved forward past 256 bytes a turn, so that no
// multiplication waits for the one before; what is left of them at the end is 16 bytes, which the checksum instruction takes as if they had
// stood in the message. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009.
// A copy goes by the same registers: what is stored is what was checksummed, whoever changes the source meanwhile.
#include "CRingSystem.h"

#include "crc32c_wide.h"

#if defined(__x86_64__)
#include <immintrin.h>

bool ring_crc32c_wide_is_here(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("vpclmulqdq") &&
           __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.2");
}

#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,vpclmulqdq,pclmul,sse4.2"))), apply_to = function)

// A pair of factors moves 128 bits past `bits`: x^(bits + 31) mod P for the earlier half and x^(bits - 33) mod P for the later, reflected
// (multiplying two reflected values yields one factor x, and the upper 32 bits of a 64-bit half another x^32).
#define FACTORS(earlier, later) _mm512_broadcast_i32x4(_mm_set_epi64x(later, earlier))

static inline __m512i moved(__m512i value, __m512i factors, __m512i next) {
    __m512i earlier = _mm512_clmulepi64_epi128(value, factors, 0x00), later = _mm512_clmulepi64_epi128(value, factors, 0x11);
    return _mm512_ternarylogic_epi64(earlier, later, next, 0x96);
}

static inline __m128i moved16(__m128i value, __m128i factors, __m128i next) {
    __m128i earlier = _mm_clmulepi64_si128(value, factors, 0x00), later = _mm_clmulepi64_si128(value, factors, 0x11);
    return _mm_ternarylogic_epi64(earlier, later, next, 0x96);
}

// How far ahead of the reading memory is asked for. The processor's own prefetching ends at each page of 4 KiB and keeps fewer lines under
// way than one core can have; this was worth a third of the speed over memory that is in no cache (Docs/PERFORMANCE.md).
enum { ahead = 8192 };

enum copying { not_at_all, by_the_caches, past_the_caches };

static inline void put(uint8_t *to, __m512i value, const enum copying how) {
    if (how == by_the_caches) _mm512_storeu_si512(to, value);
    if (how == past_the_caches) _mm512_stream_si512((__m512i *)(void *)to, value);
}

static inline __m512i taken(uint8_t *to, const uint8_t *p, const enum copying how) {
    const __m512i value = _mm512_loadu_si512(p);
    put(to, value, how);
    return value;
}

static inline uint32_t walk(uint32_t state, uint8_t *to, const uint8_t *p, size_t count, const enum copying how) {
    const __m512i by2048 = FACTORS(0xdcb17aa4, 0xb9e02b86), by512 = FACTORS(0x740eef02, 0x9e4addf8);
    const __m128i by128 = _mm_set_epi64x(0x493c7d27, 0xf20c0dfe);
    __m512i a = _mm512_xor_si512(taken(to, p, how), _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)state)));
    __m512i b = taken(to + 64, p + 64, how), c = taken(to + 128, p + 128, how), d = taken(to + 192, p + 192, how);
    for (size_t at = 256; at < count; at += 256) {
        const size_t next = at + ahead < count ? at + ahead : at;
        for (size_t line = 0; line < 256; line += 64) _mm_prefetch((const char *)(p + next + line), _MM_HINT_T1);
        a = moved(a, by2048, taken(to + at, p + at, how));
        b = moved(b, by2048, taken(to + at + 64, p + at + 64, how));
        c = moved(c, by2048, taken(to + at + 128, p + at + 128, how));
        d = moved(d, by2048, taken(to + at + 192, p + at + 192, how));
    }
    if (how == past_the_caches) _mm_sfence();
    a = moved(a, by512, b);
    a = moved(a, by512, c);
    a = moved(a, by512, d);
    __m128i rest = moved16(_mm512_castsi512_si128(a), by128, _mm512_extracti32x4_epi32(a, 1));
    rest = moved16(rest, by128, _mm512_extracti32x4_epi32(a, 2));
    rest = moved16(rest, by128, _mm512_extracti32x4_epi32(a, 3));
    uint64_t sum = _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(rest));
    return (uint32_t)_mm_crc32_u64(sum, (uint64_t)_mm_extract_epi64(rest, 1));
}

uint32_t ring_crc32c_wide(uint32_t state, const uint8_t *p, size_t count) {
    return walk(state, (uint8_t *)(uintptr_t)p, p, count, not_at_all);
}

uint32_t ring_crc32c_wide_copy(uint32_t state, uint8_t *to, const uint8_t *p, size_t count, bool streams) {
    return streams ? walk(state, to, p, count, past_the_caches) : walk(state, to, p, count, by_the_caches);
}

#pragma clang attribute pop
#else
bool ring_crc32c_wide_is_here(void) { return false; }
uint32_t ring_crc32c_wide(uint32_t state, const uint8_t *p, size_t count) {
    (void)p, (void)count;
    return state;
}
uint32_t ring_crc32c_wide_copy(uint32_t state, uint8_t *to, const uint8_t *p, size_t count, bool streams) {
    (void)to, (void)p, (void)count, (void)streams;
    return state;
}
#endif

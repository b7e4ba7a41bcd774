// CRC32C by carry-less multiplication of 512 bits at a time, for processors that have it: 64 bytes take two multiplications, where the
// checksum instruction takes eight. Four runs of 64 bytes are kept as polynomials and moved forward past 256 bytes a turn, so that no
// multiplication waits for the one before; what is left of them at the end is 16 bytes, which the checksum instruction takes as if they had
// stood in the message. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009.
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

uint32_t ring_crc32c_wide(uint32_t state, const uint8_t *p, size_t count) {
    const __m512i by2048 = FACTORS(0xdcb17aa4, 0xb9e02b86), by512 = FACTORS(0x740eef02, 0x9e4addf8);
    const __m128i by128 = _mm_set_epi64x(0x493c7d27, 0xf20c0dfe);
    __m512i a = _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)state)));
    __m512i b = _mm512_loadu_si512(p + 64), c = _mm512_loadu_si512(p + 128), d = _mm512_loadu_si512(p + 192);
    for (size_t at = 256; at < count; at += 256) {
        a = moved(a, by2048, _mm512_loadu_si512(p + at));
        b = moved(b, by2048, _mm512_loadu_si512(p + at + 64));
        c = moved(c, by2048, _mm512_loadu_si512(p + at + 128));
        d = moved(d, by2048, _mm512_loadu_si512(p + at + 192));
    }
    a = moved(a, by512, b);
    a = moved(a, by512, c);
    a = moved(a, by512, d);
    __m128i rest = moved16(_mm512_castsi512_si128(a), by128, _mm512_extracti32x4_epi32(a, 1));
    rest = moved16(rest, by128, _mm512_extracti32x4_epi32(a, 2));
    rest = moved16(rest, by128, _mm512_extracti32x4_epi32(a, 3));
    uint64_t sum = _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(rest));
    return (uint32_t)_mm_crc32_u64(sum, (uint64_t)_mm_extract_epi64(rest, 1));
}

#pragma clang attribute pop
#else
bool ring_crc32c_wide_is_here(void) { return false; }
uint32_t ring_crc32c_wide(uint32_t state, const uint8_t *p, size_t count) {
    (void)p, (void)count;
    return state;
}
#endif

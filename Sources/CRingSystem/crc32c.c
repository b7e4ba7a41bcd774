// CRC32C, by the processor's instruction where there is one, and long runs by wide multiplications where there are those
// (crc32c_wide.c). The instruction takes three cycles and can begin each
// cycle, so three runs are worked on at a time and joined by a carry-less multiplication: Gopal et al., "Fast CRC
// Computation for iSCSI Polynomial Using CRC32 Instruction", Intel 2011.
#include "CRingSystem.h"

#include "crc32c_wide.h"

#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static uint32_t table[8][256];
static bool accelerated;
// Whether copying and checksumming go together.
static bool copies;
static bool wide;

// Eight bytes, the first the lowest.
static inline uint64_t load64(const uint8_t *p) {
    uint64_t value;
    memcpy(&value, p, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

#if defined(__x86_64__)
static uint32_t ring_crc32c_fast(uint32_t crc, const uint8_t *p, size_t count, bool is_wide);

static long nanoseconds_between(struct timespec start, struct timespec end) {
    return (end.tv_sec - start.tv_sec) * 1000000000L + (end.tv_nsec - start.tv_nsec);
}

// Whether the instruction is faster than the tables: an emulated processor has it, and computes it bit by bit. The best of a few
// turns over 4 KiB each, some 10 us on a processor of silicon; the sums are the same either way.
static bool ring_crc32c_instruction_pays(void) {
    static uint8_t bytes[4096];
    long best[2] = {-1, -1};
    volatile uint32_t sum = 0;
    for (int turn = 0; turn < 10; turn++) {
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        sum = turn % 2 ? ring_crc32c_portable(sum, bytes, sizeof bytes) : ring_crc32c_fast(sum, bytes, sizeof bytes, false);
        clock_gettime(CLOCK_MONOTONIC, &end);
        const long took = nanoseconds_between(start, end);
        if (best[turn % 2] < 0 || took < best[turn % 2]) best[turn % 2] = took;
    }
    return best[0] <= best[1];
}
#endif

__attribute__((constructor)) static void ring_crc32c_prepare(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) ? 0x82F63B78u : 0);
        table[0][byte] = crc;
    }
    for (int slice = 1; slice < 8; slice++)
        for (int byte = 0; byte < 256; byte++)
            table[slice][byte] = (table[slice - 1][byte] >> 8) ^ table[0][table[slice - 1][byte] & 0xFF];
#if defined(__x86_64__)
    __builtin_cpu_init();
    accelerated = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") && ring_crc32c_instruction_pays();
    copies = accelerated && __builtin_cpu_supports("avx2");
    wide = accelerated && ring_crc32c_wide_is_here();
#endif
}

bool ring_crc32c_is_accelerated(void) { return accelerated; }

uint32_t ring_crc32c_portable(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    crc = ~crc;
    // Eight bytes a turn, one table each ("slicing by 8").
    for (; count >= 8; p += 8, count -= 8) {
        const uint64_t word = crc ^ load64(p);
        crc = table[7][word & 0xFF] ^ table[6][word >> 8 & 0xFF] ^ table[5][word >> 16 & 0xFF] ^ table[4][word >> 24 & 0xFF] ^
              table[3][word >> 32 & 0xFF] ^ table[2][word >> 40 & 0xFF] ^ table[1][word >> 48 & 0xFF] ^ table[0][word >> 56];
    }
    for (; count > 0; p++, count--) crc = (crc >> 8) ^ table[0][(crc ^ *p) & 0xFF];
    return ~crc;
}

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("sse4.2,pclmul"))), apply_to = function)

// `crc` moved past as many zero bytes as `factor` = x^(8 n - 33) mod P stands for: multiplying two reflected 32-bit
// values yields one factor x, and feeding the 64-bit product through the instruction yields x^32.
static inline uint32_t shifted(uint32_t crc, uint32_t factor) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)crc), _mm_cvtsi32_si128((int)factor), 0);
    return (uint32_t)_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

// Three runs of `run` bytes each; `twice` and `once` move a checksum past 2 * run and run bytes.
static inline uint32_t three_runs(uint32_t crc, const uint8_t *p, size_t run, uint32_t twice, uint32_t once) {
    uint64_t a = crc, b = 0, c = 0;
    for (size_t at = 0; at < run; at += 8) {
        a = _mm_crc32_u64(a, load64(p + at));
        b = _mm_crc32_u64(b, load64(p + run + at));
        c = _mm_crc32_u64(c, load64(p + 2 * run + at));
    }
    return shifted((uint32_t)a, twice) ^ shifted((uint32_t)b, once) ^ (uint32_t)c;
}

static uint32_t ring_crc32c_fast(uint32_t crc, const uint8_t *p, size_t count, bool is_wide) {
    crc = ~crc;
    if (is_wide && count >= 1024) {
        const size_t whole = count & ~(size_t)255;
        crc = ring_crc32c_wide(crc, p, whole);
        p += whole, count -= whole;
    }
    // The factors are x^(16 n - 33) and x^(8 n - 33) mod P for n = 4096 and n = 256, reflected.
    for (; count >= 3 * 4096; p += 3 * 4096, count -= 3 * 4096) crc = three_runs(crc, p, 4096, 0x54a86326, 0x82f89c77);
    for (; count >= 3 * 256; p += 3 * 256, count -= 3 * 256) crc = three_runs(crc, p, 256, 0xdd7e3b0c, 0xb9e02b86);
    uint64_t last = crc;
    for (; count >= 8; p += 8, count -= 8) last = _mm_crc32_u64(last, load64(p));
    crc = (uint32_t)last;
    for (; count > 0; p++, count--) crc = _mm_crc32_u8(crc, *p);
    return ~crc;
}

#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("sse4.2,pclmul,avx2"))), apply_to = function)

// Three runs of 4096 bytes, copied in halves of cache lines and checksummed from the first-level cache into which the copy
// has just brought them. Eight bytes a store would fill the store buffer long before memory answers.
static inline uint32_t three_copied(uint32_t crc, uint8_t *to, const uint8_t *p, const bool streams) {
    uint64_t sums[3] = {crc, 0, 0};
    for (size_t at = 0; at < 4096; at += 64) {
        __m256i halves[6];
        for (int run = 0; run < 3; run++) {
            halves[2 * run] = _mm256_loadu_si256((const __m256i *)(const void *)(p + run * 4096 + at));
            halves[2 * run + 1] = _mm256_loadu_si256((const __m256i *)(const void *)(p + run * 4096 + at + 32));
        }
        for (size_t word = at; word < at + 64; word += 8)
            for (int run = 0; run < 3; run++) sums[run] = _mm_crc32_u64(sums[run], load64(p + run * 4096 + word));
        for (int half = 0; half < 6; half++) {
            __m256i *place = (__m256i *)(void *)(to + half / 2 * 4096 + at + half % 2 * 32);
            if (streams) _mm256_stream_si256(place, halves[half]);
            else _mm256_storeu_si256(place, halves[half]);
        }
    }
    return shifted((uint32_t)sums[0], 0x54a86326) ^ shifted((uint32_t)sums[1], 0x82f89c77) ^ (uint32_t)sums[2];
}

// How many bytes were moved, a multiple of three runs; *crc is complemented, as inside ring_crc32c_fast.
static size_t copied(uint32_t *crc, uint8_t *to, const uint8_t *p, size_t count, bool streams) {
    const size_t three = 3 * 4096;
    size_t at = 0;
    if (streams && ((uintptr_t)to & 31) == 0) {
        for (; count - at >= three; at += three) *crc = three_copied(*crc, to + at, p + at, true);
        _mm_sfence();
    } else {
        for (; count - at >= three; at += three) *crc = three_copied(*crc, to + at, p + at, false);
    }
    return at;
}

#pragma clang attribute pop
#endif

uint32_t ring_crc32c(uint32_t crc, const void *bytes, size_t count) {
#if defined(__x86_64__)
    if (accelerated) return ring_crc32c_fast(crc, bytes, count, wide);
#endif
    return ring_crc32c_portable(crc, bytes, count);
}

uint32_t ring_crc32c_narrow(uint32_t crc, const void *bytes, size_t count) {
#if defined(__x86_64__)
    if (accelerated) return ring_crc32c_fast(crc, bytes, count, false);
#endif
    return ring_crc32c_portable(crc, bytes, count);
}

static uint32_t copy(uint32_t crc, uint8_t *to, const uint8_t *from, size_t count, bool streams, bool is_wide) {
    size_t done = 0;
#if defined(__x86_64__)
    if (is_wide && count >= 4096) {
        // Stores past the caches take whole lines.
        done = (64 - ((uintptr_t)to & 63)) & 63;
        memcpy(to, from, done);
        crc = ring_crc32c(crc, to, done);
        const size_t whole = (count - done) & ~(size_t)255;
        crc = ~ring_crc32c_wide_copy(~crc, to + done, from + done, whole, streams);
        done += whole;
    } else if (copies && count >= 3 * 4096) {
        crc = ~crc;
        done = copied(&crc, to, from, count, streams);
        crc = ~crc;
    }
#else
    (void)streams, (void)is_wide;
#endif
    // Piece by piece, so that each is still in the cache when it is checksummed where it now lies.
    for (size_t piece; done < count; done += piece) {
        piece = count - done < 16384 ? count - done : 16384;
        memcpy(to + done, from + done, piece);
        crc = ring_crc32c(crc, to + done, piece);
    }
    return crc;
}

uint32_t ring_crc32c_copy(uint32_t crc, void *to, const void *from, size_t count, bool streams) {
    return copy(crc, to, from, count, streams, wide);
}

uint32_t ring_crc32c_narrow_copy(uint32_t crc, void *to, const void *from, size_t count, bool streams) {
    return copy(crc, to, from, count, streams, false);
}

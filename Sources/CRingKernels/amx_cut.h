// f32 operands for bf16 tiles: every f32 is the exact sum of three bf16 values of 8 bits each (upper, middle, lower), and a product of
// two is six products in tiles. Left out are the three that lie 2^-24 and more below the first, which is where an f32 sum rounds anyway.
//
// The parts are made by cutting off, not by rounding, so that nothing overflows and what is left is exact. Subnormal parts count as zero
// (TDPBF16PS): what is lost lies below 2^-126. Included by attention_amx.c inside its target attribute.
#ifndef RING_AMX_CUT_H
#define RING_AMX_CUT_H

#include "tile_jobs.h"

enum {
    CUT_PARTS = 3,
    CUT_ROWS = CUT_PARTS * RING_TILE_PAIR, // a step of the rows' side: 32 rows
    CUT_COLUMNS = CUT_PARTS * RING_TILE,   // and of the columns' side: 16 columns
};

// Two vectors' values as pairs, parts `stride` bytes apart.
RING_TEMPLATE void cut(__m512 low, __m512 high, uint8_t *out, const int64_t stride) {
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
#pragma clang loop unroll(full)
    for (int part = 0; part < CUT_PARTS; part++, out += stride) {
        const __m512i low_bits = _mm512_castps_si512(low), high_bits = _mm512_castps_si512(high);
        _mm512_store_si512(out, _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(low_bits, 16), high_bits));
        low = _mm512_sub_ps(low, _mm512_castsi512_ps(_mm512_and_si512(low_bits, upper)));
        high = _mm512_sub_ps(high, _mm512_castsi512_ps(_mm512_and_si512(high_bits, upper)));
    }
}

// K page [head_dim][64] -> [4 runs of 16 keys][depths] steps. Dimensions past the head's are zero.
static void cut_keys(const float *page, int32_t head_dim, int32_t depths, uint8_t *out) {
    for (int32_t dim = 0; dim < depths * 32; dim += 2, page += 2 * RING_BLOCK_TOKENS)
        for (int32_t key = 0; key < RING_BLOCK_TOKENS; key += 16) {
            const __mmask16 mask = dim < head_dim ? 0xffff : 0;
            uint8_t *step = out + (int64_t)(key / 16 * depths + dim / 32) * CUT_COLUMNS;
            cut(_mm512_maskz_loadu_ps(mask, page + key), _mm512_maskz_loadu_ps(mask, page + RING_BLOCK_TOKENS + key),
                step + dim % 32 / 2 * RING_TILE_BYTES, RING_TILE);
        }
}

// V page [64][value_dim] -> [widths of 16][2 halves of the keys] steps. Pairs are keys 16 apart, not adjacent ones as in pages of bf16: so
// two vectors of weights become a vector of pairs by a shift and a blend.
static void cut_values(const float *page, int32_t value_dim, int32_t widths, uint8_t *out) {
    for (int32_t key = 0; key < RING_BLOCK_TOKENS; key += key % 32 == 15 ? 17 : 1)
        for (int32_t column = 0; column < widths * 16; column += 16) {
            const int32_t left = value_dim - column;
            const __mmask16 mask = left >= 16 ? 0xffff : left > 0 ? 0x00ff : 0;
            const float *row = page + (int64_t)key * value_dim + column;
            uint8_t *step = out + (int64_t)(column / 16 * 2 + key / 32) * CUT_COLUMNS;
            cut(_mm512_maskz_loadu_ps(mask, row), _mm512_maskz_loadu_ps(mask, row + 16 * (int64_t)value_dim),
                step + key % 16 * RING_TILE_BYTES, RING_TILE);
        }
}

// A query row's dimensions, pairs of adjacent ones, into its line of a strip's steps.
static void cut_query(const float *q, int32_t head_dim, int32_t depths, uint8_t *line) {
    const __m512i evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odds = _mm512_add_epi32(evens, _mm512_set1_epi32(1));
    for (int32_t dim = 0; dim < depths * 32; dim += 32, line += CUT_ROWS) {
        const int32_t left = head_dim - dim;
        const uint32_t lanes = left >= 32 ? 0xffffffffu : left <= 0 ? 0 : (1u << left) - 1;
        const __m512 first = _mm512_maskz_loadu_ps((__mmask16)lanes, q + dim);
        const __m512 second = _mm512_maskz_loadu_ps((__mmask16)(lanes >> 16), q + dim + 16);
        cut(_mm512_permutex2var_ps(first, evens, second), _mm512_permutex2var_ps(first, odds, second), line, RING_TILE_PAIR);
    }
}

// --- int8 pages: their bytes are bf16 values as they are, and the scales wait (amx_weights.h)

// Two rows of 16 bytes as pairs.
RING_TEMPLATE void widen_bytes(const uint8_t *low, const uint8_t *high, uint8_t *out) {
    const __m512i low_bits = _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)low))));
    const __m512i high_bits = _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)high))));
    _mm512_store_si512(out, _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(low_bits, 16), high_bits));
}

// K page [head_dim][64] -> [4 runs of 16 keys][depths] tiles. head_dim is a multiple of 32.
static void widen_keys(const uint8_t *page, int32_t depths, uint8_t *out) {
    for (int32_t dim = 0; dim < depths * 32; dim += 2, page += 2 * RING_BLOCK_TOKENS)
        for (int32_t key = 0; key < RING_BLOCK_TOKENS; key += 16)
            widen_bytes(page + key, page + RING_BLOCK_TOKENS + key,
                        out + (int64_t)(key / 16 * depths + dim / 32) * RING_TILE + dim % 32 / 2 * RING_TILE_BYTES);
}

// V page [64][value_dim] -> [widths of 16][2 halves of the keys] tiles. value_dim is a multiple of 16.
static void widen_values(const uint8_t *page, int32_t widths, uint8_t *out) {
    const int64_t row = (int64_t)widths * 16;
    for (int32_t key = 0; key < RING_BLOCK_TOKENS; key += 2, page += 2 * row)
        for (int32_t width = 0; width < widths; width++)
            widen_bytes(page + width * 16, page + row + width * 16,
                        out + (int64_t)(width * 2 + key / 32) * RING_TILE + key % 32 / 2 * RING_TILE_BYTES);
}

#endif

// Scores -> weights for the tile unit, a row of 64 keys at a time, with the tile unit's own work between (amx_walk.h).
// Included by attention_amx.c inside its target attribute.
#ifndef RING_AMX_WEIGHTS_H
#define RING_AMX_WEIGHTS_H

#include "amx_walk.h"
#include "exp2_coefficients.h"

// How far a row's maximum may outgrow its reference, in powers of two.
#define SLACK 8.0f

// 2^t: the polynomial of what is above its floor, scaled by the floor. -inf gives 0 here, so `follow` looks for it.
RING_TEMPLATE __m512 exp2_floor(const amx_kind kind, __m512 t) {
    const __m512 r = _mm512_reduce_ps(t, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512 p;
#define RING_TERM(coefficient) p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(coefficient))
    if (kind == KIND_CUT) {
        p = _mm512_set1_ps(RING_EXP2_FLOOR_LONG_C6);
        RING_TERM(RING_EXP2_FLOOR_LONG_C5);
        RING_TERM(RING_EXP2_FLOOR_LONG_C4);
        RING_TERM(RING_EXP2_FLOOR_LONG_C3);
        RING_TERM(RING_EXP2_FLOOR_LONG_C2);
        RING_TERM(RING_EXP2_FLOOR_LONG_C1);
        RING_TERM(RING_EXP2_FLOOR_LONG_C0);
    } else {
        p = _mm512_set1_ps(RING_EXP2_FLOOR_C5);
        RING_TERM(RING_EXP2_FLOOR_C4);
        RING_TERM(RING_EXP2_FLOOR_C3);
        RING_TERM(RING_EXP2_FLOOR_C2);
        RING_TERM(RING_EXP2_FLOOR_C1);
        RING_TERM(RING_EXP2_FLOOR_C0);
    }
#undef RING_TERM
    return _mm512_scalef_ps(p, t);
}

// The middle and lower of three parts.
RING_TEMPLATE void store_weights_rest(__m512 first, __m512 second, uint8_t *out) {
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    const __m512 first_middle = _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(first), upper));
    const __m512 second_middle = _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(second), upper));
    _mm512_store_si512(out + RING_TILE_PAIR, (__m512i)_mm512_cvtne2ps_pbh(second_middle, first_middle));
    const __m512bh lower = _mm512_cvtne2ps_pbh(_mm512_sub_ps(second, second_middle), _mm512_sub_ps(first, first_middle));
    _mm512_store_si512(out + 2 * RING_TILE_PAIR, (__m512i)lower);
}

// Two vectors of weights as one line of a step: for pages in order of their keys, what bf16 holds of them by cutting off, and the rest,
// rounded, or, where they are to be `fine`, in two more parts.
RING_TEMPLATE void store_weights(const amx_kind kind, const int fine, __m512 first, __m512 second, uint8_t *out) {
    if (kind == KIND_CUT) {
        cut(first, second, out, RING_TILE_PAIR);
        return;
    }
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    const __m512 first_high = _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(first), upper));
    const __m512 second_high = _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(second), upper));
    _mm512_store_si512(out, (__m512i)_mm512_cvtne2ps_pbh(second_high, first_high));
    first = _mm512_sub_ps(first, first_high);
    second = _mm512_sub_ps(second, second_high);
    if (fine) {
        store_weights_rest(first, second, out);
        return;
    }
    _mm512_store_si512(out + RING_TILE_PAIR, (__m512i)_mm512_cvtne2ps_pbh(second, first));
}

// Row `i` of a strip in 16 columns of sums; the next 16 are a pair of tiles further.
static inline float *sums_row(uint8_t *sums, int32_t i) {
    return (float *)(sums + i / RING_TILE_ROWS * RING_TILE + i % RING_TILE_ROWS * RING_TILE_BYTES);
}

// The same in a step of the weights.
static inline uint8_t *weight_line(const amx_walk *walk, int64_t step, int32_t i) {
    return walk->weights + step * walk->weight_step + i / RING_TILE_ROWS * RING_TILE + i % RING_TILE_ROWS * RING_TILE_BYTES;
}

static void shrink_line(uint8_t *line, __m512 shrink) {
    for (int half = 0; half < 2; half++, line += 32) {
        const __m512i wide = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_load_si256((const __m256i *)line)), 16);
        _mm256_store_si256((__m256i *)line, (__m256i)_mm512_cvtneps_pbh(_mm512_mul_ps(_mm512_castsi512_ps(wide), shrink)));
    }
}

// The strip row's reference grows to `grown` or a little less, a whole power of two away from where it was, and with it shrink the
// accumulator, the sum and the weights of the key tile's blocks before this one. From -inf there is nothing to shrink.
static __attribute__((noinline)) void raise_reference(amx_walk *walk, const meeting *block, int32_t i, float grown) {
    const int32_t row = block->row + i;
    const float old = walk->reference[row];
    if (old == -__builtin_inff()) {
        walk->reference[row] = grown;
        return;
    }
    // What was weighed by the old reference must have arrived in the sums that shrink.
    if (walk->later_row == block->row) finish_jobs(walk);
    const float raise = __builtin_floorf(grown - old);
    walk->reference[row] = old + raise;
    const __m512 shrink = _mm512_scalef_ps(_mm512_set1_ps(1), _mm512_set1_ps(-raise));
    walk->sum[row] *= _mm512_cvtss_f32(shrink);
    for (int32_t width = 0; width < walk->widths; width++) {
        float *sums = sums_row(walk->sums + (int64_t)(block->row / STRIP * walk->widths + width) * RING_TILE_PAIR, i);
        _mm512_store_ps(sums, _mm512_mul_ps(_mm512_load_ps(sums), shrink));
    }
    for (int64_t step = 0; step < (block->key - block->tile) / 32; step++)
        for (int32_t part = 0; part < walk->weight_step; part += RING_TILE_PAIR) shrink_line(weight_line(walk, step, i) + part, shrink);
}

// Looks at a row's scores before they are weighed: a maximum that has outgrown the reference raises it, and a score of -inf,
// which is an overflow, makes the sum NaN, so that it is reported. A NaN may be passed over; it comes back in the weights.
RING_TEMPLATE void follow(amx_walk *walk, const meeting *block, int32_t i, __m512 high, __m512 low) {
    const int32_t row = block->row + i;
    const __m512 scaled = _mm512_mul_ps(high, _mm512_set1_ps(walk->exponent_scale));
    const __mmask16 outgrown = _mm512_cmp_ps_mask(scaled, _mm512_set1_ps(walk->reference[row] + SLACK), _CMP_GT_OQ);
    const __mmask16 overflown = _mm512_cmp_ps_mask(low, _mm512_set1_ps(-__builtin_inff()), _CMP_EQ_OQ);
    if (__builtin_expect((outgrown | overflown) == 0, 1)) return;
    if (outgrown) raise_reference(walk, block, i, _mm512_reduce_max_ps(scaled));
    if (overflown) walk->sum[row] = __builtin_nanf("");
}

// Weighs strip row `i` of a block; `masked` looks at what the row sees. Returns the weights' sums by lane.
RING_TEMPLATE __m512 weigh(const amx_kind kind, const int fine, const int masked, amx_walk *walk, const meeting *block, int32_t i,
                           uint64_t seen) {
    __m512 x[4], high = _mm512_set1_ps(-__builtin_inff()), low = _mm512_setzero_ps(), sum = low;
    const float *scores = sums_row(block->scores, i);
#pragma clang loop unroll(full)
    for (int j = 0; j < 4; j++) {
        x[j] = _mm512_load_ps(scores + j * (RING_TILE_PAIR / 4));
        if (kind == KIND_BYTES) x[j] = _mm512_mul_ps(x[j], _mm512_loadu_ps(block->k_scales + 16 * j));
        const __mmask16 lanes = masked ? (__mmask16)(seen >> 16 * j) : 0xffff;
        high = _mm512_mask_max_ps(high, lanes, high, x[j]);
        low = _mm512_mask_min_ps(low, lanes, low, x[j]);
    }
    follow(walk, block, i, high, low);
    const __m512 scale = _mm512_set1_ps(walk->exponent_scale), reference = _mm512_set1_ps(walk->reference[block->row + i]);
    uint8_t *out = weight_line(walk, (block->key - block->tile) / 32, i);
#pragma clang loop unroll(full)
    for (int j = 0; j < 4; j += 2, out += walk->weight_step) {
        keep_pace(kind, fine, walk);
        for (int k = j; k < j + 2; k++) {
            x[k] = exp2_floor(kind, _mm512_fmsub_ps(x[k], scale, reference));
            if (masked) x[k] = _mm512_maskz_mov_ps((__mmask16)(seen >> 16 * k), x[k]);
        }
        sum = _mm512_add_ps(sum, _mm512_add_ps(x[j], x[j + 1]));
        for (int k = j; k < j + 2 && kind == KIND_BYTES; k++)
            x[k] = _mm512_maskz_mul_ps(masked ? (__mmask16)(seen >> 16 * k) : 0xffff, x[k], _mm512_loadu_ps(block->v_scales + 16 * k));
        store_weights(kind, fine, x[j], x[j + 1], out);
    }
    keep_pace(kind, fine, walk);
    return sum;
}

static uint64_t lanes_below(int64_t count) { return count <= 0 ? 0 : count >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1; }

// Weighs a block, while the tile unit does the jobs of the queue.
RING_TEMPLATE void weigh_block(const amx_kind kind, const int fine, amx_walk *walk, const meeting *block) {
    __m512 sums[STRIP];
    set_pace(walk, block->rows);
    for (int32_t i = 0; i < block->rows; i++) {
        if (!fine) ask_for_lines(walk);
        if (block->whole) {
            sums[i] = weigh(kind, fine, 0, walk, block, i, 0);
            continue;
        }
        const ring_key_span span = ring_visible(walk->call, walk->first_row + block->row + i);
        sums[i] = weigh(kind, fine, 1, walk, block, i, lanes_below(span.end - block->key) & ~lanes_below(span.first - block->key));
    }
    empty_queue(walk);
    // Horizontal sums wait for the end, so that a row does not wait for the one before it.
    for (int32_t i = 0; i < block->rows; i++) walk->sum[block->row + i] += _mm512_reduce_add_ps(sums[i]);
}

static __attribute__((noinline)) void weigh_pages(amx_walk *walk, const meeting *block) { weigh_block(KIND_PAGES, 0, walk, block); }
static __attribute__((noinline)) void weigh_bytes(amx_walk *walk, const meeting *block) { weigh_block(KIND_BYTES, 0, walk, block); }
static __attribute__((noinline)) void weigh_pages_fine(amx_walk *walk, const meeting *block) { weigh_block(KIND_PAGES, 1, walk, block); }
static __attribute__((noinline)) void weigh_bytes_fine(amx_walk *walk, const meeting *block) { weigh_block(KIND_BYTES, 1, walk, block); }
static __attribute__((noinline)) void weigh_cut(amx_walk *walk, const meeting *block) { weigh_block(KIND_CUT, 0, walk, block); }

#endif

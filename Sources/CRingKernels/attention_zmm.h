// The steps of a pass in 512-bit registers, as templates by constant arguments: included by attention_avx512.c and
// attention_avx512bf16.c inside their target attribute.
//
// Micro-kernel: `rows` (1...6) query rows by `vectors` (1...4) zmm columns, up to 24 accumulators. Each step of the
// depth loads the columns once from a page and broadcasts one dword of each row. With 6 rows that is 10 loads for 24
// multiply-adds. In the bf16 pages a dword holds two depth steps of one column.
#ifndef RING_ATTENTION_ZMM_H
#define RING_ATTENTION_ZMM_H

#include "exp2_coefficients.h"

typedef enum ring_kind {
    RING_KIND_F32,  // f32 page, f32 rows
    RING_KIND_WIDE, // bf16 page widened in registers, f32 rows
    RING_KIND_DOT,  // bf16 page, bf16 pair rows, VDPBF16PS
} ring_kind;

// `vectors` zmm of a page's row; `last` masks the last one's columns, `half` says which of a pair is widened.
RING_TEMPLATE void ring_load_columns(const ring_kind kind, const int vectors, const __mmask16 last, const float *b, const int half,
                                     __m512 columns[4]) {
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) {
        columns[j] = j == vectors - 1 && last != 0xffff ? _mm512_maskz_loadu_ps(last, b + 16 * j) : _mm512_loadu_ps(b + 16 * j);
        if (kind == RING_KIND_WIDE) {
            const __m512i pair = _mm512_castps_si512(columns[j]), high = _mm512_set1_epi32((int)0xffff0000u);
            columns[j] = _mm512_castsi512_ps(half ? _mm512_and_si512(pair, high) : _mm512_slli_epi32(pair, 16));
        }
    }
}

// One step of the depth: loads the columns, multiplies them with one broadcast dword of each row.
RING_TEMPLATE void ring_multiply_step(const ring_kind kind, const int rows, const int vectors, const __mmask16 last,
                                      const float *a, const int64_t a_stride, const float *b, const int half,
                                      __m512 c[RING_STRIP][4]) {
    __m512 columns[4];
    ring_load_columns(kind, vectors, last, b, half, columns);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
        const __m512 row = _mm512_set1_ps(a[i * a_stride]);
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++) {
#ifdef RING_ZMM_DOT
            if (kind == RING_KIND_DOT) {
                c[i][j] = _mm512_dpbf16_ps(c[i][j], (__m512bh)row, (__m512bh)columns[j]);
                continue;
            }
#endif
            c[i][j] = _mm512_fmadd_ps(row, columns[j], c[i][j]);
        }
    }
}

// c[row][vector] += rows' side [rows][depth] * page [depth][columns]. `a_stride` and `b_stride` count dwords; `depth`
// counts page rows (pairs for bf16). `last` masks the last vector's columns. Four steps a turn, because the loop's
// scalar instructions compete with the multiply-adds for ports 0 and 5; each turn asks L2 for one line of `next`.
RING_TEMPLATE void ring_multiply(const ring_kind kind, const int rows, const int vectors, const __mmask16 last,
                                 const float *a, const int64_t a_stride, const float *b, const int64_t b_stride,
                                 int64_t depth, const uint8_t *next, __m512 c[RING_STRIP][4]) {
    const int halves = kind == RING_KIND_WIDE ? 2 : 1;
    int64_t step = 0;
    for (; step + 4 <= depth; step += 4, a += 4 * halves, b += 4 * b_stride, next += 64) {
        _mm_prefetch((const char *)next, _MM_HINT_T1);
#pragma clang loop unroll(full)
        for (int part = 0; part < 4 * halves; part++)
            ring_multiply_step(kind, rows, vectors, last, a + part, a_stride, b + part / halves * b_stride, part % halves, c);
    }
    for (; step < depth; step++, a += halves, b += b_stride)
#pragma clang loop unroll(full)
        for (int half = 0; half < halves; half++)
            ring_multiply_step(kind, rows, vectors, last, a + half, a_stride, b, half, c);
}

// scores[row][key] = q . k for every key of the tile's visible blocks.
RING_TEMPLATE void ring_scores_rows(const ring_kind kind, const int rows, const ring_strip *strip) {
    const int64_t depth = kind == RING_KIND_F32 ? strip->head_dim : strip->head_dim / 2;
    const uint8_t *page = strip->k;
    float *scores = strip->scores;
    for (int32_t key = 0; key < strip->keys; key += RING_BLOCK_TOKENS, page += strip->block_stride) {
        __m512 c[RING_STRIP][4];
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
            for (int j = 0; j < 4; j++) c[i][j] = _mm512_setzero_ps();
        ring_multiply(kind, rows, 4, 0xffff, strip->q, RING_DIM_MAX, (const float *)page, RING_BLOCK_TOKENS, depth,
                      strip->next_k + key / RING_BLOCK_TOKENS * strip->next_stride, c);
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
            for (int j = 0; j < 4; j++) _mm512_storeu_ps(scores + i * RING_KEY_TILE + key + 16 * j, c[i][j]);
    }
}

// acc[row][column ...] += weights * V for `vectors` zmm of columns from `column` on, over the tile's visible keys.
RING_TEMPLATE void ring_values_columns(const ring_kind kind, const int rows, const int vectors, const __mmask16 last,
                                       const ring_strip *strip, int32_t column) {
    __m512 c[RING_STRIP][4];
    float *acc = strip->acc + column;
    const int64_t acc_stride = strip->acc_stride;
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++)
            c[i][j] = _mm512_maskz_loadu_ps(j == vectors - 1 ? last : 0xffff, acc + i * acc_stride + 16 * j);
    const uint8_t *page = strip->v + (int64_t)column * 4;
    // The lines of the next tile that this group of columns fetches follow those of the groups before it.
    const uint8_t *next = strip->next_v + column * (kind == RING_KIND_F32 ? 16 : 8);
    for (int32_t key = 0; key < strip->keys; key += RING_BLOCK_TOKENS, page += strip->block_stride) {
        const int32_t left = strip->keys - key, count = left < RING_BLOCK_TOKENS ? left : RING_BLOCK_TOKENS;
        const float *weights = (const float *)strip->weights + (kind == RING_KIND_DOT ? key / 2 : key);
        const int64_t weight_stride = kind == RING_KIND_DOT ? RING_KEY_TILE / 2 : RING_KEY_TILE;
        ring_multiply(kind, rows, vectors, last, weights, weight_stride, (const float *)page, strip->value_dim,
                      kind == RING_KIND_F32 ? count : (count + 1) / 2, next + key / RING_BLOCK_TOKENS * strip->next_stride, c);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++)
            _mm512_mask_storeu_ps(acc + i * acc_stride + 16 * j, j == vectors - 1 ? last : 0xffff, c[i][j]);
}

RING_TEMPLATE void ring_values_rows(const ring_kind kind, const int rows, const ring_strip *strip) {
    int32_t column = 0;
    for (; column + 64 <= strip->value_dim; column += 64) ring_values_columns(kind, rows, 4, 0xffff, strip, column);
    const int32_t left = strip->value_dim - column;
    const __mmask16 last = left % 16 ? 0x00ff : 0xffff; // value_dim is a multiple of 8
    if (left > 48) ring_values_columns(kind, rows, 4, last, strip, column);
    else if (left > 32) ring_values_columns(kind, rows, 3, last, strip, column);
    else if (left > 16) ring_values_columns(kind, rows, 2, last, strip, column);
    else if (left > 0) ring_values_columns(kind, rows, 1, last, strip, column);
}

// 2^t. Infinite t gives NaN (t - n is inf - inf), so an infinite score is never hidden; n is kept from -inf because
// VSCALEFPS turns a NaN scaled by 2^-inf into 0.
RING_TEMPLATE __m512 ring_exp2_zmm(const int degree, __m512 t) {
    const __m512 magic = _mm512_set1_ps(RING_ROUND_MAGIC);
    const __m512 n = _mm512_sub_ps(_mm512_add_ps(t, magic), magic);
    const __m512 r = _mm512_sub_ps(t, n);
    __m512 p;
#define RING_TERM(coefficient) p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(coefficient))
    if (degree == 6) {
        p = _mm512_set1_ps(RING_EXP2_C6);
        RING_TERM(RING_EXP2_C5);
        RING_TERM(RING_EXP2_C4);
        RING_TERM(RING_EXP2_C3);
        RING_TERM(RING_EXP2_C2);
        RING_TERM(RING_EXP2_C1);
    } else {
        p = _mm512_set1_ps(RING_EXP2_SHORT_C5);
        RING_TERM(RING_EXP2_SHORT_C4);
        RING_TERM(RING_EXP2_SHORT_C3);
        RING_TERM(RING_EXP2_SHORT_C2);
        RING_TERM(RING_EXP2_SHORT_C1);
    }
    RING_TERM(1.0f);
#undef RING_TERM
    return _mm512_scalef_ps(p, _mm512_max_ps(n, _mm512_set1_ps(-1000)));
}

// The largest of s[0 ..< count], -inf for none. A NaN may be passed over here; it comes back in the weights.
RING_TEMPLATE float ring_max_zmm(const float *s, int32_t count) {
    __m512 m[4];
    for (int j = 0; j < 4; j++) m[j] = _mm512_set1_ps(-__builtin_inff());
    int32_t key = 0;
    for (; key + 64 <= count; key += 64)
        for (int j = 0; j < 4; j++) m[j] = _mm512_max_ps(m[j], _mm512_loadu_ps(s + key + 16 * j));
    for (; key < count; key += 16) {
        const __mmask16 mask = count - key >= 16 ? 0xffff : (__mmask16)((1u << (count - key)) - 1);
        m[0] = _mm512_mask_max_ps(m[0], mask, m[0], _mm512_loadu_ps(s + key));
    }
    return _mm512_reduce_max_ps(_mm512_max_ps(_mm512_max_ps(m[0], m[1]), _mm512_max_ps(m[2], m[3])));
}

// acc and sum of one row shrink to a new maximum. From -inf (nothing seen) there is nothing to shrink.
RING_TEMPLATE void ring_grow_max_zmm(const ring_strip *strip, int32_t row, float grown) {
    const float old = strip->row_max[row];
    strip->row_max[row] = grown;
    if (old == -__builtin_inff()) return;
    const __m512 shrink = ring_exp2_zmm(6, _mm512_set1_ps(old - grown));
    float *acc = strip->acc + row * strip->acc_stride;
    for (int32_t column = 0; column < strip->value_dim; column += 16) {
        const __mmask16 mask = strip->value_dim - column >= 16 ? 0xffff : 0x00ff;
        _mm512_mask_storeu_ps(acc + column, mask, _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, acc + column), shrink));
    }
    strip->row_sum[row] *= _mm512_cvtss_f32(shrink);
}

RING_TEMPLATE void ring_store_weights(const ring_kind kind, const ring_strip *strip, int32_t row, int32_t key, __m512 low,
                                      __m512 high) {
#ifdef RING_ZMM_DOT
    if (kind == RING_KIND_DOT) { // key pairs in the order in which V's pages hold them
        uint16_t *out = (uint16_t *)strip->weights + row * RING_KEY_TILE + key;
        _mm512_storeu_si512(out, (__m512i)_mm512_cvtne2ps_pbh(high, low));
        return;
    }
#endif
    (void)kind;
    float *out = (float *)strip->weights + row * RING_KEY_TILE + key;
    _mm512_storeu_ps(out, low);
    _mm512_storeu_ps(out + 16, high);
}

// The lowest `count` of 32 bits; none for a negative count.
RING_TEMPLATE uint32_t ring_lanes_below(int32_t count) {
    return count <= 0 ? 0 : count >= 32 ? 0xffffffffu : (1u << count) - 1;
}

// The weights of keys [key, end) of one row, in pairs of vectors, zero for what the row does not see. Returns the next key.
RING_TEMPLATE int32_t ring_softmax_edge(const ring_kind kind, const int degree, const ring_strip *strip, int32_t row,
                                        int32_t key, int32_t end, __m512 max, __m512 sums[2]) {
    const __m512 scale = _mm512_set1_ps(strip->exponent_scale);
    const float *s = strip->scores + row * RING_KEY_TILE;
    for (; key < end; key += 32) {
        const uint32_t mask = ring_lanes_below(strip->ends[row] - key) & ~ring_lanes_below(strip->firsts[row] - key);
        const __m512 low = _mm512_maskz_mov_ps(
            (__mmask16)mask, ring_exp2_zmm(degree, _mm512_fmsub_ps(_mm512_loadu_ps(s + key), scale, max)));
        const __m512 high = _mm512_maskz_mov_ps(
            (__mmask16)(mask >> 16), ring_exp2_zmm(degree, _mm512_fmsub_ps(_mm512_loadu_ps(s + key + 16), scale, max)));
        sums[0] = _mm512_add_ps(sums[0], low);
        sums[1] = _mm512_add_ps(sums[1], high);
        ring_store_weights(kind, strip, row, key, low, high);
    }
    return key;
}

// Scores -> weights 2^(score * exponent_scale - row_max), zero for keys that the row does not see; row_max and row_sum
// move on.
// Vectors that lie partly outside [first, end) are masked.
RING_TEMPLATE void ring_softmax_zmm(const ring_kind kind, const ring_strip *strip) {
    const int degree = kind == RING_KIND_DOT ? 5 : 6;
    const __m512 scale = _mm512_set1_ps(strip->exponent_scale);
    for (int32_t row = 0; row < strip->rows; row++) {
        const float *s = strip->scores + row * RING_KEY_TILE;
        const int32_t first = strip->firsts[row], end = strip->ends[row];
        const float grown = ring_max_zmm(s + first, end - first) * strip->exponent_scale;
        if (grown > strip->row_max[row]) ring_grow_max_zmm(strip, row, grown);
        const __m512 max = _mm512_set1_ps(strip->row_max[row]);
        __m512 sums[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
        int32_t key = 0;
        if (first > 0) key = ring_softmax_edge(kind, degree, strip, row, 0, (first + 31) / 32 * 32, max, sums);
        for (; key + 32 <= end; key += 32) {
            const __m512 low = ring_exp2_zmm(degree, _mm512_fmsub_ps(_mm512_loadu_ps(s + key), scale, max));
            const __m512 high = ring_exp2_zmm(degree, _mm512_fmsub_ps(_mm512_loadu_ps(s + key + 16), scale, max));
            sums[0] = _mm512_add_ps(sums[0], low);
            sums[1] = _mm512_add_ps(sums[1], high);
            ring_store_weights(kind, strip, row, key, low, high);
        }
        ring_softmax_edge(kind, degree, strip, row, key, strip->keys, max, sums);
        strip->row_sum[row] += _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]));
    }
}

#endif

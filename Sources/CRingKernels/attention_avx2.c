// Attention for AVX2 and FMA: the same steps as attention_zmm.h with a micro-kernel of 6 query rows by 16 columns in 12
// ymm accumulators. bf16 pages are widened by shift and mask.
#if defined(__x86_64__)
#include "internal.h"

#include "exp2_coefficients.h"
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

typedef enum ring_kind { RING_KIND_F32, RING_KIND_WIDE } ring_kind;

// One step of the depth; in bf16 pages `half` says which of a pair.
RING_TEMPLATE void multiply_step(const ring_kind kind, const int rows, const int vectors, const float *a, const int64_t a_stride,
                                 const float *b, const int half, __m256 c[RING_STRIP][2]) {
    __m256 columns[2];
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) {
        columns[j] = _mm256_loadu_ps(b + 8 * j);
        if (kind == RING_KIND_WIDE) {
            const __m256i pair = _mm256_castps_si256(columns[j]);
            const __m256i low = _mm256_slli_epi32(pair, 16), high = _mm256_slli_epi32(_mm256_srli_epi32(pair, 16), 16);
            columns[j] = _mm256_castsi256_ps(half ? high : low);
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
        const __m256 row = _mm256_broadcast_ss(a + i * a_stride);
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++) c[i][j] = _mm256_fmadd_ps(row, columns[j], c[i][j]);
    }
}

// c[row][vector] += rows' side [rows][depth] * page [depth][columns]; strides count dwords. Four steps a turn, each of which asks L2 for
// one line of `next`.
RING_TEMPLATE void multiply(const ring_kind kind, const int rows, const int vectors, const float *a, const int64_t a_stride,
                            const float *b, const int64_t b_stride, int64_t depth, const uint8_t *next, __m256 c[RING_STRIP][2]) {
    const int halves = kind == RING_KIND_WIDE ? 2 : 1;
    int64_t step = 0;
    for (; step + 4 <= depth; step += 4, a += 4 * halves, b += 4 * b_stride, next += 64) {
        _mm_prefetch((const char *)next, _MM_HINT_T1);
#pragma clang loop unroll(full)
        for (int part = 0; part < 4 * halves; part++)
            multiply_step(kind, rows, vectors, a + part, a_stride, b + part / halves * b_stride, part % halves, c);
    }
    for (; step < depth; step++, a += halves, b += b_stride)
#pragma clang loop unroll(full)
        for (int half = 0; half < halves; half++) multiply_step(kind, rows, vectors, a + half, a_stride, b, half, c);
}

RING_TEMPLATE void scores_rows(const ring_kind kind, const int rows, const ring_strip *strip) {
    const int64_t depth = kind == RING_KIND_F32 ? strip->head_dim : strip->head_dim / 2;
    const uint8_t *page = strip->k;
    for (int32_t first = 0; first < strip->keys; first += RING_BLOCK_TOKENS, page += strip->block_stride)
        for (int32_t key = 0; key < RING_BLOCK_TOKENS; key += 16) {
            __m256 c[RING_STRIP][2];
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++) c[i][0] = c[i][1] = _mm256_setzero_ps();
            multiply(kind, rows, 2, strip->q, RING_DIM_MAX, (const float *)page + key, RING_BLOCK_TOKENS, depth,
                     strip->next_k + first / RING_BLOCK_TOKENS * strip->next_stride + key / 16 * depth * 16, c);
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
                for (int j = 0; j < 2; j++) _mm256_storeu_ps(strip->scores + i * RING_KEY_TILE + first + key + 8 * j, c[i][j]);
        }
}

RING_TEMPLATE void values_columns(const ring_kind kind, const int rows, const int vectors, const ring_strip *strip, int32_t column) {
    __m256 c[RING_STRIP][2];
    float *acc = strip->acc + column;
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++) c[i][j] = _mm256_loadu_ps(acc + i * strip->acc_stride + 8 * j);
    const uint8_t *page = strip->v + (int64_t)column * 4;
    for (int32_t key = 0; key < strip->keys; key += RING_BLOCK_TOKENS, page += strip->block_stride) {
        const int32_t left = strip->keys - key, count = left < RING_BLOCK_TOKENS ? left : RING_BLOCK_TOKENS;
        multiply(kind, rows, vectors, (const float *)strip->weights + key, RING_KEY_TILE, (const float *)page, strip->value_dim,
                 kind == RING_KIND_F32 ? count : (count + 1) / 2, strip->next_v, c);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++) _mm256_storeu_ps(acc + i * strip->acc_stride + 8 * j, c[i][j]);
}

RING_TEMPLATE void values_rows(const ring_kind kind, const int rows, const ring_strip *strip) {
    int32_t column = 0;
    for (; column + 16 <= strip->value_dim; column += 16) values_columns(kind, rows, 2, strip, column);
    if (column < strip->value_dim) values_columns(kind, rows, 1, strip, column); // value_dim is a multiple of 8
}

RING_STRIP_STEP(scores_f32, scores_rows, RING_KIND_F32)
RING_STRIP_STEP(values_f32, values_rows, RING_KIND_F32)
RING_STRIP_STEP(scores_wide, scores_rows, RING_KIND_WIDE)
RING_STRIP_STEP(values_wide, values_rows, RING_KIND_WIDE)

// 2^t for t <= 0 or slightly above, zero below 2^-126. Infinite t gives NaN (t - n is inf - inf).
RING_TEMPLATE __m256 exp2_ymm(__m256 t) {
    const __m256 n = _mm256_round_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m256 r = _mm256_sub_ps(t, n);
    __m256 p = _mm256_set1_ps(RING_EXP2_C6);
#define RING_TERM(coefficient) p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(coefficient))
    RING_TERM(RING_EXP2_C5);
    RING_TERM(RING_EXP2_C4);
    RING_TERM(RING_EXP2_C3);
    RING_TERM(RING_EXP2_C2);
    RING_TERM(RING_EXP2_C1);
    RING_TERM(1.0f);
#undef RING_TERM
    const __m256 kept = _mm256_max_ps(n, _mm256_set1_ps(-127)); // 2^-127 has the bits of zero
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(kept), _mm256_set1_epi32(127));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
}

RING_TEMPLATE float horizontal_sum(__m256 x) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

// The largest of s[0 ..< count], -inf for none.
static float row_maximum(const float *s, int32_t count) {
    float lanes[8], max = -__builtin_inff();
    __m256 m = _mm256_set1_ps(max);
    int32_t key = 0;
    for (; key + 8 <= count; key += 8) m = _mm256_max_ps(m, _mm256_loadu_ps(s + key));
    _mm256_storeu_ps(lanes, m);
    for (int lane = 0; lane < 8; lane++) max = lanes[lane] > max ? lanes[lane] : max;
    for (; key < count; key++) max = s[key] > max ? s[key] : max;
    return max;
}

static void grow_max(const ring_strip *strip, int32_t row, float grown) {
    const float old = strip->row_max[row];
    strip->row_max[row] = grown;
    if (old == -__builtin_inff()) return; // nothing seen, nothing to shrink
    const __m256 shrink = exp2_ymm(_mm256_set1_ps(old - grown));
    float *acc = strip->acc + row * strip->acc_stride;
    for (int32_t column = 0; column < strip->value_dim; column += 8)
        _mm256_storeu_ps(acc + column, _mm256_mul_ps(_mm256_loadu_ps(acc + column), shrink));
    strip->row_sum[row] *= _mm256_cvtss_f32(shrink);
}

static void softmax(const ring_strip *strip) {
    const __m256 scale = _mm256_set1_ps(strip->exponent_scale);
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (int32_t row = 0; row < strip->rows; row++) {
        const float *s = strip->scores + row * RING_KEY_TILE;
        float *weights = (float *)strip->weights + row * RING_KEY_TILE;
        const int32_t first = strip->firsts[row], end = strip->ends[row];
        const float grown = row_maximum(s + first, end - first) * strip->exponent_scale;
        if (grown > strip->row_max[row]) grow_max(strip, row, grown);
        const __m256 max = _mm256_set1_ps(strip->row_max[row]);
        __m256 sum = _mm256_setzero_ps();
        for (int32_t key = 0; key < strip->keys; key += 8) {
            __m256 p = exp2_ymm(_mm256_fmsub_ps(_mm256_loadu_ps(s + key), scale, max));
            if (key + 8 > end)
                p = _mm256_and_ps(p, _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(end - key), lanes)));
            if (key < first)
                p = _mm256_andnot_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(first - key), lanes)), p);
            sum = _mm256_add_ps(sum, p);
            _mm256_storeu_ps(weights + key, p);
        }
        strip->row_sum[row] += horizontal_sum(sum);
    }
}

static const ring_tile_steps steps_f32 = {ring_pack_queries_f32, scores_f32, softmax, values_f32, 0, 0};
static const ring_tile_steps steps_wide = {ring_pack_queries_rounded, scores_wide, softmax, values_wide, 0, 0};

#include "widening_body.h"

void ring_attend_avx2(const ring_attention_call *call) { attend_by(call, &steps_f32); }
#pragma clang attribute pop
#endif

// Blockwise attention without intrinsics: the reference that the vector twins are compared with, and the table of last
// resort. One row at a time against one block of 64 keys, online softmax (Milakov & Gimelshein 2018, section 3).
#include "internal.h"

#include <math.h>

// s[64] = sum over dimensions of q[dim] * K[dim][64]
static void block_scores(const float *q, const uint8_t *page, ring_element element, int32_t head_dim, float *s) {
    memset(s, 0, RING_BLOCK_TOKENS * sizeof(float));
    if (element == RING_ELEMENT_F32) {
        const float *k = (const float *)page;
        for (int32_t dim = 0; dim < head_dim; dim++, k += RING_BLOCK_TOKENS)
            for (int32_t key = 0; key < RING_BLOCK_TOKENS; key++) s[key] += q[dim] * k[key];
        return;
    }
    if (element == RING_ELEMENT_INT8) {
        const int8_t *k = (const int8_t *)page;
        for (int32_t dim = 0; dim < head_dim; dim++, k += RING_BLOCK_TOKENS)
            for (int32_t key = 0; key < RING_BLOCK_TOKENS; key++) s[key] += q[dim] * (float)k[key];
        for (int32_t key = 0; key < RING_BLOCK_TOKENS; key++) s[key] *= ring_page_scales(page, head_dim)[key];
        return;
    }
    const uint32_t *k = (const uint32_t *)page;
    for (int32_t dim = 0; dim < head_dim; dim += 2, k += RING_BLOCK_TOKENS)
        for (int32_t key = 0; key < RING_BLOCK_TOKENS; key++)
            s[key] += q[dim] * ring_float_of_bits(k[key] << 16) + q[dim + 1] * ring_float_of_bits(k[key] & 0xffff0000u);
}

// acc[value_dim] += sum over keys of p[key] * V[key][value_dim]; p[count] is 0 when count is odd
static void block_values(const float *p, const uint8_t *page, ring_element element, int32_t count, int32_t value_dim,
                         float *acc) {
    if (element == RING_ELEMENT_F32) {
        const float *v = (const float *)page;
        for (int32_t key = 0; key < count; key++, v += value_dim)
            for (int32_t column = 0; column < value_dim; column++) acc[column] += p[key] * v[column];
        return;
    }
    if (element == RING_ELEMENT_INT8) {
        const int8_t *v = (const int8_t *)page;
        for (int32_t key = 0; key < count; key++, v += value_dim) {
            const float scaled = p[key] * ring_page_scales(page, value_dim)[key];
            for (int32_t column = 0; column < value_dim; column++) acc[column] += scaled * (float)v[column];
        }
        return;
    }
    const uint32_t *v = (const uint32_t *)page;
    for (int32_t key = 0; key < count; key += 2, v += value_dim)
        for (int32_t column = 0; column < value_dim; column++)
            acc[column] += p[key] * ring_float_of_bits(v[column] << 16)
                         + p[key + 1] * ring_float_of_bits(v[column] & 0xffff0000u);
}

// A score of +-inf must not vanish: (x - x) is NaN for it and 0 for everything finite.
static float weight(float score, float exponent_scale, float max) {
    float t = score * exponent_scale - max;
    return exp2f(t) + (t - t);
}

static void attend_row(const ring_attention_call *call, int64_t row, const float *q) {
    const float exponent_scale = (float)((double)call->scale * RING_LOG2E);
    const ring_key_span seen = ring_visible(call, row);
    const int64_t start = seen.first / RING_BLOCK_TOKENS * RING_BLOCK_TOKENS;
    if (seen.first >= seen.end) return;
    float *acc = call->acc + row * call->acc_stride;
    float max = call->row_max[row], sum = call->row_sum[row], s[RING_BLOCK_TOKENS];
    const uint8_t *block = call->kv + start / RING_BLOCK_TOKENS * call->block_stride;
    for (int64_t first = start; first < seen.end; first += RING_BLOCK_TOKENS, block += call->block_stride) {
        const int32_t count = seen.end - first < RING_BLOCK_TOKENS ? (int32_t)(seen.end - first) : RING_BLOCK_TOKENS;
        const int32_t hidden = seen.first > first ? (int32_t)(seen.first - first) : 0;
        block_scores(q, block + call->k_offset, call->element, call->head_dim, s);
        float grown = max;
        for (int32_t key = hidden; key < count; key++) grown = s[key] * exponent_scale > grown ? s[key] * exponent_scale : grown;
        if (grown > max) {
            const float shrink = exp2f(max - grown);
            for (int32_t column = 0; column < call->value_dim; column++) acc[column] *= shrink;
            sum *= shrink;
            max = grown;
        }
        float block_sum = 0;
        for (int32_t key = 0; key < hidden; key++) s[key] = 0;
        for (int32_t key = hidden; key < count; key++) block_sum += s[key] = weight(s[key], exponent_scale, max);
        for (int32_t key = count; key < RING_BLOCK_TOKENS; key++) s[key] = 0;
        sum += block_sum;
        block_values(s, block + call->v_offset, call->element, count, call->value_dim, acc);
    }
    call->row_max[row] = max;
    call->row_sum[row] = sum;
}

void ring_attend_scalar(const ring_attention_call *call) {
    float q[RING_DIM_MAX];
    for (int64_t row = 0; row < call->rows; row++) {
        const float *source = call->q + row * call->q_stride;
        for (int32_t dim = 0; dim < call->head_dim; dim++)
            q[dim] = call->element == RING_ELEMENT_BF16 ? ring_widen_bf16(ring_round_bf16(source[dim])) : source[dim];
        attend_row(call, row, q);
    }
}

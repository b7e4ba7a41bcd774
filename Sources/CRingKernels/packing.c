// Rows -> pages of KV blocks and back. Compiled once for every CPU: packing touches each key and value once, attention
// touches it once for every query.
#include "internal.h"

#include <math.h>

static float source_value(const ring_pack_call *call, int64_t token, int64_t column) {
    const int64_t at = token * call->source_stride + column;
    return call->source_element == RING_ELEMENT_F32 ? ((const float *)call->source)[at]
                                                    : ring_widen_bf16(((const uint16_t *)call->source)[at]);
}

// The part of a page: `count` tokens from `slot` on, whose first is source row `token`.
typedef struct page_run {
    uint8_t *page;
    int32_t slot, count;
    int64_t token;
} page_run;

typedef int (*page_writer)(const ring_pack_call *call, page_run run);

// Each page writer returns whether all that it wrote is finite. x * 0 is NaN for NaN and infinities.
static int write_keys(const ring_pack_call *call, page_run run) {
    float poison = 0;
    for (int32_t dim = 0; dim < call->dim; dim++) {
        if (call->element == RING_ELEMENT_F32) {
            float *out = (float *)run.page + (int64_t)dim * RING_BLOCK_TOKENS + run.slot;
            for (int32_t i = 0; i < run.count; i++) poison += (out[i] = source_value(call, run.token + i, dim)) * 0.0f;
        } else {
            uint16_t *out = (uint16_t *)run.page + ((int64_t)(dim / 2) * RING_BLOCK_TOKENS + run.slot) * 2 + dim % 2;
            for (int32_t i = 0; i < run.count; i++) {
                out[2 * i] = ring_round_bf16(source_value(call, run.token + i, dim));
                poison += ring_widen_bf16(out[2 * i]) * 0.0f;
            }
        }
    }
    return poison == 0;
}

static int write_values(const ring_pack_call *call, page_run run) {
    float poison = 0;
    for (int32_t i = 0; i < run.count; i++) {
        const int64_t slot = run.slot + i;
        if (call->element == RING_ELEMENT_F32) {
            float *out = (float *)run.page + slot * call->dim;
            for (int32_t j = 0; j < call->dim; j++) poison += (out[j] = source_value(call, run.token + i, j)) * 0.0f;
        } else {
            uint16_t *out = (uint16_t *)run.page + slot / 2 * call->dim * 2 + slot % 2;
            for (int32_t j = 0; j < call->dim; j++) {
                out[2 * j] = ring_round_bf16(source_value(call, run.token + i, j));
                poison += ring_widen_bf16(out[2 * j]) * 0.0f;
            }
        }
    }
    return poison == 0;
}

// A row as bytes: its scale, and x / scale to nearest even. Written with `column_bytes` from one column to the next.
static int write_row(const ring_pack_call *call, int64_t token, int8_t *out, int64_t column_bytes, float *scale) {
    float most = 0, poison = 0;
    for (int32_t j = 0; j < call->dim; j++) {
        const float x = source_value(call, token, j);
        most = fabsf(x) > most ? fabsf(x) : most;
        poison += x * 0.0f;
    }
    const int finite = poison == 0;
    *scale = finite ? most / 127 : NAN;
    for (int32_t j = 0; j < call->dim; j++) {
        const float x = finite && *scale > 0 ? nearbyintf(source_value(call, token, j) / *scale) : 0;
        out[j * column_bytes] = (int8_t)(x > 127 ? 127 : x < -127 ? -127 : x);
    }
    return finite;
}

static int write_key_bytes(const ring_pack_call *call, page_run run) {
    float *scales = (float *)(run.page + RING_BLOCK_TOKENS * call->dim) + run.slot;
    int finite = 1;
    for (int32_t i = 0; i < run.count; i++)
        finite &= write_row(call, run.token + i, (int8_t *)run.page + run.slot + i, RING_BLOCK_TOKENS, scales + i);
    return finite;
}

static int write_value_bytes(const ring_pack_call *call, page_run run) {
    float *scales = (float *)(run.page + RING_BLOCK_TOKENS * call->dim) + run.slot;
    int finite = 1;
    for (int32_t i = 0; i < run.count; i++)
        finite &= write_row(call, run.token + i, (int8_t *)run.page + (int64_t)(run.slot + i) * call->dim, 1, scales + i);
    return finite;
}

static int64_t first_bad_row(const ring_pack_call *call, page_run run) {
    for (int32_t i = 0; i < run.count; i++)
        for (int32_t j = 0; j < call->dim; j++) {
            float value = source_value(call, run.token + i, j);
            if (call->element == RING_ELEMENT_BF16) value = ring_widen_bf16(ring_round_bf16(value));
            if (!isfinite(value)) return run.token + i;
        }
    return -1;
}

static int64_t pack(const ring_pack_call *call, page_writer write) {
    int64_t bad = -1;
    for (int64_t token = 0; token < call->tokens;) {
        const int64_t at = call->first_token + token;
        page_run run = {.slot = (int32_t)(at % RING_BLOCK_TOKENS), .token = token};
        run.page = call->kv + at / RING_BLOCK_TOKENS * call->block_stride + call->page_offset;
        run.count = RING_BLOCK_TOKENS - run.slot;
        if (run.count > call->tokens - token) run.count = (int32_t)(call->tokens - token);
        if (run.slot == 0 && run.count < RING_BLOCK_TOKENS)
            memset(run.page, 0, (size_t)ring_page_bytes(call->element, call->dim));
        if (!write(call, run) && bad < 0) bad = first_bad_row(call, run);
        token += run.count;
    }
    return bad;
}

int64_t ring_pack_keys(const ring_pack_call *call) {
    return pack(call, call->element == RING_ELEMENT_INT8 ? write_key_bytes : write_keys);
}
int64_t ring_pack_values(const ring_pack_call *call) {
    return pack(call, call->element == RING_ELEMENT_INT8 ? write_value_bytes : write_values);
}

static void unpack(const ring_pack_call *call, float *rows, int64_t stride, int keys) {
    for (int64_t token = 0; token < call->tokens; token++) {
        const int64_t at = call->first_token + token, slot = at % RING_BLOCK_TOKENS;
        const uint8_t *page = call->kv + at / RING_BLOCK_TOKENS * call->block_stride + call->page_offset;
        for (int64_t j = 0; j < call->dim; j++) {
            const int64_t plain = keys ? j * RING_BLOCK_TOKENS + slot : slot * call->dim + j;
            const int64_t paired = keys ? (j / 2 * RING_BLOCK_TOKENS + slot) * 2 + j % 2
                                        : (slot / 2 * call->dim + j) * 2 + slot % 2;
            if (call->element == RING_ELEMENT_INT8) {
                rows[token * stride + j] = (float)((const int8_t *)page)[plain] * ring_page_scales(page, call->dim)[slot];
                continue;
            }
            rows[token * stride + j] = call->element == RING_ELEMENT_F32
                                         ? ((const float *)page)[plain]
                                         : ring_widen_bf16(((const uint16_t *)page)[paired]);
        }
    }
}

void ring_unpack_keys(const ring_pack_call *call, float *rows, int64_t stride) { unpack(call, rows, stride, 1); }
void ring_unpack_values(const ring_pack_call *call, float *rows, int64_t stride) { unpack(call, rows, stride, 0); }

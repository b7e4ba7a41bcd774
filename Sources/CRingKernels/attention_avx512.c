// Attention for AVX-512 without its bf16 instructions: f32 pages as they are, bf16 pages widened.
#if defined(__x86_64__)
#include "internal.h"

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#include "attention_zmm.h"

RING_STRIP_STEP(scores_f32, ring_scores_rows, RING_KIND_F32)
RING_STRIP_STEP(values_f32, ring_values_rows, RING_KIND_F32)
RING_STRIP_STEP(scores_wide, ring_scores_rows, RING_KIND_WIDE)
RING_STRIP_STEP(values_wide, ring_values_rows, RING_KIND_WIDE)

static void softmax(const ring_strip *strip) { ring_softmax_zmm(RING_KIND_F32, strip); }

const ring_tile_steps ring_steps_avx512_f32 = {ring_pack_queries_f32, scores_f32, softmax, values_f32, 0, 0};
static const ring_tile_steps steps_wide = {ring_pack_queries_rounded, scores_wide, softmax, values_wide, 0, 0};

static void widen_pairs(const uint32_t *pairs, int64_t count, float *even, float *odd) {
    for (int64_t i = 0; i < count; i++) {
        even[i] = ring_float_of_bits(pairs[i] << 16);
        odd[i] = ring_float_of_bits(pairs[i] & 0xffff0000u);
    }
}

static void widen_bytes(const int8_t *bytes, int64_t count, const float *scales, int one, float *out) {
    if (one)
        for (int64_t i = 0; i < count; i++) out[i] = (float)bytes[i] * scales[0];
    else
        for (int64_t i = 0; i < count; i++) out[i] = (float)bytes[i] * scales[i];
}

static const ring_tile_steps steps_widened = {ring_pack_queries_rounded, scores_f32, softmax, values_f32, widen_pairs, 0};
static const ring_tile_steps steps_bytes = {ring_pack_queries_f32, scores_f32, softmax, values_f32, widen_pairs, widen_bytes};

void ring_attend_avx512(const ring_attention_call *call) {
    const ring_tile_steps *bf16 = call->rows < RING_WIDEN_ROWS ? &steps_wide : &steps_widened;
    const ring_tile_steps *bytes = call->element == RING_ELEMENT_INT8 ? &steps_bytes : bf16;
    ring_attention_walk(call, call->element == RING_ELEMENT_F32 ? &ring_steps_avx512_f32 : bytes);
}
#pragma clang attribute pop
#endif

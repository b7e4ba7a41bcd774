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

#include "widening_body.h"

void ring_attend_avx512(const ring_attention_call *call) { attend_by(call, &ring_steps_avx512_f32); }
#pragma clang attribute pop
#endif

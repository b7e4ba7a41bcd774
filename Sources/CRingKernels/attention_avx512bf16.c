// Attention for AVX-512 with BF16: bf16 pages by VDPBF16PS, two multiply-adds a lane; f32 pages as AVX-512 does them.
// The instruction reads subnormals as zero and rounds each pair's sum once (Intel SDM, VDPBF16PS).
#if defined(__x86_64__)
#include "internal.h"

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma"))), apply_to = function)
#define RING_ZMM_DOT 1
#include "attention_zmm.h"

RING_STRIP_STEP(scores_dot, ring_scores_rows, RING_KIND_DOT)
RING_STRIP_STEP(values_dot, ring_values_rows, RING_KIND_DOT)

static void softmax(const ring_strip *strip) { ring_softmax_zmm(RING_KIND_DOT, strip); }

static const ring_tile_steps steps_dot = {ring_pack_queries_pairs, scores_dot, softmax, values_dot, 0, 0};

void ring_attend_avx512bf16(const ring_attention_call *call) {
    if (call->element == RING_ELEMENT_INT8) {
        ring_attend_avx512(call);
        return;
    }
    ring_attention_walk(call, call->element == RING_ELEMENT_F32 ? &ring_steps_avx512_f32 : &steps_dot);
}
#pragma clang attribute pop
#endif

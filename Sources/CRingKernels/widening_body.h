// How pages in two bytes or one become f32, and which steps serve a call; included by the files of AVX2 and AVX-512, each under its own
// target attribute, which is all that they differ by.

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

static void attend_by(const ring_attention_call *call, const ring_tile_steps *f32) {
    const ring_tile_steps *bf16 = call->rows < RING_WIDEN_ROWS ? &steps_wide : &steps_widened;
    const ring_tile_steps *bytes = call->element == RING_ELEMENT_INT8 ? &steps_bytes : bf16;
    ring_attention_walk(call, call->element == RING_ELEMENT_F32 ? f32 : bytes);
}

// The walk over tiles that the vector instruction sets share; the arithmetic is in their `ring_tile_steps`.
//
// Query tiles of 96 rows are worked in strips of 6 against key tiles of 256: a key tile's K and V stay in L2 for the 16
// strips that read them, a strip's scores and its packed queries stay in L1. This is the loop order of FlashAttention-2
// (Dao 2023, section 3.1) with the sizes of a CPU core's caches. Tiles that no row sees cost nothing; only strips on the
// causal edge or on the last, partial block take the masked branch of the softmax.
#include "internal.h"

// Scratch: packed queries of a query tile, one strip's scores and weights, then room for a widened key tile.
enum {
    QUERY_STRIP_BYTES = RING_STRIP * RING_DIM_MAX * 4,
    SCORE_OFFSET = RING_QUERY_TILE / RING_STRIP * QUERY_STRIP_BYTES,
    WEIGHT_OFFSET = SCORE_OFFSET + RING_STRIP * RING_KEY_TILE * 4,
    TILE_OFFSET = WEIGHT_OFFSET + RING_STRIP * RING_KEY_TILE * 4,
};
_Static_assert(TILE_OFFSET + 2 * RING_DIM_MAX * RING_KEY_TILE * 4 <= RING_ATTENTION_SCRATCH_BYTES, "scratch holds a tile");

void ring_pack_queries_f32(const float *q, int64_t stride, int32_t rows, int32_t head_dim, void *packed) {
    for (int32_t row = 0; row < rows; row++)
        memcpy((float *)packed + row * RING_DIM_MAX, q + row * stride, (size_t)head_dim * sizeof(float));
}

void ring_pack_queries_rounded(const float *q, int64_t stride, int32_t rows, int32_t head_dim, void *packed) {
    for (int32_t row = 0; row < rows; row++)
        for (int32_t dim = 0; dim < head_dim; dim++)
            ((float *)packed)[row * RING_DIM_MAX + dim] = ring_widen_bf16(ring_round_bf16(q[row * stride + dim]));
}

void ring_pack_queries_pairs(const float *q, int64_t stride, int32_t rows, int32_t head_dim, void *packed) {
    for (int32_t row = 0; row < rows; row++)
        for (int32_t dim = 0; dim < head_dim; dim++)
            ((uint16_t *)packed)[row * 2 * RING_DIM_MAX + dim] = ring_round_bf16(q[row * stride + dim]);
}

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

// `key` counted from the start of a tile, kept within it.
static int32_t within_tile(int64_t key, int64_t first_key) {
    return key < first_key ? 0 : (int32_t)min64(key - first_key, RING_KEY_TILE);
}

// What the strip's rows see of the tile at `first_key`: whole blocks that none of them sees at its start are stepped over.
// False if nothing.
static int aim_strip(const ring_attention_call *call, ring_strip *strip, const ring_strip *tile, int64_t row, int64_t first_key) {
    strip->keys = 0;
    for (int32_t i = 0; i < strip->rows; i++) {
        const ring_key_span seen = ring_visible(call, row + i);
        strip->ends[i] = within_tile(seen.end, first_key);
        strip->firsts[i] = (int32_t)min64(within_tile(seen.first, first_key), strip->ends[i]);
        if (strip->firsts[i] < strip->ends[i]) strip->keys = strip->ends[i];
    }
    if (strip->keys == 0) return 0;
    int32_t skipped = RING_KEY_TILE;
    for (int32_t i = 0; i < strip->rows; i++)
        if (strip->firsts[i] < strip->ends[i]) skipped = (int32_t)min64(skipped, strip->firsts[i]);
    skipped -= skipped % RING_BLOCK_TOKENS;
    strip->k = tile->k + skipped / RING_BLOCK_TOKENS * tile->block_stride;
    strip->v = tile->v + skipped / RING_BLOCK_TOKENS * tile->block_stride;
    if (skipped == 0) return 1;
    strip->keys -= skipped;
    for (int32_t i = 0; i < strip->rows; i++) {
        strip->ends[i] = strip->ends[i] > skipped ? strip->ends[i] - skipped : 0;
        strip->firsts[i] = strip->firsts[i] > skipped ? (int32_t)min64(strip->firsts[i] - skipped, strip->ends[i]) : 0;
    }
    return 1;
}

// One block's pages of bytes as f32: K, then V.
static void widen_block(const ring_attention_call *call, const ring_tile_steps *steps, const uint8_t *k, const uint8_t *v, float *out) {
    const float *k_scales = ring_page_scales(k, call->head_dim), *v_scales = ring_page_scales(v, call->value_dim);
    for (int32_t dim = 0; dim < call->head_dim; dim++, k += RING_BLOCK_TOKENS, out += RING_BLOCK_TOKENS)
        steps->widen_bytes((const int8_t *)k, RING_BLOCK_TOKENS, k_scales, 0, out);
    for (int32_t key = 0; key < RING_BLOCK_TOKENS; key++, v += call->value_dim, out += call->value_dim)
        steps->widen_bytes((const int8_t *)v, call->value_dim, v_scales + key, 1, out);
}

// Widens the pages of `keys` keys into `scratch` and points the strip there.
static void widen_tile(const ring_attention_call *call, const ring_tile_steps *steps, ring_strip *strip, int64_t keys,
                       float *scratch) {
    const int64_t k_floats = RING_BLOCK_TOKENS * call->head_dim, v_floats = RING_BLOCK_TOKENS * call->value_dim;
    float *out = scratch;
    for (int64_t key = 0; key < keys; key += RING_BLOCK_TOKENS) {
        const int64_t block = key / RING_BLOCK_TOKENS * call->block_stride;
        if (call->element == RING_ELEMENT_INT8) {
            widen_block(call, steps, strip->k + block, strip->v + block, out);
            out += k_floats + v_floats;
            continue;
        }
        const uint32_t *k = (const uint32_t *)(strip->k + block), *v = (const uint32_t *)(strip->v + block);
        for (int64_t pair = 0; pair < call->head_dim / 2; pair++, k += RING_BLOCK_TOKENS, out += 2 * RING_BLOCK_TOKENS)
            steps->widen_pairs(k, RING_BLOCK_TOKENS, out, out + RING_BLOCK_TOKENS);
        for (int64_t pair = 0; pair < RING_BLOCK_TOKENS / 2; pair++, v += call->value_dim, out += 2 * call->value_dim)
            steps->widen_pairs(v, call->value_dim, out, out + call->value_dim);
    }
    strip->k = (const uint8_t *)scratch;
    strip->v = (const uint8_t *)(scratch + k_floats);
    strip->block_stride = (k_floats + v_floats) * 4;
}

// Points a strip at its share of the next key tile's pages, which its multiplications fetch into L2 line by line while
// they work on this tile: left to the hardware, the first strip of each tile waits for L3 (it then runs at 0.4 of the
// speed of the others). Without a next tile it is pointed at what is in cache.
static void aim_prefetch(const ring_attention_call *call, ring_strip *strip, int64_t first_key, int64_t index) {
    const int64_t element_size = ring_element_bytes(call->element);
    const int64_t share = index * RING_BLOCK_TOKENS * element_size / (RING_QUERY_TILE / RING_STRIP);
    const int64_t next = first_key + RING_KEY_TILE;
    const int there = next + RING_KEY_TILE <= call->keys;
    const uint8_t *block = call->kv + (there ? next : first_key) / RING_BLOCK_TOKENS * call->block_stride;
    strip->next_k = block + call->k_offset + (there ? share * call->head_dim : 0);
    strip->next_v = block + call->v_offset + (there ? share * call->value_dim : 0);
    strip->next_stride = there ? call->block_stride : 0;
}

static void walk_strips(const ring_attention_call *call, const ring_tile_steps *steps, ring_strip *strip,
                        int64_t first_row, int64_t end_row, int64_t first_key) {
    const uint8_t *queries = call->scratch;
    const ring_strip tile = *strip;
    for (int64_t row = first_row; row < end_row; row += RING_STRIP, queries += QUERY_STRIP_BYTES) {
        strip->rows = (int32_t)min64(RING_STRIP, end_row - row);
        if (!aim_strip(call, strip, &tile, row, first_key)) continue;
        strip->q = queries;
        strip->acc = call->acc + row * call->acc_stride;
        strip->row_max = call->row_max + row;
        strip->row_sum = call->row_sum + row;
        aim_prefetch(call, strip, first_key, (row - first_row) / RING_STRIP);
        steps->scores(strip);
        steps->softmax(strip);
        steps->values(strip);
    }
}

// One query tile against every key tile that one of its rows sees.
static void walk_keys(const ring_attention_call *call, const ring_tile_steps *steps, ring_strip *strip, int64_t row,
                      int64_t end) {
    ring_key_span seen, all;
    ring_seen_by(call, row, end - row, &seen, &all);
    if (seen.first >= seen.end) return;
    uint8_t *packed = call->scratch;
    for (int64_t first = row; first < end; first += RING_STRIP, packed += QUERY_STRIP_BYTES)
        steps->pack_queries(call->q + first * call->q_stride, call->q_stride, (int32_t)min64(RING_STRIP, end - first),
                            call->head_dim, packed);
    // Where a row's maximum is looked at shows in its last bits: on a grid it is the same whatever others see.
    const int64_t grid = call->alone ? RING_KEY_TILE : RING_BLOCK_TOKENS;
    for (int64_t key = seen.first / grid * grid; key < seen.end; key += RING_KEY_TILE) {
        const uint8_t *block = call->kv + key / RING_BLOCK_TOKENS * call->block_stride;
        strip->k = block + call->k_offset;
        strip->v = block + call->v_offset;
        strip->block_stride = call->block_stride;
        if (steps->widen_pairs)
            widen_tile(call, steps, strip, min64(RING_KEY_TILE, seen.end - key), (float *)((uint8_t *)call->scratch + TILE_OFFSET));
        walk_strips(call, steps, strip, row, end, key);
    }
}

void ring_attention_walk(const ring_attention_call *call, const ring_tile_steps *steps) {
    const uint32_t before = ring_flush_to_zero();
    uint8_t *scratch = call->scratch;
    ring_strip strip = {
        .head_dim = call->head_dim,
        .value_dim = call->value_dim,
        .scores = (float *)(scratch + SCORE_OFFSET),
        .weights = scratch + WEIGHT_OFFSET,
        .acc_stride = call->acc_stride,
        .exponent_scale = (float)((double)call->scale * RING_LOG2E),
    };
    for (int64_t row = 0; row < call->rows; row += RING_QUERY_TILE)
        walk_keys(call, steps, &strip, row, min64(row + RING_QUERY_TILE, call->rows));
    ring_restore_control(before);
}

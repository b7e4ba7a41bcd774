// Attention for bf16 blocks by AMX: tiles of 16 x 32 bf16 against 32 x 16, one multiply-add of 8,192 pairs an instruction (Intel
// SDM, TDPBF16PS). The pages of a KV block are B operands as they lie: 16 rows of pairs, 64 bytes of each.
//
// A strip of 32 query rows meets the keys 64 at a time. While the weights of one block are computed in 512-bit registers, the
// tile unit works on the scores of the next: a step of its multiplications stands in the instruction stream after every few rows
// of softmax, near enough for both units to be busy at once. The values of four blocks then go onto the accumulator together.
//
// A weight goes to the tile unit as two bf16 values, its upper 8 bits and what is left of it, so that it keeps 16 bits: with one, a
// vote over a whole context can be lost to rounding. Weights are relative to a reference that follows the row's maximum only when
// that has outgrown it by 2^8, and then by a whole power of two, so that what was weighed before is shrunk without rounding.
// Subnormals count as zero (TDPBF16PS).
#if defined(__x86_64__)
#include "exp2_coefficients.h"
#include "tiles.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,amx-tile,amx-bf16"))), \
                             apply_to = function)

enum {
    STRIP = 32,
    KEY_TILE = 256,
    QUERY_TILE = 256,
    TILE_ROWS = RING_TILE_ROWS,
    TILE_BYTES = RING_TILE_BYTES,
    DEPTH = RING_TILE_DEPTH,
    STRIPS = QUERY_TILE / STRIP,
    // Rows in scratch end in unused bytes: rows that lie a power of two apart would share a few sets of L1.
    PAD = 64,
    SCORE_STRIDE = RING_BLOCK_TOKENS, // a strip's scores of a block are 8 KiB without a gap
    WEIGHT_STRIDE = KEY_TILE + PAD / 2,
};

// How far a row's maximum may outgrow its reference, in powers of two.
#define SLACK 8.0f

// Scratch: queries in bf16, accumulators, then a strip's scores of two blocks and its weights of a key tile.
enum {
    ACC_OFFSET = QUERY_TILE * (RING_DIM_MAX * 2 + PAD),
    SCORE_BYTES = STRIP * SCORE_STRIDE * 4,
    AMX_SCORE_OFFSET = ACC_OFFSET + QUERY_TILE * (RING_DIM_MAX * 4 + PAD),
    AMX_WEIGHT_OFFSET = AMX_SCORE_OFFSET + 2 * SCORE_BYTES,
};
enum { LOWER_WEIGHTS = STRIP * WEIGHT_STRIDE }; // where the lower parts start
_Static_assert(AMX_WEIGHT_OFFSET + 2 * LOWER_WEIGHTS * 2 <= RING_ATTENTION_SCRATCH_BYTES, "scratch holds a query tile");

// A query tile on its way past the keys.
typedef struct amx_walk {
    const ring_attention_call *call;
    int64_t q_stride, acc_stride;
    uint16_t *queries;  // [QUERY_TILE][q_stride]
    float *acc;         // [QUERY_TILE][acc_stride]
    float *scores[2];   // [STRIP][SCORE_STRIDE]
    uint16_t *weights;  // [2][STRIP][WEIGHT_STRIDE], upper and lower parts
    float exponent_scale;
    int64_t first_row;  // of the call
    int32_t rows;
    ring_key_span any[STRIPS], all[STRIPS]; // keys of the run that one row of a strip sees, that every row sees
    float reference[QUERY_TILE], sum[QUERY_TILE];
} amx_walk;

// One block of keys before one strip.
typedef struct meeting {
    int32_t row, rows;      // of the query tile
    int64_t tile;           // first key of the key tile
    int64_t key;            // first key of the block
    int32_t keys;           // 32 or 64: those that a row sees, rounded up
    ring_key_span any;      // keys of the run that one row of the strip sees
    int whole;              // whether every row sees all 64
    float *scores;
} meeting;

// --- scores

// The multiplications of a block's scores, one step at a time: DEPTH dimensions of 32 keys.
typedef struct score_steps {
    const amx_walk *walk;
    const meeting *block;
    const uint8_t *page;
    int32_t step, count, depths;
} score_steps;

static score_steps begin_scores(const amx_walk *walk, const meeting *block) {
    const ring_attention_call *call = walk->call;
    const int32_t depths = call->head_dim / DEPTH;
    const uint8_t *page = call->kv + block->key / RING_BLOCK_TOKENS * call->block_stride + call->k_offset;
    return (score_steps){walk, block, page, 0, block->keys / 32 * depths, depths};
}

RING_TEMPLATE void next_score_step(score_steps *steps) {
    enum { PAGE_BYTES = RING_BLOCK_TOKENS * 4 };
    const int32_t half = steps->step / steps->depths, depth = steps->step % steps->depths;
    const int64_t q_bytes = steps->walk->q_stride * 2;
    const uint8_t *b = steps->page + half * 2 * TILE_BYTES + (int64_t)depth * (DEPTH / 2) * PAGE_BYTES;
    const uint8_t *a = (const uint8_t *)(steps->walk->queries + steps->block->row * steps->walk->q_stride + depth * DEPTH);
    const int two = steps->block->rows > TILE_ROWS;
    if (depth == 0) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    _tile_loadd(6, b, PAGE_BYTES);
    _tile_loadd(4, a, q_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + TILE_BYTES, PAGE_BYTES);
    _tile_dpbf16ps(1, 4, 7);
    if (two) {
        _tile_loadd(5, a + TILE_ROWS * q_bytes, q_bytes);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    steps->step++;
    if (depth < steps->depths - 1) return;
    float *s = steps->block->scores + half * 32;
    _tile_stored(0, s, SCORE_STRIDE * 4);
    _tile_stored(1, s + 16, SCORE_STRIDE * 4);
    if (!two) return;
    _tile_stored(2, s + TILE_ROWS * SCORE_STRIDE, SCORE_STRIDE * 4);
    _tile_stored(3, s + TILE_ROWS * SCORE_STRIDE + 16, SCORE_STRIDE * 4);
}

// --- weights

// 2^t: the polynomial of what is above its floor, scaled by the floor. -inf gives 0 here, so `follow` looks for it.
RING_TEMPLATE __m512 exp2_floor(__m512 t) {
    const __m512 r = _mm512_reduce_ps(t, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(RING_EXP2_FLOOR_C5), r, _mm512_set1_ps(RING_EXP2_FLOOR_C4));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(RING_EXP2_FLOOR_C3));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(RING_EXP2_FLOOR_C2));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(RING_EXP2_FLOOR_C1));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(RING_EXP2_FLOOR_C0));
    return _mm512_scalef_ps(p, t);
}

// Two vectors of weights in order of their keys: what bf16 holds of them by cutting off, and the rest, rounded.
RING_TEMPLATE void store_parts(uint16_t *out, __m512 first, __m512 second) {
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    const __m512 first_high = _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(first), upper));
    const __m512 second_high = _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(second), upper));
    _mm512_storeu_si512(out, (__m512i)_mm512_cvtne2ps_pbh(second_high, first_high));
    const __m512bh rest = _mm512_cvtne2ps_pbh(_mm512_sub_ps(second, second_high), _mm512_sub_ps(first, first_high));
    _mm512_storeu_si512(out + LOWER_WEIGHTS, (__m512i)rest);
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
    const float raise = __builtin_floorf(grown - old);
    walk->reference[row] = old + raise;
    const __m512 shrink = _mm512_scalef_ps(_mm512_set1_ps(1), _mm512_set1_ps(-raise));
    float *acc = walk->acc + row * walk->acc_stride;
    for (int32_t column = 0; column < walk->call->value_dim; column += 16)
        _mm512_storeu_ps(acc + column, _mm512_mul_ps(_mm512_loadu_ps(acc + column), shrink));
    walk->sum[row] *= _mm512_cvtss_f32(shrink);
    for (int part = 0; part < 2; part++) {
        uint16_t *weights = walk->weights + part * LOWER_WEIGHTS + i * WEIGHT_STRIDE;
        for (int32_t key = 0; key < block->key - block->tile; key += 16) {
            const __m512i wide = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(weights + key))), 16);
            const __m256bh narrow = _mm512_cvtneps_pbh(_mm512_mul_ps(_mm512_castsi512_ps(wide), shrink));
            _mm256_storeu_si256((__m256i *)(weights + key), (__m256i)narrow);
        }
    }
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
RING_TEMPLATE __m512 weigh(const int masked, amx_walk *walk, const meeting *block, int32_t i, uint64_t seen) {
    const float *s = block->scores + i * SCORE_STRIDE;
    __m512 scores[4], high = _mm512_set1_ps(-__builtin_inff()), low = _mm512_setzero_ps();
#pragma clang loop unroll(full)
    for (int j = 0; j < 4; j++) {
        scores[j] = _mm512_loadu_ps(s + 16 * j);
        const __mmask16 lanes = masked ? (__mmask16)(seen >> 16 * j) : 0xffff;
        high = _mm512_mask_max_ps(high, lanes, high, scores[j]);
        low = _mm512_mask_min_ps(low, lanes, low, scores[j]);
    }
    follow(walk, block, i, high, low);
    const __m512 scale = _mm512_set1_ps(walk->exponent_scale), reference = _mm512_set1_ps(walk->reference[block->row + i]);
#pragma clang loop unroll(full)
    for (int j = 0; j < 4; j++) {
        const __mmask16 lanes = masked ? (__mmask16)(seen >> 16 * j) : 0xffff;
        scores[j] = exp2_floor(_mm512_fmsub_ps(scores[j], scale, reference));
        if (masked) scores[j] = _mm512_maskz_mov_ps(lanes, scores[j]);
    }
    uint16_t *out = walk->weights + i * WEIGHT_STRIDE + (block->key - block->tile);
    store_parts(out, scores[0], scores[1]);
    store_parts(out + 32, scores[2], scores[3]);
    return _mm512_add_ps(_mm512_add_ps(scores[0], scores[1]), _mm512_add_ps(scores[2], scores[3]));
}

static uint64_t lanes_below(int64_t count) { return count <= 0 ? 0 : count >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1; }

// Weighs a block and computes the scores of the next one meanwhile.
static void weigh_block(amx_walk *walk, const meeting *block, score_steps *next) {
    __m512 sums[STRIP];
    for (int32_t i = 0; i < block->rows; i++) {
        while (next->step * block->rows < i * next->count) next_score_step(next);
        if (block->whole) {
            sums[i] = weigh(0, walk, block, i, 0);
            continue;
        }
        const ring_key_span span = ring_visible(walk->call, walk->first_row + block->row + i);
        sums[i] = weigh(1, walk, block, i, lanes_below(span.end - block->key) & ~lanes_below(span.first - block->key));
    }
    while (next->step < next->count) next_score_step(next);
    // Horizontal sums wait for the end, so that a row does not wait for the one before it.
    for (int32_t i = 0; i < block->rows; i++) walk->sum[block->row + i] += _mm512_reduce_add_ps(sums[i]);
}

// --- values

// acc[0 ..< 32][...] += weights . values over the keys of the key tile up to the end of `last`, its strip's last block there.
static void add_values(const amx_walk *walk, const meeting *last) {
    const ring_attention_call *call = walk->call;
    const int64_t v_bytes = call->value_dim * 4, acc_bytes = walk->acc_stride * 4, w_bytes = WEIGHT_STRIDE * 2;
    const int two = last->rows > TILE_ROWS;
    const int64_t skipped = last->any.first > last->tile ? (last->any.first - last->tile) / RING_BLOCK_TOKENS * RING_BLOCK_TOKENS : 0;
    const int64_t end = last->key - last->tile + last->keys;
    const uint8_t *pages = call->kv + last->tile / RING_BLOCK_TOKENS * call->block_stride + call->v_offset;
    for (int32_t i = last->rows; i < (two ? STRIP : TILE_ROWS); i++)
        for (int part = 0; part < 2; part++) memset(walk->weights + part * LOWER_WEIGHTS + i * WEIGHT_STRIDE, 0, KEY_TILE * 2);
    float *acc = walk->acc + last->row * walk->acc_stride;
    for (int64_t column = 0; column < call->value_dim; column += 32, acc += 32) {
        const int wide = column + 32 <= call->value_dim;
        float *below = acc + TILE_ROWS * walk->acc_stride;
        _tile_loadd(0, acc, acc_bytes);
        if (wide) _tile_loadd(1, acc + 16, acc_bytes);
        if (two) _tile_loadd(2, below, acc_bytes);
        if (two && wide) _tile_loadd(3, below + 16, acc_bytes);
        for (int64_t key = skipped; key < end; key += DEPTH) {
            const uint8_t *b = pages + key / RING_BLOCK_TOKENS * call->block_stride + key % RING_BLOCK_TOKENS / 2 * v_bytes + column * 4;
            const uint16_t *a = walk->weights + key;
            _tile_loadd(6, b, v_bytes);
            if (wide) _tile_loadd(7, b + TILE_BYTES, v_bytes);
#pragma clang loop unroll(full)
            for (int part = 0; part < 2; part++, a += LOWER_WEIGHTS) {
                _tile_loadd(4, a, w_bytes);
                _tile_dpbf16ps(0, 4, 6);
                if (wide) _tile_dpbf16ps(1, 4, 7);
                if (!two) continue;
                _tile_loadd(5, a + TILE_ROWS * WEIGHT_STRIDE, w_bytes);
                _tile_dpbf16ps(2, 5, 6);
                if (wide) _tile_dpbf16ps(3, 5, 7);
            }
        }
        _tile_stored(0, acc, acc_bytes);
        if (wide) _tile_stored(1, acc + 16, acc_bytes);
        if (two) _tile_stored(2, below, acc_bytes);
        if (two && wide) _tile_stored(3, below + 16, acc_bytes);
    }
}

// --- the walk

static int32_t min32(int64_t a, int64_t b) { return (int32_t)(a < b ? a : b); }

// Puts the strip at block->row before its first block of the key tile; false if it sees nothing there.
static int enter_tile(const amx_walk *walk, meeting *block) {
    block->rows = min32(walk->rows - block->row, STRIP);
    block->any = walk->any[block->row / STRIP];
    if (block->any.first >= block->any.end || block->any.end <= block->tile || block->any.first >= block->tile + KEY_TILE) return 0;
    const int64_t skipped = block->any.first > block->tile ? block->any.first - block->tile : 0;
    block->key = block->tile + skipped / RING_BLOCK_TOKENS * RING_BLOCK_TOKENS;
    return 1;
}

// Whether a strip has no further block in its key tile.
static int is_last(const meeting *block) {
    const int64_t next = block->key + RING_BLOCK_TOKENS;
    return next >= block->any.end || next >= block->tile + KEY_TILE;
}

// Moves to the next block, strip or key tile that has anything to see before key `end`; false when there is none.
static int advance(const amx_walk *walk, meeting *block, int64_t end) {
    if (block->rows > 0 && !is_last(block)) {
        block->key += RING_BLOCK_TOKENS;
    } else {
        do {
            block->row += block->rows > 0 ? block->rows : 0;
            if (block->row >= walk->rows) {
                block->row = 0;
                block->tile += KEY_TILE;
            }
            if (block->tile >= end) return 0;
        } while (!enter_tile(walk, block));
    }
    const ring_key_span all = walk->all[block->row / STRIP];
    block->whole = all.first <= block->key && all.end >= block->key + RING_BLOCK_TOKENS;
    block->keys = block->any.end - block->key <= 32 ? 32 : RING_BLOCK_TOKENS;
    block->scores = block->scores == walk->scores[0] ? walk->scores[1] : walk->scores[0];
    return 1;
}

// Copies a query tile's queries and state in; rows up to the next tile of 16 are zero.
static void load_tile(amx_walk *walk) {
    const ring_attention_call *call = walk->call;
    const int32_t padded = (walk->rows + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
    for (int32_t i = 0; i < walk->rows; i++) {
        const int64_t row = walk->first_row + i;
        const float *q = call->q + row * call->q_stride;
        uint16_t *out = walk->queries + i * walk->q_stride;
        for (int32_t dim = 0; dim < call->head_dim; dim += 32)
            _mm512_storeu_si512(out + dim, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(q + dim + 16), _mm512_loadu_ps(q + dim)));
        memcpy(walk->acc + i * walk->acc_stride, call->acc + row * call->acc_stride, (size_t)call->value_dim * 4);
        walk->reference[i] = call->row_max[row];
        walk->sum[i] = call->row_sum[row];
    }
    memset(walk->queries + walk->rows * walk->q_stride, 0, (size_t)((padded - walk->rows) * walk->q_stride) * 2);
    memset(walk->acc + walk->rows * walk->acc_stride, 0, (size_t)((padded - walk->rows) * walk->acc_stride) * 4);
}

static void store_tile(const amx_walk *walk) {
    const ring_attention_call *call = walk->call;
    for (int32_t i = 0; i < walk->rows; i++) {
        const int64_t row = walk->first_row + i;
        memcpy(call->acc + row * call->acc_stride, walk->acc + i * walk->acc_stride, (size_t)call->value_dim * 4);
        call->row_max[row] = walk->reference[i];
        call->row_sum[row] = walk->sum[i];
    }
}

static void attend_tile(amx_walk *walk) {
    ring_key_span any = {walk->call->keys, 0};
    for (int32_t strip = 0; strip * STRIP < walk->rows; strip++) {
        ring_key_span *seen = &walk->any[strip];
        ring_seen_by(walk->call, walk->first_row + strip * STRIP, min32(walk->rows - strip * STRIP, STRIP), seen, &walk->all[strip]);
        if (seen->first < any.first) any.first = seen->first;
        if (seen->end > any.end) any.end = seen->end;
    }
    if (any.first >= any.end) return;
    load_tile(walk);
    // Before its first strip: `advance` moves it there.
    meeting block = {.tile = any.first / RING_BLOCK_TOKENS * RING_BLOCK_TOKENS - KEY_TILE, .row = walk->rows};
    int more = advance(walk, &block, any.end);
    for (score_steps first = begin_scores(walk, &block); first.step < first.count;) next_score_step(&first);
    while (more) {
        meeting next = block;
        more = advance(walk, &next, any.end);
        score_steps steps = begin_scores(walk, &next);
        if (!more) steps.count = 0;
        weigh_block(walk, &block, &steps);
        if (is_last(&block)) add_values(walk, &block);
        block = next;
    }
    store_tile(walk);
}

// Heads of other dimensions than tiles hold go the way of AVX-512.
void ring_attend_amx(const ring_attention_call *call) {
    if (call->element != RING_ELEMENT_BF16 || call->head_dim % DEPTH != 0 || call->value_dim % 16 != 0) {
        ring_attend_avx512(call);
        return;
    }
    uint8_t *scratch = call->scratch;
    amx_walk walk = {
        .call = call,
        .q_stride = call->head_dim + PAD / 2,
        .acc_stride = call->value_dim + PAD / 4,
        .queries = (uint16_t *)scratch,
        .acc = (float *)(scratch + ACC_OFFSET),
        .scores = {(float *)(scratch + AMX_SCORE_OFFSET), (float *)(scratch + AMX_SCORE_OFFSET + SCORE_BYTES)},
        .weights = (uint16_t *)(scratch + AMX_WEIGHT_OFFSET),
        .exponent_scale = (float)((double)call->scale * RING_LOG2E),
    };
    const ring_tile_shape before = ring_shape_tiles();
    const uint32_t control = ring_flush_to_zero();
    for (; walk.first_row < call->rows; walk.first_row += QUERY_TILE) {
        walk.rows = min32(call->rows - walk.first_row, QUERY_TILE);
        attend_tile(&walk);
    }
    ring_restore_control(control);
    ring_restore_tiles(before);
}
#pragma clang attribute pop
#endif

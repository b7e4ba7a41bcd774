// Attention by AMX: tiles of 16 x 32 bf16 against 32 x 16, one multiply-add of 8,192 pairs an instruction (Intel SDM, TDPBF16PS). The
// pages of a bf16 KV block are B operands as they lie: 16 rows of pairs, 64 bytes of each. Those of f32 blocks are cut into three bf16
// parts (amx_cut.h), once for all strips of a query tile.
//
// A strip of 32 query rows meets the keys 64 at a time. While the weights of one block are computed in 512-bit registers, the tile unit
// works on the scores of the next and on the values of the strip before, a few instructions after every few of the vector unit's
// (tile_jobs.h).
//
// With bf16 blocks a weight goes to the tile unit as two bf16 values, its upper 8 bits and what is left of it, so that it keeps 16 bits:
// with one, a vote over a whole context can be lost to rounding. Weights are relative to a reference that follows the row's maximum only
// when that has outgrown it by 2^8, and then by a whole power of two, so that what was weighed before is shrunk without rounding.
#if defined(__x86_64__)
#include "exp2_coefficients.h"
#include "tiles.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,amx-tile,amx-bf16"))), \
                             apply_to = function)
#include "amx_weights.h"

// Query rows of one token from which tiles are faster.
enum { DECODE_ROWS_MIN = 12 };

// --- the way past the keys

// Puts the strip at block->row before its first block of the key tile; false if it sees nothing there.
static int enter_tile(const amx_walk *walk, meeting *block) {
    block->rows = min32(walk->rows - block->row, STRIP);
    block->any = walk->any[block->row / STRIP];
    if (block->any.first >= block->any.end || block->any.end <= block->tile || block->any.first >= block->tile + walk->key_tile) return 0;
    const int64_t skipped = block->any.first > block->tile ? block->any.first - block->tile : 0;
    block->key = block->tile + skipped / RING_BLOCK_TOKENS * RING_BLOCK_TOKENS;
    return 1;
}

// Blocks that a strip has yet to meet in its key tile, this one included.
static int32_t blocks_left(const amx_walk *walk, const meeting *block) {
    const int64_t end = block->any.end < block->tile + walk->key_tile ? block->any.end : block->tile + walk->key_tile;
    return (int32_t)((end - block->key + RING_BLOCK_TOKENS - 1) / RING_BLOCK_TOKENS);
}

// Moves to the next block, strip or key tile that has anything to see before key `end`; false when there is none.
static int advance(const amx_walk *walk, meeting *block, int64_t end) {
    if (block->rows > 0 && blocks_left(walk, block) > 1) {
        block->key += RING_BLOCK_TOKENS;
    } else {
        do {
            block->row += block->rows > 0 ? block->rows : 0;
            if (block->row >= walk->rows) {
                block->row = 0;
                block->tile += walk->key_tile;
            }
            if (block->tile >= end) return 0;
        } while (!enter_tile(walk, block));
    }
    const ring_key_span all = walk->all[block->row / STRIP];
    block->whole = all.first <= block->key && all.end >= block->key + RING_BLOCK_TOKENS;
    block->keys = block->any.end - block->key <= 32 ? 32 : RING_BLOCK_TOKENS;
    block->k_scales = ring_page_scales(block_at(walk, block->key) + walk->call->k_offset, walk->call->head_dim);
    block->v_scales = ring_page_scales(block_at(walk, block->key) + walk->call->v_offset, walk->call->value_dim);
    block->scores = block->scores == walk->scores[0] ? walk->scores[1] : walk->scores[0];
    return 1;
}

// Points a strip at its share of the pages of the next key tile, which lie one after the other for a head, K then V: left to the
// hardware, the first strip of each tile waits for them.
static void aim_prefetch(amx_walk *walk, const meeting *block) {
    const ring_attention_call *call = walk->call;
    const int32_t strips = (walk->rows + STRIP - 1) / STRIP;
    const int32_t places = walk->fine ? POINTS * walk->rows : STRIP;
    const int64_t bytes = ring_page_bytes(call->element, call->head_dim) + ring_page_bytes(call->element, call->value_dim);
    const int64_t next = block->key + walk->key_tile;
    walk->next_lines = next < call->keys ? (int32_t)((bytes / 64 + strips * places - 1) / (strips * places)) : 0;
    walk->next = block_at(walk, next) + call->k_offset + bytes / strips * (block->row / STRIP);
}

// --- the state of a query tile

// Copies a row's accumulator between the call and the tiles.
static void copy_sums(const amx_walk *walk, int32_t i, int out) {
    float *acc = walk->call->acc + (walk->first_row + i) * walk->call->acc_stride;
    uint8_t *strip = walk->sums + (int64_t)(i / STRIP * walk->widths) * RING_TILE_PAIR;
    for (int32_t column = 0; column < walk->call->value_dim; column += WIDTH, acc += WIDTH, strip += RING_TILE_PAIR) {
        const __mmask16 lanes = walk->call->value_dim - column >= WIDTH ? 0xffff : 0x00ff; // value_dim is a multiple of 8
        float *sums = sums_row(strip, i % STRIP);
        if (out) _mm512_mask_storeu_ps(acc, lanes, _mm512_load_ps(sums));
        else _mm512_store_ps(sums, _mm512_maskz_loadu_ps(lanes, acc));
    }
}

static void load_query(const amx_walk *walk, int32_t i) {
    const ring_attention_call *call = walk->call;
    const float *q = call->q + (walk->first_row + i) * call->q_stride;
    uint8_t *line = walk->queries + (int64_t)(i / STRIP * walk->depths) * walk->query_step;
    line += i % STRIP / RING_TILE_ROWS * RING_TILE + i % RING_TILE_ROWS * RING_TILE_BYTES;
    if (walk->kind != KIND_PAGES) {
        cut_query(q, call->head_dim, walk->depths, line);
        return;
    }
    for (int32_t dim = 0; dim < call->head_dim; dim += 32, line += RING_TILE_PAIR)
        _mm512_store_si512(line, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(q + dim + 16), _mm512_loadu_ps(q + dim)));
}

static void load_tile(amx_walk *walk) {
    for (int32_t i = 0; i < walk->rows; i++) {
        load_query(walk, i);
        copy_sums(walk, i, 0);
        walk->reference[i] = walk->call->row_max[walk->first_row + i];
        walk->sum[i] = walk->call->row_sum[walk->first_row + i];
    }
}

static void store_tile(const amx_walk *walk) {
    for (int32_t i = 0; i < walk->rows; i++) {
        copy_sums(walk, i, 1);
        walk->call->row_max[walk->first_row + i] = walk->reference[i];
        walk->call->row_sum[walk->first_row + i] = walk->sum[i];
    }
}

static void attend_tile(amx_walk *walk) {
    static void (*const weigh[2][3])(amx_walk *, const meeting *) = {
        {weigh_pages, weigh_bytes, weigh_cut},
        {weigh_pages_fine, weigh_bytes_fine, weigh_cut},
    };
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
    // Weights that wait together shrink together, so that where a key tile begins can show in a row's last bits.
    const int64_t grid = walk->call->alone ? walk->key_tile : RING_BLOCK_TOKENS;
    meeting block = {.tile = any.first / grid * grid - walk->key_tile, .row = walk->rows};
    int more = advance(walk, &block, any.end);
    push_scores(walk, &block);
    finish_jobs(walk);
    while (more) {
        meeting next = block;
        more = advance(walk, &next, any.end);
        if (more) push_scores(walk, &next);
        const int32_t left = blocks_left(walk, &block);
        push_values(walk, (walk->later_count - walk->later_next + left - 1) / left);
        aim_prefetch(walk, &block);
        ring_clear_tiles();
        weigh[walk->fine][walk->kind](walk, &block);
        if (left == 1) plan_values(walk, &block);
        block = next;
    }
    finish_jobs(walk);
    walk->later_count = walk->later_next = 0;
    store_tile(walk);
}

// Whether tiles serve the call. Heads of bf16 and int8 must fill tiles; those of f32 are filled up, which must not cost too much. Few rows
// do not pay for pages being cut or widened, but where rows are to be as if they were alone their number cannot choose.
static int fits_tiles(const ring_attention_call *call) {
    const int fills = call->head_dim % DEPTH == 0 && call->value_dim % WIDTH == 0;
    if (call->element == RING_ELEMENT_BF16) return fills;
    if (call->element == RING_ELEMENT_INT8) return fills && (call->alone || call->rows > RING_TILE_ROWS);
    const int32_t filled = (call->head_dim + 31) / 32 * 32 + (call->value_dim + 15) / 16 * 16;
    return (call->alone || call->rows >= STRIP) && 2 * filled <= 3 * (call->head_dim + call->value_dim);
}

static void attend(const ring_attention_call *call, int fine) {
    uint8_t *scratch = call->scratch;
    const amx_kind kind = call->element == RING_ELEMENT_F32 ? KIND_CUT : call->element == RING_ELEMENT_INT8 ? KIND_BYTES : KIND_PAGES;
    amx_walk walk = {
        .call = call,
        .kind = kind,
        .key_tile = kind == KIND_PAGES ? KEY_TILE_PAGES : KEY_TILE_TILES,
        .depths = (call->head_dim + DEPTH - 1) / DEPTH,
        .widths = (call->value_dim + WIDTH - 1) / WIDTH,
        .query_step = kind == KIND_PAGES ? RING_TILE_PAIR : CUT_ROWS,
        .weight_step = kind == KIND_CUT || fine ? CUT_ROWS : WEIGHT_STEP,
        .columns_bytes = kind == KIND_CUT ? CUT_COLUMNS : RING_TILE,
        .queries = scratch,
        .sums = scratch + SUMS_OFFSET,
        .keys = scratch + KEYS_OFFSET,
        .values = scratch + VALUES_OFFSET,
        .weights = scratch + WEIGHTS_OFFSET,
        .scores = {scratch + SCORES_OFFSET, scratch + SCORES_OFFSET + SCORES_BYTES},
        .fine = fine,
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

void ring_attend_amx(const ring_attention_call *call) {
    if (fits_tiles(call)) attend(call, 0);
    else ring_attend_avx512(call);
}

// Where several rows share keys and values, the vector unit's arithmetic takes longer than memory, the tile unit's does not. Weights keep
// all of their 24 bits, in three parts.
void ring_decode_amx(const ring_attention_call *call) {
    const int fills = call->head_dim % DEPTH == 0 && call->value_dim % WIDTH == 0 && call->element != RING_ELEMENT_F32;
    if (call->rows < DECODE_ROWS_MIN || !fills) {
        ring_decode_avx512(call);
        return;
    }
    ring_attention_call all = *call;
    all.causal = 0;
    all.spans = 0;
    attend(&all, 1);
}
#pragma clang attribute pop
#endif

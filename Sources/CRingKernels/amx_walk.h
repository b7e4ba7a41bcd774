// A query tile on its way past the keys by AMX: what lies where, and the jobs of the tile unit (tile_jobs.h) that it gives rise to.
// Included by attention_amx.c inside its target attribute.
#ifndef RING_AMX_WALK_H
#define RING_AMX_WALK_H

#include "amx_cut.h"

enum {
    STRIP = RING_TILE_STRIP,
    QUERY_TILE = 256,
    STRIPS = QUERY_TILE / STRIP,
    DEPTH = RING_TILE_DEPTH,
    DEPTHS_MAX = RING_DIM_MAX / DEPTH,
    WIDTH = RING_TILE_ROWS, // columns of a job
    WIDTHS_MAX = RING_DIM_MAX / WIDTH,
    PAGE_BYTES = RING_BLOCK_TOKENS * 4, // a row of a page of bf16 keys
    // Keys whose weights wait for their values together. Two blocks where pages are read as they lie, so that sums are loaded and stored
    // half as often; one where scratch holds one.
    KEY_TILE_PAGES = 2 * RING_BLOCK_TOKENS,
    KEY_TILE_TILES = RING_BLOCK_TOKENS,
    WEIGHT_STEP = 2 * RING_TILE_PAIR, // of weights in two parts; those in three take CUT_ROWS
};

// Scratch, in bytes.
enum {
    SUMS_OFFSET = STRIPS * DEPTHS_MAX * CUT_ROWS,
    KEYS_OFFSET = SUMS_OFFSET + STRIPS * WIDTHS_MAX * RING_TILE_PAIR,
    VALUES_OFFSET = KEYS_OFFSET + RING_BLOCK_TOKENS / WIDTH * DEPTHS_MAX * CUT_COLUMNS,
    SCORES_OFFSET = VALUES_OFFSET + WIDTHS_MAX * 2 * CUT_COLUMNS,
    SCORES_BYTES = RING_BLOCK_TOKENS / WIDTH * RING_TILE_PAIR,
    WEIGHTS_OFFSET = SCORES_OFFSET + 2 * SCORES_BYTES,
    WEIGHTS_BYTES = KEY_TILE_PAGES / DEPTH * CUT_ROWS,
};
_Static_assert(WEIGHTS_OFFSET + 2 * WEIGHTS_BYTES <= RING_ATTENTION_SCRATCH_BYTES, "scratch holds a query tile");

// What the tile unit reads of a block: bf16 pages as they lie, tiles of bytes widened, tiles of f32 cut in three.
typedef enum amx_kind { KIND_PAGES, KIND_BYTES, KIND_CUT } amx_kind;

typedef struct amx_walk {
    const ring_attention_call *call;
    amx_kind kind;
    int fine;               // whether weights of pages and bytes go in three parts, not two: one token's few rows
    int32_t key_tile;       // keys
    int32_t depths, widths; // head_dim in runs of 32 and value_dim in runs of 16, rounded up
    int32_t query_step, weight_step;
    uint8_t *queries;       // [strip][depths] steps
    uint8_t *sums;          // [strip][widths] pairs of tiles
    int32_t columns_bytes;  // of a step of the columns' side in scratch
    uint8_t *keys, *values; // pages that were cut or widened
    const uint8_t *cut_k, *cut_v; // the pages that those are of
    uint8_t *weights; // [key_tile / 32] steps: those that are being made; the other buffer's are being multiplied
    uint8_t *scores[2];
    float exponent_scale;
    int64_t first_row; // of the call
    int32_t rows;
    const uint8_t *next; // lines to come, asked for row by row; never read
    int32_t next_lines;  // for each row, or, of a walk with few rows, for each place where the tile unit keeps pace
    ring_key_span any[STRIPS], all[STRIPS]; // keys of the run that one row of a strip sees, that every row sees
    float reference[QUERY_TILE], sum[QUERY_TILE];
    ring_tile_queue now;                   // beside the block that is being weighed
    ring_tile_job later[WIDTHS_MAX];       // values of the strip before that are to be multiplied yet
    int32_t later_count, later_next;
    int32_t later_row;                     // of the strip whose values these are, and those in `now`
    int32_t credit, rate;                  // of calls of ring_tile_step, in 1/256
} amx_walk;

// One block of keys before one strip.
typedef struct meeting {
    int32_t row, rows; // of the query tile
    int64_t tile;      // first key of the key tile
    int64_t key;       // first key of the block
    int32_t keys;      // 32 or 64: those that a row sees, rounded up to a step of the values
    ring_key_span any; // keys of the run that one row of the strip sees
    int whole;         // whether every row sees all 64
    uint8_t *scores;
    const float *k_scales, *v_scales; // of int8 pages
} meeting;

static int32_t min32(int64_t a, int64_t b) { return (int32_t)(a < b ? a : b); }

static const uint8_t *block_at(const amx_walk *walk, int64_t key) {
    return walk->call->kv + key / RING_BLOCK_TOKENS * walk->call->block_stride;
}

static void push_scores(amx_walk *walk, const meeting *block) {
    const uint8_t *page = block_at(walk, block->key) + walk->call->k_offset;
    const int tiles = walk->kind != KIND_PAGES;
    if (tiles && walk->cut_k != page) {
        if (walk->kind == KIND_CUT) cut_keys((const float *)page, walk->call->head_dim, walk->depths, walk->keys);
        else widen_keys(page, walk->depths, walk->keys);
        walk->cut_k = page;
    }
    for (int32_t run = 0; run < block->keys / WIDTH; run++) {
        ring_tile_job job = {
            .parts = walk->kind == KIND_CUT ? RING_TILE_IN_THREE : tiles ? RING_TILE_ROWS_IN_THREE : RING_TILE_PLAIN,
            .steps = walk->depths,
            .rows = walk->queries + (int64_t)(block->row / STRIP * walk->depths) * walk->query_step,
            .rows_step = walk->query_step,
            .columns = tiles ? walk->keys + (int64_t)(run * walk->depths) * walk->columns_bytes : page + run * RING_TILE_BYTES,
            .column_stride = tiles ? RING_TILE_BYTES : PAGE_BYTES,
            .sums = block->scores + run * RING_TILE_PAIR,
            .lower = block->rows > RING_TILE_ROWS,
        };
        job.columns_step[0] = job.columns_step[1] = tiles ? walk->columns_bytes : DEPTH / 2 * PAGE_BYTES;
        ring_tile_push(&walk->now, &job);
    }
}

// The values of the strip whose last block in its key tile is `last`, one job for each 16 columns. Jobs before them must be done.
static void plan_values(amx_walk *walk, const meeting *last) {
    const ring_attention_call *call = walk->call;
    const int64_t skipped = last->any.first > last->tile ? (last->any.first - last->tile) / RING_BLOCK_TOKENS * RING_BLOCK_TOKENS : 0;
    const uint8_t *page = block_at(walk, last->tile + skipped) + call->v_offset;
    const int64_t line = (int64_t)call->value_dim * 4;
    const int tiles = walk->kind != KIND_PAGES;
    if (tiles && walk->cut_v != page) {
        if (walk->kind == KIND_CUT) cut_values((const float *)page, call->value_dim, walk->widths, walk->values);
        else widen_values(page, walk->widths, walk->values);
        walk->cut_v = page;
    }
    for (int32_t width = 0; width < walk->widths; width++) {
        ring_tile_job *job = &walk->later[width];
        *job = (ring_tile_job){
            .parts = walk->kind == KIND_CUT ? RING_TILE_IN_THREE : walk->fine ? RING_TILE_ROWS_IN_THREE : RING_TILE_ROWS_IN_TWO,
            .steps = (int32_t)(last->key - last->tile - skipped + last->keys) / 32,
            .rows = walk->weights + skipped / 32 * walk->weight_step,
            .rows_step = walk->weight_step,
            .columns = tiles ? walk->values + (int64_t)width * 2 * walk->columns_bytes : page + width * RING_TILE_BYTES,
            .column_stride = tiles ? RING_TILE_BYTES : (int32_t)line,
            .columns_step = {walk->columns_bytes, walk->columns_bytes},
            .sums = walk->sums + (int64_t)(last->row / STRIP * walk->widths + width) * RING_TILE_PAIR,
            .adds = 1,
            .lower = last->rows > RING_TILE_ROWS,
        };
        if (tiles) continue;
        job->columns_step[0] = 16 * line;
        job->columns_step[1] = call->block_stride - 16 * line;
    }
    walk->later_row = last->row;
    walk->later_next = 0;
    walk->later_count = walk->widths;
    uint8_t *first = (uint8_t *)call->scratch + WEIGHTS_OFFSET;
    walk->weights = walk->weights == first ? first + WEIGHTS_BYTES : first;
}

// Takes `count` of the jobs planned for later into the queue.
static void push_values(amx_walk *walk, int32_t count) {
    for (; count > 0 && walk->later_next < walk->later_count; count--) ring_tile_push(&walk->now, &walk->later[walk->later_next++]);
}

// Does what is in the queue.
static __attribute__((noinline)) void empty_queue(amx_walk *walk) {
    if (walk->kind == KIND_CUT)
        while (walk->now.left > 0) ring_tile_step(1, &walk->now);
    else
        while (walk->now.left > 0) ring_tile_step(0, &walk->now);
    ring_tile_clear(&walk->now);
}

// Does all jobs that there are.
static void finish_jobs(amx_walk *walk) {
    empty_queue(walk);
    push_values(walk, walk->later_count);
    empty_queue(walk);
}

// The tile unit's share of work at one of POINTS places in each row's softmax.
enum { POINTS = 3 };

static void set_pace(amx_walk *walk, int32_t rows) {
    walk->credit = 0;
    walk->rate = (walk->now.left * 256 + POINTS * rows - 1) / (POINTS * rows);
}

RING_TEMPLATE void ask_for_lines(amx_walk *walk) {
    for (int32_t line = 0; line < walk->next_lines; line++, walk->next += 64) _mm_prefetch((const char *)walk->next, _MM_HINT_T1);
}

RING_TEMPLATE void keep_pace(const amx_kind kind, const int fine, amx_walk *walk) {
    if (fine) ask_for_lines(walk);
    for (walk->credit += walk->rate; walk->credit >= 256; walk->credit -= 256)
        if (walk->now.left > 0) ring_tile_step(kind == KIND_CUT, &walk->now);
}

#endif

// Products of tiles as a queue of work that is done a few instructions at a time: the softmax, which the vector unit does, calls
// `ring_tile_step` between its rows, so that both units are busy.
//
// A job is 32 rows by 16 columns of sums, in two tiles, over all steps of its depth; with one tile for the rows' side and one for the
// columns' side, four of the eight tiles are in use. Two by two tiles of sums would need fewer loads. But a core whose other
// hyperthread holds tiles too has few to spare for renaming, and then an instruction waits for the one before it, the more so the more
// tiles are in use (Docs/PERFORMANCE.md). A tile counts as in use from its first load until the shape is set anew.
//
// What the tile unit reads as rows and writes as sums lies in scratch as whole tiles, 16 lines of 64 bytes, in the order of use. Its
// columns' side is pages as they lie in KV blocks, or tiles too.
#ifndef RING_TILE_JOBS_H
#define RING_TILE_JOBS_H

#include "tiles.h"

enum {
    RING_TILE = RING_TILE_ROWS * RING_TILE_BYTES,
    RING_TILE_PAIR = 2 * RING_TILE, // 32 rows: of one part of a step, or of 16 columns of sums
    RING_TILE_STRIP = 2 * RING_TILE_ROWS,
};

// What a step multiplies: columns in one bf16 part and rows in one, two or three, or both in three (amx_cut.h).
typedef enum ring_tile_parts { RING_TILE_PLAIN, RING_TILE_ROWS_IN_TWO, RING_TILE_ROWS_IN_THREE, RING_TILE_IN_THREE } ring_tile_parts;

typedef struct ring_tile_job {
    ring_tile_parts parts;
    int32_t steps;
    const uint8_t *rows, *columns;
    int32_t rows_step;       // bytes from one step to the next
    int32_t column_stride;   // bytes between the 16 lines of a tile of the columns' side
    int64_t columns_step[2]; // bytes to the next step after a step of even number and of odd
    uint8_t *sums;           // two tiles
    uint8_t adds;            // to what they hold
    uint8_t lower;           // whether rows 16 ... 31 exist
} ring_tile_job;

// The jobs of a stretch of vector work.
typedef struct ring_tile_queue {
    ring_tile_job jobs[4 + RING_DIM_MAX / 16];
    int32_t count, current;
    int32_t left; // calls of ring_tile_step until all is done
    int32_t step, third; // of the current job, and of a step in three parts
    const uint8_t *rows, *columns;
} ring_tile_queue;

static inline void ring_tile_begin(ring_tile_queue *queue) {
    queue->step = queue->third = 0;
    queue->rows = queue->jobs[queue->current].rows;
    queue->columns = queue->jobs[queue->current].columns;
}

static inline void ring_tile_clear(ring_tile_queue *queue) { queue->count = queue->current = queue->left = 0; }

static inline void ring_tile_push(ring_tile_queue *queue, const ring_tile_job *job) {
    queue->jobs[queue->count++] = *job;
    queue->left += job->steps * (job->parts == RING_TILE_IN_THREE ? 3 : 1);
    if (queue->count == 1) ring_tile_begin(queue);
}

// A step's products, in the order with the fewest loads. UP and LOW are rows 0 ... 15 and 16 ... 31 of the part at `offset`.
#define RING_COLUMNS(offset) _tile_loadd(3, queue->columns + (offset), job->column_stride);
#define RING_UP_KEPT() _tile_dpbf16ps(0, 2, 3);
#define RING_UP(offset)                                                                                                \
    _tile_loadd(2, queue->rows + (offset), RING_TILE_BYTES);                                                           \
    RING_UP_KEPT()
#define RING_LOW_KEPT() if (job->lower) _tile_dpbf16ps(1, 2, 3);
#define RING_LOW(offset)                                                                                               \
    if (job->lower) {                                                                                                  \
        _tile_loadd(2, queue->rows + (offset) + RING_TILE, RING_TILE_BYTES);                                           \
        _tile_dpbf16ps(1, 2, 3);                                                                                       \
    }

// One of the three thirds of a step in three parts: lower, middle and upper rows times upper columns; upper rows times lower columns
// and middle columns; middle times middle.
RING_TEMPLATE void ring_tile_third(const ring_tile_queue *queue, const ring_tile_job *job) {
    enum { MIDDLE_ROWS = RING_TILE_PAIR, LOWER_ROWS = 2 * RING_TILE_PAIR, MIDDLE_COLUMNS = RING_TILE, LOWER_COLUMNS = 2 * RING_TILE };
    if (queue->third == 0) {
        RING_COLUMNS(0)
        RING_UP(LOWER_ROWS)
        RING_LOW(LOWER_ROWS)
        RING_LOW(MIDDLE_ROWS)
        RING_UP(MIDDLE_ROWS)
    } else if (queue->third == 1) {
        RING_UP(0)
        RING_LOW(0)
        RING_COLUMNS(LOWER_COLUMNS)
        RING_LOW_KEPT()
        RING_UP(0)
    } else {
        RING_COLUMNS(MIDDLE_COLUMNS)
        RING_UP_KEPT()
        RING_LOW(0)
        RING_LOW(MIDDLE_ROWS)
        RING_UP(MIDDLE_ROWS)
    }
}

// The next step of the depth, or third of one, with the loads that it needs. Only while queue->left > 0. All jobs of a queue are in
// three parts, or none.
RING_TEMPLATE void ring_tile_step(const int thirds, ring_tile_queue *queue) {
    const ring_tile_job *job = &queue->jobs[queue->current];
    queue->left--;
    if (queue->step == 0 && (!thirds || queue->third == 0)) {
        if (job->adds) {
            _tile_loadd(0, job->sums, RING_TILE_BYTES);
            if (job->lower) _tile_loadd(1, job->sums + RING_TILE, RING_TILE_BYTES);
        } else {
            _tile_zero(0);
            _tile_zero(1);
        }
    }
    if (thirds) {
        ring_tile_third(queue, job);
        if (++queue->third < 3) return;
        queue->third = 0;
    } else {
        RING_COLUMNS(0)
        RING_UP(0)
        RING_LOW(0)
        if (job->parts != RING_TILE_PLAIN) {
            RING_LOW(RING_TILE_PAIR)
            RING_UP(RING_TILE_PAIR)
        }
        if (job->parts == RING_TILE_ROWS_IN_THREE) {
            RING_UP(2 * RING_TILE_PAIR)
            RING_LOW(2 * RING_TILE_PAIR)
        }
    }
    queue->rows += job->rows_step;
    queue->columns += job->columns_step[queue->step & 1];
    if (++queue->step < job->steps) return;
    _tile_stored(0, job->sums, RING_TILE_BYTES);
    if (job->lower) _tile_stored(1, job->sums + RING_TILE, RING_TILE_BYTES);
    if (++queue->current < queue->count) ring_tile_begin(queue);
}

#endif

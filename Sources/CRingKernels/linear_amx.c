// Linear layers with bf16 weights by AMX. Weights lie in tiles (`ring_pack_weight`), activations are packed a slice at a time.
//
// An activation goes to the tile unit as one bf16 value or as two, its upper 8 bits and what is left of it, so that it keeps 16 bits:
// products of two bf16 values are exact in f32 and sums are f32, so two parts leave an error of 2^-17 of an activation beside the
// rounding of sums, which a layer in f32 has too. A tile of weights, once loaded, serves both parts.
//
// Four accumulators, 32 rows by 32 outputs. All tiles of a step are loaded before its first multiplication: where a neighbour shares
// the core this is a fifth faster than loads and multiplications by turns. Subnormals count as zero (TDPBF16PS).
#if defined(__x86_64__)
#include "tiles.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,amx-tile,amx-bf16"))), \
                             apply_to = function)

enum {
    GROUP = RING_GROUP_ROWS,
    PANEL = RING_PANEL_OUTPUTS,
    STEP = RING_STEP_INPUTS,
    TILE = RING_TILE_ROWS * RING_TILE_BYTES,
    PANEL_STEP_BYTES = 2 * TILE,
    RUN = 32,             // steps between two looks at the accumulators in memory: a panel's run is 64 KiB and stays in L2
    READ_AHEAD = 4,       // steps that one row reads ahead: 8 KiB
    AHEAD = 4,            // cache lines of the next panel that a step asks for: all of a run in the eight groups of a slice
};

// One run of steps of 32 rows and 32 outputs.
typedef struct ring_block {
    const uint8_t *rows, *weight;
    const uint8_t *next; // of the next panel, asked for and never read here
    int64_t steps;
    float *out;
    int64_t out_stride;
    int fresh;           // starts from zero instead of `out`
} ring_block;

// Asks for two tiles of a later step, which loads would otherwise wait for line by line.
RING_TEMPLATE void ask_for(const uint8_t *tiles) {
#pragma clang loop unroll(full)
    for (int line = 0; line < 2 * TILE / 64; line++) _mm_prefetch((const char *)tiles + line * 64, _MM_HINT_T0);
}

RING_TEMPLATE void multiply_block(const int parts, const ring_block *block) {
    const uint8_t *a = block->rows, *b = block->weight, *next = block->next;
    float *c = block->out, *lower = c + RING_TILE_ROWS * block->out_stride;
    const int64_t bytes = block->out_stride * 4;
    if (block->fresh) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, c, bytes);
        _tile_loadd(1, c + 16, bytes);
        _tile_loadd(2, lower, bytes);
        _tile_loadd(3, lower + 16, bytes);
    }
    for (int64_t step = 0; step < block->steps; step++, b += PANEL_STEP_BYTES, next += AHEAD * 64) {
        ask_for(b + PANEL_STEP_BYTES);
        _tile_loadd(4, b, RING_TILE_BYTES);
        _tile_loadd(5, b + TILE, RING_TILE_BYTES);
#pragma clang loop unroll(full)
        for (int part = 0; part < parts; part++, a += 2 * TILE) {
            ask_for(a + parts * 2 * TILE);
            _tile_loadd(6, a, RING_TILE_BYTES);
            _tile_loadd(7, a + TILE, RING_TILE_BYTES);
            _tile_dpbf16ps(0, 6, 4);
            _tile_dpbf16ps(1, 6, 5);
            _tile_dpbf16ps(2, 7, 4);
            _tile_dpbf16ps(3, 7, 5);
        }
#pragma clang loop unroll(full)
        for (int line = 0; line < AHEAD; line++) _mm_prefetch((const char *)next + line * 64, _MM_HINT_T1);
    }
    _tile_stored(0, c, bytes);
    _tile_stored(1, c + 16, bytes);
    _tile_stored(2, lower, bytes);
    _tile_stored(3, lower + 16, bytes);
}

// A block at the edge of the output goes by way of a whole one on the stack.
static void multiply_edge(const int32_t parts, ring_block block, int64_t rows, int64_t outputs) {
    float edge[GROUP * PANEL] __attribute__((aligned(64))) = {0};
    float *out = block.out;
    const int64_t stride = block.out_stride;
    const size_t bytes = (size_t)outputs * sizeof *out;
    if (!block.fresh)
        for (int64_t row = 0; row < rows; row++) memcpy(edge + row * PANEL, out + row * stride, bytes);
    block.out = edge;
    block.out_stride = PANEL;
    if (parts == 1) multiply_block(1, &block);
    else multiply_block(2, &block);
    for (int64_t row = 0; row < rows; row++) memcpy(out + row * stride, edge + row * PANEL, bytes);
}

RING_TEMPLATE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Runs of steps, panels, groups of rows: a panel's run is read once from memory and met by all groups.
void ring_linear_amx(const ring_linear_call *call) {
    const ring_tile_shape before = ring_shape_eight_tiles();
    const int64_t step_bytes = (int64_t)call->parts * 2 * TILE, groups = (call->rows + GROUP - 1) / GROUP;
    for (int64_t step = 0; step < call->steps; step += RUN) {
        const int64_t steps = smaller(call->steps - step, RUN);
        for (int64_t output = 0; output < call->outputs; output += PANEL) {
            const uint8_t *weight = call->weight + output / PANEL * call->panel_stride + step * PANEL_STEP_BYTES;
            for (int64_t group = 0; group < groups; group++) {
                ring_block block = {
                    .rows = call->packed + (group * call->steps + step) * step_bytes,
                    .weight = weight,
                    .next = weight + call->panel_stride + group * steps * AHEAD * 64,
                    .steps = steps,
                    .out = call->out + group * GROUP * call->out_stride + output,
                    .out_stride = call->out_stride,
                    .fresh = step == 0 && !call->accumulate,
                };
                const int64_t rows = smaller(call->rows - group * GROUP, GROUP), outputs = smaller(call->outputs - output, PANEL);
                if (rows < GROUP || outputs < PANEL) multiply_edge(call->parts, block, rows, outputs);
                else if (call->parts == 1) multiply_block(1, &block);
                else multiply_block(2, &block);
            }
        }
    }
    ring_restore_tiles(before);
}

// 32 values of a row, those beyond `left` zero.
RING_TEMPLATE void load_step(const float *x, int64_t left, __m512 values[2]) {
    for (int half = 0; half < 2; half++) {
        const int64_t count = left - 16 * half;
        const __mmask16 mask = count >= 16 ? 0xffff : count <= 0 ? 0 : (__mmask16)((1u << count) - 1);
        values[half] = _mm512_maskz_loadu_ps(mask, x + 16 * half);
    }
}

RING_TEMPLATE __m512 widen_half(__m512i pairs, int half) {
    const __m256i values = half ? _mm512_extracti64x4_epi64(pairs, 1) : _mm512_castsi512_si256(pairs);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(values), 16));
}

// Rows in groups of 32, those beyond the last one zero: for each step and part the tiles of rows 0 ... 15 and 16 ... 31.
void ring_pack_rows_amx(const float *x, int64_t stride, int64_t rows, int64_t inputs, int32_t parts, uint8_t *packed) {
    const int64_t steps = (inputs + STEP - 1) / STEP, step_bytes = (int64_t)parts * 2 * TILE;
    for (int64_t row = 0; row < (rows + GROUP - 1) / GROUP * GROUP; row++) {
        const int64_t inside = row % GROUP;
        uint8_t *to = packed + row / GROUP * steps * step_bytes + inside / 16 * TILE + inside % 16 * 64;
        for (int64_t step = 0; step < steps; step++, to += step_bytes) {
            __m512 values[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
            if (row < rows) load_step(x + row * stride + step * STEP, inputs - step * STEP, values);
            const __m512i upper = (__m512i)_mm512_cvtne2ps_pbh(values[1], values[0]);
            _mm512_store_si512(to, upper);
            if (parts == 1) continue;
            for (int half = 0; half < 2; half++) values[half] = _mm512_sub_ps(values[half], widen_half(upper, half));
            _mm512_store_si512(to + 2 * TILE, (__m512i)_mm512_cvtne2ps_pbh(values[1], values[0]));
        }
    }
}

// out [32] = one row times a panel, in f32: eight sums, so that one multiply-add does not wait for the one before it.
static void multiply_panel(const float *x, int64_t inputs, const uint8_t *panel, __m512 out[2]) {
    __m512 sums[8];
    for (int i = 0; i < 8; i++) sums[i] = _mm512_setzero_ps();
    for (int64_t step = 0; step < inputs; step += STEP, panel += PANEL_STEP_BYTES) {
        ask_for(panel + READ_AHEAD * PANEL_STEP_BYTES);
        __m512 values[2];
        float row[STEP];
        load_step(x + step, inputs - step, values);
        _mm512_storeu_ps(row, values[0]);
        _mm512_storeu_ps(row + 16, values[1]);
#pragma clang loop unroll(full)
        for (int pair = 0; pair < STEP / 2; pair++) {
            const __m512 even = _mm512_set1_ps(row[2 * pair]), odd = _mm512_set1_ps(row[2 * pair + 1]);
#pragma clang loop unroll(full)
            for (int half = 0; half < 2; half++) {
                const __m512i weights = _mm512_load_si512(panel + half * TILE + pair * 64);
                const __m512 high = _mm512_castsi512_ps(_mm512_and_si512(weights, _mm512_set1_epi32((int)0xffff0000u)));
                const __m512 low = _mm512_castsi512_ps(_mm512_slli_epi32(weights, 16));
                const int sum = 4 * half + pair % 2 * 2;
                sums[sum] = _mm512_fmadd_ps(even, low, sums[sum]);
                sums[sum + 1] = _mm512_fmadd_ps(odd, high, sums[sum + 1]);
            }
        }
    }
    for (int half = 0; half < 2; half++)
        out[half] = _mm512_add_ps(_mm512_add_ps(sums[4 * half], sums[4 * half + 1]),
                                  _mm512_add_ps(sums[4 * half + 2], sums[4 * half + 3]));
}

void ring_gemv_packed_amx(const float *x, int64_t x_stride, int64_t rows, const uint8_t *weight, int64_t panel_stride,
                          int64_t outputs, int64_t inputs, float *out, int64_t out_stride) {
    for (int64_t output = 0; output < outputs; output += PANEL, weight += panel_stride)
        for (int64_t row = 0; row < rows; row++) {
            __m512 sums[2];
            multiply_panel(x + row * x_stride, inputs, weight, sums);
            for (int half = 0; half < 2; half++) {
                const int64_t left = outputs - output - 16 * half;
                const __mmask16 mask = left >= 16 ? 0xffff : left <= 0 ? 0 : (__mmask16)((1u << left) - 1);
                _mm512_mask_storeu_ps(out + row * out_stride + output + 16 * half, mask, sums[half]);
            }
        }
}
#pragma clang attribute pop
#endif

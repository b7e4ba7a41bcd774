// One token's attention for AVX-512: few query rows against many keys, as fast as the keys can be read from memory.
//
// The walk over tiles is made for many rows: it reads a tile's K, then its V in runs of columns, and leaves it to the
// hardware to have them there in time. With few rows nothing is read twice and memory is all that counts, so here a block's
// K page and V page are read once for all rows, and while one block is worked on, each step of the depth asks for the
// same share of the next block's pages: the memory has work while the multiplications, and above all the softmax
// between the two pages, have theirs. Hardware prefetchers see neither the end of a page nor the next block of a head
// when a block holds several.
//
// Weights stay f32 and bf16 pages are widened in registers also where VDPBF16PS exists: reading takes longer than that.
#if defined(__x86_64__)
#include "internal.h"

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#include "attention_zmm.h"

typedef enum token_kind { TOKEN_F32, TOKEN_WIDE, TOKEN_BYTES } token_kind;

enum {
    GROUP_ROWS = 12,     // most rows that share what is read; 24 accumulators, so 4 vectors each up to 6 rows, else 2
    ACCUMULATORS = 24,
};

// The rows of a group against one block after the other.
typedef struct ring_token_group {
    int32_t head_dim, value_dim;
    const float *q;       // packed, RING_DIM_MAX apart
    float *weights;       // [rows][RING_BLOCK_TOKENS], first the scores
    float *acc;
    int64_t acc_stride;
    float *row_max;
    float *sums;          // [rows][16]: the sum of weights by lane
    float exponent_scale;
    int32_t lines;        // of the next block, that each two steps of the depth ask for
} ring_token_group;

// One block, and where its successor's share of lines begins.
typedef struct ring_token_block {
    const uint8_t *k, *v;
    const uint8_t *next_k, *next_v; // never read
    int32_t keys;                   // 1 ... RING_BLOCK_TOKENS
} ring_token_block;

// Bytes of a column of a page's row: a pair of bf16 counts as one.
RING_TEMPLATE int64_t token_bytes(const token_kind kind) { return kind == TOKEN_BYTES ? 1 : 4; }

// `vectors` vectors of a page's row; see ring_load_columns. Bytes are widened as they are, without their scales.
RING_TEMPLATE void token_load(const token_kind kind, const int vectors, const __mmask16 mask, const uint8_t *b, const int half,
                              __m512 columns[4]) {
    if (kind != TOKEN_BYTES) {
        ring_load_columns(kind == TOKEN_F32 ? RING_KIND_F32 : RING_KIND_WIDE, vectors, mask, (const float *)b, half, columns);
        return;
    }
#pragma clang loop unroll(full)
    for (int j = 0; j < vectors; j++) {
        const __mmask16 lanes = j == vectors - 1 ? mask : 0xffff;
        const uint8_t *at = b + 16 * j;
        const __m128i bytes = lanes == 0xffff ? _mm_loadu_si128((const __m128i *)at) : _mm_maskz_loadu_epi8(lanes, at);
        columns[j] = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
    }
}

// One step of the depth; see ring_multiply_step. `mask` is of the last vector's columns.
RING_TEMPLATE void token_step(const token_kind kind, const int rows, const int vectors, const __mmask16 mask, const float *a,
                              const int64_t a_stride, const uint8_t *b, const int half, __m512 c[ACCUMULATORS]) {
    __m512 columns[4];
    token_load(kind, vectors, mask, b, half, columns);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
        const __m512 row = _mm512_set1_ps(a[i * a_stride]);
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++) c[i * vectors + j] = _mm512_fmadd_ps(row, columns[j], c[i * vectors + j]);
    }
}

// c[row][vector] += rows' side [rows][depth] * page [depth][columns]; `a_stride` counts floats, `b_stride` bytes, depth page rows.
// Returns where the lines that the next call asks for begin.
RING_TEMPLATE const uint8_t *token_multiply(const token_kind kind, const int rows, const int vectors, const __mmask16 mask,
                                            const float *a, const int64_t a_stride, const uint8_t *b, const int64_t b_stride,
                                            int64_t depth, const uint8_t *next, int32_t lines, __m512 c[ACCUMULATORS]) {
    const int halves = kind == TOKEN_WIDE ? 2 : 1;
    int64_t step = 0;
    for (; step + 2 <= depth; step += 2, a += 2 * halves, b += 2 * b_stride) {
        for (int32_t line = 0; line < lines; line++, next += 64) _mm_prefetch((const char *)next, _MM_HINT_T1);
#pragma clang loop unroll(full)
        for (int part = 0; part < 2 * halves; part++)
            token_step(kind, rows, vectors, mask, a + part, a_stride, b + part / halves * b_stride, part % halves, c);
    }
    if (step < depth)
#pragma clang loop unroll(full)
        for (int half = 0; half < halves; half++) token_step(kind, rows, vectors, mask, a + half, a_stride, b, half, c);
    return next;
}

RING_TEMPLATE void token_scores(const token_kind kind, const int rows, const int vectors, const ring_token_group *group,
                                const ring_token_block *block) {
    const uint8_t *next = block->next_k;
#pragma clang loop unroll(full)
    for (int key = 0; key < RING_BLOCK_TOKENS; key += 16 * vectors) {
        __m512 c[ACCUMULATORS];
#pragma clang loop unroll(full)
        for (int i = 0; i < rows * vectors; i++) c[i] = _mm512_setzero_ps();
        next = token_multiply(kind, rows, vectors, 0xffff, group->q, RING_DIM_MAX, block->k + key * token_bytes(kind),
                              RING_BLOCK_TOKENS * token_bytes(kind), kind == TOKEN_WIDE ? group->head_dim / 2 : group->head_dim, next,
                              group->lines, c);
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
            for (int j = 0; j < vectors; j++)
                _mm512_storeu_ps(group->weights + i * RING_BLOCK_TOKENS + key + 16 * j, c[i * vectors + j]);
    }
}

// One row's accumulator and sums shrink to a new maximum. From -inf (nothing seen) there is nothing to shrink.
static __attribute__((noinline)) void token_grow(const ring_token_group *group, int32_t row, float grown) {
    const float old = group->row_max[row];
    group->row_max[row] = grown;
    if (old == -__builtin_inff()) return;
    const __m512 shrink = ring_exp2_zmm(6, _mm512_set1_ps(old - grown));
    float *acc = group->acc + row * group->acc_stride, *sums = group->sums + 16 * row;
    for (int32_t column = 0; column < group->value_dim; column += 16) {
        const __mmask16 mask = group->value_dim - column >= 16 ? 0xffff : 0x00ff;
        _mm512_mask_storeu_ps(acc + column, mask, _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, acc + column), shrink));
    }
    _mm512_storeu_ps(sums, _mm512_mul_ps(_mm512_loadu_ps(sums), shrink));
}

// Scores -> weights 2^(score * exponent_scale - row_max), zero beyond the block's keys. The maximum is reduced only when
// some lane exceeds it, which soon becomes rare, and the sum only at the call's end. A NaN exceeds nothing; it comes back
// in its weight.
RING_TEMPLATE void token_softmax(const token_kind kind, const int rows, const ring_token_group *group, const ring_token_block *block) {
    const __m512 scale = _mm512_set1_ps(group->exponent_scale), nothing = _mm512_set1_ps(-__builtin_inff());
    __mmask16 seen[4];
    for (int j = 0; j < 4; j++) seen[j] = (__mmask16)(ring_lanes_below(block->keys - 16 * j) & 0xffff);
    for (int32_t row = 0; row < rows; row++) {
        float *s = group->weights + row * RING_BLOCK_TOKENS, *sums = group->sums + 16 * row;
        __m512 x[4], top[4];
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++) {
            x[j] = _mm512_loadu_ps(s + 16 * j);
            if (kind == TOKEN_BYTES) x[j] = _mm512_mul_ps(x[j], _mm512_loadu_ps(ring_page_scales(block->k, group->head_dim) + 16 * j));
            top[j] = _mm512_mask_mov_ps(nothing, seen[j], x[j]);
        }
        const __m512 most = _mm512_max_ps(_mm512_max_ps(top[0], top[1]), _mm512_max_ps(top[2], top[3]));
        if (_mm512_cmp_ps_mask(_mm512_mul_ps(most, scale), _mm512_set1_ps(group->row_max[row]), _CMP_GT_OQ))
            token_grow(group, row, _mm512_reduce_max_ps(most) * group->exponent_scale);
        const __m512 max = _mm512_set1_ps(group->row_max[row]);
        __m512 sum = _mm512_loadu_ps(sums);
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++) {
            const __m512 p = _mm512_maskz_mov_ps(seen[j], ring_exp2_zmm(6, _mm512_fmsub_ps(x[j], scale, max)));
            sum = _mm512_add_ps(sum, p);
            const float *scales = ring_page_scales(block->v, group->value_dim) + 16 * j;
            _mm512_storeu_ps(s + 16 * j, kind == TOKEN_BYTES ? _mm512_mul_ps(p, _mm512_loadu_ps(scales)) : p);
        }
        _mm512_storeu_ps(sums, sum);
    }
}

// acc[row][column ...] += weights * V for `vectors` zmm of columns. Returns as token_multiply does.
RING_TEMPLATE const uint8_t *token_columns(const token_kind kind, const int rows, const int vectors, const __mmask16 mask,
                                           const ring_token_group *group, const ring_token_block *block, int32_t column,
                                           const uint8_t *next) {
    __m512 c[ACCUMULATORS];
    float *acc = group->acc + column;
    const int64_t stride = group->acc_stride, depth = kind == TOKEN_WIDE ? (block->keys + 1) / 2 : block->keys;
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++) c[i * vectors + j] = _mm512_maskz_loadu_ps(mask, acc + i * stride + 16 * j);
    next = token_multiply(kind, rows, vectors, mask, group->weights, RING_BLOCK_TOKENS, block->v + column * token_bytes(kind),
                          group->value_dim * token_bytes(kind), depth, next, group->lines, c);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
#pragma clang loop unroll(full)
        for (int j = 0; j < vectors; j++) _mm512_mask_storeu_ps(acc + i * stride + 16 * j, mask, c[i * vectors + j]);
    return next;
}

RING_TEMPLATE void token_block(const token_kind kind, const int rows, const ring_token_group *group, const ring_token_block *block) {
    const int vectors = rows * 4 <= ACCUMULATORS ? 4 : 2;
    token_scores(kind, rows, vectors, group, block);
    token_softmax(kind, rows, group, block);
    const uint8_t *next = block->next_v;
    int32_t column = 0;
    for (; column + 16 * vectors <= group->value_dim; column += 16 * vectors)
        next = token_columns(kind, rows, vectors, 0xffff, group, block, column, next);
    for (; column + 16 <= group->value_dim; column += 16)
        next = token_columns(kind, rows, 1, 0xffff, group, block, column, next);
    if (column < group->value_dim) token_columns(kind, rows, 1, 0x00ff, group, block, column, next); // a multiple of 8
}

typedef void token_function(const ring_token_group *, const ring_token_block *);

#define TOKEN_ROWS(name, kind, rows)                                                                                   \
    static __attribute__((noinline)) void name##_##rows(const ring_token_group *group, const ring_token_block *block) {  \
        token_block(kind, rows, group, block);                                                                         \
    }
#define TOKEN_KIND(name, kind)                                                                                         \
    TOKEN_ROWS(name, kind, 1) TOKEN_ROWS(name, kind, 2) TOKEN_ROWS(name, kind, 3) TOKEN_ROWS(name, kind, 4)              \
    TOKEN_ROWS(name, kind, 5) TOKEN_ROWS(name, kind, 6) TOKEN_ROWS(name, kind, 7) TOKEN_ROWS(name, kind, 8)              \
    TOKEN_ROWS(name, kind, 9) TOKEN_ROWS(name, kind, 10) TOKEN_ROWS(name, kind, 11) TOKEN_ROWS(name, kind, 12)           \
    static token_function *const name[GROUP_ROWS] = {name##_1, name##_2, name##_3, name##_4,  name##_5,  name##_6,      \
                                                     name##_7, name##_8, name##_9, name##_10, name##_11, name##_12};
TOKEN_KIND(token_f32, TOKEN_F32)
TOKEN_KIND(token_wide, TOKEN_WIDE)
TOKEN_KIND(token_int8, TOKEN_BYTES)

// All groups against one block while it lies in cache; each asks for its share of the next block. What lies behind the last
// block is asked for too: as a rule it is where the next run of keys begins, and what is not mapped is not fetched.
static void walk_block(const ring_attention_call *call, const ring_token_group *all, int64_t first_key, int32_t groups,
                       int32_t group_rows) {
    const int64_t element_size = ring_element_bytes(call->element), left = call->keys - first_key;
    const uint8_t *block = call->kv + first_key / RING_BLOCK_TOKENS * call->block_stride;
    const uint8_t *next = block + call->block_stride;
    token_function *const *functions = call->element == RING_ELEMENT_F32    ? token_f32
                                     : call->element == RING_ELEMENT_INT8 ? token_int8
                                                                          : token_wide;
    const int32_t turn_lines = call->element == RING_ELEMENT_INT8 ? 2 : 8;
    for (int32_t index = 0, row = 0; row < call->rows; index++, row += group_rows) {
        const int32_t rows = call->rows - row < group_rows ? (int32_t)(call->rows - row) : group_rows;
        ring_token_group group = *all;
        group.q += row * RING_DIM_MAX;
        group.acc += row * call->acc_stride;
        group.row_max += row;
        group.sums += 16 * row;
        group.lines = (rows * 4 <= ACCUMULATORS ? turn_lines : turn_lines / 2) / groups;
        const ring_token_block work = {
            .k = block + call->k_offset,
            .v = block + call->v_offset,
            .next_k = next + call->k_offset + index * RING_BLOCK_TOKENS * element_size * call->head_dim / groups,
            .next_v = next + call->v_offset + index * RING_BLOCK_TOKENS * element_size * call->value_dim / groups,
            .keys = left < RING_BLOCK_TOKENS ? (int32_t)left : RING_BLOCK_TOKENS,
        };
        functions[rows - 1](&group, &work);
    }
}

void ring_decode_avx512(const ring_attention_call *call) {
    const uint32_t before = ring_flush_to_zero();
    float *packed = call->scratch, *weights = packed + RING_DECODE_ROWS * RING_DIM_MAX;
    float *sums = weights + GROUP_ROWS * RING_BLOCK_TOKENS;
    for (int64_t row = 0; row < call->rows; row++) {
        (call->element == RING_ELEMENT_BF16 ? ring_pack_queries_rounded : ring_pack_queries_f32)(
            call->q + row * call->q_stride, call->q_stride, 1, call->head_dim, packed + row * RING_DIM_MAX);
        _mm512_storeu_ps(sums + 16 * row, _mm512_zextps128_ps512(_mm_set_ss(call->row_sum[row])));
    }
    const ring_token_group all = {
        .head_dim = call->head_dim,
        .value_dim = call->value_dim,
        .q = packed,
        .weights = weights,
        .acc = call->acc,
        .acc_stride = call->acc_stride,
        .row_max = call->row_max,
        .sums = sums,
        .exponent_scale = (float)((double)call->scale * RING_LOG2E),
    };
    const int32_t groups = (int32_t)(call->rows + GROUP_ROWS - 1) / GROUP_ROWS;
    const int32_t group_rows = groups ? (int32_t)(call->rows + groups - 1) / groups : 0;
    for (int64_t key = 0; key < call->keys; key += RING_BLOCK_TOKENS) walk_block(call, &all, key, groups, group_rows);
    for (int64_t row = 0; row < call->rows; row++) call->row_sum[row] = _mm512_reduce_add_ps(_mm512_loadu_ps(sums + 16 * row));
    ring_restore_control(before);
}
#pragma clang attribute pop
#endif

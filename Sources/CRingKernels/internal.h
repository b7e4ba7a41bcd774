// What the C files share among themselves: tile sizes, the functions behind the walk over tiles, bf16 rounding.
#ifndef RING_INTERNAL_H
#define RING_INTERNAL_H

#include "ring_kernels.h"

#include <string.h>

enum {
    RING_STRIP = 6,        // query rows of one micro-kernel
    RING_QUERY_TILE = 96,  // query rows that share a key tile while it lies in L2
    RING_KEY_TILE = 256,   // keys of one pass: 4 blocks; K and V of a head, f32, d = 128: 256 KiB, d = 256: 512 KiB
    RING_DIM_MAX = 256,
};

#define RING_LOG2E 1.4426950408889634074
#define RING_LN2 0.69314718055994530942

// One strip of query rows against one key tile: the argument of the three steps of a pass.
typedef struct ring_strip {
    int32_t rows;                  // 1 ... RING_STRIP
    int32_t keys;                  // one past the last key that a row sees, 1 ... RING_KEY_TILE
    int32_t firsts[RING_STRIP];    // first key that each row sees, 0 ... its end, ascending
    int32_t ends[RING_STRIP];      // one past its last, 0 ... keys, ascending
    int32_t head_dim, value_dim;
    const void *q;                 // packed by pack_queries
    const uint8_t *k, *v;          // pages of the tile's first block
    int64_t block_stride;
    const uint8_t *next_k, *next_v; // what this strip fetches of the next tile's pages, see ring_multiply; never read
    int64_t next_stride;           // bytes between blocks there
    float *scores;                 // [RING_STRIP][RING_KEY_TILE], then the weights
    void *weights;                 // [RING_STRIP][RING_KEY_TILE] in the form that `values` reads; may be `scores`
    float *acc;
    int64_t acc_stride;
    float *row_max, *row_sum;
    float exponent_scale;          // scale * log2(e)
} ring_strip;

// The steps of a pass, one set per instruction set and element.
typedef struct ring_tile_steps {
    void (*pack_queries)(const float *q, int64_t stride, int32_t rows, int32_t head_dim, void *packed);
    void (*scores)(const ring_strip *strip);
    void (*softmax)(const ring_strip *strip);
    void (*values)(const ring_strip *strip);
    // Where set, key tiles are widened to f32 pages in scratch before the strips read them: one page row of bf16 pairs
    // becomes two f32 rows. NULL: the steps read the pages as they are.
    void (*widen_pairs)(const uint32_t *pairs, int64_t count, float *even, float *odd);
    // The same for rows of `count` bytes: times `scales[i]`, or `scales[0]` where `one`.
    void (*widen_bytes)(const int8_t *bytes, int64_t count, const float *scales, int one, float *out);
} ring_tile_steps;

#define RING_TEMPLATE static inline __attribute__((always_inline))

// One function for each number of rows, and the switch between them.
#define RING_STRIP_STEP(name, template, kind)                                                                          \
    static __attribute__((noinline)) void name##_1(const ring_strip *strip) { template(kind, 1, strip); }              \
    static __attribute__((noinline)) void name##_2(const ring_strip *strip) { template(kind, 2, strip); }              \
    static __attribute__((noinline)) void name##_3(const ring_strip *strip) { template(kind, 3, strip); }              \
    static __attribute__((noinline)) void name##_4(const ring_strip *strip) { template(kind, 4, strip); }              \
    static __attribute__((noinline)) void name##_5(const ring_strip *strip) { template(kind, 5, strip); }              \
    static __attribute__((noinline)) void name##_6(const ring_strip *strip) { template(kind, 6, strip); }              \
    static void name(const ring_strip *strip) {                                                                        \
        static void (*const by_rows[])(const ring_strip *) = {name##_1, name##_2, name##_3, name##_4, name##_5, name##_6}; \
        by_rows[strip->rows - 1](strip);                                                                               \
    }

// Walks query tiles, key tiles and strips, skipping what no row sees.
void ring_attention_walk(const ring_attention_call *call, const ring_tile_steps *steps);

// Packed queries: row i of a strip starts i * RING_DIM_MAX dwords after its beginning.
void ring_pack_queries_f32(const float *q, int64_t stride, int32_t rows, int32_t head_dim, void *packed);
void ring_pack_queries_rounded(const float *q, int64_t stride, int32_t rows, int32_t head_dim, void *packed); // to bf16 and back
void ring_pack_queries_pairs(const float *q, int64_t stride, int32_t rows, int32_t head_dim, void *packed);   // bf16

// The functions of one instruction set, defined in attention_<isa>.c, peaks.c and (through elementwise_body.h)
// elementwise_<isa>.c.
// Query rows from which widening a bf16 key tile once pays for itself against widening it in every strip.
enum { RING_WIDEN_ROWS = 4 * RING_STRIP };

void ring_attend_scalar(const ring_attention_call *call);
void ring_attend_avx2(const ring_attention_call *call);
void ring_attend_avx512(const ring_attention_call *call);
void ring_attend_avx512bf16(const ring_attention_call *call);
void ring_attend_amx(const ring_attention_call *call);
extern const ring_tile_steps ring_steps_avx512_f32;
// Decode where no path of its own pays.
#define ring_decode_scalar ring_attend_scalar
#define ring_decode_avx2 ring_attend_avx2
void ring_decode_avx512(const ring_attention_call *call);
void ring_decode_amx(const ring_attention_call *call);

double ring_peak_f32_scalar(int64_t rounds);
double ring_peak_f32_avx2(int64_t rounds);
double ring_peak_f32_avx512(int64_t rounds);
double ring_peak_bf16_avx512bf16(int64_t rounds);
double ring_peak_bf16_amx(int64_t rounds);
int ring_tiles_permitted(void);
void ring_pack_rows_amx(const float *x, int64_t stride, int64_t rows, int64_t inputs, int32_t parts, uint8_t *packed);
void ring_linear_amx(const ring_linear_call *call);
void ring_gemv_packed_amx(const float *x, int64_t x_stride, int64_t rows, const uint8_t *weight, int64_t panel_stride,
                          int64_t outputs, int64_t inputs, float *out, int64_t out_stride);

#define RING_DECLARE_ELEMENTWISE(isa)                                                                                  \
    void ring_rms_norm_##isa(const float *x, int64_t x_stride, int64_t rows, int64_t groups, int64_t columns,          \
                             const float *weight, double epsilon, float *out, int64_t out_stride);                     \
    void ring_silu_multiply_##isa(const float *gate, int64_t gate_stride, const float *up, int64_t up_stride,          \
                                  int64_t rows, int64_t columns, float *out, int64_t out_stride);                      \
    void ring_add_##isa(float *x, int64_t x_stride, const float *y, int64_t y_stride, int64_t rows, int64_t columns);  \
    void ring_add_bias_##isa(float *x, int64_t x_stride, const float *bias, int64_t rows, int64_t columns);            \
    void ring_widen_##isa(const void *source, ring_element element, int64_t count, float *out);                        \
    void ring_narrow_bf16_##isa(const float *source, int64_t count, uint16_t *out);                                    \
    void ring_gemv_##isa(const float *x, int64_t x_stride, int64_t rows, const float *weight, int64_t weight_stride,   \
                         int64_t outputs, int64_t inputs, float *out, int64_t out_stride);                             \
    void ring_deposit_##isa(const ring_deposit_call *call);                                                            \
    void ring_normals_##isa(uint64_t seed, uint64_t tensor, uint64_t first, int64_t count, float *out);

// Makes the row's window one that holds a tile with this maximum, sum and largest magnitude (bits), and adds its sum. Returns the
// factor that turns its elements into units of `low`; 0 where nothing is to be added to them.
double ring_bins_aim(ring_bin_row *row, int64_t *bins, int64_t value_dim, float row_max, float row_sum, uint32_t peak);

RING_DECLARE_ELEMENTWISE(scalar)
RING_DECLARE_ELEMENTWISE(avx2)
RING_DECLARE_ELEMENTWISE(avx512)

// The keys of the call's run that row `row` sees.
static inline ring_key_span ring_visible(const ring_attention_call *call, int64_t row) {
    if (call->spans) return call->spans[row];
    if (!call->causal) return (ring_key_span){0, call->keys};
    const int64_t end = call->q_first + row - call->k_first + 1;
    return (ring_key_span){0, end < 0 ? 0 : end > call->keys ? call->keys : end};
}

// What the rows [row, row + rows) of a call see between them, from the first key to the last, and what all of them see; nothing is
// first >= end.
static inline void ring_seen_by(const ring_attention_call *call, int64_t row, int64_t rows, ring_key_span *any, ring_key_span *all) {
    *any = (ring_key_span){call->keys, 0};
    *all = (ring_key_span){0, call->keys};
    for (int64_t i = row; i < row + rows; i++) {
        const ring_key_span seen = ring_visible(call, i);
        if (seen.first > all->first) all->first = seen.first;
        if (seen.end < all->end) all->end = seen.end;
        if (seen.first >= seen.end) continue;
        if (seen.first < any->first) any->first = seen.first;
        if (seen.end > any->end) any->end = seen.end;
    }
}

// Bytes of an element of a block's pages, and of a page of `dim` columns.
static inline int64_t ring_element_bytes(ring_element element) {
    return element == RING_ELEMENT_F32 ? 4 : element == RING_ELEMENT_INT8 ? 1 : 2;
}

static inline int64_t ring_page_bytes(ring_element element, int64_t dim) {
    return RING_BLOCK_TOKENS * (dim * ring_element_bytes(element) + (element == RING_ELEMENT_INT8 ? 4 : 0));
}

// What one means in each of 64 tokens' rows of an int8 page.
static inline const float *ring_page_scales(const uint8_t *page, int64_t dim) {
    return (const float *)(page + RING_BLOCK_TOKENS * dim);
}

static inline float ring_float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t ring_bits_of_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// Adds `z`, below 2^63 in units of `low`, to a pair of bins: a double below 2^51 plus 1.5 * 2^52 is that double rounded to an integer, to
// nearest even, which stands in the bits of the sum. What is left of z after its upper part is exact.
static inline void ring_bins_add(double z, int64_t *high, int64_t *low) {
    const double magic = 0x1.8p52;
    int64_t magic_bits, high_bits, low_bits;
    const double upper = z * 0x1p-32 + magic;
    const double lower = (z - (upper - magic) * 0x1p32) + magic;
    memcpy(&magic_bits, &magic, sizeof magic_bits);
    memcpy(&high_bits, &upper, sizeof high_bits);
    memcpy(&low_bits, &lower, sizeof low_bits);
    *high += high_bits - magic_bits;
    *low += low_bits - magic_bits;
}

static inline float ring_widen_bf16(uint16_t value) { return ring_float_of_bits((uint32_t)value << 16); }

// Round to nearest even; a NaN stays a (quiet) NaN.
static inline uint16_t ring_round_bf16(float value) {
    uint32_t bits = ring_bits_of_float(value);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    uint32_t quiet = (bits >> 16) | 0x40;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

// Peaked attention makes most weights subnormal, and multiplying those costs a microcode assist each: results below
// 2^-126 become zero while a call runs, 38 orders of magnitude under a row's largest weight. Subnormal inputs still count.
#if defined(__x86_64__)
static inline uint32_t ring_flush_to_zero(void) {
    const uint32_t before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | 0x8000);
    return before;
}
static inline void ring_restore_control(uint32_t before) { __builtin_ia32_ldmxcsr(before); }
#else
static inline uint32_t ring_flush_to_zero(void) { return 0; }
static inline void ring_restore_control(uint32_t before) { (void)before; }
#endif

#endif

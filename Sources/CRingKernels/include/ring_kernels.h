// The arithmetic of Ringmaster on raw buffers: blockwise attention, packing of KV blocks, the vector helpers round the
// linear layers, seeded normals and the double-precision oracle. One constant table of functions per instruction set.
//
// This is not a library for applications: nothing here checks its arguments, allocates, locks or prints. The Swift
// target RingKernels is its only face and checks every shape before it calls.
//
// A *KV block* holds 64 consecutive tokens of all KV heads. For each KV head: a K page, then a V page.
//   K page: f32 [head_dim][64];   bf16 [head_dim/2][64][2]   (pairs of dimensions adjacent)
//   V page: f32 [64][value_dim];  bf16 [32][value_dim][2]    (pairs of keys adjacent)
//   int8: [head_dim][64] and [64][value_dim] of bytes, each followed by f32 [64], what one means in each token's row: the row's largest
//   magnitude / 127. A row that is not finite has NaN there.
// The layout is the same for every instruction set, so a block packed once at its owner is sent over the wire as it is
// and read by every rank. The tail of a block that is not full is zero.
#ifndef RING_KERNELS_H
#define RING_KERNELS_H

#include <stdint.h>

#pragma clang assume_nonnull begin

enum { RING_BLOCK_TOKENS = 64 };

// A packed weight: panels of 32 outputs, in each of them steps of 32 inputs.
enum { RING_PANEL_OUTPUTS = 32, RING_STEP_INPUTS = 32, RING_GROUP_ROWS = 32 };

typedef enum __attribute__((enum_extensibility(closed))) ring_element : int32_t {
    RING_ELEMENT_F32 = 0,
    RING_ELEMENT_BF16 = 1,
    RING_ELEMENT_F16 = 2, // only as the source of a conversion
    RING_ELEMENT_INT8 = 3, // only of blocks
} ring_element;

typedef enum __attribute__((enum_extensibility(closed))) ring_isa : int32_t {
    RING_ISA_SCALAR = 0,
    RING_ISA_AVX2 = 1,
    RING_ISA_AVX512 = 2,
    RING_ISA_AVX512BF16 = 3,
    RING_ISA_AMX = 4, // AVX-512 BF16 and the tile unit's bf16 multiplication
} ring_isa;

// Keys [first, end) of a run, counted from its key 0. Empty when first >= end.
typedef struct ring_key_span {
    int64_t first, end;
} ring_key_span;

// One call of attention: `rows` consecutive query rows of one query head against `keys` keys of one KV head.
//
// The state (acc, row_max, row_sum) runs over many calls, one for each run of keys that a ring step brings: it starts as
// (0, -inf, 0) and stays unnormalised until `ring_finish`. row_max is kept in base-2 units: weights are
// 2^(score * scale * log2(e) - row_max). A row that has seen no key keeps (0, -inf, 0).
typedef struct ring_attention_call {
    const float *q;         // [rows][head_dim], f32 also when the blocks are bf16 (rounded to bf16 inside)
    int64_t q_stride;       // floats
    int64_t rows;
    int64_t q_first;        // global position of row 0; row i stands at q_first + i
    const uint8_t *kv;      // first block, 64-byte aligned for speed, not for correctness
    int64_t block_stride;   // bytes
    int64_t k_offset;       // bytes from a block's start to this head's K page
    int64_t v_offset;       // and to its V page
    int64_t keys;           // >= 0, from key 0 of block 0; the last block may be partial
    int64_t k_first;        // global position of key 0
    int32_t head_dim;       // 8 ... 256, multiple of 8
    int32_t value_dim;      // 8 ... 256, multiple of 8
    ring_element element;   // of the blocks
    int32_t causal;         // nonzero: a key is visible iff its position <= the query's
    // [rows]: what each row sees, 0 <= first, end <= keys; neither ever falls from one row to the next. NULL: `causal` says it.
    const ring_key_span *_Nullable spans;
    // Nonzero: the bits of a row's state depend on its query, on the keys that it sees and on where in the call those stand, and not on
    // the other rows, how many they are and what they see.
    int32_t alone;
    float scale;            // > 0, applied to the f32 score
    float *acc;             // [rows][value_dim]
    int64_t acc_stride;     // floats
    float *row_max;         // [rows]
    float *row_sum;         // [rows]
    void *scratch;          // RING_ATTENTION_SCRATCH_BYTES, 64-byte aligned, one a thread
} ring_attention_call;

enum { RING_ATTENTION_SCRATCH_BYTES = 896 * 1024, RING_DECODE_ROWS = 16 };

// One call of a linear layer: out [rows][outputs] = rows times the transpose of a packed weight.
typedef struct ring_linear_call {
    const uint8_t *packed;  // by `pack_rows`, `steps` steps a group
    int64_t rows;
    const uint8_t *weight;  // by `ring_pack_weight`: the first panel of the call, at the first step of the call
    int64_t panel_stride;   // bytes
    int64_t outputs;
    int64_t steps;          // of 32 inputs
    int32_t parts;          // 1 or 2, as packed
    int32_t accumulate;     // nonzero: out += instead of out =
    float *out;
    int64_t out_stride;     // floats
} ring_linear_call;

// What is told of a row whose partials are summed up in bins: which window its bins stand in, and those of its sum of weights. Windows are
// INT64_MIN until something has come.
typedef struct ring_bin_row {
    int64_t window, sum_window, sum_high, sum_low;
} ring_bin_row;

// The window of a row to which came what is not finite.
#define RING_BINS_BROKEN INT64_MAX

// Adds the state of `rows` rows after one tile of keys, which must have begun as (0, -inf, 0), to the rows' bins. In whatever order tiles
// come, and by whatever table, the bins are the same.
typedef struct ring_deposit_call {
    const float *acc;       // [rows][value_dim]
    int64_t acc_stride;     // floats
    const float *row_max;   // [rows]
    const float *row_sum;   // [rows]
    int64_t rows;
    int64_t value_dim;
    int64_t *bins;          // [rows][2][value_dim]; anything where nothing has come yet
    int64_t bins_stride;    // in units of 8 bytes
    ring_bin_row *sums;     // [rows], see `ring_bins_reset`
} ring_deposit_call;

// Functions that differ by instruction set. Rows are `stride` floats apart.
typedef struct ring_kernel_table {
    ring_isa isa;
    void (*attend)(const ring_attention_call *call);
    // The same for the query heads of a KV head's group at one token: 1 ... RING_DECODE_ROWS rows that all see every key
    // (`causal` and `spans` are not looked at). Made to read the blocks as fast as memory gives them.
    void (*decode)(const ring_attention_call *call);
    void (*deposit)(const ring_deposit_call *call);

    // out = x / sqrt(mean(x^2) + epsilon) * weight, for `groups` runs of `columns` values in each row (one run for a
    // layer norm, one for each head for q/k norms). The mean is taken in double precision. In place is allowed.
    void (*rms_norm)(const float *x, int64_t x_stride, int64_t rows, int64_t groups, int64_t columns,
                     const float *weight, double epsilon, float *out, int64_t out_stride);
    // out = gate / (1 + exp(-gate)) * up
    void (*silu_multiply)(const float *gate, int64_t gate_stride, const float *up, int64_t up_stride, int64_t rows,
                          int64_t columns, float *out, int64_t out_stride);
    // x += y;  x += bias (one row, added to every row)
    void (*add)(float *x, int64_t x_stride, const float *y, int64_t y_stride, int64_t rows, int64_t columns);
    void (*add_bias)(float *x, int64_t x_stride, const float *bias, int64_t rows, int64_t columns);
    // Conversions of `count` contiguous values; narrowing rounds to nearest even.
    void (*widen)(const void *source, ring_element element, int64_t count, float *out);
    void (*narrow_bf16)(const float *source, int64_t count, uint16_t *out);
    // out[row] = weight row . x, for small numbers of rows of x: out [rows][outputs] = x [rows][inputs] * weight^T.
    void (*gemv)(const float *x, int64_t x_stride, int64_t rows, const float *weight, int64_t weight_stride,
                 int64_t outputs, int64_t inputs, float *out, int64_t out_stride);
    // Linear layers with packed bf16 weights; NULL where the set has no tiles, and weights are f32 there. `pack_rows` packs
    // f32 rows as `parts` (1 or 2) bf16 values each; `gemv_packed` takes few f32 rows as they are.
    void (*_Nullable pack_rows)(const float *x, int64_t stride, int64_t rows, int64_t inputs, int32_t parts, uint8_t *packed);
    void (*_Nullable linear)(const ring_linear_call *call);
    void (*_Nullable gemv_packed)(const float *x, int64_t x_stride, int64_t rows, const uint8_t *weight, int64_t panel_stride,
                                  int64_t outputs, int64_t inputs, float *out, int64_t out_stride);
    // Standard normals: element i of tensor `tensor` depends on (seed, tensor, i) alone and has the same bits in every
    // table, so that shards and checks generate their part alone.
    void (*normals)(uint64_t seed, uint64_t tensor, uint64_t first, int64_t count, float *out);

    // Peaks: `rounds` rounds of independent multiply-adds in registers. Returns the floating-point operations done.
    double (*peak_f32)(int64_t rounds);
    double (*peak_bf16)(int64_t rounds);
} ring_kernel_table;

// The table of an instruction set, or NULL when this CPU or its operating system lacks it. Asking for AMX asks Linux to give this
// process the tile registers, which threads started before and after may then use.
const ring_kernel_table *_Nullable ring_kernels(ring_isa isa);

// The sum of `count` bytes read in order, eight at a time as words: a loop that waits for memory and nothing else.
uint64_t ring_read_bytes(const void *bytes, int64_t count);

// --- packing: weights

// Packs up to 32 `outputs` rows of a weight, bf16 values widened to f32, as one panel: for each step of 32 inputs two tiles of 16
// outputs, [16 pairs of inputs][16 outputs][2], 1 KiB each. The panel is ceil(inputs / 32) x 2 KiB, zero beyond the weight.
void ring_pack_weight(const float *rows, int64_t stride, int64_t outputs, int64_t inputs, uint8_t *panel);

// --- packing: rows -> KV blocks

// Where rows come from and where they go: token i of the source goes to token `first_token + i` counted from the start
// of block 0 of `kv`. A block that is entered at its first token gets the rest of its page cleared, so pages filled in
// order are always zero padded.
typedef struct ring_pack_call {
    const void *source;          // [tokens][stride], one head
    int64_t source_stride;       // elements
    ring_element source_element; // f32 or bf16
    int64_t tokens;
    int32_t dim;                 // head_dim or value_dim
    uint8_t *kv;
    int64_t block_stride;        // bytes
    int64_t page_offset;         // bytes, of the K or V page in a block
    int64_t first_token;
    ring_element element;        // of the blocks
} ring_pack_call;

// Both return the index of the first source row that is not finite (after rounding), else -1. Such rows are packed too.
int64_t ring_pack_keys(const ring_pack_call *call);
int64_t ring_pack_values(const ring_pack_call *call);
// The reverse, for tests and for tools that look into blocks: `tokens` rows from blocks into f32 rows.
void ring_unpack_keys(const ring_pack_call *call, float *rows, int64_t stride);
void ring_unpack_values(const ring_pack_call *call, float *rows, int64_t stride);

// --- partials

// (acc, row_max, row_sum) -> out normalised, lse natural logarithm. out may be acc. An empty row gives (0, -inf).
// Returns the index of the first row whose lse is NaN or +inf or whose out is not finite, else -1.
int64_t ring_finish(const float *acc, int64_t acc_stride, const float *row_max, const float *row_sum, int64_t rows,
                    int64_t value_dim, float *out, int64_t out_stride, float *lse);
// (out, lse) <- merge of (out, lse) and (other, other_lse), both normalised. Two empty rows give an empty row.
// Returns the index of the first row with NaN or +inf in either lse or with a non-finite result, else -1.
int64_t ring_merge(float *out, int64_t out_stride, float *lse, const float *other, int64_t other_stride,
                   const float *other_lse, int64_t rows, int64_t value_dim);
// Index of the first row with a value that is not finite, else -1.
int64_t ring_first_nonfinite(const float *x, int64_t stride, int64_t rows, int64_t columns);

// --- bins

// Forgets what has come.
void ring_bins_reset(ring_bin_row *sums, int64_t rows);
// Bins -> out normalised, lse natural logarithm, each rounded once from double. A row to which nothing came gives (0, -inf).
// Returns the index of the first row whose lse or out is not finite, else -1.
int64_t ring_bins_finish(const int64_t *bins, int64_t bins_stride, const ring_bin_row *sums, int64_t rows, int64_t value_dim, float *out,
                         int64_t out_stride, float *lse);

// --- rotary position embedding

// Rotates rows in place, split-half layout (x[i], x[i + rotary_dim/2]), for `heads` heads `head_stride` floats apart.
// Row i stands at first_position + i; angle = position * inv_freq[j] held in double precision; cos and sin are
// multiplied by attention_factor. rotary_dim <= 256.
void ring_rope(float *x, int64_t stride, int64_t rows, int64_t heads, int64_t head_stride, int64_t rotary_dim,
               int64_t first_position, const double *inv_freq, double attention_factor);

// --- oracle

enum { RING_ORACLE_DIM_MAX = 256 };

// One query row's exact attention in double precision, fed chunk by chunk; sums are compensated (Neumaier).
typedef struct ring_oracle {
    double max, sum, sum_error;
    double acc[RING_ORACLE_DIM_MAX], acc_error[RING_ORACLE_DIM_MAX];
} ring_oracle;

void ring_oracle_begin(ring_oracle *oracle);
void ring_oracle_feed(ring_oracle *oracle, const float *q, const float *k, int64_t k_stride, const float *v,
                      int64_t v_stride, int64_t keys, int64_t head_dim, int64_t value_dim, double scale);
// out [value_dim]; returns the natural log-sum-exp; (0, -inf) when no key was fed.
double ring_oracle_end(const ring_oracle *oracle, int64_t value_dim, double *out);

#pragma clang assume_nonnull end
#endif

// From the running state to a partial (out, lse), and the merge of two partials.
//
// m = max(l1, l2); l = m + log1p(exp(-|l1 - l2|)); o = o1 + sigmoid(l2 - l1) * (o2 - o1). The weights are computed in
// double, so a gap of any size is exact; log(1 + exp(gap)), which overflows above 88, is never formed. The empty partial
// is (0, -inf); two empty ones are a branch of their own, because -inf - -inf is NaN.
#include "internal.h"

#include <math.h>

int64_t ring_finish(const float *acc, int64_t acc_stride, const float *row_max, const float *row_sum, int64_t rows,
                    int64_t value_dim, float *out, int64_t out_stride, float *lse) {
    int64_t bad = -1;
    for (int64_t row = 0; row < rows; row++, acc += acc_stride, out += out_stride) {
        if (row_sum[row] == 0 && row_max[row] == -INFINITY) {
            memset(out, 0, (size_t)value_dim * sizeof(float));
            lse[row] = -INFINITY;
            continue;
        }
        const float inverse = (float)(1.0 / (double)row_sum[row]);
        // In integers, which compilers add up in any order.
        uint32_t poison = 0;
#pragma clang loop vectorize(assume_safety)
        for (int64_t column = 0; column < value_dim; column++) {
            out[column] = acc[column] * inverse;
            poison |= (ring_bits_of_float(out[column]) & 0x7f800000) == 0x7f800000;
        }
        lse[row] = (float)(((double)row_max[row] + log2((double)row_sum[row])) * RING_LN2);
        if (bad < 0 && (poison != 0 || !isfinite(lse[row]))) bad = row;
    }
    return bad;
}

int64_t ring_merge(float *out, int64_t out_stride, float *lse, const float *other, int64_t other_stride,
                   const float *other_lse, int64_t rows, int64_t value_dim) {
    int64_t bad = -1;
    for (int64_t row = 0; row < rows; row++, out += out_stride, other += other_stride) {
        const double mine = lse[row], theirs = other_lse[row];
        if (mine == -INFINITY && theirs == -INFINITY) continue;
        const double gap = theirs - mine;
        const float share = (float)(1.0 / (1.0 + exp(-gap)));
        float poison = 0;
        for (int64_t column = 0; column < value_dim; column++) {
            out[column] += share * (other[column] - out[column]);
            poison += out[column] * 0.0f;
        }
        lse[row] = (float)(fmax(mine, theirs) + log1p(exp(-fabs(gap))));
        if (bad < 0 && (poison != 0 || !isfinite(lse[row]) || isnan(gap))) bad = row;
    }
    return bad;
}

int64_t ring_first_nonfinite(const float *x, int64_t stride, int64_t rows, int64_t columns) {
    for (int64_t row = 0; row < rows; row++, x += stride) {
        float poison = 0;
        for (int64_t column = 0; column < columns; column++) poison += x[column] * 0.0f;
        if (poison != 0) return row;
    }
    return -1;
}

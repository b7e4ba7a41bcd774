// Sums whose bits do not depend on the order of what is added: partials of key tiles in bins of fixed point.
//
// What a tile adds to an element is x * 2^n, x an f32 times a factor in (1/2, 1]. A row's bins lie on a grid of 32 binary places: window
// j counts in `high` units of 2^(32 j) and in `low` what is left in units of 2^(32 (j - 1)), each rounded to nearest once. A tile calls for
// the lowest window in which all its elements are below 2^(32 j + 31), and a row's window is the highest that one of its tiles called for.
// When it rises by one, `high` becomes `low`; by more, both are forgotten. Nothing is lost by that which would have counted: in the
// window above its own a tile's `high` rounds to 0 and its `low` is what `high` was, and two above it both are 0. So the bins are the sum
// of what each tile amounts to in the last window, in integers, in whatever order they came (Docs/MATH.md).
//
// What the row's window is about, and the factor, are worked out here, compiled once, without functions of the C library whose last bit
// may differ from machine to machine; the addition itself is bins_body.h, once for each instruction set.
#include "internal.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

enum { WINDOW_BITS = 32 };

// Row maxima beyond this are an error like infinity: their exponents would not fit beside a window's number.
#define MAX_LARGEST 0x1p60f

static double double_of_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double power_of_two(int64_t exponent) { return double_of_bits((uint64_t)(exponent + 1023) << 52); }

// 2^t for t in (-1, 0]: the square of the Taylor polynomial of degree 12 at t / 2, even and odd terms apart so that neither waits for the
// other. Relative error below 2^-50.
static double exp2_fraction(double t) {
    static const double even_terms[] = {1.0 / 479001600, 1.0 / 3628800, 1.0 / 40320, 1.0 / 720, 1.0 / 24, 1.0 / 2, 1.0};
    static const double odd_terms[] = {1.0 / 39916800, 1.0 / 362880, 1.0 / 5040, 1.0 / 120, 1.0 / 6, 1.0};
    const double x = t / 2 * RING_LN2, square = x * x;
    double even = even_terms[0], odd = odd_terms[0];
    for (int i = 1; i < 7; i++) even = even * square + even_terms[i];
    for (int i = 1; i < 6; i++) odd = odd * square + odd_terms[i];
    const double root = even + x * odd;
    return root * root;
}

// log2 of a positive, normal number: 2 artanh((m - 1) / (m + 1)) of its fraction m in (sqrt(1/2), sqrt(2)].
static double log2_portable(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t exponent = (int64_t)(bits >> 52) - 1023;
    double fraction = double_of_bits((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u);
    if (fraction > 1.41421356237309504880) {
        fraction /= 2;
        exponent++;
    }
    const double s = (fraction - 1) / (fraction + 1), square = s * s;
    double sum = 0;
    for (int odd = 25; odd >= 1; odd -= 2) sum = sum * square + 1.0 / odd;
    return (double)exponent + 2 * s * sum * RING_LOG2E;
}

// The lowest window in which a tile with largest magnitude `bits` and exponent `n` is below half of what `high` may round up to.
static int64_t window_for(int64_t n, uint32_t bits) { return (n + (int64_t)(bits >> 23) - 126) >> 5; }

// Moves `window` up to `wanted`, if that is higher, and with it the bins. Returns the exponent by which a tile's numbers become units of
// `low`; nothing of a tile two windows below counts, which is told by INT64_MIN.
static int64_t enter_window(int64_t *window, int64_t wanted, int64_t n, int64_t *high, int64_t *low, int64_t count) {
    if (wanted > *window) {
        // A row that has seen nothing is as far from any window as can be: its bins, which may hold anything, become zero.
        if (*window != INT64_MIN && wanted - *window == 1) memcpy(low, high, (size_t)count * sizeof *low);
        else memset(low, 0, (size_t)count * sizeof *low);
        memset(high, 0, (size_t)count * sizeof *high);
        *window = wanted;
    }
    return *window - wanted >= 2 ? INT64_MIN : n - WINDOW_BITS * (*window - 1);
}

double ring_bins_aim(ring_bin_row *row, int64_t *bins, int64_t value_dim, float row_max, float row_sum, uint32_t peak) {
    if (row->sum_window == RING_BINS_BROKEN) return 0;
    if (row_max == -INFINITY && row_sum == 0 && peak == 0) return 0;
    if (!(fabsf(row_max) <= MAX_LARGEST) || !(row_sum > 0) || !(row_sum < INFINITY) || peak >= 0x7f800000) {
        row->sum_window = RING_BINS_BROKEN;
        return 0;
    }
    const int64_t n = (int64_t)ceilf(row_max);
    const double factor = exp2_fraction((double)row_max - (double)n);
    const uint32_t sum_bits = ring_bits_of_float(row_sum);
    int64_t exponent = enter_window(&row->sum_window, window_for(n, sum_bits), n, &row->sum_high, &row->sum_low, 1);
    if (exponent != INT64_MIN)
        ring_bins_add((double)row_sum * (factor * power_of_two(exponent)), &row->sum_high, &row->sum_low);
    if (peak == 0) return 0;
    exponent = enter_window(&row->window, window_for(n, peak), n, bins, bins + value_dim, value_dim);
    return exponent == INT64_MIN ? 0 : factor * power_of_two(exponent);
}

void ring_bins_reset(ring_bin_row *sums, int64_t rows) {
    for (int64_t row = 0; row < rows; row++) sums[row] = (ring_bin_row){INT64_MIN, INT64_MIN, 0, 0};
}

static double in_low_units(int64_t high, int64_t low) { return (double)high * 0x1p32 + (double)low; }

int64_t ring_bins_finish(const int64_t *bins, int64_t bins_stride, const ring_bin_row *sums, int64_t rows, int64_t value_dim, float *out,
                         int64_t out_stride, float *lse) {
    int64_t bad = -1;
    for (int64_t row = 0; row < rows; row++, bins += bins_stride, out += out_stride) {
        const ring_bin_row *sum = sums + row;
        memset(out, 0, (size_t)value_dim * sizeof(float));
        if (sum->sum_window == INT64_MIN) {
            lse[row] = -INFINITY;
            continue;
        }
        if (sum->sum_window == RING_BINS_BROKEN) {
            lse[row] = NAN;
            if (bad < 0) bad = row;
            continue;
        }
        const double whole = in_low_units(sum->sum_high, sum->sum_low);
        lse[row] = (float)((log2_portable(whole) + (double)(WINDOW_BITS * (sum->sum_window - 1))) * RING_LN2);
        uint32_t poison = (ring_bits_of_float(lse[row]) & 0x7f800000) == 0x7f800000;
        // Outputs are means of values, so that the windows are a few apart, or the values are so small that they count as zero.
        const int64_t apart = sum->window == INT64_MIN ? INT64_MIN : sum->window - sum->sum_window;
        if (apart >= -16) {
            const double factor = power_of_two(WINDOW_BITS * (apart < 16 ? apart : 16)) / whole;
            for (int64_t column = 0; column < value_dim; column++) {
                out[column] = (float)(in_low_units(bins[column], bins[value_dim + column]) * factor);
                poison |= (ring_bits_of_float(out[column]) & 0x7f800000) == 0x7f800000;
            }
        }
        if (bad < 0 && poison) bad = row;
    }
    return bad;
}

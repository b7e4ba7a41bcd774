// The judge: one query row's attention in plain double precision, over keys and values that arrive chunk by chunk, so
// that a row of a million keys can be checked without holding them. Dot products are pairwise, running sums are
// compensated (Neumaier 1974), so its own error stays near 1e-15 at any length.
#include "internal.h"

#include <math.h>

enum { ORACLE_GROUP = 32 }; // keys summed plainly before they enter the compensated sums

void ring_oracle_begin(ring_oracle *oracle) {
    memset(oracle, 0, sizeof *oracle);
    oracle->max = -INFINITY;
}

static void add(double *sum, double *error, double value) {
    const double total = *sum + value;
    *error += fabs(*sum) >= fabs(value) ? (*sum - total) + value : (value - total) + *sum;
    *sum = total;
}

static double dot(const float *a, const float *b, int64_t count) {
    if (count <= 8) {
        double sum = 0;
        for (int64_t i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
        return sum;
    }
    const int64_t half = count / 2;
    return dot(a, b, half) + dot(a + half, b + half, count - half);
}

static void raise(ring_oracle *oracle, double max, int64_t value_dim) {
    const double shrink = exp(oracle->max - max);
    oracle->max = max;
    oracle->sum *= shrink;
    oracle->sum_error *= shrink;
    for (int64_t column = 0; column < value_dim; column++) {
        oracle->acc[column] *= shrink;
        oracle->acc_error[column] *= shrink;
    }
}

void ring_oracle_feed(ring_oracle *oracle, const float *q, const float *k, int64_t k_stride, const float *v,
                      int64_t v_stride, int64_t keys, int64_t head_dim, int64_t value_dim, double scale) {
    for (int64_t first = 0; first < keys; first += ORACLE_GROUP) {
        const int64_t count = keys - first < ORACLE_GROUP ? keys - first : ORACLE_GROUP;
        double weights[ORACLE_GROUP], max = oracle->max, sum = 0, acc[RING_ORACLE_DIM_MAX] = {0};
        for (int64_t i = 0; i < count; i++) {
            weights[i] = dot(q, k + (first + i) * k_stride, head_dim) * scale;
            max = weights[i] > max ? weights[i] : max;
        }
        if (max > oracle->max) raise(oracle, max, value_dim);
        for (int64_t i = 0; i < count; i++) {
            const float *row = v + (first + i) * v_stride;
            weights[i] = exp(weights[i] - max);
            sum += weights[i];
            for (int64_t column = 0; column < value_dim; column++) acc[column] += weights[i] * (double)row[column];
        }
        add(&oracle->sum, &oracle->sum_error, sum);
        for (int64_t column = 0; column < value_dim; column++)
            add(&oracle->acc[column], &oracle->acc_error[column], acc[column]);
    }
}

double ring_oracle_end(const ring_oracle *oracle, int64_t value_dim, double *out) {
    const double sum = oracle->sum + oracle->sum_error;
    if (oracle->max == -INFINITY && sum == 0) {
        for (int64_t column = 0; column < value_dim; column++) out[column] = 0;
        return -INFINITY;
    }
    for (int64_t column = 0; column < value_dim; column++) out[column] = (oracle->acc[column] + oracle->acc_error[column]) / sum;
    return oracle->max + log(sum);
}

// Partials of a tile into bins (bins.c), in plain C that compilers vectorise; included by each elementwise_<isa>.c. Every step but the two
// roundings is exact, and those are additions of 1.5 * 2^52, so that all instruction sets give the same integers.

void RING_ISA(ring_deposit)(const ring_deposit_call *call) {
    const float *acc = call->acc;
    int64_t *bins = call->bins;
    const int64_t columns = call->value_dim;
    for (int64_t row = 0; row < call->rows; row++, acc += call->acc_stride, bins += call->bins_stride) {
        uint32_t peak = 0;
        for (int64_t column = 0; column < columns; column++) {
            const uint32_t bits = ring_bits_of_float(acc[column]) & 0x7fffffff;
            peak = bits > peak ? bits : peak;
        }
        const double factor = ring_bins_aim(call->sums + row, bins, columns, call->row_max[row], call->row_sum[row], peak);
        if (factor == 0) continue;
        int64_t *high = bins, *low = bins + columns;
#pragma clang loop vectorize(assume_safety)
        for (int64_t column = 0; column < columns; column++) ring_bins_add((double)acc[column] * factor, high + column, low + column);
    }
}

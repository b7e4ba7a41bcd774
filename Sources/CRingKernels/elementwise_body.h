// The vector helpers round the linear layers, in plain C that compilers vectorise. Each elementwise_<isa>.c includes
// this file once with RING_ISA(name) defined and its target attribute pushed, so the text exists once and the code three
// times. No intrinsics, no include guard.

typedef float ring_lanes __attribute__((vector_size(64), aligned(4)));

void RING_ISA(ring_rms_norm)(const float *x, int64_t x_stride, int64_t rows, int64_t groups, int64_t columns,
                             const float *weight, double epsilon, float *out, int64_t out_stride) {
    for (int64_t run = 0; run < rows * groups; run++) {
        const int64_t row = run / groups, start = run % groups * columns;
        const float *in = x + row * x_stride + start;
        float *to = out + row * out_stride + start;
        double lanes[16] = {0};
        int64_t column = 0;
        for (; column + 16 <= columns; column += 16)
            for (int lane = 0; lane < 16; lane++) lanes[lane] += (double)in[column + lane] * (double)in[column + lane];
        for (; column < columns; column++) lanes[column % 16] += (double)in[column] * (double)in[column];
        for (int width = 8; width > 0; width /= 2)
            for (int lane = 0; lane < width; lane++) lanes[lane] += lanes[lane + width];
        const float factor = (float)(1.0 / sqrt(lanes[0] / (double)columns + epsilon));
#pragma clang loop vectorize(assume_safety)
        for (column = 0; column < columns; column++) to[column] = in[column] * factor * weight[column];
    }
}

// e^x for x in about [-87, 87] (clamped), relative error below 2e-7; NaN stays NaN. Cody and Waite's reduction to
// |r| <= ln(2)/2, then the Taylor polynomial of degree 7.
static inline __attribute__((always_inline)) float ring_exp(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 87.0f ? 87.0f : x;
    const float magic = 12582912.0f; // 1.5 * 2^23: adding it rounds to an integer in the low bits
    const float shifted = x * (float)RING_LOG2E + magic;
    const float n = shifted - magic;
    float r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return p * ring_float_of_bits((ring_bits_of_float(shifted) + 127) << 23);
}

void RING_ISA(ring_silu_multiply)(const float *gate, int64_t gate_stride, const float *up, int64_t up_stride,
                                  int64_t rows, int64_t columns, float *out, int64_t out_stride) {
    // `out` may be an input, which the compiler would take for a reason to go one by one.
    for (int64_t row = 0; row < rows; row++, gate += gate_stride, up += up_stride, out += out_stride)
#pragma clang loop vectorize(assume_safety)
        for (int64_t column = 0; column < columns; column++)
            out[column] = gate[column] / (1.0f + ring_exp(-gate[column])) * up[column];
}

void RING_ISA(ring_add)(float *x, int64_t x_stride, const float *y, int64_t y_stride, int64_t rows, int64_t columns) {
    for (int64_t row = 0; row < rows; row++, x += x_stride, y += y_stride)
        for (int64_t column = 0; column < columns; column++) x[column] += y[column];
}

void RING_ISA(ring_add_bias)(float *x, int64_t x_stride, const float *bias, int64_t rows, int64_t columns) {
    for (int64_t row = 0; row < rows; row++, x += x_stride)
        for (int64_t column = 0; column < columns; column++) x[column] += bias[column];
}

// Binary16 by integer arithmetic: the exponent is moved by a multiplication, which also normalises subnormals.
static inline __attribute__((always_inline)) float ring_widen_f16(uint16_t value) {
    const uint32_t magnitude = (uint32_t)(value & 0x7fff) << 13, sign = (uint32_t)(value & 0x8000) << 16;
    const uint32_t scaled = ring_bits_of_float(ring_float_of_bits(magnitude) * 0x1p112f);
    const uint32_t special = magnitude | 0x7f800000;
    return ring_float_of_bits((magnitude >= 0x0f800000 ? special : scaled) | sign);
}

void RING_ISA(ring_widen)(const void *source, ring_element element, int64_t count, float *out) {
    const uint16_t *half = source;
    if (element == RING_ELEMENT_F32) {
        memcpy(out, source, (size_t)count * sizeof(float));
    } else if (element == RING_ELEMENT_BF16) {
        for (int64_t i = 0; i < count; i++) out[i] = ring_widen_bf16(half[i]);
    } else {
        for (int64_t i = 0; i < count; i++) out[i] = ring_widen_f16(half[i]);
    }
}

void RING_ISA(ring_narrow_bf16)(const float *source, int64_t count, uint16_t *out) {
    for (int64_t i = 0; i < count; i++) out[i] = ring_round_bf16(source[i]);
}

// Two weight rows at a time against one row of x, 32 columns a step; sums of 32 lanes, then pairwise.
static inline __attribute__((always_inline)) void ring_dot_rows(const float *x, const float *weight, int64_t stride,
                                                                int count, int64_t inputs, float *out) {
    ring_lanes sums[4][2] = {{{0}}};
    int64_t i = 0;
    for (; i + 32 <= inputs; i += 32)
        for (int row = 0; row < count; row++)
            for (int part = 0; part < 2; part++)
                sums[row][part] += *(const ring_lanes *)(x + i + 16 * part)
                                 * *(const ring_lanes *)(weight + row * stride + i + 16 * part);
    for (int row = 0; row < count; row++) {
        float rest = 0, lanes[16];
        for (int64_t tail = i; tail < inputs; tail++) rest += x[tail] * weight[row * stride + tail];
        const ring_lanes both = sums[row][0] + sums[row][1];
        memcpy(lanes, &both, sizeof lanes);
        for (int width = 8; width > 0; width /= 2)
            for (int lane = 0; lane < width; lane++) lanes[lane] += lanes[lane + width];
        out[row] = lanes[0] + rest;
    }
}

void RING_ISA(ring_gemv)(const float *x, int64_t x_stride, int64_t rows, const float *weight, int64_t weight_stride,
                         int64_t outputs, int64_t inputs, float *out, int64_t out_stride) {
    int64_t output = 0;
    for (; output + 4 <= outputs; output += 4) // the four weight rows stay in L1 for the next row of x
        for (int64_t row = 0; row < rows; row++)
            ring_dot_rows(x + row * x_stride, weight + output * weight_stride, weight_stride, 4, inputs,
                          out + row * out_stride + output);
    for (; output < outputs; output++)
        for (int64_t row = 0; row < rows; row++)
            ring_dot_rows(x + row * x_stride, weight + output * weight_stride, weight_stride, 1, inputs,
                          out + row * out_stride + output);
}

// Seeded standard normals, included by each elementwise_<isa>.c after elementwise_body.h. Contraction is off, so every
// table computes the same bits: IEEE additions, multiplications, divisions and square roots only, no libm.
//
// Counter based: pair j = i / 2 of tensor t hashes (seed, t, j) with SplitMix64's finaliser (Steele, Lea & Flood 2014)
// into 64 bits; Box & Muller (1958) turn them into the two normals of the pair. |z| stays below 6.7.
#pragma clang fp contract(off)

static inline __attribute__((always_inline)) uint64_t ring_mix64(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// sqrt(-2 ln u) for u = (bits + 1/2) / 2^31, bits in [0, 2^31)
static inline __attribute__((always_inline)) float ring_normal_radius(int32_t bits) {
    const float u = ((float)bits + 0.5f) * 0x1p-31f;
    uint32_t raw = ring_bits_of_float(u);
    const uint32_t shifted = raw - 0x3f3504f3; // mantissa cut at sqrt(1/2)
    const float exponent = (float)((int32_t)shifted >> 23);
    const float m = ring_float_of_bits((shifted & 0x7fffff) + 0x3f3504f3);
    const float s = (m - 1) / (m + 1), z = s * s; // ln m = 2 artanh s
    float p = 2.0f / 9;
    p = p * z + 2.0f / 7;
    p = p * z + 2.0f / 5;
    p = p * z + 2.0f / 3;
    p = p * z + 2.0f;
    const float ln = exponent * (float)RING_LN2 + p * s;
    return __builtin_elementwise_sqrt(-2 * (ln < 0 ? ln : 0)); // unlike sqrtf it sets no errno, so loops vectorise
}

// cos and sin of 2 pi bits / 2^32, by quarter turns and polynomials on [-pi/4, pi/4]
static inline __attribute__((always_inline)) void ring_normal_angle(uint32_t bits, float *cosine, float *sine) {
    const uint32_t quarter = (bits + 0x20000000) >> 30;
    const float x = (float)(int32_t)(bits << 2) * (0x1p-32f * 1.57079632679f), z = x * x;
    const float s = x + x * z * (-1.0f / 6 + z * (1.0f / 120 + z * (-1.0f / 5040 + z * (1.0f / 362880))));
    const float c = 1 + z * (-0.5f + z * (1.0f / 24 + z * (-1.0f / 720 + z * (1.0f / 40320))));
    const float a = quarter & 1 ? s : c, b = quarter & 1 ? c : s;
    const uint32_t a_sign = ((quarter + 1) & 2) << 30, b_sign = (quarter & 2) << 30;
    *cosine = ring_float_of_bits(ring_bits_of_float(a) ^ a_sign);
    *sine = ring_float_of_bits(ring_bits_of_float(b) ^ b_sign);
}

enum { RING_NORMAL_PAIRS = 64 };

static inline __attribute__((always_inline)) void ring_normal_pairs(uint64_t key, uint64_t pair, float *out) {
    int32_t radius[RING_NORMAL_PAIRS];
    uint32_t angle[RING_NORMAL_PAIRS];
    for (int i = 0; i < RING_NORMAL_PAIRS; i++) {
        const uint64_t hash = ring_mix64(key + (pair + (uint64_t)i) * 0x9e3779b97f4a7c15u);
        radius[i] = (int32_t)(hash >> 33);
        angle[i] = (uint32_t)hash;
    }
    for (int i = 0; i < RING_NORMAL_PAIRS; i++) {
        const float r = ring_normal_radius(radius[i]);
        float cosine, sine;
        ring_normal_angle(angle[i], &cosine, &sine);
        out[2 * i] = r * cosine;
        out[2 * i + 1] = r * sine;
    }
}

void RING_ISA(ring_normals)(uint64_t seed, uint64_t tensor, uint64_t first, int64_t count, float *out) {
    const uint64_t key = ring_mix64(ring_mix64(seed + 0x9e3779b97f4a7c15u) ^ (tensor + 1) * 0xd1342543de82ef95u);
    float block[2 * RING_NORMAL_PAIRS];
    while (count > 0) {
        const int64_t skip = (int64_t)(first & 1);
        const int64_t take = count < 2 * RING_NORMAL_PAIRS - skip ? count : 2 * RING_NORMAL_PAIRS - skip;
        ring_normal_pairs(key, first >> 1, block);
        memcpy(out, block + skip, (size_t)take * sizeof(float));
        first += (uint64_t)take;
        out += take;
        count -= take;
    }
}

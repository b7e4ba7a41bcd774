// Rotary position embedding (Su et al. 2021, section 3.2.2) in the split-half layout of Hugging Face models, with angles
// that hold at any position a double can count: the angle position * inv_freq is formed in double precision, where its
// error at position 4M is below 1e-9 radians (in float it would be 0.25).
//
// Every 64 rows cos and sin are taken afresh; within them one complex multiplication by e^(i inv_freq) a row moves to
// the next position. 64 such steps lose less than 64 * 2^-52.
#include "internal.h"

#include <math.h>

enum { RING_ROPE_HALF_MAX = 128, RING_ROPE_RESTART = 64 };

typedef struct rope_angles {
    double cosine[RING_ROPE_HALF_MAX], sine[RING_ROPE_HALF_MAX]; // of the row's position
    double step_cosine[RING_ROPE_HALF_MAX], step_sine[RING_ROPE_HALF_MAX];
    float c[RING_ROPE_HALF_MAX], s[RING_ROPE_HALF_MAX]; // rounded, attention_factor applied
} rope_angles;

static void rotate(float *x, const rope_angles *angles, int64_t half) {
    float *y = x + half;
    for (int64_t j = 0; j < half; j++) {
        const float a = x[j], b = y[j];
        x[j] = a * angles->c[j] - b * angles->s[j];
        y[j] = b * angles->c[j] + a * angles->s[j];
    }
}

static void restart(rope_angles *angles, int64_t half, int64_t position, const double *inv_freq) {
    for (int64_t j = 0; j < half; j++) {
        angles->cosine[j] = cos((double)position * inv_freq[j]);
        angles->sine[j] = sin((double)position * inv_freq[j]);
    }
}

static void advance(rope_angles *angles, int64_t half) {
    for (int64_t j = 0; j < half; j++) {
        const double c = angles->cosine[j], s = angles->sine[j];
        angles->cosine[j] = c * angles->step_cosine[j] - s * angles->step_sine[j];
        angles->sine[j] = s * angles->step_cosine[j] + c * angles->step_sine[j];
    }
}

void ring_rope(float *x, int64_t stride, int64_t rows, int64_t heads, int64_t head_stride, int64_t rotary_dim,
               int64_t first_position, const double *inv_freq, double attention_factor) {
    rope_angles angles;
    const int64_t half = rotary_dim / 2;
    for (int64_t j = 0; rows > 1 && j < half; j++) {
        angles.step_cosine[j] = cos(inv_freq[j]);
        angles.step_sine[j] = sin(inv_freq[j]);
    }
    for (int64_t row = 0; row < rows; row++) {
        // Restarts lie on multiples of 64 of the position, so a row's bits do not depend on where its call began ...
        const int64_t position = first_position + row;
        if (row == 0) { // ... for which a call that begins between them walks up from the multiple below.
            const int64_t behind = rows > 1 ? position % RING_ROPE_RESTART : 0;
            restart(&angles, half, position - behind, inv_freq);
            for (int64_t i = 0; i < behind; i++) advance(&angles, half);
        } else if (position % RING_ROPE_RESTART == 0) {
            restart(&angles, half, position, inv_freq);
        } else {
            advance(&angles, half);
        }
        for (int64_t j = 0; j < half; j++) {
            angles.c[j] = (float)(angles.cosine[j] * attention_factor);
            angles.s[j] = (float)(angles.sine[j] * attention_factor);
        }
        for (int64_t head = 0; head < heads; head++) rotate(x + row * stride + head * head_stride, &angles, half);
    }
}

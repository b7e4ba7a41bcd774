// 2^r on [-1/2, 1/2]: minimax polynomials for the relative error (Remez), constant term rounded to 1.
// Degree 6: 1.9e-9 before rounding, for f32. Degree 5: 7.5e-8, far below bf16's 2^-9.
// The last set is of degree 5 on [0, 1), 7.5e-8, constant term free.
#ifndef RING_EXP2_COEFFICIENTS_H
#define RING_EXP2_COEFFICIENTS_H

#define RING_EXP2_C1 0.693147206f
#define RING_EXP2_C2 0.240226469f
#define RING_EXP2_C3 0.0555032878f
#define RING_EXP2_C4 0.00961848896f
#define RING_EXP2_C5 0.00133999312f
#define RING_EXP2_C6 0.000153458122f

#define RING_EXP2_SHORT_C1 0.693146967f
#define RING_EXP2_SHORT_C2 0.240221197f
#define RING_EXP2_SHORT_C3 0.0555071327f
#define RING_EXP2_SHORT_C4 0.00967554133f
#define RING_EXP2_SHORT_C5 0.00132764722f

#define RING_EXP2_FLOOR_C0 0.99999994f
#define RING_EXP2_FLOOR_C1 0.693153083f
#define RING_EXP2_FLOOR_C2 0.240153611f
#define RING_EXP2_FLOOR_C3 0.0558263175f
#define RING_EXP2_FLOOR_C4 0.00898933969f
#define RING_EXP2_FLOOR_C5 0.00187757669f

#define RING_ROUND_MAGIC 12582912.0f // 1.5 * 2^23: x + magic - magic is x rounded to an integer, |x| < 2^22

#endif

// The vector helpers for AVX-512 (F, BW, DQ, VL). The text is in *_body.h.
#if defined(__x86_64__)
#include "internal.h"

#include <math.h>

#define RING_ISA(name) name##_avx512
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#include "bins_body.h"
#include "elementwise_body.h"
#include "normals_body.h"
#pragma clang attribute pop
#endif

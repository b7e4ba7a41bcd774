// The vector helpers for AVX2 and FMA. The text is in *_body.h.
#if defined(__x86_64__)
#include "internal.h"

#include <math.h>

#define RING_ISA(name) name##_avx2
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "bins_body.h"
#include "elementwise_body.h"
#include "normals_body.h"
#pragma clang attribute pop
#endif

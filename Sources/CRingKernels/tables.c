// One constant table of functions per instruction set, and the test of what this CPU and its operating system can run.
// A further architecture (NEON) adds its table here and its files beside the others.
#include "internal.h"

#include <stddef.h>

#define RING_TABLE(attention, decoding, elementwise, f32, bf16, isa_value, ...)                                           \
    {                                                                                                                  \
        .isa = isa_value, .attend = ring_attend_##attention, .decode = ring_decode_##decoding,                         \
        .rms_norm = ring_rms_norm_##elementwise,                                                                       \
        .silu_multiply = ring_silu_multiply_##elementwise, .add = ring_add_##elementwise,                              \
        .add_bias = ring_add_bias_##elementwise, .widen = ring_widen_##elementwise,                                    \
        .narrow_bf16 = ring_narrow_bf16_##elementwise, .gemv = ring_gemv_##elementwise,                                \
        .normals = ring_normals_##elementwise, .deposit = ring_deposit_##elementwise,       \
        .peak_f32 = f32, .peak_bf16 = bf16, __VA_ARGS__                         \
    }

static const ring_kernel_table table_scalar =
    RING_TABLE(scalar, scalar, scalar, ring_peak_f32_scalar, ring_peak_f32_scalar, RING_ISA_SCALAR);

#if defined(__x86_64__)
static const ring_kernel_table table_avx2 =
    RING_TABLE(avx2, avx2, avx2, ring_peak_f32_avx2, ring_peak_f32_avx2, RING_ISA_AVX2);
static const ring_kernel_table table_avx512 =
    RING_TABLE(avx512, avx512, avx512, ring_peak_f32_avx512, ring_peak_f32_avx512, RING_ISA_AVX512);
static const ring_kernel_table table_avx512bf16 =
    RING_TABLE(avx512bf16, avx512, avx512, ring_peak_f32_avx512, ring_peak_bf16_avx512bf16, RING_ISA_AVX512BF16);
static const ring_kernel_table table_amx =
    RING_TABLE(amx, amx, avx512, ring_peak_f32_avx512, ring_peak_bf16_amx, RING_ISA_AMX, .pack_rows = ring_pack_rows_amx,
               .linear = ring_linear_amx, .gemv_packed = ring_gemv_packed_amx);
#endif

// __builtin_cpu_supports also asks whether the operating system saves the wide registers (XGETBV).
const ring_kernel_table *ring_kernels(ring_isa isa) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                    && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    if (isa == RING_ISA_AVX2) return avx2 ? &table_avx2 : NULL;
    if (isa == RING_ISA_AVX512) return avx512 ? &table_avx512 : NULL;
    const int bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
    if (isa == RING_ISA_AVX512BF16) return bf16 ? &table_avx512bf16 : NULL;
    if (isa == RING_ISA_AMX) return bf16 && ring_tiles_permitted() ? &table_amx : NULL;
#endif
    return isa == RING_ISA_SCALAR ? &table_scalar : NULL;
}

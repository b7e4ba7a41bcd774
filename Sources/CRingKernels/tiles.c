// The tile registers of AMX: whether this process may use them, their shape, and the peak of their multiplication.
#if defined(__x86_64__)
#include "tiles.h"

#include <cpuid.h>

// Linux gives a process the 8 KiB of tile state only when asked (Documentation/arch/x86/xstate.rst). The call is made by hand: this
// target knows nothing of the C library beyond memory and mathematics.
#if defined(__linux__)
static int ask_for_tiles(void) {
    enum { ARCH_PRCTL = 158, ASK_FOR_STATE = 0x1023, TILE_STATE = 18 };
    int64_t result = ARCH_PRCTL;
    __asm__ volatile("syscall"
                     : "+a"(result)
                     : "D"((int64_t)ASK_FOR_STATE), "S"((int64_t)TILE_STATE)
                     : "rcx", "r11", "memory");
    return result == 0;
}
#else
static int ask_for_tiles(void) { return 0; }
#endif

int ring_tiles_permitted(void) {
    enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24 };
    uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return 0;
    return (edx & AMX_BF16) && (edx & AMX_TILE) && ask_for_tiles();
}

#pragma clang attribute push(__attribute__((target("amx-tile,amx-bf16"))), apply_to = function)
static const ring_tile_shape four_tiles = {.palette = 1, .row_bytes = {[0 ... 3] = RING_TILE_BYTES}, .rows = {[0 ... 3] = RING_TILE_ROWS}};
static const ring_tile_shape eight_tiles = {.palette = 1, .row_bytes = {[0 ... 7] = RING_TILE_BYTES}, .rows = {[0 ... 7] = RING_TILE_ROWS}};

ring_tile_shape ring_shape_tiles(void) {
    ring_tile_shape before;
    _tile_storeconfig(&before);
    _tile_loadconfig(&four_tiles);
    return before;
}

ring_tile_shape ring_shape_eight_tiles(void) {
    const ring_tile_shape before = ring_shape_tiles();
    _tile_loadconfig(&eight_tiles);
    return before;
}

void ring_clear_tiles(void) { _tile_loadconfig(&four_tiles); }

void ring_restore_tiles(ring_tile_shape before) {
    if (before.palette != 0) _tile_loadconfig(&before);
    else _tile_release();
}

// Four accumulators, so that one multiplication does not wait for the one before it.
double ring_peak_bf16_amx(int64_t rounds) {
    static const uint8_t halves[RING_TILE_ROWS * RING_TILE_BYTES] __attribute__((aligned(64))) = {0x00, 0x3f, 0x00, 0x3f};
    const ring_tile_shape before = ring_shape_eight_tiles();
    _tile_loadd(4, halves, RING_TILE_BYTES);
    _tile_loadd(5, halves, RING_TILE_BYTES);
    for (int64_t round = 0; round < rounds; round++) {
        _tile_dpbf16ps(0, 4, 5);
        _tile_dpbf16ps(1, 4, 5);
        _tile_dpbf16ps(2, 4, 5);
        _tile_dpbf16ps(3, 4, 5);
    }
    ring_restore_tiles(before);
    return (double)rounds * 4 * RING_TILE_ROWS * RING_TILE_ROWS * RING_TILE_DEPTH * 2;
}
#pragma clang attribute pop
#endif

// The shape in which the tile kernels use the tile registers of AMX: four or eight of 16 rows of 64 bytes.
#ifndef RING_TILES_H
#define RING_TILES_H

#include "internal.h"

#include <immintrin.h>

enum {
    RING_TILE_ROWS = 16,
    RING_TILE_BYTES = 64,
    RING_TILE_DEPTH = 32, // bf16 values that one multiplication sums
};

// What LDTILECFG reads and STTILECFG writes (Intel SDM, chapter on AMX).
typedef struct ring_tile_shape {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} ring_tile_shape;
_Static_assert(sizeof(ring_tile_shape) == 64, "the size that LDTILECFG reads");

// Shapes four of the calling thread's tiles and returns the shape that they had. It belongs to the thread, and other libraries set it too:
// `ring_restore_tiles` puts it back.
ring_tile_shape ring_shape_tiles(void);
// The same with all eight.
ring_tile_shape ring_shape_eight_tiles(void);
// Forgets what the four tiles hold. A core renames tiles, and holds none for those that have not been loaded since the shape was set; but
// a thread that was interrupted comes back with all eight held, and each instruction then waits for the one before it where the core's
// other hyperthread has tiles too. So this is called often, at times when nothing is in the tiles; it costs some tens of cycles.
void ring_clear_tiles(void);
void ring_restore_tiles(ring_tile_shape before);

#endif

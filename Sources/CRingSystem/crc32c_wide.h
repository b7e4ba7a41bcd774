// The widest way to CRC32C; only crc32c.c calls it.
#ifndef CRC32C_WIDE_H
#define CRC32C_WIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool ring_crc32c_wide_is_here(void);
// `state` (a checksum before its last inversion) moved past `count` bytes, a multiple of 256 and not 0.
uint32_t ring_crc32c_wide(uint32_t state, const uint8_t *p, size_t count);
// The same, and the bytes are copied to `to`, which is a multiple of 64 where `streams` sends them past the caches.
uint32_t ring_crc32c_wide_copy(uint32_t state, uint8_t *to, const uint8_t *p, size_t count, bool streams);

#endif

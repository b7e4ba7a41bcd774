// bf16 weights in the order in which the tile unit reads them, see `ring_pack_weight`. Done once a model, so plain C serves.
#include "internal.h"

enum { PANEL = RING_PANEL_OUTPUTS, STEP = RING_STEP_INPUTS, TILE_VALUES = 512 };

// Rows come as f32 that are bf16 already, so nothing is rounded. Inputs and outputs beyond the weight stay zero.
void ring_pack_weight(const float *rows, int64_t stride, int64_t outputs, int64_t inputs, uint8_t *panel) {
    uint16_t *to = (uint16_t *)panel;
    const int64_t steps = (inputs + STEP - 1) / STEP;
    memset(to, 0, (size_t)(steps * PANEL * STEP) * sizeof *to);
    for (int64_t step = 0; step < steps; step++, to += 2 * TILE_VALUES) {
        const int64_t left = inputs - step * STEP, count = left < STEP ? left : STEP;
        for (int64_t output = 0; output < outputs; output++) {
            const float *from = rows + output * stride + step * STEP;
            uint16_t *column = to + output / 16 * TILE_VALUES + output % 16 * 2;
            for (int64_t input = 0; input < count; input++) column[input / 2 * 32 + input % 2] = ring_round_bf16(from[input]);
        }
    }
}

/* The fold of a few photos in a single pass over the state.
 *
 * The state is the large part: four times the bytes of a photo, each read and written. So
 * a block of it stays in the core's cache while the photos are folded in, one after the
 * other: the result is that of folding them one by one.  It must be compiled without
 * contraction to fused multiply-add: it then agrees bit for bit with the same operations
 * in numpy, the reference in tests/statistics.
 */
#include <stddef.h>
#include <stdint.h>

#define BLOCK 2048

struct step {
    float share, spread, decay;
};

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target_clones("avx2", "default")))
#endif
void hotpixeld_fold_2(const uint8_t *const *photos, const struct step *steps,
                    size_t count, float *mean, float *m2, size_t size)
{
    for (size_t start = 0; start < size; start += BLOCK) {
        size_t length = size - start < BLOCK ? size - start : BLOCK;
        float *restrict block_mean = mean + start, *restrict block_m2 = m2 + start;
        for (size_t photo = 0; photo < count; photo++) {
            const uint8_t *restrict levels = photos[photo] + start;
            float share = steps[photo].share, spread = steps[photo].spread;
            float decay = steps[photo].decay;
            for (size_t i = 0; i < length; i++) {
                float delta = (float)levels[i] - block_mean[i];
                block_m2[i] = block_m2[i] * decay + delta * delta * spread;
                block_mean[i] = block_mean[i] + delta * share;
            }
        }
    }
}

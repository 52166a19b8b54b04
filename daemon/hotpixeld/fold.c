/* The fold of one photo in a single pass over memory; welford.py has the same in numpy.
 *
 * The operations and their order are those of the numpy version, and must be compiled
 * without contraction to fused multiply-add: the two agree bit for bit.
 */
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target_clones("avx2", "default")))
#endif
void hotpixeld_fold_1(const uint8_t *restrict levels, float *restrict mean,
                      float *restrict m2, size_t count, float share, float spread,
                      float decay)
{
    for (size_t i = 0; i < count; i++) {
        float delta = (float)levels[i] - mean[i];
        m2[i] = m2[i] * decay + delta * delta * spread;
        mean[i] = mean[i] + delta * share;
    }
}

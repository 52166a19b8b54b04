/* The checksum of large files: sums, and sums of sums, of 32-bit words in eight lanes.
 *
 * See J. G. Fletcher, "An arithmetic checksum for serial transmissions", IEEE Transactions
 * on Communications 30 (1982) 247-252.  generation_files.py says where it is used.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 8 };

/* In files at any place: a copy first would cost half of the speed. */
typedef uint32_t __attribute__((aligned(1), may_alias)) word_t;

/* Add `groups` of eight words to the lanes' sums and then sums of sums. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target_clones("avx2", "default")))
#endif
void hotpixeld_checksum_1(uint64_t *sums, const uint8_t *bytes, size_t groups)
{
    uint64_t first[LANES], second[LANES];
    memcpy(first, sums, sizeof first);
    memcpy(second, sums + LANES, sizeof second);
    const word_t *words = (const word_t *)bytes;
    for (size_t group = 0; group < groups; group++)
        for (int i = 0; i < LANES; i++) {
            first[i] += words[group * LANES + i];
            second[i] += first[i];
        }
    memcpy(sums, first, sizeof first);
    memcpy(sums + LANES, second, sizeof second);
}

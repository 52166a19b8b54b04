/* Fold a strip of many photos, and tell their traces: fold.py and trace.py say what is done.
 *
 * The photos lie in windows of rows of one size, one after the other.  Threads that call
 * a function at once share its work: `next` is the next part that none has begun.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 2048 /* subpixels that stay in a core's cache while all photos are folded in */
#define PART 32    /* blocks that a thread takes at once */

struct step {
    float share, spread, decay;
};

/* The operations and their order are those of the reference in tests/whole_frames.py, and must be compiled without
 * contraction to fused multiply-add: the two agree bit for bit.
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target_clones("avx2", "default")))
#endif
static void fold_block(const uint8_t *photos, size_t apart, const struct step *steps,
                       size_t count, float *restrict mean, float *restrict m2, size_t length)
{
    for (size_t photo = 0; photo < count; photo++) {
        const uint8_t *restrict levels = photos + photo * apart;
        float share = steps[photo].share, spread = steps[photo].spread;
        float decay = steps[photo].decay;
        for (size_t i = 0; i < length; i++) {
            float delta = (float)levels[i] - mean[i];
            m2[i] = m2[i] * decay + delta * delta * spread;
            mean[i] = mean[i] + delta * share;
        }
    }
}

/* Fold `size` subpixels of `count` photos that lie `apart` bytes from each other. */
void hotpixeld_fold_strip_1(const uint8_t *photos, size_t apart, const struct step *steps,
                            size_t count, float *mean, float *m2, size_t size, size_t *next)
{
    size_t part;
    while ((part = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED)) * PART * BLOCK < size)
        for (size_t block = part * PART; block < (part + 1) * PART; block++) {
            size_t start = block * BLOCK;
            if (start >= size)
                break;
            size_t length = size - start < BLOCK ? size - start : BLOCK;
            fold_block(photos + start, apart, steps, count, mean + start, m2 + start, length);
        }
}

void hotpixeld_trace_1(const uint8_t *frame, ptrdiff_t height, ptrdiff_t width, ptrdiff_t first,
                       ptrdiff_t last, float decay, const float *numbers, int16_t *total,
                       float *telling, int16_t *scratch, float *weight);

/* The rows of a frame that one photo tells, and what is kept there of the former total. */
struct band {
    int32_t first, last;
    float decay;
};

/* Where the rows in memory lie in the frame. */
struct rows {
    int64_t height, width;
    int64_t top;         /* the first row of each photo's window */
    int64_t first, last; /* the rows to tell, whose totals are in memory */
};

/* Tell the rows of a strip, `together` of them by one thread.
 *
 * `total` and `telling` hold the rows `first` to `last` alone.  `first` and `together` are
 * multiples of the height of a cell.
 */
void hotpixeld_trace_strip_1(const uint8_t *photos, size_t apart, const struct band *bands,
                             size_t count, const struct rows *rows, int64_t together,
                             const float *numbers, int16_t *total, float *telling,
                             int16_t *scratch, size_t scratch_bytes, float *weight, size_t *next)
{
    int64_t width = rows->width, cells = (width + 3) / 4, start;
    /* Where row 0 would be. */
    total -= rows->first * width;
    telling -= rows->first / 4 * cells;
    photos -= rows->top * width * 3;
    while ((start = rows->first
                    + (int64_t)__atomic_fetch_add(next, 1, __ATOMIC_RELAXED) * together)
           < rows->last) {
        int64_t end = start + together < rows->last ? start + together : rows->last;
        for (size_t photo = 0; photo < count; photo++) {
            int64_t first = bands[photo].first > start ? bands[photo].first : start;
            int64_t last = bands[photo].last < end ? bands[photo].last : end;
            if (first >= last)
                continue;
            memset(scratch, 0, scratch_bytes);
            hotpixeld_trace_1(photos + photo * apart, rows->height, width, first, last,
                              bands[photo].decay, numbers, total, telling, scratch, weight);
        }
    }
}

/* Fold a strip of many photos, and tell their traces: generation.py and trace.py say what is done.
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

struct sum {
    int16_t *total;
    float *information, decay;
};
void hotpixeld_trace_2(const uint8_t *frame, ptrdiff_t height, ptrdiff_t width, ptrdiff_t first,
                       ptrdiff_t last, const float *numbers, const struct sum *all,
                       const struct sum *own, int16_t *scratch, float *weight);

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

/* The rows of a strip of one trace: they begin with row `first`. */
struct trace {
    int16_t *total;
    float *telling;
};

/* Where row 0 of a trace would be, and what is kept of it. */
static struct sum sum_of(const struct trace *trace, const struct rows *rows, float decay)
{
    int64_t cells = (rows->width + 3) / 4;
    struct sum sum = {trace->total - rows->first * rows->width,
                      trace->telling - rows->first / 4 * cells, decay};
    return sum;
}

/* Tell the rows of a strip, `together` of them by one thread.
 *
 * traces: that of all photos, then those of bins.  bands, own_bands: of each photo, in the
 * first trace and in that of its bin; own: the number of this one, 0 where there is none.
 * `first` and `together` are multiples of the height of a cell.
 */
void hotpixeld_trace_strip_2(const uint8_t *photos, size_t apart, const struct band *bands,
                             const struct band *own_bands, const int32_t *own, size_t count,
                             const struct rows *rows, int64_t together, const float *numbers,
                             const struct trace *traces, int16_t *scratch, size_t scratch_bytes,
                             float *weight, size_t *next)
{
    int64_t height = rows->height, width = rows->width, start;
    photos -= rows->top * width * 3; /* where row 0 would be */
    while ((start = rows->first
                    + (int64_t)__atomic_fetch_add(next, 1, __ATOMIC_RELAXED) * together)
           < rows->last) {
        int64_t end = start + together < rows->last ? start + together : rows->last;
        for (size_t photo = 0; photo < count; photo++) {
            const uint8_t *frame = photos + photo * apart;
            struct sum all = sum_of(traces, rows, bands[photo].decay);
            struct sum bin = sum_of(traces + own[photo], rows, own_bands[photo].decay);
            int64_t first[2], last[2];
            for (int i = 0; i < 2; i++) {
                const struct band *band = i ? own_bands + photo : bands + photo;
                first[i] = band->first > start ? band->first : start;
                last[i] = band->last < end ? band->last : end;
            }
            int shared = own[photo] && first[0] == first[1] && last[0] == last[1];
            if (first[0] < last[0]) {
                memset(scratch, 0, scratch_bytes);
                hotpixeld_trace_2(frame, height, width, first[0], last[0], numbers, &all,
                                  shared ? &bin : NULL, scratch, weight);
            }
            if (own[photo] && !shared && first[1] < last[1]) {
                memset(scratch, 0, scratch_bytes);
                hotpixeld_trace_2(frame, height, width, first[1], last[1], numbers, &bin, NULL,
                                  scratch, weight);
            }
        }
    }
}

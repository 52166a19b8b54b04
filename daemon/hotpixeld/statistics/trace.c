/* A photo is added to the trace in one pass; tests/statistics has the same in numpy.
 *
 * Rows go through in rings of buffers that stay in a core's cache: luma, contrast, its
 * size, and running sums of the sizes. All arithmetic is 16 bits wide, but for the last
 * step, so that sixteen pixels are worked on at once.
 */
#include <stddef.h>
#include <stdint.h>

enum {
    PAD = 8,        /* of every buffered row, on both sides */
    NEAR = 2,       /* half width of the contrast */
    SPREAD = 4,     /* half width of the window of its spread */
    LUMAS = 5,      /* rows that a contrast needs */
    SIZES = 9,      /* rows that a spread needs */
    LARGEST = 384,  /* size of a contrast that counts for the spread, in sixths of a level */
    CELL = 4        /* pixels per cell of `information`, each way */
};

typedef int16_t row_t;

#define INLINE static inline __attribute__((always_inline))

/* Mirror an index into 0 .. size - 1. */
INLINE ptrdiff_t mirrored(ptrdiff_t index, ptrdiff_t size)
{
    if (index < 0)
        index = -index;
    return index >= size ? 2 * size - 2 - index : index;
}

/* Mirror `reach` places of a row over both its ends. */
INLINE void mirror_ends(row_t *row, ptrdiff_t width, int reach)
{
    for (int i = 1; i <= reach; i++) {
        row[-i] = row[i];
        row[width - 1 + i] = row[width - 1 - i];
    }
}

/* Rec. 601 in half levels. */
INLINE void take_luma(const uint8_t *restrict levels, row_t *restrict luma, ptrdiff_t width)
{
    for (ptrdiff_t i = 0; i < width; i++)
        luma[i] = (row_t)((19 * levels[3 * i] + 38 * levels[3 * i + 1] + 7 * levels[3 * i + 2]) >> 5);
}

/* Contrast (96 a level), its size (6 a level) and the border's sum (32 a level). */
INLINE void take_contrast(row_t *const luma[LUMAS], row_t *restrict contrast,
                          row_t *restrict size, row_t *restrict border, ptrdiff_t width)
{
    const row_t *restrict a = luma[0], *restrict b = luma[1], *restrict c = luma[2];
    const row_t *restrict d = luma[3], *restrict e = luma[4];
    for (ptrdiff_t i = 0; i < width; i++) {
        row_t around = a[i - 2] + a[i - 1] + a[i] + a[i + 1] + a[i + 2] + b[i - 2] + b[i + 2]
                       + c[i - 2] + c[i + 2] + d[i - 2] + d[i + 2]
                       + e[i - 2] + e[i - 1] + e[i] + e[i + 1] + e[i + 2];
        row_t plus = 2 * c[i] + c[i - 1] + c[i + 1] + b[i] + d[i];
        row_t excess = 8 * plus - 3 * around;
        row_t absolute = ((excess < 0 ? -excess : excess) + 8) >> 4;
        contrast[i] = excess;
        border[i] = around;
        size[i] = absolute < LARGEST ? absolute : LARGEST;
    }
}

/* Add one row to running sums, and take another off. */
INLINE void move(row_t *restrict sum, const row_t *restrict in, const row_t *restrict out,
                 ptrdiff_t width)
{
    for (ptrdiff_t i = -SPREAD; i < width + SPREAD; i++)
        sum[i] = sum[i] + in[i] - out[i];
}

/* Add a ratio to a total (64 a unit). */
INLINE row_t added(row_t total, float decay, float ratio)
{
    float sum_now = (float)total * decay + ratio * 64;
    sum_now = sum_now < 32767 ? sum_now : 32767;
    sum_now = sum_now > -32767 ? sum_now : -32767;
    return (row_t)(int32_t)(sum_now + (sum_now < 0 ? -0.5f : 0.5f));
}

/* Add a row to its totals, and where there are `two` to those of its bin; leave its weights. */
INLINE void add_row(const row_t *restrict wide, const row_t *restrict core,
                    const row_t *restrict contrast, const row_t *restrict border,
                    row_t *restrict total, float decay, row_t *restrict own, float own_decay,
                    int two, float *restrict weight, ptrdiff_t width, const float numbers[4])
{
    float scale = numbers[0], floor = numbers[1], bound = numbers[2], white = numbers[3];
    for (ptrdiff_t i = 0; i < width; i++) {
        row_t sum = wide[i - 4] + wide[i - 3] + wide[i - 2] + wide[i - 1] + wide[i]
                    + wide[i + 1] + wide[i + 2] + wide[i + 3] + wide[i + 4]
                    - (core[i - 2] + core[i - 1] + core[i] + core[i + 1] + core[i + 2]);
        float spread = (float)sum * scale;
        float square = spread * spread + floor;
        float inverse = (float)border[i] < white ? 1.0f / square : 0.0f;
        float ratio = (float)contrast[i] * (1.0f / 96) * inverse;
        float most = bound * __builtin_sqrtf(inverse);
        ratio = ratio < most ? ratio : most;
        ratio = ratio > -most ? ratio : -most;
        total[i] = added(total[i], decay, ratio);
        if (two)
            own[i] = added(own[i], own_decay, ratio);
        weight[i] = inverse;
    }
}

/* A sum over photos: total is (height, width), information one float per cell, and decay
 * what is kept of both.
 */
struct sum {
    row_t *total;
    float *information, decay;
};

/* Add a row's weights. */
INLINE void add_weights(const struct sum *sum, ptrdiff_t row, ptrdiff_t cells, const float *weight)
{
    for (ptrdiff_t i = 0; i < cells; i++) {
        float *cell = sum->information + row / CELL * cells + i;
        *cell = *cell * sum->decay * sum->decay + weight[CELL * i];
    }
}

/* Add rows `first` to `last` of a frame, `first` a multiple of CELL, to one sum or two.
 *
 * frame: (height, width, 3) levels; own: NULL where there is one sum;
 * scratch: 35 rows of width + 2 PAD, zeroed; weight: width floats; numbers: the spread of
 * one unit of summed size, the square of the smallest spread, the bound on one photo's
 * ratio, and the border's sum from which on a pixel is too bright to count.
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target_clones("avx2", "default")))
#endif
void hotpixeld_trace_2(const uint8_t *frame, ptrdiff_t height, ptrdiff_t width, ptrdiff_t first,
                       ptrdiff_t last, const float *numbers, const struct sum *all,
                       const struct sum *own, row_t *scratch, float *weight)
{
    ptrdiff_t stride = width + 2 * PAD, cells = (width + CELL - 1) / CELL;
    row_t *rows = scratch + PAD;
    row_t *nothing = rows, *wide = rows + stride, *core = rows + 2 * stride;
    row_t *lumas = rows + 3 * stride, *contrasts = lumas + LUMAS * stride;
    row_t *sizes = contrasts + SIZES * stride, *borders = sizes + SIZES * stride;
    ptrdiff_t top = first - SPREAD, bottom = last + SPREAD, ready = top - NEAR;

    for (ptrdiff_t y = top; y < bottom; y++) {
        for (; ready <= y + NEAR; ready++) {
            row_t *luma = lumas + (ready - top + NEAR) % LUMAS * stride;
            take_luma(frame + mirrored(ready, height) * width * 3, luma, width);
            mirror_ends(luma, width, NEAR);
        }
        row_t *near[LUMAS];
        for (int i = 0; i < LUMAS; i++)
            near[i] = lumas + (y - top + i) % LUMAS * stride;
        ptrdiff_t place = (y - top) % SIZES * stride;
        /* The oldest size leaves the sum before its buffer is used again. */
        move(wide, nothing, sizes + place, width);
        take_contrast(near, contrasts + place, sizes + place, borders + place, width);
        mirror_ends(sizes + place, width, SPREAD);
        move(wide, sizes + place, nothing, width);
        if (y - top >= 2)
            move(core, sizes + (y - top - 2) % SIZES * stride,
                 y - top >= 7 ? sizes + (y - top - 7) % SIZES * stride : nothing, width);
        ptrdiff_t centre = y - SPREAD;
        if (centre < first)
            continue;
        place = (centre - top) % SIZES * stride;
        row_t *total = all->total + centre * width;
        const row_t *contrast = contrasts + place, *border = borders + place;
        if (own)
            add_row(wide, core, contrast, border, total, all->decay, own->total + centre * width,
                    own->decay, 1, weight, width, numbers);
        else
            add_row(wide, core, contrast, border, total, all->decay, NULL, 0, 0, weight, width,
                    numbers);
        if (centre % CELL == 0) {
            add_weights(all, centre, cells, weight);
            if (own)
                add_weights(own, centre, cells, weight);
        }
    }
}

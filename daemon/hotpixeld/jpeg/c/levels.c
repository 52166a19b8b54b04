/* From coefficients to the levels of a window, as libjpeg decodes; block_reader.py calls it.
 *
 * Every step rounds as libjpeg's does: the accurate integer DCT, triangular upsampling
 * across the borders of blocks, and the conversion of colours by fixed-point factors.
 *
 * References: Loeffler, Ligtenberg, Moschytz, ICASSP 1989 (the DCT); ITU-T T.871 (colours).
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Some blocks of one component. */
struct plane {
    const int64_t *numbers;      /* (count) ascending: row * columns + column */
    const int16_t *coefficients; /* (count, 64), each row-major */
    int64_t count;
    int64_t columns;       /* of blocks in the whole component */
    int64_t height, width; /* of the whole component, in samples */
    int64_t down, across;  /* pixels per sample, each way */
    uint16_t steps[64];    /* quantisation table, row-major */
};

enum { GREY, YCC, RGB };

#define INLINE static inline __attribute__((always_inline))

static inline int32_t within(int32_t value, int32_t least, int32_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* One-dimensional transforms of the eight columns of a block, scaled by 8192 * sqrt(8).
 *
 * Sums of two numbers are kept to 16 bits, as by libjpeg-turbo's vector code: they are
 * longer in blocks only that no encoder writes.
 */
INLINE void transform(const int32_t in[8][8], int32_t out[8][8], int32_t rounding,
                             int shift)
{
    for (int x = 0; x < 8; x++) {
        int32_t sum = (int16_t)(in[0][x] + in[4][x]), difference = (int16_t)(in[0][x] - in[4][x]);
        int32_t first = (int16_t)(in[3][x] + in[7][x]), second = (int16_t)(in[1][x] + in[5][x]);
        int32_t high = 10703 * in[2][x] + 4433 * in[6][x];
        int32_t low = 4433 * in[2][x] - 10704 * in[6][x];
        int32_t even[4] = {
            8192 * sum + high, 8192 * difference + low, 8192 * difference - low, 8192 * sum - high
        };
        int32_t third = 9633 * second - 6436 * first, fourth = 9633 * first + 6437 * second;
        int32_t odd[4] = {
            4926 * in[1][x] - 7373 * in[7][x] + fourth,
            4177 * in[3][x] - 20995 * in[5][x] + third,
            -20995 * in[3][x] - 4176 * in[5][x] + fourth,
            -7373 * in[1][x] - 4927 * in[7][x] + third,
        };
        for (int i = 0; i < 4; i++) {
            out[i][x] = (even[i] + odd[i] + rounding) >> shift;
            out[7 - i][x] = (even[i] - odd[i] + rounding) >> shift;
        }
    }
}

/* Write the samples of one block. */
INLINE void block_samples(const int16_t *block, const uint16_t *steps, uint8_t *samples)
{
    int32_t in[8][8], columns[8][8], turned[8][8], out[8][8];
    int below = 0; /* nothing but the first row: the columns are not transformed */
    for (int i = 8; i < 64; i++)
        below |= block[i];
    for (int i = 0; i < 64; i++)
        in[i / 8][i % 8] = (int16_t)((uint32_t)block[i] * steps[i]);
    transform(in, columns, 1 << 10, 11);
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 8; x++)
            turned[x][y] = below ? within(columns[y][x], -32768, 32767) : (int16_t)(4 * in[0][x]);
    transform(turned, out, 1 << 17, 18);
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 8; x++)
            samples[8 * y + x] = (uint8_t)(within(out[x][y], -128, 127) + 128);
}

/* Write the samples of a plane's blocks, 64 each. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target_clones("avx2", "default")))
#endif
static void plane_samples(const struct plane *plane, uint8_t *samples)
{
    for (int64_t i = 0; i < plane->count; i++)
        block_samples(plane->coefficients + 64 * i, plane->steps, samples + 64 * i);
}

/* The samples of one component around a window. */
struct samples {
    const struct plane *plane;
    const uint8_t *first;
    ptrdiff_t stride;
    int64_t top, left; /* of the first, in samples */
};

static inline int64_t inside(int64_t index, int64_t size)
{
    return index < 0 ? 0 : index >= size ? size - 1 : index;
}

/* The rows that one row of pixels is made from. */
struct rows {
    const uint8_t *near, *beside;
};

static const uint8_t *row_at(const struct samples *s, int64_t row)
{
    return s->first + s->stride * (inside(row, s->plane->height) - s->top);
}

/* Three parts of a row's sample and one of the row beside it. */
static inline int mixed(struct rows rows, int64_t place)
{
    return 3 * rows.near[place] + rows.beside[place];
}

/* Write a component's levels in a window, one in three bytes. */
static void upsampled(const struct samples *s, const int64_t *window, uint8_t *out)
{
    const struct plane *plane = s->plane;
    int wide = plane->width > 2; /* narrower ones are repeated */
    int down = plane->down == 2, across = plane->across == 2 && wide;
    down &= plane->across == 1 || across;
    across &= plane->down == 1 || down;
    for (int64_t y = window[0]; y < window[2]; y++) {
        int64_t row = y / plane->down;
        struct rows rows = {row_at(s, row), row_at(s, down ? row + (y % 2 ? 1 : -1) : row)};
        int64_t column = window[1] / plane->across, phase = window[1] % plane->across;
        for (int64_t x = window[1]; x < window[3]; x++, out += 3) {
            int64_t at = column - s->left, beside = at;
            if (across)
                beside = inside(column + (x & 1 ? 1 : -1), plane->width) - s->left;
            if (++phase == plane->across) {
                phase = 0;
                column++;
            }
            if (down && across)
                *out = (uint8_t)((3 * mixed(rows, at) + mixed(rows, beside) + 8 - (x & 1)) >> 4);
            else if (down)
                *out = (uint8_t)((mixed(rows, at) + 1 + y % 2) >> 2);
            else if (across)
                *out = (uint8_t)((3 * rows.near[at] + rows.near[beside] + 1 + (x & 1)) >> 2);
            else
                *out = rows.near[at];
        }
    }
}

/* Fixed-point factors of T.871, 16 bits behind the point. */
enum { RED_CR = 91881, GREEN_CB = 22554, GREEN_CR = 46802, BLUE_CB = 116130, HALF = 1 << 15 };

/* Convert a pixel from the components' levels to red, green and blue. */
static void colour_pixel(uint8_t *pixel, int colour)
{
    int luma = pixel[0], cb = pixel[1] - 128, cr = pixel[2] - 128;
    if (colour == YCC) {
        pixel[0] = (uint8_t)within(luma + ((RED_CR * cr + HALF) >> 16), 0, 255);
        pixel[1] = (uint8_t)within(luma + ((HALF - GREEN_CB * cb - GREEN_CR * cr) >> 16), 0, 255);
        pixel[2] = (uint8_t)within(luma + ((BLUE_CB * cb + HALF) >> 16), 0, 255);
    } else if (colour == GREY) {
        pixel[1] = pixel[2] = pixel[0];
    }
}

/* Return the place of a block among a plane's, -1 where it is missing. */
static int64_t found(const struct plane *plane, int64_t number)
{
    int64_t low = 0, high = plane->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (plane->numbers[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < plane->count && plane->numbers[low] == number ? low : -1;
}

/* Gather the samples that a window needs of a plane; return their number, -1 where blocks
 * are missing or the room is too small.
 */
static int64_t gather(const struct plane *plane, const uint8_t *blocks, const int64_t *window,
                      uint8_t *room, int64_t size, struct samples *samples)
{
    int64_t more_down = plane->down == 2, more_across = plane->across == 2;
    int64_t top = inside(window[0] / plane->down - more_down, plane->height) / 8;
    int64_t left = inside(window[1] / plane->across - more_across, plane->width) / 8;
    int64_t bottom = inside((window[2] - 1) / plane->down + more_down, plane->height) / 8 + 1;
    int64_t right = inside((window[3] - 1) / plane->across + more_across, plane->width) / 8 + 1;
    int64_t columns = right - left, stride = 8 * columns;
    if (columns > size / 64 || bottom - top > size / (64 * columns))
        return -1;
    for (int64_t row = top; row < bottom; row++) {
        int64_t first = row * plane->columns + left, block = found(plane, first);
        for (int64_t column = left; column < right; column++, block++) {
            if (block < 0 || block >= plane->count
                || plane->numbers[block] != first + column - left)
                return -1;
            uint8_t *to = room + 8 * (stride * (row - top) + column - left);
            for (int y = 0; y < 8; y++)
                memcpy(to + stride * y, blocks + 64 * block + 8 * y, 8);
        }
    }
    *samples = (struct samples){plane, room, (ptrdiff_t)stride, 8 * top, 8 * left};
    return stride * 8 * (bottom - top);
}

static int is_sound(const struct plane *plane)
{
    return plane->down >= 1 && plane->across >= 1 && plane->height >= 1 && plane->width >= 1
           && plane->count >= 0 && plane->columns >= 1;
}

/* Compute the levels of windows.
 *
 * planes: 1 for GREY, 3 else; colour: GREY, YCC or RGB; windows: (count, 4) top, left,
 * bottom, right, half-open, not empty, at and right of 0; samples: 64 bytes for each block
 * of all planes; room: `size` bytes, 64 for each block that the largest window needs; out:
 * the windows' (bottom - top, right - left, 3), one after the other. Returns 0, or 1 where
 * blocks are missing.
 */
int hotpixeld_levels_1(const struct plane *planes, int colour, int64_t count,
                       const int64_t *windows, uint8_t *samples, uint8_t *room, int64_t size,
                       uint8_t *out)
{
    int components = colour == GREY ? 1 : 3;
    const uint8_t *blocks[3];
    for (int i = 0; i < components; i++) {
        if (!is_sound(planes + i))
            return 1;
        blocks[i] = samples;
        plane_samples(planes + i, samples);
        samples += 64 * planes[i].count;
    }
    for (const int64_t *window = windows; count > 0; count--, window += 4) {
        struct samples around[3];
        int64_t used = 0;
        for (int i = 0; i < components; i++) {
            int64_t taken = gather(planes + i, blocks[i], window, room + used, size - used,
                                   around + i);
            if (taken < 0)
                return 1;
            used += taken;
        }
        for (int i = 0; i < components; i++)
            upsampled(around + i, window, out + i);
        for (int64_t i = (window[2] - window[0]) * (window[3] - window[1]); i > 0; i--, out += 3)
            colour_pixel(out, colour);
    }
    return 0;
}

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

/* One-dimensional transform of eight numbers, scaled by 8192 * sqrt(8).
 *
 * Sums of two of them are kept to 16 bits, as by libjpeg-turbo's vector code: they are
 * longer in blocks only that no encoder writes.
 */
static inline void transform(const int32_t in[8], int32_t out[8], int32_t rounding, int shift)
{
    int32_t sum = (int16_t)(in[0] + in[4]), difference = (int16_t)(in[0] - in[4]);
    int32_t first = (int16_t)(in[3] + in[7]), second = (int16_t)(in[1] + in[5]);
    int32_t high = 10703 * in[2] + 4433 * in[6], low = 4433 * in[2] - 10704 * in[6];
    int32_t even[4] = {
        8192 * sum + high, 8192 * difference + low, 8192 * difference - low, 8192 * sum - high
    };
    int32_t third = 9633 * second - 6436 * first, fourth = 9633 * first + 6437 * second;
    int32_t odd[4] = {
        4926 * in[1] - 7373 * in[7] + fourth,
        4177 * in[3] - 20995 * in[5] + third,
        -20995 * in[3] - 4176 * in[5] + fourth,
        -7373 * in[1] - 4927 * in[7] + third,
    };
    for (int i = 0; i < 4; i++) {
        out[i] = (even[i] + odd[i] + rounding) >> shift;
        out[7 - i] = (even[i] - odd[i] + rounding) >> shift;
    }
}

static inline int32_t within(int32_t value, int32_t least, int32_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* Write the samples of one block. */
static void block_samples(const int16_t *block, const uint16_t *steps, uint8_t *samples)
{
    int32_t columns[8][8], in[8], out[8];
    int plain = 1; /* nothing but the first row: the columns are not transformed */
    for (int i = 8; i < 64; i++)
        plain &= !block[i];
    for (int x = 0; x < 8; x++) {
        for (int y = 0; y < 8; y++)
            in[y] = (int16_t)((uint32_t)block[8 * y + x] * steps[8 * y + x]);
        transform(in, out, 1 << 10, 11);
        for (int y = 0; y < 8; y++)
            columns[y][x] = plain ? (int16_t)(4 * in[0]) : within(out[y], -32768, 32767);
    }
    for (int y = 0; y < 8; y++) {
        transform(columns[y], out, 1 << 17, 18);
        for (int x = 0; x < 8; x++)
            samples[8 * y + x] = (uint8_t)(within(out[x], -128, 127) + 128);
    }
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

/* Return the sample at a place of the whole component, the nearest one beyond its edge. */
static inline int at(const struct samples *s, int64_t row, int64_t column)
{
    row = inside(row, s->plane->height) - s->top;
    column = inside(column, s->plane->width) - s->left;
    return s->first[s->stride * row + column];
}

/* Three parts of a row's sample and one of the row beside it. */
static inline int mixed(const struct samples *s, int64_t row, int64_t beside, int64_t column)
{
    return 3 * at(s, row, column) + at(s, beside, column);
}

/* Return a component's level at a pixel. */
static int level(const struct samples *s, int64_t y, int64_t x)
{
    const struct plane *plane = s->plane;
    int64_t row = y / plane->down, column = x / plane->across;
    int64_t below = row + (y % 2 ? 1 : -1), right = column + (x % 2 ? 1 : -1);
    int wide = plane->width > 2; /* narrower ones are repeated */
    if (plane->down == 1 && plane->across == 2 && wide) {
        if (right < 0 || right >= plane->width)
            return at(s, row, column);
        return (3 * at(s, row, column) + at(s, row, right) + (x % 2 ? 2 : 1)) >> 2;
    }
    if (plane->down == 2 && plane->across == 1)
        return (mixed(s, row, below, column) + (y % 2 ? 2 : 1)) >> 2;
    if (plane->down == 2 && plane->across == 2 && wide)
        return (3 * mixed(s, row, below, column) + mixed(s, row, below, inside(right, plane->width))
                + (x % 2 ? 7 : 8)) >> 4;
    return at(s, row, column);
}

/* Fixed-point factors of T.871, 16 bits behind the point. */
enum { RED_CR = 91881, GREEN_CB = 22554, GREEN_CR = 46802, BLUE_CB = 116130, HALF = 1 << 15 };

static void colour_pixel(const int levels[3], int colour, uint8_t *out)
{
    int luma = levels[0], cb = levels[1] - 128, cr = levels[2] - 128;
    if (colour == YCC) {
        out[0] = (uint8_t)within(luma + ((RED_CR * cr + HALF) >> 16), 0, 255);
        out[1] = (uint8_t)within(luma + ((HALF - GREEN_CB * cb - GREEN_CR * cr) >> 16), 0, 255);
        out[2] = (uint8_t)within(luma + ((BLUE_CB * cb + HALF) >> 16), 0, 255);
        return;
    }
    for (int i = 0; i < 3; i++)
        out[i] = (uint8_t)levels[colour == GREY ? 0 : i];
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
    for (int64_t row = top; row < bottom; row++)
        for (int64_t column = left; column < right; column++) {
            int64_t block = found(plane, row * plane->columns + column);
            if (block < 0)
                return -1;
            uint8_t *to = room + 8 * (stride * (row - top) + column - left);
            for (int y = 0; y < 8; y++)
                memcpy(to + stride * y, blocks + 64 * block + 8 * y, 8);
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
        for (int64_t j = 0; j < planes[i].count; j++, samples += 64)
            block_samples(planes[i].coefficients + 64 * j, planes[i].steps, samples);
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
        for (int64_t y = window[0]; y < window[2]; y++)
            for (int64_t x = window[1]; x < window[3]; x++, out += 3) {
                int levels[3] = {0};
                for (int i = 0; i < components; i++)
                    levels[i] = level(around + i, y, x);
                colour_pixel(levels, colour, out);
            }
    }
    return 0;
}

/* Windows around footprints, for field.py; Gaussian conditioning of them, for scene.py and
 * separation.py, many small systems, one by one; and what it found, block by block, for
 * component.py.
 *
 * The conditioning is one operation: eliminating the known from a symmetric matrix leaves the
 * covariance of the rest, and from a column beside it the rest's difference from its mean.
 * Every element goes through the same operations in the same order whatever the processor.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__)
#define FAST __attribute__((target_clones("avx2", "default")))
#else
#define FAST
#endif
#define INLINE static inline __attribute__((always_inline))

/* Below it a pivot is rounding. */
static const float SMALLEST = 1e-6f;

/* Floats that are worked on together; rows are padded to a multiple. */
#define LANES 8
#define PADDED(n) (((n) + LANES - 1) / LANES * LANES)
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float))));

/* Take four finished rows, from column `from` on, off two others. */
INLINE void take_off(const float *p, int stride, const float *c, const float *d, float *s, float *t,
                     int from)
{
    float c0 = c[0], c1 = c[1], c2 = c[2], c3 = c[3], d0 = d[0], d1 = d[1], d2 = d[2], d3 = d[3];
    for (int j = from; j < stride; j += LANES) {
        lanes q0 = *(const lanes *)(p + j), q1 = *(const lanes *)(p + stride + j);
        lanes q2 = *(const lanes *)(p + 2 * stride + j), q3 = *(const lanes *)(p + 3 * stride + j);
        *(lanes *)(s + j) -= c0 * q0 + c1 * q1 + c2 * q2 + c3 * q3;
        *(lanes *)(t + j) -= d0 * q0 + d1 * q1 + d2 * q2 + d3 * q3;
    }
}

/* Take a finished row, from column `from` on, off another, `share` times. */
INLINE void take_one_off(const float *done, float share, float *row, int from, int stride)
{
    for (int j = from; j < stride; j += LANES)
        *(lanes *)(row + j) -= share * *(const lanes *)(done + j);
}

/* Eliminate the first `pivots` of `size` rows of a matrix, of which the upper triangle and
 * the columns from `size` to `stride` are used; a row holds numbers from its diagonal's lanes on.
 */
INLINE void eliminate(float *a, int pivots, int size, int stride)
{
    for (int k = 0; k < pivots; k += 4) {
        int end = k + 4 < pivots ? k + 4 : pivots;
        for (int i = k; i < end; i++) {
            float *row = a + (size_t)i * stride;
            float scale = 1 / sqrtf(row[i] > SMALLEST ? row[i] : SMALLEST);
            for (int j = i / LANES * LANES; j < stride; j += LANES)
                *(lanes *)(row + j) *= scale;
            for (int below = i + 1; below < end; below++)
                take_one_off(row, row[below], a + (size_t)below * stride, below / LANES * LANES,
                             stride);
        }
        const float *p = a + (size_t)k * stride;
        int i = end;
        for (; end == k + 4 && i + 1 < size; i += 2) {
            float c[4], d[4];
            for (int b = 0; b < 4; b++) {
                c[b] = p[b * stride + i];
                d[b] = p[b * stride + i + 1];
            }
            float *row = a + (size_t)i * stride;
            take_off(p, stride, c, d, row, row + stride, i / LANES * LANES);
        }
        for (; i < size; i++)
            for (int b = k; b < end; b++) {
                const float *done = a + (size_t)b * stride;
                take_one_off(done, done[i], a + (size_t)i * stride, i / LANES * LANES, stride);
            }
    }
}

/* Windows around equal footprints. */
struct windows {
    int64_t count, rows, columns;
    int64_t ring, middle;                 /* samples of each */
    const int64_t *places;                /* in a flat window: of the ring, then the middle */
    int64_t first_row, first_column;      /* of the ring */
    int64_t tall, wide;                   /* of the ring with its middle */
    int64_t reach;                        /* of the noise */
    const float *noise;                   /* (2 reach + 1) squared */
    const float *seen;                    /* (count, rows * columns) */
    const uint8_t *exists, *clean;        /* alike */
    float level, steady, louder;
};

/* Subtract from a window the linear trend of its clean samples. */
INLINE void detrend(const struct windows *w, const float *seen, const uint8_t *clean, float *out)
{
    double n[3][4] = {{1e-6}, {0, 1e-6}, {0, 0, 1e-6}};
    for (int64_t y = 0; y < w->rows; y++)
        for (int64_t x = 0; x < w->columns; x++) {
            int64_t place = y * w->columns + x;
            double term[3] = {1, (double)y / w->rows - 0.5, (double)x / w->columns - 0.5};
            if (clean[place])
                for (int i = 0; i < 3; i++) {
                    for (int j = 0; j < 3; j++)
                        n[i][j] += term[i] * term[j];
                    n[i][3] += term[i] * seen[place];
                }
        }
    for (int k = 0; k < 3; k++)
        for (int i = k + 1; i < 3; i++) {
            double share = n[i][k] / n[k][k];
            for (int j = k; j < 4; j++)
                n[i][j] -= share * n[k][j];
        }
    double slope[3];
    for (int i = 2; i >= 0; i--) {
        double rest = n[i][3];
        for (int j = i + 1; j < 3; j++)
            rest -= n[i][j] * slope[j];
        slope[i] = rest / n[i][i];
    }
    for (int64_t y = 0; y < w->rows; y++)
        for (int64_t x = 0; x < w->columns; x++) {
            double down = (double)y / w->rows - 0.5, across = (double)x / w->columns - 0.5;
            int64_t place = y * w->columns + x;
            out[place] = (float)(seen[place] - (slope[0] + slope[1] * down + slope[2] * across));
        }
}

/* Sum the products of all samples with those `down` rows below them, by the shift across, and
 * with those a row further below: `count` lanes of each, from some shift on.
 */
INLINE void products(const struct windows *w, const float *padded, int64_t stride, int64_t down,
                     int64_t from, int count, float *sums)
{
    lanes sum[3] = {{0}}, next[3] = {{0}};
    for (int64_t y = 0; y + down < w->rows; y++) {
        const float *upper = padded + y * stride + w->wide - 1;
        const float *lower = padded + (y + down) * stride + from;
        for (int64_t x = 0; x < w->columns; x++)
            for (int i = 0; i < count; i++) {
                sum[i] += upper[x] * *(const lanes *)(lower + x + i * LANES);
                next[i] += upper[x] * *(const lanes *)(lower + stride + x + i * LANES);
            }
    }
    memcpy(sums + from, sum, (size_t)count * sizeof(lanes));
    memcpy(sums + stride - w->columns + from, next, (size_t)count * sizeof(lanes));
}

/* Fill `table`, (2 tall - 1, 2 wide - 1), with the covariance of two samples by their shift:
 * that of the clean ones, of which `padded` is room for a copy, the noise's, and the level's.
 */
INLINE void by_shift(const struct windows *w, const float *residual, const uint8_t *clean,
                     float *padded, float *sums, float *table)
{
    int64_t width = 2 * w->wide - 1, room = PADDED(width), stride = w->columns + room;
    int64_t number = 0, reach = w->reach;
    memset(padded, 0, sizeof(float) * (size_t)((w->rows + w->tall) * stride));
    for (int64_t y = 0; y < w->rows; y++)
        for (int64_t x = 0; x < w->columns; x++) {
            int64_t place = y * w->columns + x;
            number += clean[place];
            padded[y * stride + w->wide - 1 + x] = clean[place] ? residual[place] : 0;
        }
    float each = 1 / (float)(number > 1 ? number : 1);
    for (int64_t first = 0; first < w->tall; first += 2) {
        /* At most three lanes at a time, and their number known to the compiler: the sums
         * stay in registers. */
        for (int64_t from = 0; from < room; from += 3 * LANES) {
            switch ((room - from) / LANES) {
            case 1: products(w, padded, stride, first, from, 1, sums); break;
            case 2: products(w, padded, stride, first, from, 2, sums); break;
            default: products(w, padded, stride, first, from, 3, sums);
            }
        }
        for (int64_t down = first; down < w->tall && down < first + 2; down++)
            for (int64_t i = 0; i < width; i++) {
                int64_t across = i - (w->wide - 1);
                float value = sums[(down - first) * room + i] * each;
                if (down <= reach && across <= reach && -across <= reach)
                    value += w->noise[(down + reach) * (2 * reach + 1) + across + reach];
                value += w->level;
                table[(w->tall - 1 + down) * width + i] = value;
                table[(w->tall - 1 - down) * width + width - 1 - i] = value;
            }
    }
}

/* Eliminate the ring from the covariance of ring and middle, which leaves the middle's; return
 * the sum of the ring's independent parts, squared.
 */
INLINE float continue_any(const struct windows *w, const float *origin, const int64_t *shifts,
                          const float *flat, const uint8_t *clean, float *matrix, int stride)
{
    int ring = (int)w->ring, size = ring + (int)w->middle;
    for (int i = 0; i < size; i++) {
        float *row = matrix + (size_t)i * stride;
        const float *from = origin - shifts[i];
        for (int j = i / LANES * LANES; j < size; j++)
            row[j] = from[shifts[j]];
        row[size] = flat[w->places[i]];
    }
    for (int i = 0; i < ring; i++)
        if (!clean[w->places[i]]) {
            float *row = matrix + (size_t)i * stride;
            for (int j = 0; j < i; j++)
                matrix[(size_t)j * stride + i] = 0;
            for (int j = i; j <= size; j++)
                row[j] = 0;
            row[i] = 1;
        }
    eliminate(matrix, ring, size, stride);
    float squares = 0;
    for (int i = 0; i < ring; i++)
        squares += matrix[(size_t)i * stride + size] * matrix[(size_t)i * stride + size];
    return squares;
}

/* The same where the whole ring is clean: the covariance depends on shifts alone, so that sums
 * and differences of samples mirrored at the window's centre are independent. Of two matrices
 * of half the size, each takes an eighth of the arithmetic.
 */
INLINE float continue_mirrored(const struct windows *w, const float *origin,
                               const int64_t *shifts, const float *flat, float *halves,
                               int stride, float *matrix, int wide)
{
    int ring = (int)w->ring, middle = (int)w->middle, pairs = middle / 2, last = ring + middle - 1;
    int64_t most = shifts[0] + shifts[ring - 1];
    /* The sample in the centre is its own mirror image. */
    const float root = sqrtf(0.5f);
    float *results[2], squares = 0;
    for (int odd = 0; odd < 2; odd++) {
        float *half = halves, sign = odd ? -1 : 1;
        int size = ring / 2 + (odd ? pairs : middle - pairs), alone = odd ? size : ring / 2 + pairs;
        if (odd)
            half += (size_t)(ring / 2 + middle - pairs) * (size_t)stride;
        results[odd] = half + (size_t)(ring / 2) * (size_t)stride;
        for (int i = 0; i < size; i++) {
            int sample = i < ring / 2 ? i : i + ring / 2;
            int image = i < ring / 2 ? ring - 1 - i : last + ring / 2 - i;
            float *row = half + (size_t)i * stride, scale = i == alone ? root : 1;
            const float *from = origin - shifts[sample], *back = from + most;
            for (int j = i / LANES * LANES; j < size; j++) {
                int64_t shift = shifts[j < ring / 2 ? j : j + ring / 2];
                row[j] = (from[shift] + sign * back[-shift]) * (j == alone ? scale * root : scale);
            }
            float both = flat[w->places[sample]] + sign * flat[w->places[image]];
            row[size] = both * root * scale;
        }
        eliminate(half, ring / 2, size, stride);
        for (int i = 0; i < ring / 2; i++)
            squares += half[(size_t)i * stride + size] * half[(size_t)i * stride + size];
    }
    int evens = ring / 2 + middle - pairs, odds = ring / 2 + pairs;
    float *out = matrix + (size_t)ring * wide + ring;
    for (int i = 0; i < middle - pairs; i++) {
        int image = middle - 1 - i, centre = i == pairs;
        const float *even = results[0] + (size_t)i * stride, *odd = results[1] + (size_t)i * stride;
        for (int j = i; j < middle - pairs; j++) {
            float scale = j < pairs ? 0.5f : centre ? 1 : root;
            float e = even[ring / 2 + j] * scale, o = j < pairs ? odd[ring / 2 + j] * scale : 0;
            int other = middle - 1 - j;
            out[(size_t)i * wide + j] = out[(size_t)other * wide + image] = e + o;
            out[(size_t)i * wide + other] = out[(size_t)j * wide + image] = e - o;
        }
        float e = even[evens] * (centre ? 1 : root), o = centre ? 0 : odd[odds] * root;
        out[(size_t)i * wide + middle] = e + o;
        out[(size_t)image * wide + middle] = e - o;
    }
    return squares;
}

/* Continue the scene under footprints, as `scene.continued` says: what it does not explain,
 * (count, middle), and the covariance of the scene's part in that, (count, middle, middle).
 * Returns 1 without memory.
 */
FAST int hotpixeld_continue_1(const struct windows *w, float *residuals, float *covariances)
{
    int ring = (int)w->ring, middle = (int)w->middle, size = ring + middle;
    int stride = PADDED(size + 1), half = PADDED(size / 2 + 2);
    int64_t samples = w->rows * w->columns, width = 2 * w->wide - 1, room = PADDED(width);
    size_t full = (size_t)size * (size_t)stride, halves = (size_t)(size + 1) * (size_t)half;
    size_t spread = (size_t)((w->rows + w->tall) * (w->columns + room));
    size_t shifted = (size_t)((2 * w->tall - 1) * width);
    size_t all = full + halves + (size_t)(samples + 2 * room) + spread + shifted;
    float *matrix = calloc(all, sizeof(float));
    /* Where the table's middle moves to for each sample. */
    int64_t *shifts = malloc((size_t)size * sizeof(int64_t));
    if (!matrix || !shifts) {
        free(shifts);
        free(matrix);
        return 1;
    }
    float *mirrored = matrix + full, *flat = mirrored + halves, *sums = flat + samples;
    float *padded = sums + 2 * room, *table = padded + spread;
    for (int i = 0; i < size; i++) {
        int64_t row = w->places[i] / w->columns, column = w->places[i] % w->columns;
        shifts[i] = (row - w->first_row) * width + column - w->first_column;
    }
    const float *origin = table + (w->tall - 1) * width + w->wide - 1;
    for (int64_t each = 0; each < w->count; each++) {
        const float *seen = w->seen + each * samples;
        const uint8_t *clean = w->clean + each * samples, *exists = w->exists + each * samples;
        detrend(w, seen, clean, flat);
        by_shift(w, flat, clean, padded, sums, table);
        int known = 0;
        for (int i = 0; i < ring; i++)
            known += clean[w->places[i]];
        float loud = w->steady;
        if (known == ring)
            loud += continue_mirrored(w, origin, shifts, flat, mirrored, half, matrix, stride);
        else
            loud += continue_any(w, origin, shifts, flat, clean, matrix, stride);
        loud /= (float)known + w->steady;
        loud = loud < 1 / w->louder ? 1 / w->louder : loud > w->louder ? w->louder : loud;
        float *residual = residuals + each * middle;
        float *covariance = covariances + each * middle * middle;
        for (int i = 0; i < middle; i++) {
            const float *row = matrix + (size_t)(ring + i) * stride + ring;
            int is_inside = exists[w->places[ring + i]];
            residual[i] = is_inside ? row[middle] : 0;
            for (int j = i; j < middle; j++) {
                int both = is_inside && exists[w->places[ring + j]];
                float value = both ? loud * row[j] : 0;
                covariance[i * middle + j] = covariance[j * middle + i] = value;
            }
            if (!is_inside)
                covariance[i * middle + i] = 1;
        }
    }
    free(shifts);
    free(matrix);
    return 0;
}

/* Equal footprints over continued scenes. */
struct footprints {
    int64_t count, samples;
    const float *residuals;    /* (count, samples) */
    const float *covariances;  /* (count, samples, samples) */
    const uint8_t *inside;     /* (count, samples) */
    const float *own;          /* footprints of amplitude 1: (kinds, samples, samples) */
    const int64_t *kinds;      /* (count) */
    const float *others;       /* as `covariances`, or none */
    const float *amplitudes;   /* (count) */
};

/* Write scene and footprints together, and the residual beside them. */
INLINE void together(const struct footprints *f, int64_t each, float *matrix, int stride, int beside)
{
    int64_t m = f->samples;
    const float *scene = f->covariances + each * m * m, *own = f->own + f->kinds[each] * m * m;
    const uint8_t *inside = f->inside + each * m;
    float power = f->amplitudes[each] * f->amplitudes[each];
    for (int64_t i = 0; i < m; i++) {
        float *row = matrix + i * stride;
        for (int64_t j = i / LANES * LANES; j < m; j++)
            row[j] = scene[i * m + j] + (inside[i] && inside[j] ? power * own[i * m + j] : 0);
        if (f->others)
            for (int64_t j = i / LANES * LANES; j < m; j++)
                row[j] += f->others[each * m * m + i * m + j];
        row[beside] = f->residuals[each * m + i];
    }
}

/* Find the largest sample, with its sign left out, of each footprint of strength `strong`,
 * scene and others being about as given. Returns 1 without memory.
 */
FAST int hotpixeld_peaks_1(const struct footprints *f, float strong, float *peaks)
{
    int m = (int)f->samples, stride = PADDED(m + 1);
    float *matrix = calloc((size_t)m * (size_t)(stride + 1), sizeof(float));
    if (!matrix)
        return 1;
    float *solved = matrix + (size_t)m * stride;
    for (int64_t each = 0; each < f->count; each++) {
        const float *own = f->own + f->kinds[each] * m * m;
        const uint8_t *inside = f->inside + each * m;
        together(f, each, matrix, stride, m);
        eliminate(matrix, m, m, stride);
        for (int i = m - 1; i >= 0; i--) {
            const float *row = matrix + (size_t)i * stride;
            float rest = row[m];
            for (int j = i + 1; j < m; j++)
                rest -= row[j] * solved[j];
            solved[i] = rest / row[i];
        }
        float most = 0;
        for (int i = 0; i < m; i++) {
            float sum = 0;
            for (int j = 0; inside[i] && j < m; j++)
                sum += inside[j] ? own[i * m + j] * solved[j] : 0;
            most = fabsf(sum) > most ? fabsf(sum) : most;
        }
        peaks[each] = strong * strong * most;
    }
    free(matrix);
    return 0;
}

/* Find the amplitudes of known footprints, (count, samples) of `levels`, that samples show at
 * best, and the inverse of their variances; `f->own` is what they may be bent by.  Returns 1
 * without memory.
 */
FAST int hotpixeld_amplitudes_1(const struct footprints *f, const float *levels, float *seen,
                                float *powers)
{
    int m = (int)f->samples, stride = PADDED(m + 2);
    float *matrix = calloc((size_t)m * (size_t)stride, sizeof(float));
    if (!matrix)
        return 1;
    for (int64_t each = 0; each < f->count; each++) {
        together(f, each, matrix, stride, m);
        for (int i = 0; i < m; i++)
            matrix[(size_t)i * stride + m + 1] = levels[each * m + i];
        eliminate(matrix, m, m, stride);
        float power = 0, sum = 0;
        for (int i = 0; i < m; i++) {
            const float *row = matrix + (size_t)i * stride + m;
            power += row[1] * row[1];
            sum += row[0] * row[1];
        }
        power = power > 1e-9f ? power : 1e-9f;
        powers[each] = power;
        seen[each] = sum / power;
    }
    free(matrix);
    return 0;
}

/* Find what footprints of about the given amplitudes added, (count, samples), and how
 * uncertain that is, (count, samples, samples). Returns 1 without memory.
 */
FAST int hotpixeld_excess_1(const struct footprints *f, float *means, float *covariances)
{
    int m = (int)f->samples, size = 2 * m, stride = PADDED(size + 1);
    float *matrix = calloc((size_t)size * (size_t)stride, sizeof(float));
    if (!matrix)
        return 1;
    for (int64_t each = 0; each < f->count; each++) {
        const float *own = f->own + f->kinds[each] * m * m;
        const uint8_t *inside = f->inside + each * m;
        float power = f->amplitudes[each] * f->amplitudes[each];
        together(f, each, matrix, stride, size);
        for (int i = 0; i < m; i++) {
            float *upper = matrix + (size_t)i * stride + m, *lower = upper + (size_t)m * stride;
            for (int j = 0; j < m; j++)
                lower[j] = upper[j] = inside[i] && inside[j] ? power * own[i * m + j] : 0;
            lower[m] = 0;
        }
        eliminate(matrix, m, size, stride);
        for (int i = 0; i < m; i++) {
            const float *row = matrix + (size_t)(m + i) * stride + m;
            means[each * m + i] = -row[m];
            for (int j = i; j < m; j++) {
                float *out = covariances + each * m * m;
                out[i * m + j] = out[j * m + i] = row[j];
            }
        }
    }
    free(matrix);
    return 0;
}

/* A set of positions: `PositionSet`. */
struct positions {
    int64_t count, width, origin;   /* the number of row 0, column 0 */
    const int64_t *numbers;         /* ascending */
};

/* Equal boxes of samples. */
struct boxes {
    int64_t count, rows, columns;
    const int64_t *tops, *lefts;
};

/* Return the rank of the first number that is not below another. */
INLINE int64_t rank_of(const struct positions *set, int64_t number)
{
    int64_t low = 0, high = set->count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (set->numbers[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Return the block of a sample, the ones before the first having negative numbers. */
INLINE int64_t block_of(int64_t sample)
{
    return (sample >= 0 ? sample : sample - 7) / 8;
}

/* Part of a box in one block: half-open, in samples from the box's first. */
struct part {
    int64_t rank, top, left, bottom, right;
};

/* Return the part in a block, of rank -1 when that is not in a set. */
INLINE struct part part_in(const struct positions *set, const struct boxes *b, int64_t each,
                           int64_t row, int64_t column)
{
    int64_t number = row * set->width + column + set->origin, rank = rank_of(set, number);
    int64_t y = 8 * row - b->tops[each], x = 8 * column - b->lefts[each];
    int known = rank < set->count && set->numbers[rank] == number;
    return (struct part){
        known ? rank : -1, y > 0 ? y : 0, x > 0 ? x : 0,
        y + 8 < b->rows ? y + 8 : b->rows, x + 8 < b->columns ? x + 8 : b->columns};
}

/* Mark the samples of boxes that are in a set. */
void hotpixeld_members_1(const struct positions *set, const struct boxes *b, uint8_t *members)
{
    for (int64_t line = 0; line < b->count * b->rows; line++) {
        int64_t row = b->tops[line / b->rows] + line % b->rows;
        int64_t begin = row * set->width + b->lefts[line / b->rows] + set->origin;
        for (int64_t i = rank_of(set, begin);
             i < set->count && set->numbers[i] < begin + b->columns; i++)
            members[line * b->columns + set->numbers[i] - begin] = 1;
    }
}

/* Copy boxes out of known blocks, (set->count, 8, 8), and mark what is known and within a
 * plane of some rows and columns.
 */
void hotpixeld_windows_1(const struct positions *set, const float *samples, int64_t rows,
                         int64_t columns, const struct boxes *b, float *seen, uint8_t *exists)
{
    for (int64_t each = 0; each < b->count; each++) {
        int64_t top = b->tops[each], left = b->lefts[each];
        for (int64_t row = block_of(top); row <= block_of(top + b->rows - 1); row++)
            for (int64_t column = block_of(left); column <= block_of(left + b->columns - 1);
                 column++) {
                struct part p = part_in(set, b, each, row, column);
                if (p.rank < 0)
                    continue;
                for (int64_t y = p.top; y < p.bottom; y++)
                    for (int64_t x = p.left; x < p.right; x++) {
                        int64_t place = (each * b->rows + y) * b->columns + x;
                        int64_t down = top + y, across = left + x;
                        seen[place] =
                            samples[64 * p.rank + 8 * (down - 8 * row) + across - 8 * column];
                        exists[place] =
                            down >= 0 && down < rows && across >= 0 && across < columns;
                    }
            }
    }
}

/* Add what was found in boxes to the blocks of a set, transformed: means, (b->count, samples),
 * and, where there are any, covariances, (b->count, samples, samples), to changes and variances,
 * (set->count, 8, 8).  `waves` is (8 places, 8 frequencies).
 */
FAST void hotpixeld_transform_1(const struct positions *set, const struct boxes *b,
                                const float *means, const float *covariances,
                                const float *waves, float *changes, float *variances)
{
    int64_t n = b->rows * b->columns;
    for (int64_t each = 0; each < b->count; each++) {
        int64_t top = b->tops[each], left = b->lefts[each];
        for (int64_t row = block_of(top); row <= block_of(top + b->rows - 1); row++)
            for (int64_t column = block_of(left); column <= block_of(left + b->columns - 1);
                 column++) {
                struct part p = part_in(set, b, each, row, column);
                if (p.rank < 0)
                    continue;
                const float *down = waves + 8 * (top - 8 * row);
                const lanes *across = (const lanes *)waves + left - 8 * column;
                lanes *change = (lanes *)changes + 8 * p.rank, spread[8] = {{0}};
                for (int64_t y = p.top; y < p.bottom; y++) {
                    const float *mean = means + each * n + y * b->columns;
                    lanes line = {0};
                    for (int64_t x = p.left; x < p.right; x++)
                        line += mean[x] * across[x];
                    for (int u = 0; u < 8; u++)
                        change[u] += down[8 * y + u] * line;
                    for (int64_t z = y; covariances && z < p.bottom; z++) {
                        lanes pairs = {0};
                        for (int64_t x = p.left; x < p.right; x++) {
                            const float *with = covariances + (each * n + y * b->columns + x) * n;
                            lanes products = {0};
                            for (int64_t i = p.left; i < p.right; i++)
                                products += with[z * b->columns + i] * across[i];
                            pairs += across[x] * products;
                        }
                        float twice = z > y ? 2 : 1;
                        for (int u = 0; u < 8; u++)
                            spread[u] += twice * down[8 * y + u] * down[8 * z + u] * pairs;
                    }
                }
                for (int i = 0; i < 64; i++) {
                    float value = spread[i / 8][i % 8];
                    variances[64 * p.rank + i] += value > 0 ? value : 0;
                }
            }
    }
}

/* Gaussian conditioning for scene.py and separation.py: many small systems, one by one.
 *
 * All of it is one operation: eliminating the known from a symmetric matrix leaves the
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

/* Take four finished rows, from column `from` on, off two others. */
INLINE void take_off(const float *restrict p, int stride, const float *restrict c,
                     const float *restrict d, float *restrict s, float *restrict t, int from,
                     int width)
{
    const float *restrict q = p + stride, *restrict u = q + stride, *restrict v = u + stride;
    float c0 = c[0], c1 = c[1], c2 = c[2], c3 = c[3], d0 = d[0], d1 = d[1], d2 = d[2], d3 = d[3];
    for (int j = from; j < width; j++) {
        s[j] -= c0 * p[j] + c1 * q[j] + c2 * u[j] + c3 * v[j];
        t[j] -= d0 * p[j] + d1 * q[j] + d2 * u[j] + d3 * v[j];
    }
}

/* Eliminate the first `pivots` of `size` rows of a matrix, of which the upper triangle and
 * the columns from `size` to `width` are used; below the diagonal it may hold anything.
 */
INLINE void eliminate(float *a, int pivots, int size, int width, int stride)
{
    for (int k = 0; k < pivots; k += 4) {
        int end = k + 4 < pivots ? k + 4 : pivots;
        for (int i = k; i < end; i++) {
            float *row = a + (size_t)i * stride;
            float scale = 1 / sqrtf(row[i] > SMALLEST ? row[i] : SMALLEST);
            for (int j = i; j < width; j++)
                row[j] *= scale;
            for (int below = i + 1; below < end; below++) {
                float *other = a + (size_t)below * stride, share = row[below];
                for (int j = below; j < width; j++)
                    other[j] -= share * row[j];
            }
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
            take_off(p, stride, c, d, row, row + stride, i, width);
        }
        for (; i < size; i++) {
            float *row = a + (size_t)i * stride;
            for (int b = k; b < end; b++) {
                const float *done = a + (size_t)b * stride;
                float share = done[i];
                for (int j = i; j < width; j++)
                    row[j] -= share * done[j];
            }
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

/* Fill `table`, (2 tall - 1, 2 wide - 1), with the covariance of two samples by their shift:
 * that of the clean ones, of which `padded` is room for a copy, the noise's, and the level's.
 */
INLINE void by_shift(const struct windows *w, const float *residual, const uint8_t *clean,
                     float *padded, float *sums, float *table)
{
    int64_t lanes = (2 * w->wide - 1 + 7) / 8 * 8, stride = w->columns + lanes;
    int64_t width = 2 * w->wide - 1, number = 0;
    memset(padded, 0, sizeof(float) * (size_t)((w->rows + w->tall) * stride));
    for (int64_t y = 0; y < w->rows; y++)
        for (int64_t x = 0; x < w->columns; x++) {
            int64_t place = y * w->columns + x;
            number += clean[place];
            padded[y * stride + w->wide - 1 + x] = clean[place] ? residual[place] : 0;
        }
    float each = 1 / (float)(number > 1 ? number : 1);
    for (int64_t down = 0; down < w->tall; down++) {
        memset(sums, 0, sizeof(float) * (size_t)lanes);
        for (int64_t y = 0; y + down < w->rows; y++) {
            const float *upper = padded + y * stride + w->wide - 1;
            const float *lower = padded + (y + down) * stride;
            for (int64_t x = 0; x < w->columns; x++) {
                float value = upper[x];
                for (int64_t i = 0; i < lanes; i++)
                    sums[i] += value * lower[x + i];
            }
        }
        for (int64_t i = 0; i < width; i++) {
            int64_t across = i - (w->wide - 1), reach = w->reach;
            float value = sums[i] * each;
            if (down <= reach && across <= reach && -across <= reach)
                value += w->noise[(down + reach) * (2 * reach + 1) + across + reach];
            value += w->level;
            table[(w->tall - 1 + down) * width + i] = value;
            table[(w->tall - 1 - down) * width + width - 1 - i] = value;
        }
    }
}

/* Continue the scene under footprints, as `scene.continued` says: what it does not explain,
 * (count, middle), and the covariance of the scene's part in that, (count, middle, middle).
 * Returns 1 without memory.
 */
FAST int hotpixeld_continue_1(const struct windows *w, float *residuals, float *covariances)
{
    int ring = (int)w->ring, middle = (int)w->middle, size = ring + middle;
    int stride = (size + 1 + 7) / 8 * 8;
    int64_t samples = w->rows * w->columns, width = 2 * w->wide - 1;
    int64_t lanes = (width + 7) / 8 * 8;
    size_t room = (size_t)size * (size_t)stride + (size_t)(samples + lanes);
    room += (size_t)((w->rows + w->tall) * (w->columns + lanes));
    room += (size_t)((2 * w->tall - 1) * width);
    float *matrix = malloc(room * sizeof(float));
    /* Where the table's middle moves to for each sample. */
    int64_t *shifts = malloc((size_t)size * sizeof(int64_t));
    if (!matrix || !shifts) {
        free(shifts);
        free(matrix);
        return 1;
    }
    float *flat = matrix + (size_t)size * (size_t)stride, *sums = flat + samples;
    float *padded = sums + lanes, *table = padded + (w->rows + w->tall) * (w->columns + lanes);
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
        for (int i = 0; i < size; i++) {
            float *row = matrix + (size_t)i * stride;
            const float *from = origin - shifts[i];
            for (int j = i; j < size; j++)
                row[j] = from[shifts[j]];
            row[size] = flat[w->places[i]];
            known += i < ring && clean[w->places[i]];
        }
        for (int i = 0; known < ring && i < ring; i++)
            if (!clean[w->places[i]]) {
                float *row = matrix + (size_t)i * stride;
                for (int j = 0; j < i; j++)
                    matrix[(size_t)j * stride + i] = 0;
                for (int j = i; j <= size; j++)
                    row[j] = 0;
                row[i] = 1;
            }
        eliminate(matrix, ring, size, size + 1, stride);
        float loud = w->steady;
        for (int i = 0; i < ring; i++)
            loud += matrix[(size_t)i * stride + size] * matrix[(size_t)i * stride + size];
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
        for (int64_t j = i; j < m; j++)
            row[j] = scene[i * m + j] + (inside[i] && inside[j] ? power * own[i * m + j] : 0);
        if (f->others)
            for (int64_t j = i; j < m; j++)
                row[j] += f->others[each * m * m + i * m + j];
        row[beside] = f->residuals[each * m + i];
    }
}

/* Find the largest sample, with its sign left out, of each footprint of strength `strong`,
 * scene and others being about as given. Returns 1 without memory.
 */
FAST int hotpixeld_peaks_1(const struct footprints *f, float strong, float *peaks)
{
    int m = (int)f->samples, stride = (m + 1 + 7) / 8 * 8;
    float *matrix = malloc(((size_t)m * (size_t)stride + (size_t)m) * sizeof(float));
    if (!matrix)
        return 1;
    float *solved = matrix + (size_t)m * stride;
    for (int64_t each = 0; each < f->count; each++) {
        const float *own = f->own + f->kinds[each] * m * m;
        const uint8_t *inside = f->inside + each * m;
        together(f, each, matrix, stride, m);
        eliminate(matrix, m, m, m + 1, stride);
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

/* Find what footprints of about the given amplitudes added, (count, samples), and how
 * uncertain that is, (count, samples, samples). Returns 1 without memory.
 */
FAST int hotpixeld_excess_1(const struct footprints *f, float *means, float *covariances)
{
    int m = (int)f->samples, size = 2 * m, stride = (size + 1 + 7) / 8 * 8;
    float *matrix = malloc((size_t)size * (size_t)stride * sizeof(float));
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
        eliminate(matrix, m, size, size + 1, stride);
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

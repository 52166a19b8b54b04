/* The traces of bins at sensor sites: several summed up, and one along rays. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

enum { CELL = 4, RANGES = 4 };

/* A bin's trace, and the polynomial that takes sensor sites to its places: the distance r
 * from the centre, in half diagonals, becomes r (scale + k1 r^2 + k2 r^4 + k3 r^6).  It is known
 * where r^2 is in one of the ranges of `known[0]`, for sites outside of the frame of `known[1]`.
 */
struct moved {
    const int16_t *total;
    const float *information;
    double scale, k1, k2, k3, known[2][RANGES][2];
};

static int is_in(const double ranges[RANGES][2], double value)
{
    for (int i = 0; i < RANGES; i++)
        if (value >= ranges[i][0] && value <= ranges[i][1])
            return 1;
    return 0;
}

/* out: (height + 2 down, width + 2 right) int16, the sums' signal to noise times `unit`;
 * total and information: floats for one row of it.
 */
void hotpixeld_sensor_snr_5(const struct moved *bins, size_t count, int64_t height, int64_t width,
                            int64_t down, int64_t right, float unit, float *total,
                            float *information, int16_t *out)
{
    int64_t cells = (width + CELL - 1) / CELL, columns = width + 2 * right;
    double middle_y = (height - 1) * 0.5, middle_x = (width - 1) * 0.5;
    double square = 1 / (middle_y * middle_y + middle_x * middle_x);

    for (int64_t row = 0; row < height + 2 * down; row++) {
        double y = (double)(row - down) - middle_y;
        int is_row = row >= down && row < height + down;
        for (int64_t i = 0; i < columns; i++)
            total[i] = information[i] = 0;
        for (size_t bin = 0; bin < count; bin++) {
            const struct moved *one = bins + bin;
            for (int64_t i = 0; i < columns; i++) {
                double x = (double)(i - right) - middle_x, r2 = (x * x + y * y) * square;
                int is_inside = is_row && i >= right && i < width + right;
                if (!is_in(one->known[!is_inside], r2))
                    continue;
                double growth = one->scale + r2 * (one->k1 + r2 * (one->k2 + r2 * one->k3));
                int64_t at_y = (int64_t)floor(middle_y + growth * y + 0.5);
                int64_t at_x = (int64_t)floor(middle_x + growth * x + 0.5);
                if (at_y < 0 || at_y >= height || at_x < 0 || at_x >= width)
                    continue;
                total[i] += one->total[at_y * width + at_x];
                information[i] += one->information[at_y / CELL * cells + at_x / CELL];
            }
        }
        for (int64_t i = 0; i < columns; i++) {
            float ratio = information[i] > 0 ? total[i] * unit / sqrtf(information[i]) : 0;
            ratio = ratio < 32767 ? ratio : 32767;
            out[row * columns + i] = (int16_t)(ratio > -32767 ? ratio : -32767);
        }
    }
}

/* A ray through a trace: where it is in the middle, by what it moves with each pixel (row,
 * column), how many pixels either way it is read, and the sign of what is looked for.
 */
struct ray {
    double middle[2], along[2], limit, sign;
};

/* out: (count, 2 reach + 1) float, 0 at first: the signal to noise at `steps` places to a pixel, of
 * each the largest of itself and its two neighbours; 0 beyond the ray's limit and within
 * `edge` pixels of the frame's edge.  Totals are `unit` to one.
 */
void hotpixeld_rays(const int16_t *total, const float *information, int64_t height, int64_t width,
                    const struct ray *rays, int64_t count, int64_t reach, double steps,
                    double unit, double edge, float *out)
{
    int64_t cells = (width + CELL - 1) / CELL;

    for (int64_t n = 0; n < count; n++, out += 2 * reach + 1) {
        const struct ray *one = rays + n;
        int64_t far = (int64_t)(one->limit * steps);
        far = far < reach ? far : reach;
        int64_t first = far < reach ? -far - 1 : -reach, last = -first;
        float before = -INFINITY, here = -INFINITY;
        for (int64_t i = first; i <= last + 1; i++) {
            float next = -INFINITY;
            double back_y = one->middle[0] + (double)(i - 1) / steps * one->along[0];
            double back_x = one->middle[1] + (double)(i - 1) / steps * one->along[1];
            if (i <= last) {
                int64_t y = (int64_t)rint(one->middle[0] + (double)i / steps * one->along[0]);
                int64_t x = (int64_t)rint(one->middle[1] + (double)i / steps * one->along[1]);
                next = 0;
                if (y >= 0 && y < height && x >= 0 && x < width) {
                    float noise = information[y / CELL * cells + x / CELL];
                    noise = sqrtf(noise > 1e-9f ? noise : 1e-9f);
                    next = (float)one->sign * ((float)total[y * width + x] / (float)unit / noise);
                }
            }
            int is_told = i > first && i - 1 >= -far && i - 1 <= far && back_y >= edge &&
                          back_y <= (double)height - 1 - edge && back_x >= edge &&
                          back_x <= (double)width - 1 - edge;
            if (is_told) {
                float largest = here > before ? here : before;
                out[i - 1 + reach] = largest > next ? largest : next;
            }
            before = here;
            here = next;
        }
    }
}

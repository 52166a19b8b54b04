/* Decode JPEGs a strip of rows at a time, by libjpeg's scanlines: decoder.py calls this.
 *
 * Each photo has a decoder of its own, and nothing else is shared: threads may use
 * different ones at once.  A photo's file is read through its descriptor, a piece at a
 * time, never mapped: one that is truncated meanwhile is an error and no signal.
 *
 * Warnings are errors, as to libturbojpeg with TJFLAG_STOPONWARNING: libjpeg fills up with
 * grey what it warns about.
 */
#include <errno.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jpeglib.h>
#include <jerror.h>

enum {
    PIECE = 1 << 16, /* bytes of a file that are held */
    ROWS = 16        /* rows asked of libjpeg at once; it has at most four of them ready */
};

enum status { GOOD, CORRUPT, TRUNCATED, UNREADABLE, OVER_MEMORY, OTHER_PRECISION, STOPPED };

/* What a caller sees of a decoder. */
struct report {
    int32_t status, error; /* `error`: errno of what is UNREADABLE */
    int32_t width, height, components, precision;
    uint64_t coefficients; /* bytes that stay in memory while decoding several scans; or 0 */
    char message[JMSG_LENGTH_MAX];
};

struct decoder {
    struct report report; /* first: the caller has its address */
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    int in_header, started, most_scans, descriptor;
    const uint32_t *stop; /* not 0: give up soon, whatever is being done; or NULL */
    off_t offset, end;
    JOCTET piece[PIECE];
};

static void fail(struct decoder *own, int status)
{
    own->report.status = status;
    longjmp(own->failed, 1);
}

static void on_error(j_common_ptr jpeg)
{
    struct decoder *own = jpeg->client_data;
    jpeg->err->format_message(jpeg, own->report.message);
    switch (jpeg->err->msg_code) {
    case JERR_NO_BACKING_STORE:
    case JERR_OUT_OF_MEMORY:
        fail(own, OVER_MEMORY);
        break;
    case JWRN_JPEG_EOF:
        fail(own, TRUNCATED);
        break;
    case JERR_BAD_PRECISION:
        own->report.precision = jpeg->err->msg_parm.i[0];
        fail(own, OTHER_PRECISION);
        break;
    case JERR_FILE_READ:
        fail(own, UNREADABLE);
        break;
    default:
        fail(own, CORRUPT);
    }
}

static void on_message(j_common_ptr jpeg, int level)
{
    struct decoder *own = jpeg->client_data;
    /* Stray bytes between the header's segments do no harm; in a scan they are damage. */
    if (level < 0 && !(own->in_header && jpeg->err->msg_code == JWRN_EXTRANEOUS_DATA))
        on_error(jpeg);
}

static void print_nothing(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void on_progress(j_common_ptr jpeg)
{
    struct decoder *own = jpeg->client_data;
    if (own->stop && __atomic_load_n(own->stop, __ATOMIC_RELAXED))
        fail(own, STOPPED);
    if (own->jpeg.input_scan_number > own->most_scans) {
        snprintf(own->report.message, sizeof own->report.message, "more than %d scans",
                 own->most_scans);
        fail(own, CORRUPT);
    }
}

static void begin_source(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

static boolean fill_source(j_decompress_ptr jpeg)
{
    static const JOCTET end_of_image[] = {0xFF, JPEG_EOI};
    struct decoder *own = jpeg->client_data;
    off_t left = own->end - own->offset;
    ssize_t got = 0;
    if (left > 0)
        do
            got = pread(own->descriptor, own->piece, left < PIECE ? (size_t)left : PIECE,
                        own->offset);
        while (got < 0 && errno == EINTR);
    if (got < 0) {
        own->report.error = errno;
        ERREXIT(jpeg, JERR_FILE_READ);
    }
    own->offset += got;
    own->source.next_input_byte = got ? own->piece : end_of_image;
    own->source.bytes_in_buffer = got ? (size_t)got : sizeof end_of_image;
    if (!got)
        WARNMS(jpeg, JWRN_JPEG_EOF);
    return TRUE;
}

static void skip_source(j_decompress_ptr jpeg, long count)
{
    struct decoder *own = jpeg->client_data;
    if (count <= 0)
        return;
    if ((size_t)count <= own->source.bytes_in_buffer) {
        own->source.next_input_byte += count;
        own->source.bytes_in_buffer -= (size_t)count;
    } else {
        own->offset += count - (long)own->source.bytes_in_buffer;
        own->source.bytes_in_buffer = 0;
    }
}

static void end_source(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

/* As libjpeg will allocate them: whole MCUs. */
static uint64_t coefficient_bytes(j_decompress_ptr jpeg)
{
    uint64_t blocks = 0;
    if (!jpeg_has_multiple_scans(jpeg))
        return 0;
    for (int i = 0; i < jpeg->num_components; i++) {
        jpeg_component_info *one = jpeg->comp_info + i;
        uint64_t h = one->h_samp_factor, v = one->v_samp_factor;
        blocks += (one->width_in_blocks + h - 1) / h * h * ((one->height_in_blocks + v - 1) / v * v);
    }
    return blocks * sizeof(JBLOCK);
}

/* Read the header of a JPEG: `size` bytes at `data`, or of a file where that is NULL.
 *
 * What is wrong stands in the report; only where there is no memory at all, NULL returns.
 */
struct report *hotpixeld_strips_open_1(const uint8_t *data, size_t size, int descriptor,
                                       int most_scans, size_t most_memory)
{
    struct decoder *own = calloc(1, sizeof *own);
    if (!own)
        return NULL;
    j_decompress_ptr jpeg = &own->jpeg;
    jpeg->err = jpeg_std_error(&own->errors);
    jpeg->client_data = own;
    own->errors.error_exit = on_error;
    own->errors.emit_message = on_message;
    own->errors.output_message = print_nothing;
    own->most_scans = most_scans;
    own->descriptor = descriptor;
    own->end = data ? 0 : (off_t)size;
    if (setjmp(own->failed))
        return &own->report;
    jpeg_create_decompress(jpeg);
    if (most_memory)
        jpeg->mem->max_memory_to_use = (long)most_memory;
    own->progress.progress_monitor = on_progress;
    jpeg->progress = &own->progress;
    own->source.init_source = begin_source;
    own->source.fill_input_buffer = fill_source;
    own->source.skip_input_data = skip_source;
    own->source.resync_to_restart = jpeg_resync_to_restart;
    own->source.term_source = end_source;
    own->source.next_input_byte = data;
    own->source.bytes_in_buffer = data ? size : 0;
    jpeg->src = &own->source;
    own->in_header = 1;
    jpeg_read_header(jpeg, TRUE);
    own->in_header = 0;
    own->report.width = (int32_t)jpeg->image_width;
    own->report.height = (int32_t)jpeg->image_height;
    own->report.components = jpeg->num_components;
    own->report.precision = jpeg->data_precision;
    own->report.coefficients = coefficient_bytes(jpeg);
    return &own->report;
}

/* Decode the next `count` rows, three bytes a pixel; return the status.
 *
 * The last row goes with the rest of the image's data, up to its end marker.
 */
int hotpixeld_strips_read_1(struct report *report, uint8_t *rows, size_t count)
{
    struct decoder *own = (struct decoder *)report;
    j_decompress_ptr jpeg = &own->jpeg;
    if (report->status || setjmp(own->failed))
        return report->status;
    if (!own->started) {
        own->started = 1;
        jpeg->out_color_space = JCS_RGB;
        jpeg->dct_method = JDCT_ISLOW;
        jpeg_start_decompress(jpeg);
    }
    JDIMENSION end = jpeg->output_scanline + (JDIMENSION)count, first = jpeg->output_scanline;
    size_t stride = (size_t)jpeg->output_width * 3;
    while (jpeg->output_scanline < end) {
        JSAMPROW places[ROWS];
        JDIMENSION wanted = end - jpeg->output_scanline;
        for (JDIMENSION i = 0; i < ROWS && i < wanted; i++)
            places[i] = rows + (jpeg->output_scanline - first + i) * stride;
        jpeg_read_scanlines(jpeg, places, wanted < ROWS ? wanted : ROWS);
    }
    if (jpeg->output_scanline == jpeg->output_height)
        jpeg_finish_decompress(jpeg);
    return report->status;
}

void hotpixeld_strips_close_1(struct report *report)
{
    struct decoder *own = (struct decoder *)report;
    jpeg_destroy_decompress(&own->jpeg);
    free(own);
}

/* A photo whose strips go through a window: the rows before a strip stay above it. */
struct window {
    struct report *decoder;
    uint8_t *rows;
    uint64_t number;
};

/* Decode the next strip of many photos; threads that call this at once share the work.
 *
 * The window of each photo has `kept` rows, which the last ones of the `former` strip come
 * to, and the `count` new rows after them.  `next` is the next photo that no thread has
 * begun.  Meanwhile `mark` is the number of the photo that this thread is in.  As soon as
 * `stop` is not 0, all photos are given up.
 */
void hotpixeld_strips_share_1(const struct window *windows, size_t photos, size_t *next,
                              size_t kept, size_t former, size_t count, uint64_t *mark,
                              const uint32_t *stop)
{
    size_t photo;
    while ((photo = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED)) < photos) {
        const struct window *one = windows + photo;
        size_t stride = (size_t)one->decoder->width * 3;
        __atomic_store_n(mark, one->number, __ATOMIC_RELAXED);
        ((struct decoder *)one->decoder)->stop = stop;
        memmove(one->rows, one->rows + former * stride, kept * stride);
        hotpixeld_strips_read_1(one->decoder, one->rows + kept * stride, count);
        __atomic_store_n(mark, 0, __ATOMIC_RELAXED);
    }
}

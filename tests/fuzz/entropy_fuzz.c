/* Feed damaged photos to the walk, the patch and the levels, under sanitisers.
 *
 *     entropy_fuzz COUNT SEED PHOTO ...
 *
 * Every case is decided by its number and the seed: COUNT damaged photos, some not damaged
 * at all. Buffers have exactly the size that the core is promised. Where a photo is walked,
 * blocks are changed, patched, walked again and undone, and all that must agree is
 * compared. Prints how many were walked, and how many refused for each reason.
 */
#include "../../daemon/hotpixeld/jpeg/c/entropy.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* As in levels.c. */
struct plane {
    const int64_t *numbers;
    const int16_t *coefficients;
    int64_t count, columns, height, width, down, across;
    uint16_t steps[64];
};
int hotpixeld_levels_1(const struct plane *planes, int colour, int64_t count,
                       const int64_t *windows, uint8_t *samples, uint8_t *room, int64_t size,
                       uint8_t *out);

enum { REASONS = NOT_CODED + 1, MOST_WANTED = 24, SECONDS = 20 };

static uint64_t state;
static long walked, patched, refused[REASONS], odd[REASONS], without_code, unread, without_blocks;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (state >> 11) % below : 0;
}

static void *room(int64_t size)
{
    void *place = malloc(size > 0 ? (size_t)size : 1);
    if (!place)
        exit(2);
    return place;
}

static void must(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "wrong: %s\n", what);
    abort();
}

struct bytes {
    uint8_t *data;
    int64_t size;
};

static struct bytes read_file(const char *path)
{
    struct bytes file = {0};
    FILE *stream = fopen(path, "rb");
    if (!stream)
        exit(2);
    fseek(stream, 0, SEEK_END);
    file.size = ftell(stream);
    rewind(stream);
    file.data = room(file.size);
    if (fread(file.data, 1, (size_t)file.size, stream) != (size_t)file.size)
        exit(2);
    fclose(stream);
    return file;
}

/* Return a copy, with some bytes changed, dropped, doubled or cut off. */
static struct bytes damaged(struct bytes photo)
{
    static const uint8_t telling[] = {0xFF, 0x00, 0xD0, 0xD7, 0xD9, 0xDA, 0xC4, 0x7F, 0x01};
    struct bytes out = {room(photo.size + 64), photo.size};
    memcpy(out.data, photo.data, (size_t)photo.size);
    for (uint64_t left = draw(5); left && out.size > 64; left--) {
        int64_t at = (int64_t)draw((uint64_t)out.size);
        int64_t count = 1 + (int64_t)draw(8);
        if (draw(4) == 0) /* mostly in the coded data: sometimes in the tables */
            at = (int64_t)draw((uint64_t)(out.size < 700 ? out.size : 700));
        switch (draw(6)) {
        case 0:
            out.data[at] ^= (uint8_t)(1 << draw(8));
            break;
        case 1:
            out.data[at] = telling[draw(sizeof telling)];
            break;
        case 2:
            out.data[at] = (uint8_t)draw(256);
            break;
        case 3:
            count = count < out.size - at ? count : out.size - at;
            memmove(out.data + at, out.data + at + count, (size_t)(out.size - at - count));
            out.size -= count;
            break;
        case 4:
            if (out.size + count > photo.size + 64)
                break;
            memmove(out.data + at + count, out.data + at, (size_t)(out.size - at));
            out.size += count;
            break;
        default:
            if (draw(4) == 0)
                out.size = at + 1;
        }
    }
    struct bytes exact = {room(out.size), out.size};
    memcpy(exact.data, out.data, (size_t)out.size);
    free(out.data);
    return exact;
}

/* What the segments have said so far. */
struct header {
    int width, height, count;
    uint8_t ids[3], h[3], v[3];
    uint8_t tables[32][DEFINITION];
    int interval;
};

static void take_tables(struct header *header, const uint8_t *at, int64_t size)
{
    while (size >= 17) {
        int64_t count = 0;
        for (int i = 1; i <= 16; i++)
            count += at[i];
        if (count > 256 || count > size - 17)
            return;
        uint8_t *table = header->tables[at[0] & 31];
        memset(table, 0, DEFINITION);
        memcpy(table, at + 1, (size_t)(16 + count));
        at += 17 + count;
        size -= 17 + count;
    }
}

static int take_frame(struct header *header, const uint8_t *at, int64_t size)
{
    if (size < 6 || (at[5] != 1 && at[5] != 3) || size < 6 + 3 * at[5])
        return 0;
    header->height = at[1] << 8 | at[2];
    header->width = at[3] << 8 | at[4];
    header->count = at[5];
    for (int i = 0; i < at[5]; i++) {
        header->ids[i] = at[6 + 3 * i];
        header->h[i] = (uint8_t)(1 + ((at[7 + 3 * i] >> 4) + 3) % 4);
        header->v[i] = (uint8_t)(1 + (at[7 + 3 * i] + 3) % 4);
    }
    return header->height && header->width;
}

static int take_scan(const struct header *header, const uint8_t *at, int64_t size,
                     struct scan *scan)
{
    int most_h = 1, most_v = 1, single;
    if (size < 1 || at[0] < 1 || at[0] > header->count || size < 4 + 2 * at[0])
        return 0;
    for (int i = 0; i < header->count; i++) {
        most_h = header->h[i] > most_h ? header->h[i] : most_h;
        most_v = header->v[i] > most_v ? header->v[i] : most_v;
    }
    scan->components = at[0];
    scan->interval = header->interval;
    scan->blocks = 0;
    single = at[0] == 1;
    for (int i = 0; i < at[0]; i++) {
        int selectors = at[2 + 2 * i], own = i;
        for (int j = 0; j < header->count; j++)
            own = header->ids[j] == at[1 + 2 * i] ? j : own;
        memcpy(scan->dc[i], header->tables[selectors >> 4 & 15], DEFINITION);
        memcpy(scan->ac[i], header->tables[16 | (selectors & 15)], DEFINITION);
        for (int j = single ? 1 : header->h[own] * header->v[own]; j; j--) {
            if (scan->blocks == MOST_BLOCKS)
                return 0;
            scan->owners[scan->blocks++] = (uint8_t)i;
        }
        if (single) {
            most_h = (most_h + header->h[own] - 1) / header->h[own];
            most_v = (most_v + header->v[own] - 1) / header->v[own];
        }
    }
    scan->mcus = (int64_t)((header->width + 8 * most_h - 1) / (8 * most_h))
                 * ((header->height + 8 * most_v - 1) / (8 * most_v));
    return 1;
}

/* Find the next scan; return 0 for none. */
static int next_scan(struct bytes photo, int64_t *at, struct header *header,
                     struct scan *scan)
{
    while (*at + 4 <= photo.size) {
        const uint8_t *segment = photo.data + *at;
        int marker = segment[1];
        int64_t size = (segment[2] << 8 | segment[3]) - 2;
        if (segment[0] != 0xFF || marker == 0xFF || marker < 0xC0 || marker == 0xD8) {
            ++*at;
            continue;
        }
        if (marker == 0xD9 || size < 0 || *at + 4 + size > photo.size)
            return 0;
        *at += 4 + size;
        if (marker == 0xC4)
            take_tables(header, segment + 4, size);
        else if ((marker == 0xC0 || marker == 0xC1) && !take_frame(header, segment + 4, size))
            return 0;
        else if (marker == 0xDD && size >= 2)
            header->interval = segment[4] << 8 | segment[5];
        else if (marker == 0xDA) {
            if (!header->count || !take_scan(header, segment + 4, size, scan))
                return 0;
            scan->data = photo.data;
            scan->start = scan->end = *at;
            while (scan->end < photo.size) {
                const uint8_t *byte = photo.data + scan->end;
                int ahead = scan->end + 1 < photo.size ? byte[1] : 0;
                if (byte[0] == 0xFF && ahead && ahead != 0xFF && (ahead & 0xF8) != 0xD0)
                    break;
                scan->end++;
            }
            while (scan->end > scan->start && photo.data[scan->end - 1] == 0xFF)
                scan->end--;
            *at = scan->end;
            return 1;
        }
    }
    return 0;
}

/* What the walk leaves of some MCUs. */
struct records {
    int64_t count, *mcus, *ends, fault[2];
    struct place *places;
    int16_t *coefficients;
    int32_t *predictors;
};

static struct records make_records(const struct scan *scan)
{
    struct records r = {0};
    int64_t wanted = (int64_t)draw(MOST_WANTED), mcu = -1;
    r.mcus = room(2 * MOST_WANTED * (int64_t)sizeof *r.mcus);
    for (int64_t i = 0; i < wanted; i++) {
        mcu += 1 + (int64_t)(draw(3) ? draw((uint64_t)scan->mcus / (uint64_t)wanted) : 0);
        if (mcu >= scan->mcus)
            break;
        r.mcus[r.count++] = mcu;
        if (mcu + 1 < scan->mcus && (!scan->interval || (mcu + 1) % scan->interval))
            r.mcus[r.count++] = ++mcu;
    }
    int64_t blocks = r.count * scan->blocks;
    r.ends = room(2 * r.count * (int64_t)sizeof *r.ends);
    r.places = room(blocks * (int64_t)sizeof *r.places);
    r.coefficients = room(64 * blocks * (int64_t)sizeof *r.coefficients);
    r.predictors = room(r.count * scan->components * (int64_t)sizeof *r.predictors);
    return r;
}

static void free_records(struct records *r)
{
    free(r->mcus);
    free(r->ends);
    free(r->places);
    free(r->coefficients);
    free(r->predictors);
}

static int walk(const struct scan *scan, struct records *r)
{
    int reason = hotpixeld_walk_1(scan, r->count, r->mcus, r->places, r->coefficients,
                                  r->predictors, r->ends, r->fault);
    must(reason >= 0 && reason < REASONS, "a reason of the walk");
    if (reason)
        must(r->fault[0] >= scan->start && r->fault[0] <= scan->end, "the place of a fault");
    return reason;
}

/* Return the changed coefficients: of every second record, whose followers stay. */
static int16_t *edited(const struct scan *scan, const struct records *r)
{
    int64_t count = r->count * scan->blocks * 64;
    int16_t *after = room(count * (int64_t)sizeof *after);
    if (count)
        memcpy(after, r->coefficients, (size_t)count * sizeof *after);
    for (int64_t i = 0; i < r->count; i++) {
        int64_t next = r->mcus[i] + 1;
        int last = i + 1 == r->count || r->mcus[i + 1] != next;
        if (last && next < scan->mcus && (!scan->interval || next % scan->interval))
            continue;
        for (uint64_t left = draw(12); left; left--) {
            int64_t at = (int64_t)draw((uint64_t)(scan->blocks * 64));
            int64_t size = draw(400) ? 3 : 1 + (int64_t)draw(32000);
            after[i * scan->blocks * 64 + at] = (int16_t)(draw(2 * (uint64_t)size) - (uint64_t)size);
        }
    }
    return after;
}

/* Add the padding of the intervals that changed, in order; return how many changes. */
static int64_t with_padding(const struct records *r, struct change *changes, int64_t count,
                            struct change *out)
{
    int64_t made = 0, next = 0;
    for (int64_t i = 0; i < r->count;) {
        int64_t end = r->ends[2 * i], finish = r->ends[2 * i + 1], first = made;
        while (next < count && changes[next].begin < end)
            out[made++] = changes[next++];
        if (made > first)
            out[made++] = (struct change){end, finish, (int64_t)draw(2), -1};
        while (i < r->count && r->ends[2 * i] == end)
            i++;
    }
    must(next == count, "every change in an interval");
    return made;
}

static int splice(struct bytes source, int64_t count, const struct change *changes,
                  struct bytes bits, struct bytes *out, struct change *inverse,
                  struct bytes *former)
{
    int64_t touched = 0, written, capacity = source.size + (int64_t)draw(8);
    int reason;
    for (int64_t i = 0; i < count; i++)
        touched += (changes[i].end - changes[i].begin + 7) / 8;
    *former = (struct bytes){room(touched), touched};
    for (;; capacity += capacity / 2 + 16) {
        out->data = room(capacity);
        reason = hotpixeld_splice_1(source.data, source.size, count, changes, bits.data,
                                    bits.size, out->data, capacity, inverse, former->data,
                                    former->size, &written);
        if (reason != NO_ROOM)
            break;
        free(out->data);
    }
    out->size = written;
    return reason;
}

static void compare(const struct scan *scan, const struct records *r, const int16_t *after,
                    struct bytes source, struct bytes copy)
{
    struct scan again = *scan;
    struct records new = *r;
    int64_t blocks = r->count * scan->blocks;
    again.data = copy.data;
    again.end += copy.size - source.size;
    new.ends = room(2 * r->count * (int64_t)sizeof *new.ends);
    new.places = room(blocks * (int64_t)sizeof *new.places);
    new.coefficients = room(64 * blocks * (int64_t)sizeof *new.coefficients);
    new.predictors = room(r->count * scan->components * (int64_t)sizeof *new.predictors);
    must(!walk(&again, &new), "a copy can be walked");
    must(!memcmp(new.coefficients, after, (size_t)blocks * 64 * sizeof *after),
         "a copy's coefficients are those wanted");
    new.mcus = room(0);
    free_records(&new);
}

/* Change some blocks of a walked scan, and undo it. */
static void patch(struct bytes source, const struct scan *scan, struct records *r)
{
    int64_t blocks = r->count * scan->blocks, counts[3];
    int16_t *after = edited(scan, r);
    struct bytes bits = {.size = draw(40) ? blocks * 264 : blocks}, copy, back, former, none;
    struct change *changes = room(2 * blocks * (int64_t)sizeof *changes);
    struct change *all = room(3 * (blocks + 1) * (int64_t)sizeof *all);
    struct change *inverse = room(3 * (blocks + 1) * (int64_t)sizeof *inverse);
    struct change *forth = room(3 * (blocks + 1) * (int64_t)sizeof *forth);
    struct missing *missing = room(130 * blocks * (int64_t)sizeof *missing);
    bits.data = room(bits.size);
    int reason = hotpixeld_code_1(scan, r->count, r->mcus, r->places, r->predictors,
                                  r->coefficients, after, changes, bits.data, bits.size,
                                  missing, counts);
    must(!reason || reason == NO_ROOM, "the coder's reason");
    if (reason || counts[2]) {
        without_code++;
    } else {
        int64_t count = with_padding(r, changes, counts[0], all);
        must(!splice(source, count, all, bits, &copy, inverse, &former), "a splice");
        compare(scan, r, after, source, copy);
        must(!splice(copy, count, inverse, former, &back, forth, &none), "an undo");
        must(back.size == source.size
                 && !memcmp(back.data, source.data, (size_t)source.size),
             "an undone copy is the original");
        free(back.data);
        free(none.data);
        /* What the ledger kept may be damaged, or another file's. */
        for (int64_t i = 0; i < count; i++)
            if (!draw(3))
                ((int64_t *)&inverse[i])[draw(4)] += (int64_t)draw(64) - 32;
        int64_t ordered = 1;
        for (int64_t i = 0; i < count; i++)
            ordered &= inverse[i].end - inverse[i].begin >= 0
                       && inverse[i].end - inverse[i].begin < 100000;
        if (ordered) {
            odd[splice(copy, count, inverse, former, &back, forth, &none)]++;
            free(back.data);
            free(none.data);
        }
        free(copy.data);
        free(former.data);
        patched++;
    }
    free(after);
    free(changes);
    free(all);
    free(inverse);
    free(forth);
    free(missing);
    free(bits.data);
}

/* Compute levels of any coefficients, some blocks missing at times. */
static void levels(void)
{
    struct plane planes[3];
    int64_t *numbers[3], windows[3][4], total = 0, pixels = 0, size = (int64_t)draw(64 * 90);
    int16_t *coefficients[3];
    int colour = (int)draw(3), count = (int)draw(4);
    for (int i = 0; i < count; i++) {
        windows[i][0] = (int64_t)draw(40);
        windows[i][1] = (int64_t)draw(40);
        windows[i][2] = windows[i][0] + 1 + (int64_t)draw(20);
        windows[i][3] = windows[i][1] + 1 + (int64_t)draw(20);
        pixels += (windows[i][2] - windows[i][0]) * (windows[i][3] - windows[i][1]);
    }
    for (int i = 0; i < 3; i++) {
        struct plane *p = planes + i;
        *p = (struct plane){.columns = 8, .height = 1 + (int64_t)draw(64)};
        p->width = 1 + (int64_t)draw(64);
        p->down = 1 + (int64_t)draw(4);
        p->across = 1 + (int64_t)draw(4);
        numbers[i] = room(64 * 8);
        int64_t gaps = draw(3) ? 0 : 20;
        for (int64_t number = 0; number < 64; number++)
            if (!gaps || draw((uint64_t)gaps))
                numbers[i][p->count++] = number;
        coefficients[i] = room(64 * p->count * 2);
        for (int64_t j = 0; j < 64 * p->count; j++)
            coefficients[i][j] = (int16_t)(draw(4) ? draw(9) : draw(65536));
        for (int j = 0; j < 64; j++)
            p->steps[j] = (uint16_t)(draw(9) ? draw(30) : draw(65536));
        p->coefficients = coefficients[i];
        p->numbers = numbers[i];
        total += 64 * p->count;
    }
    uint8_t *samples = room(total), *gathered = room(size), *out = room(3 * pixels);
    if (hotpixeld_levels_1(planes, colour, count, windows[0], samples, gathered, size, out))
        without_blocks++;
    for (int i = 0; i < 3; i++) {
        free(numbers[i]);
        free(coefficients[i]);
    }
    free(samples);
    free(gathered);
    free(out);
}

static void one_case(struct bytes seed)
{
    struct bytes photo = damaged(seed);
    struct header header = {0};
    struct scan scan = {0};
    int64_t at = 2;
    int scans = 0;
    while (next_scan(photo, &at, &header, &scan)) {
        struct records records = make_records(&scan);
        int reason = walk(&scan, &records);
        scans++;
        if (reason) {
            refused[reason]++;
        } else {
            walked++;
            patch(photo, &scan, &records);
        }
        free_records(&records);
    }
    unread += !scans;
    free(photo.data);
    levels();
}

int main(int count, char **arguments)
{
    if (count < 4)
        return 2;
    long cases = atol(arguments[1]);
    int photos = count - 3;
    struct bytes *seeds = room(photos * (int64_t)sizeof *seeds);
    for (int i = 0; i < photos; i++)
        seeds[i] = read_file(arguments[3 + i]);
    for (long i = 0; i < cases; i++) {
        state = (uint64_t)atol(arguments[2]) * 1000003 + (uint64_t)i * 0x9E3779B97F4A7C15u + 1;
        draw(1);
        alarm(SECONDS);
        one_case(seeds[i % photos]);
    }
    printf("%ld cases: %ld scans walked, %ld patched and undone, %ld without a code,"
           " %ld photos without a scan, %ld windows without their blocks; refused:", cases,
           walked, patched, without_code, unread, without_blocks);
    for (int i = 1; i < REASONS; i++)
        printf(" %ld", refused[i]);
    printf("; damaged undo:");
    for (int i = 0; i < REASONS; i++)
        printf(" %ld", odd[i]);
    printf("\n");
    for (int i = 0; i < photos; i++)
        free(seeds[i].data);
    free(seeds);
    return 0;
}

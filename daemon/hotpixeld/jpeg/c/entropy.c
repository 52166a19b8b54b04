/* Walk the coded data of one scan, and code some of its blocks anew; entropy.py calls it.
 *
 * The walk decodes what it must: DC differences are summed up, AC symbols are passed over
 * several at a time, by a lookup of the next WINDOW bits. Only the blocks of wanted MCUs are
 * decoded to coefficients.
 *
 * Reference: ITU-T T.81 (1992), annexes C (codes), F.1.2 and F.2.2 (sequential coding).
 */
#include "entropy.h"

#include <stddef.h>
#include <string.h>

enum {
    WINDOW = 12, /* bits looked up at once */
    LOOK = 9,    /* bits of the lookup of single symbols */
    MOST_BITS = 18, /* passed over by one lookup: three of them fit a filled buffer */
    FILLED = 56,    /* bits that a filled buffer has at least */
    /* How far a lookup leads in the block. */
    ENDED = 128,  /* added to the coefficients when the block ends */
    SINGLE = 64   /* nothing to pass over: decode one symbol */
};

/* Row-major place of the n-th coefficient (T.81 figure A.6). */
static const uint8_t natural[64] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,  7,  14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
};

/* A Huffman table, for decoding symbol by symbol. */
struct codes {
    uint16_t look[1 << LOOK]; /* length << 8 | symbol; 0 where the code is longer */
    uint32_t limit[17];       /* first 16 bits that begin no code of n bits or less */
    int32_t shift[17];        /* from a code of n bits to its symbol's place */
    uint8_t symbols[256];
};

/* Both tables of a component. Entries hold the bits to pass over (5), coefficients (8), and
 * in `first` the DC difference (16).
 */
struct coding {
    struct codes dc, ac;
    uint32_t first[1 << WINDOW]; /* a DC symbol and the AC symbols after it */
    uint16_t rest[1 << WINDOW];  /* AC symbols */
};

/* Bits still to be read, topmost first. After the end of the data come zeros, counted in
 * `lent`: fewer bits than that in the buffer, and some were used.
 */
struct reader {
    uint64_t buffer;
    int bits; /* at most 63 */
    int lent;
    const uint8_t *next, *start, *end;
};

/* Fill the buffer byte by byte, up to a marker or the end. */
static __attribute__((noinline)) void fill_slowly(struct reader *r)
{
    /* A word loaded at once may have left bits below those counted. */
    r->buffer = r->bits ? r->buffer & ~(uint64_t)0 << (64 - r->bits) : 0;
    while (r->bits < FILLED) {
        uint64_t byte = 0;
        if (r->next < r->end && *r->next != 0xFF) {
            byte = *r->next++;
        } else if (r->end - r->next >= 2 && r->next[1] == 0) {
            byte = 0xFF;
            r->next += 2;
        } else {
            r->lent += 8;
        }
        r->buffer |= byte << (FILLED - r->bits);
        r->bits += 8;
    }
}

/* Return the address of the next bit. */
static int64_t address(const struct reader *r, const uint8_t *data)
{
    int bits = r->bits - r->lent, bytes = (bits + 7) / 8;
    const uint8_t *byte = r->next;
    for (int i = 0; i < bytes; i++)
        byte -= byte - r->start >= 2 && byte[-1] == 0 && byte[-2] == 0xFF ? 2 : 1;
    return 8 * (byte - data) + 8 * bytes - bits;
}

static uint32_t take(struct reader *r, int count)
{
    uint32_t value = count ? (uint32_t)(r->buffer >> (64 - count)) : 0;
    r->buffer <<= count;
    r->bits -= count;
    return value;
}

/* Return the number that `size` bits stand for (T.81 table F.1 and F.2.2.1). */
static int32_t extended(uint32_t value, int size)
{
    return size && !(value >> (size - 1)) ? (int32_t)value - (1 << size) + 1 : (int32_t)value;
}

/* Return the next symbol, -1 where the bits begin no code. */
static int symbol(struct reader *r, const struct codes *codes)
{
    if (r->bits < 32)
        fill_slowly(r);
    unsigned found = codes->look[r->buffer >> (64 - LOOK)];
    if (found) {
        take(r, found >> 8);
        return found & 255;
    }
    uint32_t ahead = (uint32_t)(r->buffer >> 48);
    for (int length = LOOK + 1; length <= 16; length++)
        if (ahead < codes->limit[length]) {
            int code = (int)take(r, length);
            return codes->symbols[code + codes->shift[length]];
        }
    return -1;
}

/* Return the sum of the 16 counts of a definition, which has no more than 256 symbols. */
static int defined(const uint8_t *definition)
{
    int count = 0;
    for (int length = 1; length <= 16; length++)
        count += definition[length - 1];
    return count;
}

static int build_codes(const uint8_t *definition, struct codes *codes)
{
    uint32_t code = 0;
    int place = 0;
    if (defined(definition) > 256)
        return BAD_TABLE;
    memset(codes, 0, sizeof *codes);
    memcpy(codes->symbols, definition + 16, 256);
    for (int length = 1; length <= 16; length++, code <<= 1) {
        int count = definition[length - 1];
        codes->shift[length] = place - (int32_t)code;
        /* No code is all ones (C.2): decoders refuse such a table. */
        if (count && code + (uint32_t)count >= 1u << length)
            return BAD_TABLE;
        for (int i = 0; i < count; i++, code++, place++)
            if (length <= LOOK)
                for (uint32_t j = 0; j < 1u << (LOOK - length); j++)
                    codes->look[(code << (LOOK - length)) + j] =
                        (uint16_t)(length << 8 | codes->symbols[place]);
        codes->limit[length] = code << (16 - length);
    }
    return NO_FAULT;
}

static void fill_entries(uint32_t *entries, int bits, uint32_t entry)
{
    for (uint32_t i = 0; i < 1u << bits; i++)
        entries[i] = entry;
}

/* Write the entries of all windows that begin with some symbols, which end after `used` bits
 * and `advance` coefficients; `entry` passes over them.
 */
static void write_entries(const uint8_t *ac, uint32_t *entries, int used, int advance,
                          uint32_t entry)
{
    int left = WINDOW - used;
    const uint8_t *symbol = ac + 16;
    uint32_t code = 0;
    fill_entries(entries, left, entry);
    for (int length = 1; length <= left; length++, code <<= 1)
        for (int i = 0; i < ac[length - 1]; i++, code++, symbol++) {
            int run = *symbol >> 4, size = *symbol & 15, bits = used + length + size;
            int after = left - length - size, further = advance + run + 1;
            uint32_t *first = entries + (code << (left - length)), *next = first;
            if (*symbol == 0)
                fill_entries(first, left - length, (uint32_t)(ENDED + advance) << 5 | (uint32_t)bits);
            if ((size == 0 && run != 15) || further > 63 || bits > MOST_BITS)
                continue;
            /* Sixteen zeros must not be a block's last. */
            uint32_t with = size ? (uint32_t)further << 5 | (uint32_t)bits : entry;
            if (after <= 0) {
                fill_entries(first, left - length, with);
                continue;
            }
            write_entries(ac, first, WINDOW - after, further, with);
            for (int value = 1; value < 1 << size; value++)
                memcpy(next += 1 << after, first, sizeof *first << after);
        }
}

/* Write the entries of all windows that begin with a DC symbol. */
static void write_first(const uint8_t *dc, const uint8_t *ac, uint32_t *entries)
{
    const uint8_t *symbol = dc + 16;
    uint32_t code = 0;
    fill_entries(entries, WINDOW, SINGLE << 5);
    for (int length = 1; length <= WINDOW; length++, code <<= 1)
        for (int i = 0; i < dc[length - 1]; i++, code++, symbol++) {
            int size = *symbol, used = length + size;
            uint32_t after[1 << WINDOW], *entry = entries + (code << (WINDOW - length));
            if (used > WINDOW)
                continue;
            write_entries(ac, after, used, 0, (uint32_t)used);
            for (uint32_t value = 0; value < 1u << size; value++)
                for (int j = 0; j < 1 << (WINDOW - used); j++)
                    *entry++ = (uint32_t)extended(value, size) << 16 | after[j];
        }
}

static int build_coding(const uint8_t *dc, const uint8_t *ac, struct coding *coding)
{
    uint32_t rest[1 << WINDOW];
    if (build_codes(dc, &coding->dc) || build_codes(ac, &coding->ac))
        return BAD_TABLE;
    for (int i = defined(dc) - 1; i >= 0; i--)
        if (dc[16 + i] > 15)
            return BAD_TABLE;
    write_first(dc, ac, coding->first);
    write_entries(ac, rest, 0, 0, SINGLE << 5);
    for (int i = 0; i < 1 << WINDOW; i++)
        coding->rest[i] = (uint16_t)rest[i];
    return NO_FAULT;
}

/* Decode a DC symbol and its difference. */
static __attribute__((noinline)) int read_dc(struct reader *r, const struct coding *coding,
                                             int32_t *dc)
{
    int size = symbol(r, &coding->dc);
    if (size < 0)
        return BAD_CODE;
    *dc += extended(take(r, size), size);
    return NO_FAULT;
}

/* Decode one AC symbol of coefficient `k`, which is 64 after the block's end. */
static __attribute__((noinline)) int read_ac(struct reader *r, const struct coding *coding,
                                             unsigned *k, int16_t *block)
{
    int found = symbol(r, &coding->ac);
    if (found < 0)
        return BAD_CODE;
    int run = found >> 4, size = found & 15;
    if (found == 0) {
        *k = 64;
        return NO_FAULT;
    }
    if (size == 0 && run != 15)
        return RESERVED;
    *k += (unsigned)run + 1;
    if (*k > 64 || (size == 0 && *k > 63))
        return LONG_RUN;
    int32_t value = extended(take(r, size), size);
    if (block)
        block[natural[*k - 1]] = (int16_t)value;
    return NO_FAULT;
}

/* Whether a block is over, and as it should be. */
static int is_over(unsigned k)
{
    return k == 64 || k - (ENDED + 1) < 63;
}

/* What the end of a block has to hold. */
static int checked(const struct reader *r, int32_t dc)
{
    if (r->bits < r->lent)
        return r->next < r->end ? EARLY_MARKER : TRUNCATED;
    return dc < -32768 || dc > 32767 ? LARGE_DC : NO_FAULT;
}

#define FILL()                                                                             \
    do {                                                                                   \
        uint64_t word;                                                                     \
        if (end - next >= 8 && !has_ff(word = load(next))) {                               \
            buffer |= word >> bits;                                                        \
            next += (63 - bits) >> 3;                                                      \
            bits |= FILLED;                                                                \
        } else {                                                                           \
            KEEP();                                                                        \
            fill_slowly(r);                                                                \
            FETCH();                                                                       \
        }                                                                                  \
    } while (0)
#define KEEP() (r->buffer = buffer, r->bits = bits, r->next = next)
#define FETCH() (buffer = r->buffer, bits = r->bits, next = r->next)
#define PASS(entry) (buffer <<= (entry)&31, bits -= (entry)&31)

/* Pass over a block, adding its difference to `dc`. */
static inline __attribute__((always_inline)) int skip(struct reader *r,
                                                      const struct coding *coding,
                                                      int32_t *dc)
{
    uint64_t buffer = r->buffer;
    int bits = r->bits, fault;
    const uint8_t *next = r->next, *const end = r->end;
    FILL();
    uint32_t entry = coding->first[buffer >> (64 - WINDOW)];
    unsigned k = 1 + (entry >> 5 & 255), to;
    if (k < 64 || is_over(k)) {
        *dc += (int32_t)entry >> 16;
        PASS(entry);
    } else {
        KEEP();
        if ((fault = read_dc(r, coding, dc)))
            return fault;
        FETCH();
        k = 1;
    }
    while (k < 64) {
        FILL();
        for (int i = 0; i < 3; i++) {
            entry = coding->rest[buffer >> (64 - WINDOW)];
            to = k + (entry >> 5);
            if (to >= 64 && !is_over(to)) {
                KEEP();
                if ((fault = read_ac(r, coding, &k, NULL)))
                    return fault;
                FETCH();
                break;
            }
            PASS(entry);
            k = to;
            if (k >= 64)
                break;
        }
    }
    KEEP();
    return checked(r, *dc);
}

/* Decode a block, noting where its bits stand. */
static int decode(struct reader *r, const struct coding *coding, const uint8_t *data,
                  int32_t *dc, int16_t *block, struct place *place)
{
    int fault;
    memset(block, 0, 64 * sizeof *block);
    place->begin = address(r, data);
    if ((fault = read_dc(r, coding, dc)) || (fault = checked(r, *dc)))
        return fault;
    block[0] = (int16_t)*dc;
    place->ac = address(r, data);
    for (unsigned k = 1; k < 64;)
        if ((fault = read_ac(r, coding, &k, block)))
            return fault;
    if ((fault = checked(r, *dc)))
        return fault;
    place->end = address(r, data);
    return NO_FAULT;
}

/* Find the end of a restart interval: at most the padding is left. */
static int finish(struct reader *r)
{
    fill_slowly(r);
    return r->bits - r->lent >= 8 ? EXTRA_BYTES : NO_FAULT;
}

/* Pass over a restart marker and the fill bytes before it. */
static int restart(struct reader *r, int64_t number)
{
    const uint8_t *byte = r->next;
    while (byte < r->end && *byte == 0xFF)
        byte++;
    if (byte == r->next || byte == r->end || *byte != 0xD0 + number % 8)
        return r->next == r->end ? TRUNCATED : NO_RESTART;
    r->start = r->next = byte + 1;
    r->buffer = 0;
    r->bits = r->lent = 0;
    return NO_FAULT;
}

static int is_sound(const struct scan *scan, int64_t count, const int64_t *mcus)
{
    if (scan->components < 1 || scan->components > MOST_COMPONENTS || scan->blocks < 1
        || scan->blocks > MOST_BLOCKS || scan->start < 0 || scan->end < scan->start
        || scan->mcus < 1 || scan->interval < 0 || count < 0)
        return 0;
    for (int j = 0; j < scan->blocks; j++)
        if (scan->owners[j] >= scan->components)
            return 0;
    for (int64_t i = 0; i < count; i++)
        if (mcus[i] < 0 || mcus[i] >= scan->mcus || (i && mcus[i] <= mcus[i - 1]))
            return 0;
    return 1;
}

/* Walk a scan to its end, and decode the wanted MCUs.
 *
 * wanted: (count) ascending; places: (count, blocks); coefficients: (count, blocks, 64),
 * row-major; predictors: (count, components), DC before the MCU; ends: (count, 2) address
 * after the last bit of the MCU's restart interval, and that of the byte after the padding;
 * fault: offset in the file and MCU of what is wrong. Returns a reason.
 */
int hotpixeld_walk_1(const struct scan *scan, int64_t count, const int64_t *wanted,
                     struct place *places, int16_t *coefficients, int32_t *predictors,
                     int64_t *ends, int64_t *fault)
{
    struct coding codings[MOST_COMPONENTS];
    const struct coding *coding_of[MOST_BLOCKS];
    int32_t dc[MOST_COMPONENTS] = {0}, *dc_of[MOST_BLOCKS];
    int blocks = scan->blocks, reason;
    int64_t mcu = 0, found = 0, open = 0, left = scan->interval;
    fault[0] = scan->start;
    fault[1] = 0;
    if (!is_sound(scan, count, wanted))
        return BAD_ARGUMENT;
    for (int i = 0; i < scan->components; i++) {
        int same = 0; /* chroma components share their tables, mostly */
        while (same < i && (memcmp(scan->dc[same], scan->dc[i], DEFINITION)
                            || memcmp(scan->ac[same], scan->ac[i], DEFINITION)))
            same++;
        if (same == i && build_coding(scan->dc[i], scan->ac[i], &codings[i]))
            return BAD_TABLE;
        for (int j = 0; j < blocks; j++)
            if (scan->owners[j] == i) {
                coding_of[j] = &codings[same];
                dc_of[j] = &dc[i];
            }
    }
    struct reader r = {.next = scan->data + scan->start,
                       .start = scan->data + scan->start,
                       .end = scan->data + scan->end};
    for (;; mcu++) {
        if (mcu == scan->mcus || (scan->interval && left == 0)) {
            if ((reason = finish(&r)))
                goto refused;
            for (int64_t end = address(&r, scan->data); open < found; open++) {
                ends[2 * open] = end;
                ends[2 * open + 1] = 8 * (r.next - scan->data);
            }
            if (mcu == scan->mcus)
                break;
            if ((reason = restart(&r, mcu / scan->interval - 1)))
                goto refused;
            memset(dc, 0, sizeof dc);
            left = scan->interval;
        }
        left--;
        if (found < count && mcu == wanted[found]) {
            memcpy(predictors + found * scan->components, dc,
                   (size_t)scan->components * sizeof *dc);
            for (int j = 0; j < blocks; j++) {
                int64_t block = found * blocks + j;
                if ((reason = decode(&r, coding_of[j], scan->data, dc_of[j],
                                     coefficients + 64 * block, places + block)))
                    goto refused;
            }
            found++;
        } else {
            for (int j = 0; j < blocks; j++)
                if ((reason = skip(&r, coding_of[j], dc_of[j])))
                    goto refused;
        }
    }
    if (r.next == r.end)
        return NO_FAULT;
    reason = EARLY_MARKER;
refused:
    /* Of a reader that ran on into lent bits, the end of the data is the place. */
    if (r.bits < r.lent)
        r.bits = r.lent;
    fault[0] = address(&r, scan->data) / 8;
    fault[1] = mcu;
    return reason;
}

/* A Huffman table, for coding; a length of 0 is no code. */
struct encoder {
    uint16_t code[256];
    uint8_t length[256];
};

static void build_encoder(const uint8_t *definition, struct encoder *encoder)
{
    uint32_t code = 0;
    const uint8_t *symbol = definition + 16;
    memset(encoder, 0, sizeof *encoder);
    for (int length = 1; length <= 16; length++, code <<= 1)
        for (int i = 0; i < definition[length - 1]; i++, code++, symbol++) {
            encoder->code[*symbol] = (uint16_t)code;
            encoder->length[*symbol] = (uint8_t)length;
        }
}

/* Bits being written, each change from a byte's beginning on. */
struct writer {
    uint8_t *bits;
    int64_t at, room; /* bits */
};

static int put(struct writer *w, uint32_t value, int count)
{
    if (w->room - w->at < count)
        return NO_ROOM;
    for (int i = count - 1; i >= 0; i--, w->at++) {
        if (w->at % 8 == 0)
            w->bits[w->at / 8] = 0;
        w->bits[w->at / 8] |= (uint8_t)((value >> i & 1) << (7 - w->at % 8));
    }
    return NO_FAULT;
}

static int size_of(int32_t value)
{
    uint32_t magnitude = (uint32_t)(value < 0 ? -value : value);
    return magnitude ? 32 - __builtin_clz(magnitude) : 0;
}

/* Where coding stands, and what it found no code for. */
struct coder {
    struct writer out;
    struct encoder dc[MOST_COMPONENTS], ac[MOST_COMPONENTS];
    struct missing *missing;
    int64_t record, block, absent;
};

/* Write a symbol and its extra bits, or note that it has no code. */
static int put_symbol(struct coder *c, const struct encoder *encoder, int run, int32_t value,
                      int64_t coefficient)
{
    int size = size_of(value), symbol = run << 4 | size, fault;
    if (size > 15 || !encoder->length[symbol]) {
        c->missing[c->absent++] =
            (struct missing){c->record, c->block, coefficient, size > 15 ? -1 : symbol};
        return NO_FAULT;
    }
    uint32_t extra = (uint32_t)(value < 0 ? value - 1 : value) & ((1u << size) - 1);
    fault = put(&c->out, encoder->code[symbol], encoder->length[symbol]);
    return fault ? fault : put(&c->out, extra, size);
}

static int put_ac(struct coder *c, const struct encoder *encoder, const int16_t *block)
{
    int run = 0, fault;
    for (int k = 1; k < 64; k++) {
        int32_t value = block[natural[k]];
        if (!value) {
            run++;
            continue;
        }
        for (; run > 15; run -= 16)
            if ((fault = put_symbol(c, encoder, 15, 0, k)))
                return fault;
        if ((fault = put_symbol(c, encoder, run, value, k)))
            return fault;
        run = 0;
    }
    return run ? put_symbol(c, encoder, 0, 0, 64) : NO_FAULT;
}

/* Whether an MCU's DC differences depend on the MCU before. */
static int follows(const struct scan *scan, int64_t mcu)
{
    return mcu < scan->mcus && (!scan->interval || mcu % scan->interval);
}

static int code_records(const struct scan *scan, struct coder *c, int64_t count,
                        const int64_t *mcus, const struct place *places,
                        const int32_t *predictors, const int16_t *before,
                        const int16_t *after, struct change *changes, int64_t *made)
{
    int32_t was[MOST_COMPONENTS], is[MOST_COMPONENTS] = {0};
    int shifted = 0, fault;
    for (c->record = 0; c->record < count; c->record++) {
        int64_t mcu = mcus[c->record];
        int adjacent = c->record && mcus[c->record - 1] + 1 == mcu && follows(scan, mcu);
        if (shifted && !adjacent && follows(scan, mcus[c->record - 1] + 1))
            return BAD_ARGUMENT;
        for (int i = 0; i < scan->components; i++) {
            was[i] = predictors[c->record * scan->components + i];
            is[i] = adjacent ? is[i] : was[i];
        }
        for (c->block = 0; c->block < scan->blocks; c->block++) {
            int64_t index = c->record * scan->blocks + c->block;
            int owner = scan->owners[c->block];
            const int16_t *old = before + 64 * index, *new = after + 64 * index;
            for (int part = 0; part < 2; part++) {
                int64_t begin = part ? places[index].ac : places[index].begin;
                int64_t end = part ? places[index].end : places[index].ac;
                if (part ? !memcmp(old + 1, new + 1, 63 * sizeof *old)
                         : old[0] - was[owner] == new[0] - is[owner])
                    continue;
                c->out.at = (c->out.at + 7) / 8 * 8;
                int64_t from = c->out.at;
                fault = part ? put_ac(c, &c->ac[owner], new)
                             : put_symbol(c, &c->dc[owner], 0, new[0] - is[owner], 0);
                if (fault)
                    return fault;
                changes[(*made)++] = (struct change){begin, end, from / 8, c->out.at - from};
            }
            was[owner] = old[0];
            is[owner] = new[0];
        }
        shifted = 0;
        for (int i = 0; i < scan->components; i++)
            shifted |= was[i] != is[i];
    }
    return count && shifted && follows(scan, mcus[count - 1] + 1) ? BAD_ARGUMENT : NO_FAULT;
}

/* Code what differs between `before` and `after`, the coefficients of some walked MCUs.
 *
 * mcus to predictors: as the walk left them; the MCU after one whose last DC changes must
 * be among them, unless a restart marker stands between. changes: room for
 * (count, blocks, 2); bits: room in bytes; missing: room for (count, blocks, 130);
 * counts: changes, bytes of bits, missing symbols. Returns a reason.
 */
int hotpixeld_code_1(const struct scan *scan, int64_t count, const int64_t *mcus,
                     const struct place *places, const int32_t *predictors,
                     const int16_t *before, const int16_t *after, struct change *changes,
                     uint8_t *bits, int64_t room, struct missing *missing, int64_t *counts)
{
    struct coder c = {.out = {bits, 0, 8 * room}, .missing = missing};
    int fault;
    counts[0] = counts[1] = counts[2] = 0;
    if (!is_sound(scan, count, mcus))
        return BAD_ARGUMENT;
    for (int i = 0; i < scan->components; i++) {
        if (defined(scan->dc[i]) > 256 || defined(scan->ac[i]) > 256)
            return BAD_TABLE;
        build_encoder(scan->dc[i], &c.dc[i]);
        build_encoder(scan->ac[i], &c.ac[i]);
    }
    fault = code_records(scan, &c, count, mcus, places, predictors, before, after, changes,
                         &counts[0]);
    counts[1] = (c.out.at + 7) / 8;
    counts[2] = c.absent;
    return fault;
}

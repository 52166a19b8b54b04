/* Put other bits in place of some in a JPEG file, and copy all else; bits.py calls it.
 *
 * What follows a change of another length moves by some bits, and zeros are stuffed anew
 * after bytes 0xFF, until a change to the end of a byte lets the bytes agree again.
 */
#include "entropy.h"

#include <string.h>

/* Where reading and writing stand. */
struct splicer {
    const uint8_t *source;
    int64_t size;
    int64_t from; /* address of the next bit */
    uint8_t *out;
    int64_t room, to; /* bytes; those written whole */
    uint8_t part;     /* the byte begun, its bits at the top */
    int filled;       /* how many */
};

/* Write the lowest `count` bits of a value, at most 8. */
static int put(struct splicer *s, uint32_t value, int count)
{
    uint32_t mask = (1u << count) - 1;
    uint32_t bits = (uint32_t)s->part << 8 | (value & mask) << (16 - s->filled - count);
    s->filled += count;
    s->part = (uint8_t)(bits >> 8);
    if (s->filled < 8)
        return NO_FAULT;
    if (s->room - s->to < 2)
        return NO_ROOM;
    s->out[s->to++] = s->part;
    if (s->part == 0xFF)
        s->out[s->to++] = 0;
    s->part = (uint8_t)bits;
    s->filled -= 8;
    return NO_FAULT;
}

/* Read the bits up to `end` that stand in one byte; return how many, negative on a fault. */
static int get(struct splicer *s, int64_t end, uint32_t *value)
{
    int64_t byte = s->from / 8;
    int at = (int)(s->from % 8), count = end - s->from < 8 - at ? (int)(end - s->from) : 8 - at;
    if (byte >= s->size)
        return -BAD_ARGUMENT;
    *value = (uint32_t)s->source[byte] >> (8 - at - count) & ((1u << count) - 1);
    s->from += count;
    if (s->source[byte] == 0xFF) {
        if (byte + 1 >= s->size || s->source[byte + 1])
            return -NOT_CODED;
        if (at + count == 8)
            s->from += 8;
    }
    return s->from > end ? -BAD_ARGUMENT : count;
}

static int copy_bit_by_bit(struct splicer *s, int64_t end)
{
    uint32_t value;
    int count = get(s, end, &value);
    return count < 0 ? -count : put(s, value, count);
}

/* Copy whole bytes, where reading and writing stand at one's beginning. */
static int copy_bytes(struct splicer *s, int64_t end)
{
    int64_t count = end / 8 - s->from / 8;
    if (count > s->room - s->to)
        return NO_ROOM;
    memcpy(s->out + s->to, s->source + s->from / 8, (size_t)count);
    s->from += 8 * count;
    s->to += count;
    return NO_FAULT;
}

/* Copy eight bytes at once, moved by some bits, as long as none is 0xFF. */
static void copy_words(struct splicer *s, int64_t end)
{
    int64_t byte = s->from / 8;
    int moved = s->filled;
    for (; end / 8 - byte >= 8 && s->room - s->to >= 8; byte += 8) {
        uint64_t word = load(s->source + byte);
        uint64_t out = (uint64_t)s->part << 56 | word >> moved;
        if (has_ff(word) | has_ff(out))
            break;
        store(s->out + s->to, out);
        s->to += 8;
        s->part = (uint8_t)(word << (8 - moved));
    }
    s->from = 8 * byte;
}

/* Copy up to an address. */
static int copy(struct splicer *s, int64_t end)
{
    int fault = NO_FAULT;
    while (s->from < end && !fault) {
        int at = (int)(s->from % 8);
        if (at == 0 && s->filled == 0 && end - s->from >= 8) {
            fault = copy_bytes(s, end);
            continue;
        }
        if (at == 0 && s->filled)
            copy_words(s, end);
        /* A word that holds 0xFF; or the few bits at both ends. */
        for (int i = 0; i < 8 && s->from < end && !fault; i++) {
            fault = copy_bit_by_bit(s, end);
            if (s->from % 8 == 0 && s->filled == 0)
                break;
        }
    }
    return fault;
}

/* Pass over the source's bits up to an address and keep them; return how many, negative on
 * a fault. */
static int64_t keep(struct splicer *s, int64_t end, uint8_t *former, int64_t room)
{
    int64_t kept = 0;
    while (s->from < end) {
        uint32_t value;
        int count = get(s, end, &value);
        if (count < 0)
            return count;
        if (8 * room - kept < count)
            return -BAD_ARGUMENT;
        for (int i = count - 1; i >= 0; i--, kept++) {
            if (kept % 8 == 0)
                former[kept / 8] = 0;
            former[kept / 8] |= (uint8_t)((value >> i & 1) << (7 - kept % 8));
        }
    }
    return kept;
}

static int write_bits(struct splicer *s, const struct change *change, const uint8_t *bits,
                      int64_t bits_size)
{
    if (change->offset < 0 || change->offset > bits_size
        || change->length > 8 * (bits_size - change->offset))
        return BAD_ARGUMENT;
    bits += change->offset;
    for (int64_t left = change->length; left > 0; left -= 8, bits++) {
        int count = left < 8 ? (int)left : 8, fault = put(s, *bits >> (8 - count), count);
        if (fault)
            return fault;
    }
    return NO_FAULT;
}

/* Write the padding of a restart interval: the source's own where it fits. */
static int pad(struct splicer *s, const struct change *change, const uint8_t *former,
               int64_t kept)
{
    int count = (8 - s->filled) % 8;
    uint32_t ones = change->offset == PADDING_1 ? 0xFF : 0;
    if (kept == count)
        ones = count ? *former >> (8 - count) : 0;
    return put(s, ones, count);
}

static int64_t written_to(const struct splicer *s)
{
    return 8 * s->to + s->filled;
}

static int change_one(struct splicer *s, const struct change *change, const uint8_t *bits,
                      int64_t bits_size, struct change *inverse, uint8_t *former,
                      int64_t former_size)
{
    int fault;
    if (change->begin < s->from || change->end < change->begin || change->end > 8 * s->size)
        return BAD_ARGUMENT;
    if ((fault = copy(s, change->begin)))
        return fault;
    int64_t begin = written_to(s);
    int64_t kept = keep(s, change->end, former, former_size);
    if (kept < 0)
        return (int)-kept;
    fault = change->length < 0 ? pad(s, change, former, kept)
                               : write_bits(s, change, bits, bits_size);
    inverse->begin = begin;
    inverse->end = written_to(s);
    inverse->length = kept;
    return fault;
}

/* Copy a file with some changes, ascending and not overlapping.
 *
 * bits: the new bits, of which changes name a part each; inverse, former: the changes that
 * lead back, and their bits: room for as many bytes as the changed ranges touch; written:
 * bytes of the copy. Returns a reason.
 */
int hotpixeld_splice_1(const uint8_t *source, int64_t size, int64_t count,
                       const struct change *changes, const uint8_t *bits, int64_t bits_size,
                       uint8_t *out, int64_t room, struct change *inverse, uint8_t *former,
                       int64_t former_size, int64_t *written)
{
    struct splicer s = {.source = source, .size = size, .out = out, .room = room};
    int64_t kept = 0;
    int fault;
    *written = 0;
    for (int64_t i = 0; i < count; i++) {
        inverse[i].offset = kept;
        if ((fault = change_one(&s, changes + i, bits, bits_size, inverse + i, former + kept,
                                former_size - kept)))
            return fault;
        kept += (inverse[i].length + 7) / 8;
    }
    if ((fault = copy(&s, 8 * size)))
        return fault;
    *written = s.to;
    return s.filled ? BAD_ARGUMENT : NO_FAULT;
}

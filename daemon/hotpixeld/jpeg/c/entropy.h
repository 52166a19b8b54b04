/* The entropy-coded data of sequential Huffman JPEGs; entropy.py declares the same. */
#ifndef HOTPIXELD_ENTROPY_H
#define HOTPIXELD_ENTROPY_H

#include <stdint.h>
#include <string.h>

enum {
    MOST_COMPONENTS = 3,
    MOST_BLOCKS = 10, /* of an MCU, T.81 B.2.3 */
    DEFINITION = 16 + 256
};

/* Why something was refused. */
enum reason {
    NO_FAULT,
    BAD_ARGUMENT,  /* the caller's fault */
    BAD_TABLE,     /* codes that do not fit their lengths, or a DC symbol above 15 */
    BAD_CODE,      /* bits that begin no code */
    LONG_RUN,      /* zeros beyond the end of the block */
    RESERVED,      /* an AC symbol without a meaning */
    LARGE_DC,      /* a DC coefficient beyond 16 bits */
    TRUNCATED,     /* the data end first */
    EARLY_MARKER,  /* a marker inside a restart interval */
    NO_RESTART,    /* another marker, or none, where a restart belongs */
    EXTRA_BYTES,   /* more data than MCUs, before a marker or the end */
    NO_ROOM,       /* the output does not fit: try again with more */
    NOT_CODED      /* a marker among bits that must be moved */
};

/* One scan. Blocks are in the order of the MCU. An address is a bit's: 8 * byte + bit, the
 * highest bit of a byte being 0; a byte 0xFF and the zero stuffed after it count as one.
 */
struct scan {
    const uint8_t *data; /* the file */
    int64_t start, end;  /* where the coded data stand in it, fill bytes at the end left out */
    int64_t mcus;
    int64_t interval; /* MCUs between restart markers, 0 for none */
    int32_t components;
    int32_t blocks;                /* of an MCU */
    uint8_t owners[MOST_BLOCKS];   /* component of each block */
    uint8_t dc[MOST_COMPONENTS][DEFINITION]; /* 16 counts, then the symbols */
    uint8_t ac[MOST_COMPONENTS][DEFINITION];
};

/* Where a block's bits stand. */
struct place {
    int64_t begin, ac, end;
};

/* Bits to put in place of others. */
struct change {
    int64_t begin, end; /* addresses in the source */
    int64_t offset;     /* of the new bits' first byte */
    int64_t length;     /* in bits; -1: to the end of the byte, with PADDING_0 or PADDING_1 */
};

enum { PADDING_0 = 0, PADDING_1 = 1 };

/* A symbol that a table has no code for. */
struct missing {
    int64_t record, block, coefficient, symbol;
};

static inline uint64_t load(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline void store(uint8_t *bytes, uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(bytes, &word, 8);
}

/* Whether one of eight bytes is 0xFF. */
static inline uint64_t has_ff(uint64_t word)
{
    return (~word - 0x0101010101010101u) & word & 0x8080808080808080u;
}

int hotpixeld_walk_1(const struct scan *scan, int64_t count, const int64_t *wanted,
                     struct place *places, int16_t *coefficients, int32_t *predictors,
                     int64_t *ends, int64_t *fault);

int hotpixeld_code_1(const struct scan *scan, int64_t count, const int64_t *mcus,
                     const struct place *places, const int32_t *predictors,
                     const int16_t *before, const int16_t *after, struct change *changes,
                     uint8_t *bits, int64_t room, struct missing *missing, int64_t *counts);

int hotpixeld_splice_1(const uint8_t *source, int64_t size, int64_t count,
                       const struct change *changes, const uint8_t *bits, int64_t bits_size,
                       uint8_t *out, int64_t room, struct change *inverse, uint8_t *former,
                       int64_t former_size, int64_t *written);

#endif

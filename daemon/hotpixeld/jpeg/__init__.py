"""JPEG: structure, coefficients and coded data of a file, in memory.

markers
    Segments, scans and tables; a photo's identity.
decoder
    Levels, a strip of rows at a time, of many photos side by side.
coefficients
    Quantised coefficients read, or changed and all scans coded anew, by libturbojpeg.
scans
    How the scans of a sequential photo are coded.
entropy
    Coded data walked to their end, and the bits of some blocks replaced.
bits
    Bits replaced in a file, all others kept, and put back again.
codes
    What is nearest to a coefficient that a photo's tables have no code for.
block_reader
    The exact levels around some pixels, from their own blocks.
attach
    What follows the image, still found where it was; new scans put into a file.
dct_blocks
    Samples and coefficients of 8x8 blocks, and the rounding of both.
derivation
    Whether a photo was made of another: saved again, flipped, turned.
compare
    What differs between a photo and its copy.
bit_comparison
    Which bits of their coded data differ, and which changed blocks explain them.

Bytes and arrays in, bytes and arrays out: no file, clock, thread or log.  May import
`errors`, `compiled` and their like only.

To change what counts as a photo's identity, start at `markers.identity`; what a copy keeps
of the original, at `entropy.patch`; what `hotpixeld diff` says, at `compare.text`.
"""

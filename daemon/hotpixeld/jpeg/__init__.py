"""JPEG: structure, coefficients and coded data of a file, in memory.

markers
    Segments, scans and tables; a photo's identity.
turbojpeg
    The system's libturbojpeg: decoding and transforming.
coefficients
    Quantised coefficients, read and written back.
huffman
    Restart intervals coded anew with the photo's own tables.
attach
    New scans put into a file whose other bytes stay; offsets behind the image.
dct_blocks
    Samples and coefficients of 8x8 blocks, and the rounding of both.
compare
    What differs between a photo and its copy.

Bytes and arrays in, bytes and arrays out: no file, clock, thread or log.  May import
`errors` and its like only.

To change what counts as a photo's identity, start at `markers.identity`; what a copy keeps
of the original, at `attach.attached`; what `hotpixeld diff` says, at `compare.text`.
"""

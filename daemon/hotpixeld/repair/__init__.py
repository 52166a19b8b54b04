"""Repair: from a pixel list and a photo to the bytes of its copy.

pixel_list
    Which listed pixels may be repaired in a photo, and which of them it shows.
lossless
    The copy: coefficients changed in the blocks of defects, all else bit for bit; and from
    a copy back to the original.
component
    One component of a photo: the blocks under defects, and what becomes of them.
reencode
    The copy where that cannot be done: encoded anew with the photo's own settings.
separation
    What defects added to the samples of a component: the fills.
scene
    The scene under footprints, continued from around them.
footprint
    How a defective photosite shows: the usual kernels, and a camera's own, learned.
shape
    How one defect shows, component by component, as it is kept; what a photo has of it.
stacking
    The mean of photos around each defect, and the shapes that it teaches.
field
    Samples of a component, cut into windows; rectangles that overlap.

Arrays and bytes in, arrays and bytes out: no file, clock, thread or log.  May import
`photo`, `detection`, `config`, `jpeg`, `statistics` and what lies below them.

To change how a hole is filled, start at `separation.excesses`; what makes a defect
visible, at `pixel_list.shows`; the new coefficients, at `jpeg.dct_blocks`.
"""

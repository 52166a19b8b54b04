"""Statistics: what is summed up of a camera's photos, pixel by pixel, and its peaks.

- `generation`: what a generation holds, and the strips in which a pass goes through it.
- `fold`: how photos come to it, side by side, a strip at a time.
- `trace`: the signal-to-noise ratio of every pixel over all photos, which finds weak
  defects.
- `contrast`: how far a pixel stands out of its surroundings, in one frame.
- `peaks`: the isolated peaks of a whole plane, the most significant first.
- `strip.c`, `trace.c`: the loops over all pixels of `fold` and `trace`.

Arrays in, arrays out: no file, clock, thread or log. It imports `hotpixeld.compiled` only.
To change how a photo enters the state start at `fold.Folding`; how suspects are
found, at `trace.suspects` and `peaks.peaks`.
"""

"""Statistics: what is summed up of a camera's photos, pixel by pixel, and its peaks.

- `generation`: what a generation holds, the strips in which a pass goes through it, and
  how photos are folded into the next one, side by side.
- `merging`: two generations of one camera become one.
- `trace`: the signal-to-noise ratio of every pixel over all photos, which finds weak
  defects.
- `contrast`: how far a pixel stands out of its surroundings, in one frame.
- `peaks`: the isolated peaks of a whole plane, the most significant first.
- `fold.c`, `trace.c`, `sensor.c`: the loops over all pixels of `generation` and `trace`,
  and over the traces of several bins.

Arrays in, arrays out: no file, clock, thread or log. It imports `hotpixeld.compiled` only.
To change how a photo enters the state start at `generation.Folding`; how suspects are
found, at `trace.Trace.suspects` and `peaks.peaks`.
"""

"""The report: one HTML file that shows the defects, what was repaired, and what was not.

- `writing`: the file, written for a command or as the daemon's process; start here.
- `page`: the file's text.  What it looks like is in ``page.html``, ``page.css``, ``page.js``.
- `findings`: what is told, from the ledger, and in which words.
- `crops`: which photos show a defect, and real crops of them, before and after.
- `sensor`: the sensor drawn to place, with numbers where they hide nothing.
- `figures`: the drawings (SVG): onsets, and strength by light.

Only reads: the ledger, originals and copies.  May import `formats` (the report embeds the JSON
of `history`), the service's status and what is below it; only `cli` imports it, and the daemon
starts it as a process of its own.  Needs the extra ``hotpixeld[report]``.

To add a figure: a function in `figures`, and its place and words in ``page.html``.
"""

"""Figures: since when defects are there, and how strongly they show by light, as SVG.

Text stays text, in the page's font, and colours are the page's, so that dark mode and print
change them with everything else.
"""

from __future__ import annotations

import io
import re
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hotpixeld.defect import ORDINARY, VISIBLE_LEVELS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from hotpixeld.defect import Defect, Strength
    from hotpixeld.report.findings import Finding

INK, QUIET, ACCENT = "#010203", "#040506", "#070809"
"""Stand for the page's colours until the SVG is written."""
_VARIABLES = {INK: "var(--ink)", QUIET: "var(--line)", ACCENT: "var(--accent)"}
PANELS = 6
"""Defects whose law is drawn: the strongest."""
FEWEST_TICKS = 3
"""Powers of ten by which alone an axis can be read."""
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.titlepad": 3.0,
    "xtick.minor.size": 0.0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def _font(match: re.Match[str]) -> str:
    """Return a font's weight and size, without its name."""
    weight = f"font-weight: {match[1]}; " if match[1] else ""
    return f"{weight}font-size: {match[2]}"


def _svg(figure: Figure, name: str, label: str) -> str:
    """Return a figure for a page: without a file's head, and with ids of its own.

    Parameters
    ----------
    name : str
        Letters, digits and hyphens; begins the ids.
    label : str
        What it shows, for those who cannot see it; plain text.
    """
    buffer = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for unwanted in ("metadata", "style"):  # a style would hold for all of the page
        text = re.sub(rf"<{unwanted}.*?</{unwanted}>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    # Without a name of a font: the page's.
    text = re.sub(r"font: (?:(\d+) )?([\d.]+px)[^;\"]*", _font, text)
    text = re.sub(r"font-family: [^;\"]*; ?", "", text)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    # So that it fits a phone: the viewBox keeps the proportions.
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    escaped = label.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("<svg", f'<svg role="img" aria-label="{escaped}"', 1)


class _Change(NamedTuple):
    """The number of defects changes: a beginning, or an end.

    Attributes
    ----------
    when : datetime
    total : int
        Of defects from then on.
    after : datetime or None
        Of a beginning: the last photo without it.
    """

    when: dt.datetime
    total: int
    after: dt.datetime | None


def _changes(defects: Sequence[Defect]) -> list[_Change]:
    """Return when the number of defects changes; those with no beginning begin it."""
    steps: list[tuple[dt.datetime, int, dt.datetime | None]] = [
        (one.by, 1, one.after) for one in defects if one.after and one.by
    ]
    total, out = len(defects) - len(steps), list[_Change]()
    steps += [(one.until, -1, None) for one in defects if one.until]
    for when, step, after in sorted(steps, key=itemgetter(0, 1)):
        total += step
        out.append(_Change(when, total, after))
    return out


def onsets(
    defects: Sequence[Defect], span: tuple[dt.datetime, dt.datetime], name: str
) -> str:
    """Return how many defects there were over time; empty where none was seen to begin.

    Parameters
    ----------
    defects : sequence of Defect
    span : (datetime, datetime)
        When the first and the last photo was taken.
    name : str
        See `_svg`.
    """
    if not any((one.after and one.by) or one.until for one in defects):
        return ""
    first, last = span
    changes = _changes(defects)
    dated = [one for one in changes if one.after]
    steps = [(one.when, one.total) for one in changes]
    begun = len(defects) - len(dated)
    times, counts = zip((first, begun), *steps, strict=True)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 2.9))
        axes = figure.add_axes((0.08, 0.15, 0.9, 0.82))
        ends = [*times, max(last, times[-1])], [*counts, counts[-1]]
        axes.step(date2num(ends[0]), ends[1], where="post", color=INK, linewidth=1.2)
        for one in dated:
            place = [one.total, one.total]
            bar = date2num([one.after, one.when])
            axes.plot(bar, place, color=ACCENT, linewidth=2.5, solid_capstyle="butt")
            axes.plot(bar[1:], place[1:], "o", color=ACCENT, markersize=5)
        axes.set_ylabel("defects")
        axes.set_ylim(0, max(counts) + 1)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        locator = AutoDateLocator(maxticks=7)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        label = f"{len(defects)} defects over time, {len(dated)} of them seen to begin"
        return _svg(figure, name, label)


def _light(strength: Strength) -> float | None:
    """Return seconds times ISO of photos of like exposure: between their ends."""
    if strength.seconds is None or strength.iso is None:
        return None
    pairs = zip(strength.seconds, strength.iso, strict=True)
    least, most = (seconds * iso for seconds, iso in pairs)
    return float(np.sqrt(least * most)) or None


def _plain_decades(axes: Axes, reach: tuple[float, float]) -> None:
    """Mark a logarithmic axis by ordinary numbers: powers of ten, more where they are few."""
    first, last = np.log10(reach)
    decades = 10.0 ** np.arange(np.floor(first), np.floor(last) + 1)
    inside = decades[decades >= reach[0]]
    ticks = inside[:: max(len(inside) // 4, 1)]
    if len(inside) < FEWEST_TICKS:
        finer = np.outer(decades, (1, 2, 5)).ravel()
        ticks = finer[(finer >= reach[0]) & (finer <= reach[1])]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)


def _panel(
    axes: Axes, finding: Finding, level: float, reach: tuple[float, float]
) -> None:
    """Draw what photos showed of one defect, and its law."""
    law, appearance = finding.defect.law, finding.defect.appearance
    if law is None or appearance is None:
        return
    light = np.geomspace(*reach, 60)
    curve = np.array([law.amplitude(level, float(one), 1) for one in light])
    axes.fill_between(
        light,
        curve * (1 - law.scatter),
        curve * (1 + law.scatter),
        color=ACCENT,
        alpha=0.15,
        linewidth=0,
    )
    axes.plot(light, curve, color=ACCENT, linewidth=1.6)
    for one in appearance.strengths:
        if (where := _light(one)) is not None:
            size = 3 + 2 * np.log10(1 + one.photos)
            axes.plot(where, max(one.amplitude, 0), "o", color=INK, markersize=size)
    axes.axhline(
        VISIBLE_LEVELS, color=INK, alpha=0.6, linestyle=(0, (2, 3)), linewidth=0.8
    )
    axes.set_xscale("log")
    axes.set_title(f"{finding.number}", loc="left", fontsize=10, fontweight="bold")


def laws(
    findings: Sequence[Finding], around: Mapping[tuple[int, int], float], name: str
) -> str:
    """Return how strongly defects show over exposure times ISO; empty without a law.

    Parameters
    ----------
    findings : sequence of Finding
        The strongest first.
    around : mapping of (row, col) to float
        Median luma of the surroundings: the law depends on it.
    name : str
        See `_svg`.
    """
    told = [one for one in findings if one.defect.law and one.defect.appearance][
        :PANELS
    ]
    lights = [
        light
        for one in told
        if one.defect.appearance
        for strength in one.defect.appearance.strengths
        if (light := _light(strength)) is not None
    ]
    if not lights:
        return ""
    reach = min(lights) / 2, max(lights) * 2
    rows = -(-len(told) // 3)
    with mpl.rc_context(_STYLE):
        # Margins of fixed inches: to measure all text first would take most of the time.
        height = 0.6 + 1.9 * rows
        figure = Figure(figsize=(7.2, height))
        panels = figure.subplots(rows, 3, sharex=True, sharey=True, squeeze=False)
        figure.subplots_adjust(
            *(0.08, 0.55 / height, 0.99, 1 - 0.25 / height), wspace=0.08, hspace=0.4
        )
        for axes, one in zip(panels.flat, told, strict=False):
            _panel(
                axes, one, around.get((one.defect.row, one.defect.col), ORDINARY), reach
            )
        for axes in panels.flat[len(told) :]:
            axes.set_axis_off()
        for axes in panels.flat:
            axes.tick_params(labelbottom=True)
        panels[0][0].set_ylim(bottom=0)
        _plain_decades(panels[0][0], reach)
        figure.supylabel("levels added", fontsize=10, x=0.005)
        figure.supxlabel(
            "exposure \u00d7 ISO (seconds \u00d7 ISO)", fontsize=10, y=0.01
        )
        numbers = ", ".join(str(one.number) for one in told)
        label = f"Levels added over exposure times ISO, defects {numbers}"
        return _svg(figure, name, label)

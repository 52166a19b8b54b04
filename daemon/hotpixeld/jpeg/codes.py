"""Bring coefficients near to what is wanted where a photo's tables lack a code.

References
----------
ITU-T T.81 (1992), annex F.1.2: symbols of DC differences, of runs and sizes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hotpixeld.jpeg.markers import ZIGZAG

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from hotpixeld.jpeg.entropy import Records
    from hotpixeld.jpeg.scans import CodedScan

# Sixteen zeros; nothing but zeros until the end of the block.
_ZEROS, _END = 0xF0, 0x00
_ORDER = np.array(ZIGZAG)


class Missing(NamedTuple):
    """A symbol without a code: its record, block, coefficient (zigzag) and value."""

    record: int
    block: int
    coefficient: int
    symbol: int


class _Choice(NamedTuple):
    """The best way to code a block up to a coefficient that is not zero."""

    error: float
    before: int
    value: int


def symbols(definition: bytes) -> frozenset[int]:
    """Return the symbols that a table has codes for."""
    return frozenset(definition[16:])


def _nearest(value: int, size: int) -> int:
    """Return the number of `size` bits that is nearest to a value."""
    magnitude = min(max(abs(value), 1 << (size - 1)), (1 << size) - 1)
    return magnitude if value >= 0 else -magnitude


def _options(
    wanted: Sequence[int], weights: Sequence[float], available: AbstractSet[int]
) -> list[list[tuple[float, int]]]:
    """Return, by coefficient and run before it, the least error and its value."""
    options = []
    for value, weight in zip(wanted, weights, strict=True):
        row = []
        for run in range(16):
            found = [
                (weight * (near - value) ** 2, near)
                for size in range(1, 16)
                if run << 4 | size in available
                for near in (_nearest(value, size),)
            ]
            row.append(min(found, default=(np.inf, 0)))
        options.append(row)
    return options


def nearest_block(
    wanted: NDArray[np.int16],
    former: NDArray[np.int16],
    steps: Sequence[int],
    available: AbstractSet[int],
) -> NDArray[np.int16] | None:
    """Return the block nearest to what is wanted whose AC coefficients have codes.

    Parameters
    ----------
    wanted, former : (64,) int16
        Row-major; of the DC coefficient, the wanted one is returned.
    steps : sequence of int
        The quantisation table, row-major: errors are weighed by it.
    available : set of int
        AC symbols that have codes.

    Returns
    -------
    (64,) int16 or None
        None where the former block is as near.
    """
    values = [int(value) for value in wanted[_ORDER]]
    weights = [float(step) ** 2 for step in np.asarray(steps)[_ORDER]]
    options = _options(values, weights, available)
    squares = [
        w * v**2 if k else 0.0
        for k, (v, w) in enumerate(zip(values, weights, strict=True))
    ]
    zeroed = [0.0, *np.cumsum(squares).tolist()]
    best = [_Choice(0.0, 0, 0)]
    for k in range(1, 64):
        choices = []
        for before in range(k):
            zeros, run = divmod(k - before - 1, 16)
            if zeros and _ZEROS not in available:
                continue
            error, value = options[k][run]
            gap = zeroed[k] - zeroed[before + 1]
            choices.append(_Choice(best[before].error + gap + error, before, value))
        best.append(min(choices, default=_Choice(np.inf, 0, 0)))
    ends = [
        (choice.error + zeroed[64] - zeroed[k + 1], k)
        for k, choice in enumerate(best)
        if k == 63 or _END in available
    ]
    error, k = min(ends, default=(np.inf, 0))
    difference = (former.astype(np.float64) - wanted)[_ORDER][1:]
    if not error < float((difference**2 * weights[1:]).sum()):
        return None
    found = np.zeros(64, np.int16)
    found[0] = wanted[0]
    while k:
        found[ZIGZAG[k]] = best[k].value
        k = best[k].before
    return found


def nearest_dc(
    wanted: int,
    former: int,
    neighbours: tuple[int, int | None],
    available: AbstractSet[int],
) -> int | None:
    """Return the DC value nearest to what is wanted whose differences have codes.

    Parameters
    ----------
    wanted, former : int
    neighbours : (int, int or None)
        DC of the blocks coded before and after it; None for no block after.
    available : set of int
        DC symbols that have codes.

    Returns
    -------
    int or None
        None where none is nearer than the former.
    """
    before, after = neighbours
    step = 1 if former > wanted else -1
    for value in range(wanted, former, step):
        sizes = [abs(value - before).bit_length()]
        if after is not None:
            sizes.append(abs(after - value).bit_length())
        if all(size in available for size in sizes):
            return value
    return None


def _dc_chain(
    scan: CodedScan, records: Records, component: int
) -> list[tuple[int, int]]:
    """Return the records' blocks of a component in coding order."""
    blocks = [i for i, owner in enumerate(scan.owners) if owner == component]
    return [(record, block) for record in range(len(records.mcus)) for block in blocks]


def _bring_dc_near(
    scan: CodedScan, before: Records, after: Records, missing: Missing
) -> bool:
    """Change a DC value of `after` in place; return whether one was found."""
    component = scan.owners[missing.block]
    chain = _dc_chain(scan, after, component)
    available = symbols(scan.dc[component])
    place = chain.index((missing.record, missing.block))
    old, new = before.coefficients[..., 0], after.coefficients[..., 0]
    difference = int(new[chain[place]]) - _predictor(scan, after, chain, place)
    if abs(difference).bit_length() in available:
        return True  # since another one was brought near
    # The difference is of two blocks, and either may be the changed one.
    for index in (place, place - 1):
        if index < 0 or new[chain[index]] == old[chain[index]]:
            continue
        predictor = _predictor(scan, after, chain, index)
        following = _following(scan, after, chain, index)
        found = nearest_dc(
            int(new[chain[index]]),
            int(old[chain[index]]),
            (predictor, following),
            available,
        )
        if found is None and _ac_differs(before, after, chain[index]):
            found = int(old[chain[index]])  # its other coefficients still improve it
        if found is not None and found != new[chain[index]]:
            new[chain[index]] = found
            return True
    return False


def _ac_differs(before: Records, after: Records, block: tuple[int, int]) -> bool:
    """Return whether any AC coefficient of a block has changed."""
    old, new = (records.coefficients[block][1:] for records in (before, after))
    return bool((old != new).any())


def _adjacent(scan: CodedScan, records: Records, first: int, second: int) -> bool:
    """Return whether a record's DC differences start from another one."""
    if first == second:
        return True
    mcus = records.mcus[[first]]
    return records.mcus[second] in scan.followers(mcus)


def _predictor(
    scan: CodedScan, records: Records, chain: list[tuple[int, int]], index: int
) -> int:
    """Return the DC value before a block."""
    record, block = chain[index]
    if index and _adjacent(scan, records, chain[index - 1][0], record):
        return int(records.coefficients[(*chain[index - 1], 0)])
    return int(records.predictors[record, scan.owners[block]])


def _following(
    scan: CodedScan, records: Records, chain: list[tuple[int, int]], index: int
) -> int | None:
    """Return the DC value after a block, None where no difference depends on it."""
    if index + 1 == len(chain):
        return None
    if not _adjacent(scan, records, chain[index][0], chain[index + 1][0]):
        return None
    return int(records.coefficients[(*chain[index + 1], 0)])


def brought_near(
    scan: CodedScan, before: Records, after: Records, missing: Sequence[Missing]
) -> bool:
    """Change values of `after`, in place, that have no code to the nearest that has one.

    Where none is nearer than the former one, that one, if the rest of the block still
    comes nearer to what is wanted.

    Returns
    -------
    bool
        False where one cannot be had that improves its block.
    """
    blocks = {(m.record, m.block): m for m in missing if m.coefficient}
    for record, block in blocks:
        component = scan.owners[block]
        found = nearest_block(
            after.coefficients[record, block],
            before.coefficients[record, block],
            scan.steps[component],
            symbols(scan.ac[component]),
        )
        if found is not None:
            after.coefficients[record, block] = found
        elif (
            after.coefficients[record, block, 0]
            != before.coefficients[record, block, 0]
        ):
            # The mean alone still improves it.
            after.coefficients[record, block, 1:] = before.coefficients[
                record, block, 1:
            ]
        else:
            return False
    return all(
        _bring_dc_near(scan, before, after, m) for m in missing if not m.coefficient
    )

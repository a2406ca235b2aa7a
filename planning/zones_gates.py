"""Gates: where robots cross from zone to zone, and which way.

Of each border's pairs of cells, those in lanes keep their lane's direction (planning.guidance), the others alternate, and a
border at least two pairs wide has gates both ways. A border of one pair gets the direction that keeps the zones strongly
connected, if there is one (Robbins 1939: a connected graph without bridges has such directions).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planning.guidance import LONG_LANE, lane_signs

I32 = NDArray[np.int32]
Bool = NDArray[np.bool_]

EAST, SOUTH = 0, 1
DEEP = 8
"""Cells from a border to the first place where two robots can pass: a way in is a dead end for all others there, and
beyond this length it is no gate unless there are fewer than two without."""


@dataclass(frozen=True, slots=True)
class Gates:
    """G gates, all (G,) int32: from_cell and to_cell are neighbours, `heading` leads from one to the other (0 to 3: east,
    south, west, north), from_zone and to_zone are theirs. No cell belongs to two gates."""

    from_cell: I32
    to_cell: I32
    heading: I32
    from_zone: I32
    to_zone: I32

    def __len__(self) -> int:
        return len(self.heading)


@dataclass(slots=True)
class _Pair:
    """Cells `low` and `high` = the one east or south of it; sign: +1 from low to high, -1 back, 0 not decided."""

    low: int
    high: int
    heading: int
    sign: int
    deep: bool


def choose_gates(free: Bool, label: I32, zones: int) -> Gates:
    """Gates for every two zones that touch."""
    borders = _borders(free, label)
    taken: set[int] = set()
    chosen: dict[tuple[int, int], list[_Pair]] = {}
    for zone_pair in sorted(borders, key=lambda pair: len(borders[pair])):
        chosen[zone_pair] = _disjoint(borders[zone_pair], taken)
        _direct(chosen[zone_pair], zone_pair, label.ravel())
    _direct_singles(chosen, zones, label.ravel())
    pairs = [pair for zone_pair in sorted(chosen) for pair in chosen[zone_pair]]
    low, high, heading = (np.array([getattr(p, name) for p in pairs], np.int32) for name in ("low", "high", "heading"))
    along = np.array([p.sign > 0 for p in pairs], np.bool_)
    came, went = np.where(along, low, high), np.where(along, high, low)
    zone = label.ravel()
    return Gates(came, went, np.where(along, heading, heading + 2).astype(np.int32), zone[came], zone[went])


def _borders(free: Bool, label: I32) -> dict[tuple[int, int], list[_Pair]]:
    """All pairs of neighbouring cells in different zones, by zones, in the order of the map."""
    width = free.shape[1]
    ways = _ways(label)
    borders: dict[tuple[int, int], list[_Pair]] = defaultdict(list)
    for heading, step in ((EAST, 1), (SOUTH, width)):
        signs = (
            lane_signs(free, LONG_LANE) if heading == EAST else lane_signs(np.ascontiguousarray(free.T), LONG_LANE).T
        )
        here = label[:, :-1] if heading == EAST else label[:-1]
        there = label[:, 1:] if heading == EAST else label[1:]
        for row, col in zip(*np.nonzero((here >= 0) & (there >= 0) & (here != there)), strict=True):
            low = int(row) * width + int(col)
            deep = _is_deep(low, ways) or _is_deep(low + step, ways)
            pair = _Pair(low, low + step, heading, int(signs[row, col]), deep)
            first, second = sorted((int(label.ravel()[low]), int(label.ravel()[low + step])))
            borders[first, second].append(pair)
    return borders


def _ways(label: I32) -> list[list[int]]:
    """Per cell, its neighbours in the same zone."""
    height, width = label.shape
    flat = label.ravel()
    ways: list[list[int]] = []
    for cell in range(flat.size):
        row, col = divmod(cell, width)
        beside = ((row, col + 1), (row + 1, col), (row, col - 1), (row - 1, col))
        cells = [y * width + x for y, x in beside if 0 <= y < height and 0 <= x < width]
        ways.append([c for c in cells if flat[c] == flat[cell] >= 0])
    return ways


def _is_deep(cell: int, ways: list[list[int]]) -> bool:
    """Whether more than DEEP cells, in single file, lie between a border and a place with three ways."""
    came = -1
    for _ in range(DEEP):
        onward = [other for other in ways[cell] if other != came]
        if len(ways[cell]) > 2 or len(onward) > 1:
            return False
        if not onward:
            return True
        came, cell = cell, onward[0]
    return True


def _disjoint(pairs: list[_Pair], taken: set[int]) -> list[_Pair]:
    """Pairs that share no cell, dead ends only where there would be fewer than two without."""
    kept: list[_Pair] = []
    for deep in (False, True):
        if deep and len(kept) >= 2:
            break
        for pair in pairs:
            if pair.deep == deep and pair.low not in taken and pair.high not in taken:
                taken |= {pair.low, pair.high}
                kept.append(pair)
    return sorted(kept, key=lambda pair: pair.low)


def _direct(pairs: list[_Pair], zones: tuple[int, int], label: I32) -> None:
    """Lanes keep their direction, others alternate; with two pairs or more both directions occur."""
    if len(pairs) < 2:
        return

    def outward(pair: _Pair) -> int:
        """+1 if its direction leads from the first zone to the second."""
        return pair.sign if label[pair.low] == zones[0] else -pair.sign

    turn = -1
    for pair in pairs:
        if pair.sign == 0:
            pair.sign = 1 if (label[pair.low] == zones[0]) == (turn < 0) else -1
        turn = outward(pair)
    if len({outward(pair) for pair in pairs}) == 1:
        for pair in pairs[1::2]:
            pair.sign = -pair.sign


def _direct_singles(chosen: dict[tuple[int, int], list[_Pair]], zones: int, label: I32) -> None:
    """Depth first over the zones: borders of one pair lead down the tree and, outside it, back up."""
    beside: dict[int, list[tuple[int, _Pair | None]]] = defaultdict(list)
    for (first, second), pairs in chosen.items():
        if pairs:
            single = pairs[0] if len(pairs) == 1 else None
            beside[first].append((second, single))
            beside[second].append((first, single))
    for links in beside.values():  # wide borders first: they lead both ways
        links.sort(key=lambda link: (link[1] is not None, link[0]))
    seen: set[int] = set()
    decided: set[int] = set()

    def visit(zone: int) -> None:
        seen.add(zone)
        for other, pair in beside[zone]:
            if pair is not None and id(pair) not in decided:
                decided.add(id(pair))
                pair.sign = 1 if label[pair.low] == zone else -1
            if other not in seen:
                visit(other)

    for zone in range(zones):
        if zone not in seen:
            visit(zone)

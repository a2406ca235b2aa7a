"""What is wrong with the graph of a site, in sentences: what, where, and what it means for robots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from aislewise.sitemap import SiteMap
from planning.distance import I32, UNREACHABLE, Bool, bfs
from planning.graph_kernels import I64, groups

MAX_FINDINGS, MAX_GROUPS, MAX_NAMED = 200, 64, 6
SEVERITIES = ("error", "warning", "note")
HERE_M = 0.01


@dataclass(frozen=True)
class Finding:
    """kind: apart, trap, no_entry, places, dead_end, corridor, cut, bays. severity: error (something is lost for good),
    warning (robots may wait for ever), note. cells: (n,) int32; (x_m, y_m): where, in `map`; places: those concerned;
    loss: cells that are lost at worst; text: all of it in a sentence."""

    kind: str
    severity: str
    cells: I32
    x_m: float
    y_m: float
    places: tuple[str, ...]
    loss: int
    text: str

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "severity": self.severity, "x_m": self.x_m, "y_m": self.y_m, "loss": self.loss,
            "places": list(self.places), "cells": self.cells[:1000].tolist(), "cell_count": len(self.cells), "text": self.text,
        }  # fmt: skip


@dataclass(frozen=True)
class Structure:
    """The directed graph of a site's free cells. nbr, sources, joined: (cells, 4) tables (planning.lane_graph).
    (cells,): part, strongly connected part, 0 = the largest, -1 = closed; block,
    biconnected component (planning.graph_kernels.blocks); cut, loss: is its part not strongly connected without it,
    and how many of its cells are lost to the others; narrow: on a move that lies on no cycle of three cells; tree: on no
    cycle at all. parts: sizes of the parts. room: the most robots of which each gets on in part 0; unchecked: cells that
    it was not worked out for."""

    nbr: I32
    sources: I32
    joined: I32
    part: I32
    parts: tuple[int, ...]
    block: I32
    cut: Bool
    loss: I64
    narrow: Bool
    tree: Bool
    room: int
    unchecked: int


def findings(site: SiteMap, shape: Structure) -> tuple[tuple[Finding, ...], int]:
    """(the worst findings first, how many more there are)"""
    words = Words(site)
    found = list(_lost_places(words, shape))
    if shape.parts:
        found += [*_lost_parts(words, shape), *_spurs(words, shape)]
    found.sort(key=lambda f: (SEVERITIES.index(f.severity), -f.loss, f.kind, int(f.cells[0])))
    return tuple(found[:MAX_FINDINGS]), max(0, len(found) - MAX_FINDINGS)


class Words:
    """Says where cells are, and which places lie in them."""

    def __init__(self, site: SiteMap) -> None:
        from scipy.spatial import cKDTree

        self.site, self._places = site, list(site.places.values())
        self._tree = cKDTree([site.centre(p.cell) for p in self._places]) if self._places else None
        self._cells = np.array([p.cell for p in self._places], np.int64)

    def at(self, cell: int) -> str:
        """A position in metres and the nearest place."""
        x, y = self.site.centre(cell)
        where = f"({_m(x)}, {_m(y)}) m"
        if self._tree is None:
            return where
        far, nearest = self._tree.query((x, y))
        place = self._places[int(nearest)]
        name = f"{place.kind} {place.id}"
        return f"{where} at {name}" if far < HERE_M else f"{where}, {far:.1f} m from {name}"

    def inside(self, cells: I32) -> tuple[str, ...]:
        if not self._places:
            return ()
        return tuple(self._places[int(k)].id for k in np.flatnonzero(np.isin(self._cells, cells)))

    def finding(self, kind: str, severity: str, cells: I32, at: int, loss: int, text: str) -> Finding:
        """`text` with {where} for the position and the places in the cells appended."""
        x, y = self.site.centre(at)
        places = self.inside(cells)
        tail = f"; there: {listed(places)}" if places else ""
        return Finding(kind, severity, cells, x, y, places, loss, text.format(where=self.at(at)) + tail)


def _m(metres: float) -> str:
    """Metres to the centimetre, as short as they can be said."""
    return f"{round(metres, 2) + 0.0:g}"


def listed(names: tuple[str, ...]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def count_of(number: int, noun: str) -> str:
    return f"{number} {noun}" if number != 1 else f"1 {noun}"


def cells_of(number: int) -> str:
    return f"{number} cells" if number != 1 else "1 cell"


def by_group(group: I32, count: int) -> Iterator[I32]:
    """The cells of each group, ascending."""
    cells = np.flatnonzero(group >= 0)
    order = np.argsort(group[cells], kind="stable")
    ends = np.cumsum(np.bincount(group[cells], minlength=count))
    for number in range(count):
        yield cells[order[ends[number - 1] if number else 0 : ends[number]]].astype(np.int32)


def _grouped(shape: Structure, kind: I32) -> Iterator[I32]:
    group = np.full(len(kind), -1, np.int32)
    yield from by_group(group, groups(shape.joined, kind, group))


def _reach(table: I32, start: int) -> Bool:
    dist, queue = np.empty(len(table), np.int32), np.empty(len(table), np.int32)
    bfs(table, start, dist, queue)
    reached: Bool = dist < UNREACHABLE
    return reached


LOST = (
    ("apart", "{size} around {{where}} are cut off from the rest of the floor: no robot gets in or out"),
    ("trap", "{size} around {{where}} can be entered but not left: their lanes lead only inwards, and robots that go there never come back"),
    ("no_entry", "{size} around {{where}} can be left but not entered: their lanes lead only outwards, and no robot gets there"),
)  # fmt: skip


def _lost_parts(words: Words, shape: Structure) -> Iterator[Finding]:
    """Free floor beside the largest strongly connected part."""
    if len(shape.parts) == 1:
        return
    start = int(np.flatnonzero(shape.part == 0)[0])
    kind = np.full(len(shape.part), -1, np.int32)
    beside = shape.part > 0
    kind[beside] = 0
    kind[beside & _reach(shape.nbr, start)] = 1
    kind[beside & _reach(shape.sources, start)] = 2
    for cells in _grouped(shape, kind):
        name, text = LOST[kind[cells[0]]]
        severity = "error" if name == "trap" or words.inside(cells) else "warning"
        yield words.finding(name, severity, cells, int(cells[len(cells) // 2]), len(cells), text.format(size=cells_of(len(cells))))


def _lost_places(words: Words, shape: Structure) -> Iterator[Finding]:
    """Places that cannot be reached from others, a finding for each strongly connected part that has places."""
    homes: dict[int, list[str]] = {}
    for place in words.site.places.values():
        homes.setdefault(int(shape.part[place.cell]), []).append(place.id)
    closed = homes.pop(-1, [])
    if closed:
        cells = np.array(sorted({words.site.places[p].cell for p in closed}), np.int32)
        yield words.finding("places", "error", cells, int(cells[0]), len(cells), "no robot can be at {where}: the cell is closed")
    parts = sorted(homes, key=lambda part: -len(homes[part]))[:MAX_GROUPS]
    if len(parts) < 2:
        return
    cell_of = {part: words.site.places[homes[part][0]].cell for part in parts}
    reach = {part: _reach(shape.sources, cell_of[part]) for part in parts}
    for part in parts:
        lacking = [other for other in parts if not reach[part][cell_of[other]]]
        if not lacking:
            continue
        from_ = tuple(name for other in lacking for name in homes[other])
        cells = np.array(sorted({words.site.places[p].cell for p in homes[part]}), np.int32)
        whence = "any other place" if len(lacking) == len(parts) - 1 else listed(from_)
        text = f"{listed(tuple(homes[part]))} cannot be reached from {whence}: orders there fail"
        x, y = words.site.centre(cell_of[part])
        yield Finding("places", "error", cells, x, y, tuple(homes[part]), len(cells), text)


def _spurs(words: Words, shape: Structure) -> Iterator[Finding]:
    """Dead ends, corridors and single cells that have no way round."""
    covered = np.zeros(len(shape.part), np.int64)  # of each mouth, what its dead ends and corridors already tell
    bays: list[I32] = []
    for cells in _grouped(shape, np.where(shape.tree, 0, -1).astype(np.int32)):
        around = shape.joined[cells]
        mouths = np.unique(around[(around >= 0) & ~shape.tree[around]])
        if not len(mouths) and len(cells) == 1:
            continue  # a lone cell: it is named among the parts
        loss = int(shape.loss[cells].max())
        if len(mouths) > 1:
            covered[mouths] += max(loss, len(cells))
            yield _corridor(words, cells, mouths, loss)
        elif len(cells) == 1:
            covered[mouths] += 1
            bays.append(cells)
        else:
            covered[mouths] += len(cells)
            yield _dead_end(words, cells, mouths)
    if bays:
        cells = np.concatenate(bays)
        yield words.finding(
            "bays", "note", cells, int(cells[0]), 1,
            f"{count_of(len(bays), 'bay' if len(bays) == 1 else 'bays')} of one cell, the first at {{where}}: who stands there leaves only through the cell before it",
        )  # fmt: skip
    standing = np.zeros(len(shape.part), np.bool_)
    standing[[p.cell for p in words.site.places.values()]] = True
    told = (shape.loss <= covered) & ~standing
    kind = np.where(shape.cut & ~shape.tree & ~told, 0, -1).astype(np.int32)
    for cells in _grouped(shape, kind):
        yield _cut(words, shape, cells)


def _dead_end(words: Words, cells: I32, mouths: I32) -> Finding:
    if not len(mouths):
        text = f"the {cells_of(len(cells))} around {{where}} form no cycle anywhere: two robots that meet cannot pass"
        return words.finding("dead_end", "warning", cells, int(cells[len(cells) // 2]), len(cells), text)
    text = (
        f"a dead end of {cells_of(len(cells))} opens at {{where}}: two robots that meet inside cannot pass, and robots wait "
        "for ever behind one that parks or breaks down there"
    )
    return words.finding("dead_end", "warning", cells, int(mouths[0]), len(cells), text)


def _corridor(words: Words, cells: I32, mouths: I32, loss: int) -> Finding:
    far = words.site.centre(int(mouths[-1]))
    text = (
        f"a passage one robot wide of {cells_of(len(cells))} from {{where}} to ({_m(far[0])}, {_m(far[1])}) m has no way round: two "
        f"robots that meet inside cannot pass, and one that parks or breaks down there cuts off {cells_of(loss)}"
    )
    return words.finding("corridor", "warning", cells, int(mouths[0]), loss, text)


def _cut(words: Words, shape: Structure, cells: I32) -> Finding:
    worst = int(cells[shape.loss[cells].argmax()])
    loss = int(shape.loss[worst])
    what = "the cell at {where} has" if len(cells) == 1 else f"{cells_of(len(cells))} around {{where}} have"
    text = f"{what} no way round: robots may have to wait for ever behind one that parks or breaks down there, which cuts off "
    return words.finding("cut", "warning", cells, worst, loss, text + ("up to " if len(cells) > 1 else "") + cells_of(loss))

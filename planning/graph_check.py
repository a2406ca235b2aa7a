"""What the floor of a site lets the traffic layer promise, and where it does not: run at load and after every closure.

The promise. PIBT's first robot in order always gets its next cell if every move u -> v lies on a simple cycle of at least
three cells (Okumura, Machida, Defago and Tamura, "Priority inheritance with backtracking for iterative multi-agent path
finding", Artificial Intelligence 310, 2022, lemma 1 and theorem 1: then every robot reaches its goal within the diameter
times the number of robots). That asks for robots that may move round in a closed ring. Ours do not, as of a plan without
rings each move can wait until the cell it enters has been left. Without rings, those whom the first robot pushes must find
an empty cell without crossing the cell it stands in. So: of every move u -> v, let R be the cells that can be reached from
v without u. Every robot reaches its goal while there are no more of them than the smallest R has cells: beside the first,
too few are left to fill R. Where moves all go both ways and no single cell cuts the floor (it is biconnected), R is all of
it but u, and one empty cell is enough. A one-way lane in which each cell has one way out costs as many empty cells as it
is long; a dead end leaves an R of its own cells, which is next to nothing. With directions, biconnected is not enough. Nor
is what is called strongly biconnected (strongly connected, and biconnected when directions are forgotten: Botea and
Surynek, AAAI 2015, who show that some plan exists there for any goals if two cells are empty): what exists need not be
found one step at a time.

A robot that stays (parks, charges, has broken down) is not pushed: floor behind it must have another way round. So cells
whose loss cuts the floor are named whether the promise holds or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from aislewise.errors import InputError
from aislewise.sitemap import SiteMap
from planning.distance import I32, Bool
from planning.graph_findings import Finding, Structure, findings
from planning.graph_kernels import I64, blocks, dominators, room
from planning.lane_graph import both_ways, leave_of, neighbours_of, sources_of

SEARCH_BUDGET = 200_000_000
"""Visits of cells, a few seconds, after which cells of one-way graphs are no longer searched round and count as unsafe."""


@dataclass(frozen=True)
class GraphReport:
    """What holds of the free cells that are not closed.

    one_way: pairs of neighbouring free cells with a move in one direction only. parts: cells of each strongly connected
    part, largest first; the promises are about the largest. blocks, largest_block: biconnected components of at least
    three cells, directions forgotten. cut_cells: (n,) cells without which their part is not strongly connected.
    strongly_biconnected: one part, one block. robots_most: how many robots there may be so that every one
    is sure to reach its goal if none that stays is in its way, 0 = that is not sure for any number; reaches_all_in_rings:
    it would be, for any number, if robots moved round in closed rings. unchecked: cells that the budget of the search did
    not reach. findings: worst first; left_out: how many
    more there are than are listed."""

    free: int
    one_way: int
    parts: tuple[int, ...]
    blocks: int
    largest_block: int
    cut_cells: I32
    strongly_biconnected: bool
    robots_most: int
    reaches_all_in_rings: bool
    unchecked: int
    findings: tuple[Finding, ...]
    left_out: int

    @property
    def reaches_all(self) -> bool:
        """The promise holds however crowded the floor is, one empty cell granted."""
        return self.robots_most > 1 and self.robots_most == self.parts[0] - 1

    @property
    def sound(self) -> bool:
        """Nothing is lost: every place can be reached from every other, and no lane traps a robot."""
        return not any(f.severity == "error" for f in self.findings)

    def promise(self) -> str:
        """The promise in a sentence."""
        if not self.parts:
            return "No cell is free."
        where = "" if len(self.parts) == 1 else f" on the largest part, {self.parts[0]} of {self.free} free cells,"
        if self.unchecked:
            return f"There is no promise that every robot{where} reaches its goal: {self.unchecked} cells were not checked."
        if self.robots_most < 2:
            return f"There is no promise that every robot{where} reaches its goal: there is floor with no way round, where robots rely on changing places."
        return f"Every robot{where} reaches its goal while at most {self.robots_most} are there and none that stays is in its way."

    def new_since(self, before: GraphReport) -> tuple[Finding, ...]:
        """Findings that `before` did not have: what a closure did."""
        known = {(f.kind, f.cells.tobytes()) for f in before.findings}
        return tuple(f for f in self.findings if (f.kind, f.cells.tobytes()) not in known)

    def to_json(self) -> dict[str, Any]:
        return {
            "free": self.free, "one_way": self.one_way, "parts": list(self.parts[:100]), "part_count": len(self.parts),
            "blocks": self.blocks, "largest_block": self.largest_block, "cut_cells": len(self.cut_cells),
            "strongly_biconnected": self.strongly_biconnected, "reaches_all": self.reaches_all,
            "reaches_all_in_rings": self.reaches_all_in_rings, "robots_most": self.robots_most,
            "unchecked": self.unchecked, "promise": self.promise(), "sound": self.sound,
            "findings": [f.to_json() for f in self.findings], "left_out": self.left_out,
        }  # fmt: skip


def check_graph(site: SiteMap, closed: Bool | None = None, *, budget: int = SEARCH_BUDGET) -> GraphReport:
    """The report on a site, with more cells closed than its map says if `closed` ((H, W) or (H * W,) bool) is given."""
    free = site.free
    if closed is not None:
        shut = np.asarray(closed, np.bool_)
        if shut.size != free.size:
            raise InputError("closed", f"{shut.size} cells", f"{free.size} cells")
        free = free & ~shut.reshape(free.shape)
    shape = analyse(free, site, budget)
    listed, left_out = findings(site, shape)
    main = shape.part == 0
    leaves = bool((main[:, None] & (shape.nbr >= 0) & (shape.part[shape.nbr] != 0)).any())
    whole = int(main.sum()) >= 3 and not leaves
    sizes = np.bincount(shape.block[shape.block >= 0], minlength=1) + 1
    return GraphReport(
        free=int(free.sum()), one_way=int((shape.joined >= 0).sum() - (shape.nbr >= 0).sum()), parts=shape.parts,
        blocks=int((sizes >= 3).sum()), largest_block=int(sizes.max()) if sizes.max() >= 3 else 0,
        cut_cells=np.flatnonzero(shape.cut).astype(np.int32),
        strongly_biconnected=len(shape.parts) == 1 and len(sizes) == 1 and int(sizes[0]) >= 3,
        robots_most=shape.room if whole and not shape.unchecked else 0,
        reaches_all_in_rings=whole and not bool((shape.narrow & main).any()), unchecked=shape.unchecked, findings=listed, left_out=left_out,
    )  # fmt: skip


def analyse(free: Bool, site: SiteMap, budget: int = SEARCH_BUDGET) -> Structure:
    """Parts, blocks, cut cells and cells without cycles of the directed graph of the free cells."""
    leave = leave_of(site)
    open_ = np.ascontiguousarray(free.ravel())
    nbr = neighbours_of(free, leave)
    sources = nbr if leave is None else sources_of(free, leave)
    joined = nbr if leave is None else both_ways(nbr, sources)
    cells = free.size
    piece, block = np.full(cells, -1, np.int32), np.full(cells, -1, np.int32)
    cut, cyclic, narrow = (np.zeros(cells, np.bool_) for _ in range(3))
    apart, most, least = np.zeros(cells, np.int64), np.zeros(cells, np.int64), np.full(cells, cells, np.int64)
    pieces = blocks(joined, open_, piece, block, cut, cyclic, narrow, apart, most, least)
    space, unchecked = 0, 0
    if leave is None:
        part, parts = _largest_first(piece, pieces)
        rest = np.array([*parts, 0])[part] - 1 - apart
        loss = np.where(cut, apart + rest - np.maximum(most, rest), 0)
        pieces_of_main = np.where(rest > 0, np.minimum(least, rest), least)[cut & (part == 0)]
        space = int(min(pieces_of_main, default=parts[0] - 1)) if parts else 0
    else:
        part, parts = strong_parts(nbr, open_)
        loss, narrow, space, unchecked = _strong_cuts(nbr, sources, part, parts, budget)
    return Structure(
        nbr, sources, joined, part, parts, block, loss > 0, loss, narrow, open_ & ~cyclic, space, unchecked
    )


def _strong_cuts(nbr: I32, sources: I32, part: I32, parts: tuple[int, ...], budget: int) -> tuple[I64, Bool, int, int]:
    """((cells,) how many cells of its strongly connected part are lost to the others without each cell, (cells,) bool:
    is it on a move that lies on no cycle of three cells or more, and the results of planning.graph_kernels.room)"""
    if not parts:
        return np.zeros(len(nbr), np.int64), np.zeros(len(nbr), np.bool_), 0, 0
    label, first = np.unique(part, return_index=True)
    roots = first[label >= 0].astype(np.int32)
    size = np.array([*parts, 0])[part]
    loss, narrow = np.zeros(len(nbr), np.int64), np.zeros(len(nbr), np.bool_)
    trees: list[I32] = []
    for succ, pred in ((nbr, sources), (sources, nbr)):
        behind, begin, bridge = (np.full(len(nbr), start, np.int32) for start in (0, -1, -1))
        dominators(succ, pred, part, roots, behind, begin, bridge)
        trees += [behind, begin]
        loss = np.maximum(loss, np.minimum(behind, size - 1 - behind))
        # The move against a bridge lies on no cycle but that of the two, if there is such a move.
        cells = np.flatnonzero((bridge >= 0) & (succ == bridge[:, None]).any(axis=1))
        narrow[cells] = narrow[bridge[cells]] = True
    loss[roots] = 0
    rest = part >= 0
    rest[roots] = False
    within = np.where((nbr >= 0) & (part[nbr] == part[:, None]) & rest[nbr] & rest[:, None], nbr, -1)
    within = np.take_along_axis(within, np.argsort(within < 0, axis=1, kind="stable"), axis=1)
    pieces, sizes = strong_parts(within, rest)
    largest = np.zeros(len(parts), np.int64)
    np.maximum.at(largest, part[rest], np.array(sizes, np.int64)[pieces[rest]])
    loss[roots] = np.array(parts) - 1 - largest
    ahead, ahead_begin, behind, behind_begin = trees
    space, unchecked = room(nbr, part, int(roots[0]), ahead, ahead_begin, behind, behind_begin, parts[0], budget)
    return loss, narrow, int(space), int(unchecked)


def strong_parts(nbr: I32, open_: Bool) -> tuple[I32, tuple[int, ...]]:
    """((cells,) strongly connected part of each cell, -1 closed; their sizes), largest first (scipy: Pearce 2005)."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    ends = np.zeros(len(nbr) + 1, np.int32)
    np.cumsum((nbr >= 0).sum(axis=1), out=ends[1:])
    heads = nbr[nbr >= 0]
    graph = csr_matrix((np.ones(len(heads), np.int8), heads, ends), shape=(len(nbr), len(nbr)))
    count, raw = connected_components(graph, directed=True, connection="strong")
    return _largest_first(np.where(open_, raw, -1).astype(np.int32), count)


def _largest_first(raw: I32, count: int) -> tuple[I32, tuple[int, ...]]:
    """Labels renumbered by size; labels that no open cell has are dropped."""
    sizes = np.bincount(raw[raw >= 0], minlength=count)
    order = np.argsort(-sizes, kind="stable")
    rank = np.full(count + 1, -1, np.int32)
    rank[order] = np.arange(count)
    rank[-1] = -1
    return rank[raw], tuple(int(n) for n in sizes[order] if n)

"""Lane graphs of other systems on our grid, and the grid as such a graph: what planning.rmf_graph and planning.lif share.

Every lane becomes a chain of cells that touch by their edges, and may be driven along the chain only: cells of two lanes
that lie beside each other are not joined. All other floor is closed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from aislewise.lanes import EAST, NORTH, SOUTH, WEST, Lanes, layer_of
from aislewise.sitemap import CLOSED, MAX_CELLS, OPEN, Place, SiteMap
from planning.distance import I32
from planning.lane_graph import leave_of, neighbours_of

MAX_FILE_BYTES, MAX_NODES, MAX_EDGES = 64 << 20, 200_000, 1_000_000
MIN_RESOLUTION_M, MAX_RESOLUTION_M, USUAL_RESOLUTION_M = 0.05, 10.0, 1.0
HALVINGS = 3
SAME_M = 1e-3
MAX_EXPORT_CELLS = 200_000
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Node:
    """A point of a lane graph, in `map`. kind: of the place there, "" = none; place: its id; thing: where what is worked
    at lies, None = at the point; yaw_rad: the heading taken there, None = that of the lane that leads there."""

    name: str
    x_m: float
    y_m: float
    kind: str = ""
    place: str = ""
    yaw_rad: float | None = None
    thing: Point | None = None
    only: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Edge:
    """A lane from node to node, one way. speed_mps: inf = no limit; only: who may drive there, empty = all; via: points
    between its ends."""

    name: str
    start: int
    end: int
    speed_mps: float = math.inf
    only: frozenset[str] = frozenset()
    via: tuple[Point, ...] = ()


@dataclass
class Notes:
    """What a file says that a site cannot hold, or the other way round: a line a feature, never silently dropped."""

    _seen: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, feature: str, where: str, meaning: str) -> None:
        self._seen.setdefault((feature, meaning), []).append(where)

    def lines(self) -> list[str]:
        out = []
        for (feature, meaning), places in self._seen.items():
            more = f" and {len(places) - 1} more" if len(places) > 1 else ""
            out.append(f"{feature} ({places[0]}{more}): {meaning}")
        return out


def site_of_graph(
    name: str, nodes: Sequence[Node], edges: Sequence[Edge], resolution_m: float | None, notes: Notes
) -> SiteMap:
    """The site of a lane graph. resolution_m: None = the largest up to 1 m at which no two nodes share a cell, halved
    while lanes share cells with lanes that they do not join. Raises InputError."""
    if not edges:
        raise InputError("lanes", "there are none")
    for what, items, most in (("nodes", nodes, MAX_NODES), ("lanes", edges, MAX_EDGES)):
        if len(items) > most:
            raise InputError(what, f"{len(items)}", most)
    if resolution_m is None:
        resolution, tries = _widest(nodes), HALVINGS
    else:
        resolution, tries = resolution_m, 0
        if not MIN_RESOLUTION_M <= resolution <= MAX_RESOLUTION_M:
            raise InputError("resolution_m", f"{resolution}", f"{MIN_RESOLUTION_M} to {MAX_RESOLUTION_M} m")
    drawn = _Drawn(nodes, edges, resolution)
    while tries and drawn.shared and resolution / 2 >= MIN_RESOLUTION_M and 4 * drawn.size <= MAX_CELLS:
        tries, resolution = tries - 1, resolution / 2
        finer = _Drawn(nodes, edges, resolution)
        if len(finer.shared) < len(drawn.shared):
            drawn = finer
    for cell, one, other in drawn.shared:
        x, y = drawn.centre(cell)
        notes.add("lanes share cells", f"{one} and {other} at ({x:g}, {y:g}) m", "robots may turn from one into the other there")
    return drawn.site(name, notes)


def _widest(nodes: Sequence[Node]) -> float:
    """The largest resolution up to the usual one at which all nodes that differ lie in different cells, to the mm."""
    from scipy.spatial import cKDTree

    points = np.unique(np.round([(n.x_m, n.y_m) for n in nodes], 4), axis=0)
    if len(points) < 2:
        return USUAL_RESOLUTION_M
    far, _ = cKDTree(points).query(points, k=2, p=np.inf)
    apart = float(far[:, 1].min())
    if apart < MIN_RESOLUTION_M:
        x, y = points[int(far[:, 1].argmin())]
        raise InputError("nodes", f"two are {apart:.4f} m apart at ({x:g}, {y:g})", f"{MIN_RESOLUTION_M} m, or one of them")
    return min(USUAL_RESOLUTION_M, math.floor(apart * 1000 + 0.11) / 1000)  # rounding took up to 0.1 mm


class _Drawn:
    """A lane graph drawn on cells; one closed cell is left round it."""

    def __init__(self, nodes: Sequence[Node], edges: Sequence[Edge], resolution: float) -> None:
        points = np.array([(n.x_m, n.y_m) for n in nodes] + [p for e in edges for p in e.via], np.float64)
        self.nodes, self.edges, self.resolution = nodes, edges, resolution
        self.x, self.y = (float(v) - 1.5 * resolution for v in points.min(axis=0))
        spans = (points.max(axis=0) - points.min(axis=0)) / resolution
        self.width, self.height = (int(v + 1e-6) + 4 for v in spans)
        self.size = self.width * self.height
        if self.size > MAX_CELLS:
            raise InputError("resolution_m", f"{resolution:g} gives {self.size} cells", f"{MAX_CELLS} cells")
        self.home = [self._cell(n.x_m, n.y_m) for n in nodes]
        self._check_homes()
        self.chains = [self._chain(edge) for edge in edges]
        self.shared = list(self._meetings())

    def centre(self, cell: int) -> Point:
        row, col = divmod(cell, self.width)
        return self.x + (col + 0.5) * self.resolution, self.y + (row + 0.5) * self.resolution

    def _cell(self, x: float, y: float) -> int:
        return math.floor((y - self.y) / self.resolution) * self.width + math.floor((x - self.x) / self.resolution)

    def _check_homes(self) -> None:
        """Only nodes at one point may share a cell."""
        first: dict[int, Node] = {}
        for node, cell in zip(self.nodes, self.home):
            other = first.setdefault(cell, node)
            if max(abs(node.x_m - other.x_m), abs(node.y_m - other.y_m)) > SAME_M:
                apart = max(abs(node.x_m - other.x_m), abs(node.y_m - other.y_m))
                raise InputError("resolution_m", f"{other.name} and {node.name} share a cell of {self.resolution:g} m", f"{apart:.3g} m")

    def _chain(self, edge: Edge) -> list[int]:
        start, end = self.nodes[edge.start], self.nodes[edge.end]
        points = [(start.x_m, start.y_m), *edge.via, (end.x_m, end.y_m)]
        cells = [self._cell(*points[0])]
        for a, b in zip(points[:-1], points[1:]):
            line = self._line(a, b) if a <= b else self._line(b, a)[::-1]  # the same cells either way
            cells += line[1:]
        return cells

    def _line(self, a: Point, b: Point) -> list[int]:
        """Cells from a to b, each beside the last: in the order in which the line enters columns and rows."""
        (c0, r0), (c1, r1) = (((p[0] - self.x) / self.resolution, (p[1] - self.y) / self.resolution) for p in (a, b))
        times, steps = [], []
        for low, high, stride in ((c0, c1, 1), (r0, r1, self.width)):
            crossed = np.arange(math.floor(min(low, high)) + 1, math.floor(max(low, high)) + 1)
            times.append((crossed - low) / (high - low) if len(crossed) else np.empty(0))
            steps.append(np.full(len(crossed), stride if high > low else -stride))
        order = np.argsort(np.concatenate(times), kind="stable")
        cells = np.concatenate([[0], np.cumsum(np.concatenate(steps)[order])]) + self._cell(*a)
        return [int(c) for c in cells]

    def _meetings(self) -> Iterator[tuple[int, str, str]]:
        """Cells at which a lane runs into one, or over a node, that it does not join: (cell, names of both)."""
        owner: dict[int, int] = {}
        node_at = dict(zip(self.home, range(len(self.nodes))))
        seen: set[tuple[int, int]] = set()
        for number, (edge, chain) in enumerate(zip(self.edges, self.chains)):
            ends = {self.home[edge.start], self.home[edge.end]}
            for cell in chain[1:-1]:
                if cell in ends:
                    continue
                if cell in node_at and (number, -node_at[cell] - 1) not in seen:
                    seen.add((number, -node_at[cell] - 1))
                    yield cell, edge.name, self.nodes[node_at[cell]].name
                other = owner.setdefault(cell, number)
                theirs = {self.home[self.edges[other].start], self.home[self.edges[other].end]}
                if not ends & theirs and (other, number) not in seen:
                    seen.add((other, number))
                    yield cell, self.edges[other].name, edge.name

    def site(self, name: str, notes: Notes) -> SiteMap:
        shape = (self.height, self.width)
        cells, leave = np.full(self.size, CLOSED, np.uint8), np.zeros(self.size, np.uint8)
        bits = {1: EAST, self.width: NORTH, -1: WEST, -self.width: SOUTH}
        cells[self.home] = OPEN
        for chain in self.chains:
            cells[chain] = OPEN
            for here, there in zip(chain[:-1], chain[1:]):
                leave[here] |= bits[there - here]
        # Nothing is said of moves into closed cells: so maps without one-way lanes say nothing at all.
        free = (cells == OPEN).reshape(shape)
        everywhere = np.zeros(shape, np.uint8)
        for bit, (here, there) in _beside().items():
            blocked = np.ones(shape, np.bool_)
            blocked[here] = ~free[there]
            everywhere |= np.where(blocked | ~free, bit, 0).astype(np.uint8)
        directions = leave.reshape(shape) | everywhere
        lanes = Lanes(
            directions if (directions != 15).any() else None,
            layer_of(_masks(self._speeds(), shape), shape),
            layer_of(_masks(self._rights(), shape), shape),
        )
        said = lanes if any((lanes.leave is not None, lanes.speed_mps, lanes.only)) else None
        return SiteMap(name, self.resolution, self.x, self.y, cells.reshape(shape), self._places(notes), lanes=said)

    def _speeds(self) -> dict[int, float]:
        """Between nodes the least of the lanes there; at a node the most of those that leave it, else of all."""
        inner: dict[int, float] = {}
        leaving: dict[int, float] = {}
        coming: dict[int, float] = {}
        for edge, chain in zip(self.edges, self.chains):
            for cell in chain[1:-1]:
                inner[cell] = min(inner.get(cell, math.inf), edge.speed_mps)
            leaving[chain[0]] = max(leaving.get(chain[0], 0.0), edge.speed_mps)
            coming[chain[-1]] = max(coming.get(chain[-1], 0.0), edge.speed_mps)
        return {c: v for c, v in {**inner, **coming, **leaving}.items() if v < math.inf}

    def _rights(self) -> dict[int, frozenset[str]]:
        """Who may be at a node, and between nodes on any lane through a cell; cells that are open to all are left out."""
        rights: dict[int, frozenset[str]] = {}
        everyone: set[int] = set()
        for edge, chain in zip(self.edges, self.chains):
            if edge.only:
                for cell in chain[1:-1]:
                    rights[cell] = rights.get(cell, frozenset()) | edge.only
            else:
                everyone.update(chain[1:-1])
        inner = {c: names for c, names in rights.items() if c not in everyone}
        at_nodes = {cell: node.only for node, cell in zip(self.nodes, self.home)}
        return {c: names for c, names in {**inner, **at_nodes}.items() if names}

    def _places(self, notes: Notes) -> dict[str, Place]:
        arrives = {chain[-1]: chain for chain in self.chains if len(chain) > 1}
        places: dict[str, Place] = {}
        for node, cell in zip(self.nodes, self.home):
            if not node.kind:
                continue
            if node.place in places:
                raise InputError("places", f"{node.place!r} is there twice")
            yaw = node.yaw_rad
            if yaw is None:
                (x0, y0), (x1, y1) = (self.centre(c) for c in (arrives[cell][-2:] if cell in arrives else (cell, cell)))
                yaw = math.atan2(y1 - y0, x1 - x0)
            x, y = node.thing or (node.x_m, node.y_m)
            places[node.place] = Place(node.place, node.kind, cell, x, y, yaw)
        return places


def _beside() -> dict[int, tuple[Any, Any]]:
    """Of each direction, the cells that have a neighbour there, and those neighbours, as indices."""
    whole, low, high = slice(None), slice(None, -1), slice(1, None)
    return {
        EAST: ((whole, low), (whole, high)), NORTH: ((low, whole), (high, whole)),
        WEST: ((whole, high), (whole, low)), SOUTH: ((high, whole), (low, whole)),
    }  # fmt: skip


def _masks(values: dict[int, Any], shape: tuple[int, int]) -> dict[Any, NDArray[np.bool_]]:
    masks: dict[Any, NDArray[np.bool_]] = {}
    for cell, value in values.items():
        masks.setdefault(value, np.zeros(shape, np.bool_)).flat[cell] = True
    return masks


# ---- the other way -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class CellGraph:
    """A site as a lane graph: a node for each free cell, a lane for each move. cells: (n,) int32; moves: (m, 2) indices
    into cells; speed_mps: (m,) of the cell left, inf = no limit; only: of each cell, who may enter, empty = all; place: of each
    cell, its place."""

    cells: I32
    moves: I32
    speed_mps: NDArray[np.float64]
    only: list[frozenset[str]]
    place: dict[int, Place]


def graph_of_site(site: SiteMap, carries: Iterable[str], notes: Notes) -> CellGraph:
    """carries: which of "only", "heading" and "parking" the format can say; all else that is lost goes into notes."""
    cells = np.flatnonzero(site.free).astype(np.int32)
    if len(cells) > MAX_EXPORT_CELLS:
        raise InputError("site", f"{len(cells)} free cells", MAX_EXPORT_CELLS)
    index = np.full(site.cells.size, -1, np.int32)
    index[cells] = np.arange(len(cells))
    table = neighbours_of(site.free, leave_of(site))[cells]
    start, way = np.nonzero(table >= 0)
    moves = np.stack([start, index[table[start, way]]], axis=1).astype(np.int32)
    said = site.lanes.only if site.lanes is not None else None
    names: list[frozenset[str]] = [frozenset(), *(said.values if said is not None else ())]
    codes = said.codes.ravel()[cells].tolist() if said is not None else [0] * len(cells)
    place: dict[int, Place] = {}
    for item in site.places.values():
        if item.cell in place:
            raise InputError(f"places.{item.id}", f"shares its cell with {place[item.cell].id}", "one place a cell")
        place[item.cell] = item
    tell_lost(site, {"lanes", "speed", "places", *carries}, notes)
    return CellGraph(cells, moves, site.speed_limits().ravel()[cells[start]], [names[c] for c in codes], place)


def tell_lost(site: SiteMap, carries: set[str], notes: Notes) -> None:
    """Notes what of the site a format does not carry."""
    lanes = site.lanes or Lanes()
    lost = (
        ("lanes", leave_of(site) is not None, "one-way lanes"), ("speed", lanes.speed_mps is not None, "speed limits"),
        ("only", lanes.only is not None, "lanes for some robots only"), ("width", lanes.width_cells is not None, "clear widths"),
        ("zones", bool(site.zones), "zones"), ("places", bool(site.places), "places"),
        ("heading", any(p.yaw_rad for p in site.places.values()), "headings at places"), ("skus", bool(site.skus), "SKUs"),
    )  # fmt: skip
    for key, there, words in lost:
        if there and key not in carries and not (key == "heading" and "places" not in carries):
            notes.add(words, site.name, "the format has no room for them")


# ---- reading ---------------------------------------------------------------------------------------------


def text_of(where: str, path: str | Path) -> str:
    """A file's text; InputError if it cannot be read or is too large."""
    file = Path(path)
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise InputError(where, f"{file.stat().st_size} bytes", MAX_FILE_BYTES)
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(where, f"{file.name} is not text") from None
    except OSError as error:
        raise InputError(where, f"cannot read {file}: {error.strerror}") from None


def write_text(path: str | Path, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError("out", f"cannot write {path}: {error.strerror}") from None


def number(where: str, value: Any, low: float = -1e6, high: float = 1e6) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise InputError(where, f"{value!r}", f"{low:g} to {high:g}")
    return float(value)


def entry(where: str, data: Any, key: str, kind: type[Any]) -> Any:
    """data[key], which must be there and of that type."""
    if not isinstance(data, dict) or key not in data:
        raise InputError(f"{where}.{key}" if where else key, "is missing")
    if not isinstance(data[key], kind):
        raise InputError(f"{where}.{key}" if where else key, f"{type(data[key]).__name__}", kind.__name__)
    return data[key]

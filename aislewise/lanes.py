"""What a site map says of its floor beside open and closed: which way a cell may be left, how fast and by whom, how wide
a robot may be there, and zones that are shut or slow at times."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from aislewise.errors import InputError
from aislewise.types import F64, U8

Bool = NDArray[np.bool_]
T = TypeVar("T", float, int, frozenset[str])

EAST, NORTH, WEST, SOUTH = 1, 2, 4, 8
"""Bits of `Lanes.leave`: to +x, +y, -x, -y."""
ANY_WAY = EAST | NORTH | WEST | SOUTH
STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""(row, col) step of each bit, lowest bit first."""
KEYS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
"""In JSON, the character of each value of a layer; '.' = nothing is said."""
MAX_SPEED_MPS, MAX_WIDTH_CELLS, MAX_CLASSES, MAX_ZONES, MAX_CORNERS = 20.0, 100, 32, 1000, 1000
ZONE_KINDS = ("keep_out", "slow")
DAY_S = 86_400.0
EDGE = 1e-9
"""Share of a cell by which rounding may put an edge of a zone on the wrong side of a cell's."""


@dataclass(frozen=True)
class Layer(Generic[T]):
    """One property of cells. codes: (H, W) uint8, 0 = nothing is said, k = values[k - 1]."""

    codes: U8
    values: tuple[T, ...]

    def spread(self, default: float) -> F64:
        """(H, W) float64 values of a layer of numbers; `default` where nothing is said."""
        table = np.array([default, *self.values], np.float64)
        return table[self.codes]

    def where(self, holds: Callable[[T], bool]) -> Bool:
        """(H, W) bool: where nothing is said, or what is said holds."""
        table = np.array([True, *(holds(value) for value in self.values)], np.bool_)
        return table[self.codes]


@dataclass(frozen=True)
class Lanes:
    """Properties of cells; None: the same as everywhere. All arrays are (H, W).

    leave: uint8, the directions in which a cell may be left, a sum of EAST, NORTH, WEST and SOUTH. speed_mps: most
    that robots drive in a cell. only: a robot enters only if it has one of these names among its skills. width_cells:
    the widest robot, in cells, that may be there, where that is less than the free floor would allow."""

    leave: U8 | None = None
    speed_mps: Layer[float] | None = None
    only: Layer[frozenset[str]] | None = None
    width_cells: Layer[int] | None = None

    def check(self, shape: tuple[int, int]) -> None:
        """Raises InputError naming the field unless all fits a site of that shape."""
        if self.leave is not None:
            if self.leave.shape != shape or self.leave.dtype != np.uint8:
                raise InputError("lanes.leave", f"{self.leave.dtype} {self.leave.shape}", f"uint8 {shape}")
            if self.leave.size and int(self.leave.max()) > ANY_WAY:
                raise InputError("lanes.leave", f"{int(self.leave.max())}", f"0 to {ANY_WAY}")
        _check_layer("lanes.speed_mps", self.speed_mps, shape, _check_speed)
        _check_layer("lanes.only", self.only, shape, _check_names)
        _check_layer("lanes.width_cells", self.width_cells, shape, _check_width)

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        if self.leave is not None:
            out["leave"] = ["".join("0123456789abcdef"[v] for v in row) for row in self.leave.tolist()]
        for name, layer in (("speed_mps", self.speed_mps), ("width_cells", self.width_cells), ("only", self.only)):
            if layer is not None:
                out[name] = {
                    "key": {k: sorted(v) if isinstance(v, frozenset) else v for k, v in zip(KEYS, layer.values)},
                    "rows": ["".join(("." + KEYS)[v] for v in row) for row in layer.codes.tolist()],
                }
        return out

    @staticmethod
    def from_json(data: Any, shape: tuple[int, int]) -> Lanes:
        """Reads what to_json wrote, for a site of `shape` (H, W)."""
        _known("lanes", data, ("leave", "speed_mps", "only", "width_cells"))
        leave = None
        if "leave" in data:
            leave = _rows("lanes.leave", data["leave"], shape, "0123456789abcdef")
        lanes = Lanes(
            leave,
            _layer("lanes.speed_mps", data, shape, float),
            _layer("lanes.only", data, shape, frozenset),
            _layer("lanes.width_cells", data, shape, int),
        )
        lanes.check(shape)
        return lanes


@dataclass(frozen=True, slots=True)
class Zone:
    """Floor that is shut ("keep_out") or where robots drive no faster than speed_mps ("slow").

    polygon: corners (x_m, y_m) in `map`; every cell that it overlaps counts. from_s, to_s: when it holds, from the first
    until before the second; None = without beginning or end. daily: both are seconds after midnight, and a zone from
    22:00 to 06:00 holds over night; else seconds of the clock of the plan (UTC on robots, from 0 in simulation)."""

    id: str
    kind: str
    polygon: tuple[tuple[float, float], ...]
    speed_mps: float = 0.0
    from_s: float | None = None
    to_s: float | None = None
    daily: bool = False
    reason: str = ""

    def __post_init__(self) -> None:
        where = f"zones.{self.id}"
        if not 1 <= len(self.id) <= 64:
            raise InputError("zones.id", f"{len(self.id)} characters", "1 to 64")
        if self.kind not in ZONE_KINDS:
            raise InputError(f"{where}.kind", f"{self.kind!r}", ZONE_KINDS)
        if not 3 <= len(self.polygon) <= MAX_CORNERS:
            raise InputError(f"{where}.polygon", f"{len(self.polygon)} corners", f"3 to {MAX_CORNERS}")
        if not all(math.isfinite(v) and abs(v) <= 1e6 for corner in self.polygon for v in corner):
            raise InputError(f"{where}.polygon", "a corner is not finite", "-1e6 to 1e6 m")
        if self.kind == "slow":
            _check_speed(f"{where}.speed_mps", self.speed_mps)
        if len(self.reason) > 200:
            raise InputError(f"{where}.reason", f"{len(self.reason)} characters", 200)
        self._check_times(where)

    def _check_times(self, where: str) -> None:
        most = DAY_S if self.daily else math.inf
        for name, value in (("from_s", self.from_s), ("to_s", self.to_s)):
            if value is not None and not (math.isfinite(value) and 0.0 <= value <= most):
                raise InputError(f"{where}.{name}", f"{value}", f"0 to {most:g} s")
        if self.daily and (self.from_s is None or self.to_s is None):
            raise InputError(f"{where}.daily", "needs from_s and to_s")
        if self.from_s is not None and self.to_s is not None:
            if self.from_s == self.to_s or (self.from_s > self.to_s and not self.daily):
                raise InputError(f"{where}.to_s", f"{self.to_s:g}", f"after from_s {self.from_s:g}")

    def holds(self, now_s: float, utc_offset_s: float = 0.0) -> bool:
        """Does it hold at `now_s`? utc_offset_s: what local time is ahead of the clock, for daily zones."""
        begin, end = self.from_s, self.to_s
        if not self.daily or begin is None or end is None:
            return (begin is None or now_s >= begin) and (end is None or now_s < end)
        at = (now_s + utc_offset_s) % DAY_S
        return begin <= at < end if begin < end else at >= begin or at < end

    def next_change_s(self, now_s: float, utc_offset_s: float = 0.0) -> float:
        """The first moment after `now_s` at which it begins or ends; inf = never."""
        times = [t for t in (self.from_s, self.to_s) if t is not None]
        if self.daily:
            at = (now_s + utc_offset_s) % DAY_S
            return min(now_s + ((t - at) % DAY_S or DAY_S) for t in times)
        return min((t for t in times if t > now_s), default=math.inf)

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"id": self.id, "kind": self.kind, "polygon": [list(c) for c in self.polygon]}
        if self.kind == "slow":
            out["speed_mps"] = self.speed_mps
        for name in ("from_s", "to_s", "daily", "reason"):
            if getattr(self, name) not in (None, False, ""):
                out[name] = getattr(self, name)
        return out


def zones_from_json(data: Any) -> tuple[Zone, ...]:
    """Reads a list of what Zone.to_json wrote. Raises InputError naming the field."""
    if not isinstance(data, list) or len(data) > MAX_ZONES:
        raise InputError("zones", "must be a list", f"at most {MAX_ZONES} zones")
    zones: list[Zone] = []
    for number, said in enumerate(data):
        where = f"zones[{number}]"
        _known(where, said, ("id", "kind", "polygon", "speed_mps", "from_s", "to_s", "daily", "reason"))
        for key in ("id", "kind", "polygon"):
            if key not in said:
                raise InputError(f"{where}.{key}", "is missing")
        try:
            corners = tuple((float(x), float(y)) for x, y in said["polygon"])
            times = {k: float(said[k]) for k in ("from_s", "to_s") if said.get(k) is not None}
            speed = float(said.get("speed_mps", 0.0))
        except (TypeError, ValueError) as error:
            raise InputError(where, f"malformed: {error}", "polygon [[x, y], ...] and numbers") from None
        if not isinstance(said.get("daily", False), bool):
            raise InputError(f"{where}.daily", f"{said['daily']!r}", "true or false")
        zones.append(
            Zone(str(said["id"]), str(said["kind"]), corners, speed, **times,
                 daily=said.get("daily", False), reason=str(said.get("reason", "")))
        )  # fmt: skip
    return tuple(zones)


def cells_of(polygon: Iterable[tuple[float, float]], shape: tuple[int, int]) -> Bool:
    """(H, W) bool: the cells that a polygon overlaps. Corners (x, y) in cells from the corner of cell (0, 0); where its
    edges cross one another, what they enclose twice is outside (even-odd rule)."""
    corners = np.array(list(polygon), np.float64)
    height, width = shape
    out = np.zeros(shape, np.bool_)
    ends = np.roll(corners, -1, axis=0)
    centres = np.arange(width) + 0.5
    low = max(0, math.floor(corners[:, 1].min()))
    for row in range(low, min(height, math.ceil(corners[:, 1].max()))):
        y = row + 0.5
        crossing = (corners[:, 1] <= y) != (ends[:, 1] <= y)
        (x0, y0), (x1, y1) = corners[crossing].T, ends[crossing].T
        at = np.sort(x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        out[row] = np.searchsorted(at, centres) % 2 == 1
        for first, last in _touched(corners, ends, row):
            out[row, max(0, first) : max(0, last + 1)] = True
    return out


def _touched(starts: F64, ends: F64, row: int) -> list[tuple[int, int]]:
    """First and last column of what each edge passes through in a row of cells."""
    bottom, top = row + EDGE, row + 1 - EDGE
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    inside = (high > bottom) & (low < top)
    a, b = starts[inside], ends[inside]
    rise = b[:, 1] - a[:, 1]
    flat = np.abs(rise) < EDGE
    slope = np.where(flat, 0.0, (b[:, 0] - a[:, 0]) / np.where(flat, 1.0, rise))
    x0 = np.where(flat, a[:, 0], a[:, 0] + (np.clip(a[:, 1], bottom, top) - a[:, 1]) * slope)
    x1 = np.where(flat, b[:, 0], a[:, 0] + (np.clip(b[:, 1], bottom, top) - a[:, 1]) * slope)
    first = np.floor(np.minimum(x0, x1) + EDGE).astype(np.int64)
    last = np.ceil(np.maximum(x0, x1) - EDGE).astype(np.int64) - 1
    return [(int(f), int(v)) for f, v in zip(first, last) if f <= v]


def layer_of(values: Mapping[T, Bool], shape: tuple[int, int]) -> Layer[T] | None:
    """A layer from a mask (H, W) for each value, later ones over earlier; None when nothing is said anywhere."""
    codes, kept = np.zeros(shape, np.uint8), list(values)
    if len(kept) > len(KEYS):
        raise InputError("lanes", f"{len(kept)} different values in one layer", len(KEYS))
    for number, value in enumerate(kept):
        codes[values[value]] = number + 1
    return Layer(codes, tuple(kept)) if codes.any() else None


def _check_layer(where: str, layer: Layer[Any] | None, shape: tuple[int, int], check: Callable[[str, Any], None]) -> None:
    if layer is None:
        return
    if layer.codes.shape != shape or layer.codes.dtype != np.uint8:
        raise InputError(where, f"{layer.codes.dtype} {layer.codes.shape}", f"uint8 {shape}")
    if len(layer.values) > len(KEYS):
        raise InputError(where, f"{len(layer.values)} different values", len(KEYS))
    if layer.codes.size and int(layer.codes.max()) > len(layer.values):
        raise InputError(where, f"code {int(layer.codes.max())}", f"{len(layer.values)} values")
    for value in layer.values:
        check(where, value)


def _check_speed(where: str, value: Any) -> None:
    if isinstance(value, bool) or not (math.isfinite(value) and 0.0 < value <= MAX_SPEED_MPS):
        raise InputError(where, f"{value}", f"above 0, at most {MAX_SPEED_MPS:g} m/s")


def _check_names(where: str, value: Any) -> None:
    if not 1 <= len(value) <= MAX_CLASSES or not all(isinstance(n, str) and 0 < len(n) <= 64 for n in value):
        raise InputError(where, f"{sorted(map(str, value))[:4]}", f"1 to {MAX_CLASSES} names of at most 64 characters")


def _check_width(where: str, value: Any) -> None:
    if not 1 <= value <= MAX_WIDTH_CELLS:
        raise InputError(where, f"{value}", f"1 to {MAX_WIDTH_CELLS} cells")


def _layer(where: str, data: Any, shape: tuple[int, int], kind: Callable[[Any], Any]) -> Layer[Any] | None:
    said = data.get(where.rpartition(".")[2])
    if said is None:
        return None
    _known(where, said, ("key", "rows"))
    key = said.get("key")
    if not isinstance(key, dict) or not all(len(k) == 1 and k in KEYS for k in key):
        raise InputError(f"{where}.key", "must be an object", "one letter or digit a value")
    for name, value in key.items():
        good = isinstance(value, list) if kind is frozenset else isinstance(value, (int, float))
        if not good or (kind is int and value != int(value)):
            raise InputError(f"{where}.key.{name}", f"{value!r}", "a list of names" if kind is frozenset else "a number")
        if kind is frozenset and not all(isinstance(n, str) for n in value):
            raise InputError(f"{where}.key.{name}", f"{value!r}", "a list of names")
    codes = _rows(f"{where}.rows", said.get("rows"), shape, "." + "".join(key))
    return Layer(codes, tuple(kind(value) for value in key.values()))


def _rows(where: str, rows: Any, shape: tuple[int, int], alphabet: str) -> U8:
    height, width = shape
    if not isinstance(rows, list) or len(rows) != height:
        raise InputError(where, "must be a list", f"{height} rows")
    code = {char: number for number, char in enumerate(alphabet)}
    for number, row in enumerate(rows):
        if not isinstance(row, str) or len(row) != width or not set(row) <= set(alphabet):
            raise InputError(f"{where}[{number}]", "not such a row", f"{width} of {alphabet!r}")
    return np.array([[code[char] for char in row] for row in rows], np.uint8).reshape(shape)


def _known(where: str, data: Any, keys: tuple[str, ...]) -> None:
    if not isinstance(data, dict):
        raise InputError(where, "must be an object")
    for key in data:
        if key not in keys:
            raise InputError(f"{where}.{key}", "is not known", ", ".join(keys))

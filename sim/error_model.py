"""What the network makes of what is there, without running it: the error model of object fidelity.

Measured, not thought out (tools/fit_error_model.py): how often an object is found, by class, range, how much of it is
in the open and whether the camera sees it; real claims as examples of what a find looks like (score, errors of place,
size and heading, beliefs); and what is claimed where nothing is: in the same spot again and again (ghosts: a shadow that
looks wet), or once. Finds and misses of one object follow each other: a find makes the next one likelier.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aislewise.errors import InputError
from aislewise.types import EMBEDDING_SIZE, F32, F64, Colour, ObjectClass

PACKAGED = Path(__file__).with_name("error_model.npz")
REACH_M = 12.8
"""Half side of the square that the network looks at."""
RANGES_M = (2.0, 4.0, 6.0, 8.0, 10.0)
"""Limits between the range bins of finding; of examples every second."""
CLEAR = (0.34, 0.67)
"""Limits between hardly, partly and well in the open."""
CAMERA_HALF_RAD = 0.75
RAYS = 5
CLASSES, COLOURS = len(ObjectClass), len(Colour)
NO_COLOUR = -1
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Claims:
    """Real claims of the network, row by row. kind: class, view and coarse range of what was claimed (`kind_of`);
    colour, loaded_or_vest: of the true object, -1 none; along, across, up: error of place seen from the robot, m (of a
    claim of nothing: where it was, x, y, z in base_link); scale (N, 3): claimed over true size (of nothing: the size);
    turn: error of heading, rad; score; class_probs (N, 7), colour_probs (N, 8), attributes (N, 2), embedding (N, 32)."""

    kind: I64
    colour: I64
    marked: I64
    along: F32
    across: F32
    up: F32
    scale: F32
    turn: F32
    score: F32
    class_probs: F32
    colour_probs: F32
    attributes: F32
    embedding: F32

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True)
class ErrorModel:
    """found: (CLASSES, 2, 3, 6) probability by class, view (0 lidar alone, 1 camera too), clearness and range.
    memory: (CLASSES,) correlation of finding with finding half a second earlier. examples: of finds. ghosts_per_m2: (2,)
    of closed and of open cells; they are in an open cell or not, ghost_open (G,), of class ghost_class (G,), claimed in share ghost_rate (G,) of looks, rows ghost_first (G + 1,) of
    ghost_claims; false_rate: other claims of nothing per frame, rows of false_claims. about: where it came from."""

    found: F64
    memory: F64
    examples: Claims
    ghosts_per_m2: F64
    ghost_open: I64
    ghost_class: I64
    ghost_rate: F64
    ghost_first: I64
    ghost_claims: Claims
    false_rate: float
    false_claims: Claims
    about: str

    def save(self, path: Path) -> None:
        out: dict[str, NDArray[np.generic]] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Claims):
                for g in fields(value):
                    column = getattr(value, g.name)
                    small = column.astype(np.float16 if column.dtype.kind == "f" else np.int8 if column.max(initial=0) < 127 else np.int16)
                    out[f"{f.name}.{g.name}"] = small
            else:
                out[f.name] = np.asarray(value)
        np.savez_compressed(path, **out)  # type: ignore[arg-type]

    @staticmethod
    def load(path: Path) -> ErrorModel:
        """Raises InputError when the file is not an error model."""
        try:
            with np.load(path) as data:
                values: dict[str, object] = {}
                for f in fields(ErrorModel):
                    if f.name + ".kind" in data:
                        columns = {g.name: data[f"{f.name}.{g.name}"] for g in fields(Claims)}
                        values[f.name] = Claims(
                            **{k: v.astype(np.float32 if v.dtype.kind == "f" else np.int64) for k, v in columns.items()}
                        )
                    else:
                        value = data[f.name]
                        values[f.name] = value if value.ndim else value.item()
                return ErrorModel(**values)  # type: ignore[arg-type]
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise InputError("error_model", f"cannot read {path.name}: {error}") from error


@cache
def packaged() -> ErrorModel:
    return ErrorModel.load(PACKAGED)


def kind_of(cls: I64, in_view: NDArray[np.bool_], range_m: F64) -> I64:
    """(N,) class, view and coarse range as one number."""
    out: I64 = cls * 6 + in_view * 3 + np.minimum(np.digitize(range_m, RANGES_M) // 2, 2)
    return out


def in_view(bearing_rad: F64) -> NDArray[np.bool_]:
    """Whether the camera, which looks ahead, can have it in its picture."""
    out: NDArray[np.bool_] = np.abs(bearing_rad) < CAMERA_HALF_RAD
    return out


@njit(cache=True)
def clearness(free, eyes, xy, half, out):  # type: ignore[no-untyped-def]
    """(E, N) share of each object that is in the open as seen from each eye: RAYS lines to points across it, none
    through a closed cell, but for the last metre (goods stand in racks and at walls). free: (H, W) bool cells of
    1 m; eyes (E, 2), xy (N, 2): m in `map`; half (N,): half of each object's width. Farther than reach: 0."""
    rows, cols = free.shape
    for e in range(len(eyes)):
        for n in range(len(xy)):
            dx, dy = xy[n, 0] - eyes[e, 0], xy[n, 1] - eyes[e, 1]
            distance = np.hypot(dx, dy)
            out[e, n] = 0.0
            if distance > 1.42 * REACH_M:
                continue
            ux, uy = (dx / distance, dy / distance) if distance > 1e-6 else (1.0, 0.0)
            clear = 0
            for ray in range(RAYS):
                off = (2.0 * ray / (RAYS - 1) - 1.0) * 0.8 * half[n]
                tx, ty = dx - off * uy, dy + off * ux
                steps = int(max(0.0, distance - 1.0) / 0.2)
                blocked = False
                for k in range(1, steps + 1):
                    t = 0.2 * k / distance
                    col, row = int(eyes[e, 0] + t * tx), int(eyes[e, 1] + t * ty)
                    if 0 <= row < rows and 0 <= col < cols and not free[row, col]:
                        blocked = True
                        break
                clear += not blocked
            out[e, n] = clear / RAYS


def empty_claims() -> Claims:
    i, f = np.zeros(0, np.int64), np.zeros(0, np.float32)
    return Claims(
        i, i, i, f, f, f, np.zeros((0, 3), np.float32), f, f, np.zeros((0, CLASSES), np.float32),
        np.zeros((0, COLOURS), np.float32), np.zeros((0, 2), np.float32), np.zeros((0, EMBEDDING_SIZE), np.float32),
    )  # fmt: skip

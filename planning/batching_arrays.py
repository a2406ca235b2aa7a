"""The arrays that the kernels for order batching work on, from a problem."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from planning import batching_kernels as kernels
from planning.batching_kernels import Data, Pool, Scratch, State
from planning.batching_problem import NO_DUE, Problem

I64 = NDArray[np.int64]

COLUMNS, CELLS = 1 << 17, 1 << 22  # batches kept, and orders and places in them


def data_of(problem: Problem, orders: I64, rng: np.random.Generator) -> tuple[Data, Scratch]:
    """Of those orders alone, by their place in `orders`."""
    n, places = len(orders), len(problem.distance)
    visits = [problem.visits[o] for o in orders]
    first = np.concatenate([[0], np.cumsum([len(v) for v in visits], dtype=np.int64)]).astype(np.int64)
    flat = np.array([p for v in visits for p in v], np.int32)
    columns = {field: np.ascontiguousarray(getattr(problem, field)[orders]) for field in ("release", "due", "price", "service")}
    columns["price"] = np.where(columns["due"] < NO_DUE, columns["price"], 0)
    columns["due"] = np.where(columns["price"] > 0, columns["due"], NO_DUE)
    scratch = Scratch(
        np.zeros(len(flat) + 2, np.int32), np.zeros(places, np.int64), np.zeros(1, np.int64), np.zeros(n + 1, np.int64),
        np.zeros(n + 1), np.full((n, n + 1), -1, np.int64), np.zeros((n, n + 1), np.int64),
        rng.integers(1, 2**63, 1, np.uint64),
    )  # fmt: skip
    data = Data(
        np.ascontiguousarray(problem.distance), first, flat, np.ascontiguousarray(problem.load[orders]), problem.capacity,
        columns["release"], columns["due"], columns["price"], columns["service"], problem.ready,
        np.zeros((n, max(n - 1, 0)), np.int32), np.zeros(n, np.int64), rng.integers(0, 2**63, n, np.uint64), np.array([problem.pace]), np.array([problem.setup], np.int64),
        np.array([problem.timed], np.int64),
    )  # fmt: skip
    kernels.lengths_alone(data, data.alone, scratch.tour, scratch.rng)
    apart = np.zeros((n, n))
    kernels.relatedness(data, apart)
    np.fill_diagonal(apart, -1.0)
    data.near[:] = np.argsort(apart, axis=1, kind="stable")[:, 1:]
    return data, scratch


def empty_state(data: Data) -> State:
    n, robots = len(data.alone), len(data.ready)
    rows, members, stops = n + 1, 0, 0
    for c in range(len(data.capacity)):  # the most orders that fit, by the load that allows fewest
        fit = int((np.cumsum(np.sort(data.load[:, c])) <= data.capacity[c]).sum())
        members = fit if c == 0 else min(members, fit)
    members = members if len(data.capacity) else n
    stops = int(np.sort(np.diff(data.first))[::-1][: members + 1].sum())
    i64: Any = lambda *shape: np.zeros(shape, np.int64)  # noqa: E731
    return State(
        np.zeros((rows, min(stops, len(data.dist)) + 3), np.int32), i64(rows), i64(rows, members + 2), i64(rows), i64(rows, len(data.capacity)),
        i64(rows), i64(rows), i64(rows), i64(rows), i64(rows), i64(rows), i64(rows), i64(rows), np.full(n, -1, np.int64),
        i64(robots, rows), i64(robots), i64(2),
    )  # fmt: skip


def empty_pool() -> Pool:
    i64: Any = lambda size: np.zeros(size, np.int64)  # noqa: E731
    return Pool(
        i64(2 * COLUMNS), np.zeros(COLUMNS, np.uint64), i64(COLUMNS), i64(COLUMNS), np.zeros(COLUMNS, np.int32),
        np.zeros(COLUMNS, np.int32), np.zeros(CELLS, np.int32), i64(2),
    )  # fmt: skip

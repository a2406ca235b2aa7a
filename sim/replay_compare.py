"""Recorded against replayed outputs, topic by topic: figures, and the gates a replay is judged by.

"Found" is what the replay gives, "wanted" what the bag says. Things are paired one to one: of the same class, at most
RADIUS_M apart, as many as can be and then as near as can be (Kuhn 1955, through scipy).
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from aislewise.clock import to_ns, to_s
from aislewise.errors import InputError
from aislewise.sitemap import SiteMap
from aislewise.types import F64, GridMap
from sim.judge import percentiles
from sim.replay_outputs import Frame, Grounded, Ints, Outputs, Planned, World

RADIUS_M = 0.5
"""Farther apart, two things are not the same (fusion.evaluate judges by the same distance)."""
NEAR_S = 0.3
"""Stamps of a recorded and a replayed output may differ so much where they were made by timers."""
SLOP_S, MAX_AGE_S = 0.1, 0.4
"""fusion.sync: a sensor's message joins a frame of a stamp this much earlier, or this much later than its own."""

T = TypeVar("T", World, Planned)


@dataclass(frozen=True, slots=True)
class ReplayLimits:
    """min_detections_f1, min_world_f1: least F1 of what is paired; max_world_rmse_m: of paired objects' positions."""

    min_detections_f1: float = 0.95
    min_world_f1: float = 0.9
    max_world_rmse_m: float = 0.2

    def __post_init__(self) -> None:
        for name in ("min_detections_f1", "min_world_f1"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(name, f"{getattr(self, name)}", "0 to 1")
        if not 0.0 <= self.max_world_rmse_m < math.inf:
            raise InputError("max_world_rmse_m", f"{self.max_world_rmse_m}", "0 m or more")


@dataclass
class Pairs:
    """Counts over many pairings. gaps_m: of what was paired."""

    hits: int = 0
    found: int = 0
    wanted: int = 0
    gaps_m: list[float] = field(default_factory=list)

    def add(self, found: int, wanted: int, gaps_m: F64) -> None:
        self.hits += len(gaps_m)
        self.found += found
        self.wanted += wanted
        self.gaps_m += gaps_m.tolist()

    @property
    def f1(self) -> float:
        """1 where there was nothing to find and nothing was found."""
        return 2.0 * self.hits / (self.found + self.wanted) if self.found + self.wanted else 1.0

    def figures(self) -> dict[str, float]:
        gaps = np.asarray(self.gaps_m, np.float64)
        return {
            "precision": self.hits / self.found if self.found else 1.0,
            "recall": self.hits / self.wanted if self.wanted else 1.0,
            "f1": self.f1,
            "mean_m": float(gaps.mean()) if gaps.size else 0.0,
            "rmse_m": float(np.sqrt(np.mean(gaps**2))) if gaps.size else 0.0,
        }


@dataclass
class Comparison:
    """figures: for results.json; detections, world: over time for the report, a row (t_s, recorded, replayed, F1 or
    RMSE in m) for each compared frame or state."""

    figures: dict[str, Any]
    detections: F64
    world: F64


def pair(found: tuple[Ints, F64], wanted: tuple[Ints, F64]) -> tuple[Ints, Ints, F64]:
    """Indices into found and wanted (classes (N,), xy (N, 2)) of what belongs together, and the distances in m."""
    from scipy.optimize import linear_sum_assignment

    none = np.zeros(0, np.int64)
    if not len(found[0]) or not len(wanted[0]):
        return none, none, np.zeros(0)
    gap = np.hypot(*(found[1][:, None] - wanted[1][None]).transpose(2, 0, 1))
    fits = (gap <= RADIUS_M) & (found[0][:, None] == wanted[0][None])
    rows, columns = linear_sum_assignment(np.where(fits, gap, 1e6))
    good = fits[rows, columns]
    return rows[good], columns[good], gap[rows[good], columns[good]]


def compare(
    recorded: Outputs, replayed: Outputs, stamps: dict[str, dict[str, list[int]]], site: SiteMap | None = None
) -> Comparison:
    """stamps: of the played sensor messages, by robot and sensor. What the bag has no output of is left out of the
    figures."""
    out: dict[str, Any] = {}
    detections, world = np.zeros((0, 4)), np.zeros((0, 4))
    if recorded.frames:
        figures, detections = compare_frames(recorded.frames, replayed.frames, stamps)
        out |= {"detections": figures} if figures["frames"] else {}
    if recorded.worlds and site is not None:
        out["world"], world = compare_worlds(recorded.worlds, replayed.worlds)
    if recorded.grids and replayed.grids:
        out["occupancy"] = compare_grids(recorded.grids, replayed.grids)
    if recorded.grounded or replayed.grounded:
        out["instructions"] = compare_grounded(recorded.grounded, replayed.grounded)
    if recorded.plans and site is not None:
        out["plans"] = compare_plans(recorded.plans, replayed.plans, site)
    return Comparison(out, detections, world)


# --- detections ------------------------------------------------------------------------------------


def compare_frames(
    wanted: Sequence[Frame], found: Sequence[Frame], stamps: dict[str, dict[str, list[int]]]
) -> tuple[dict[str, Any], F64]:
    """Frames belong together by robot and stamp. A recorded frame counts when the messages it was made from are in
    the bag, a replayed one when the recorded node could have made it: between the first and the last recorded one."""
    sorted_stamps = {r: {s: sorted(t) for s, t in of.items()} for r, of in stamps.items()}
    want = {(f.robot, f.stamp_ns): f for f in wanted}
    have = {(f.robot, f.stamp_ns): f for f in found}
    judged = {key for key, f in want.items() if _in_bag(f, sorted_stamps.get(f.robot, {}))}
    for robot in {f.robot for f in wanted}:
        times = [f.stamp_ns for f in wanted if f.robot == robot]
        judged |= {k for k in have if k[0] == robot and min(times) <= k[1] <= max(times)} - (want.keys() - judged)
    pairs, identical, rows = Pairs(), 0, []
    for key in sorted(judged, key=lambda k: (k[1], k[0])):
        a, b = want.get(key), have.get(key)
        one = _pair_frames(a, b)
        pairs.add(one.found, one.wanted, np.asarray(one.gaps_m))
        identical += a is not None and b is not None and a.digest == b.digest
        rows.append((to_s(key[1]), one.wanted, one.found, one.f1))
    figures = {
        "frames": len(judged), "frames_identical": identical,
        "frames_missing": sum(k not in have for k in judged), "frames_added": sum(k not in want for k in judged),
        "frames_without_sensors_in_bag": len(want.keys() - judged), **pairs.figures(),
    }  # fmt: skip
    if judged and figures["frames_missing"] == len(judged):
        figures["f1"] = 0.0  # also where nothing was to be seen
    return figures, np.array(rows, np.float64).reshape(-1, 4)


def _pair_frames(wanted: Frame | None, found: Frame | None) -> Pairs:
    out = Pairs()
    a = (wanted.classes, wanted.xy) if wanted is not None else (np.zeros(0, np.int64), np.zeros((0, 2)))
    b = (found.classes, found.xy) if found is not None else (np.zeros(0, np.int64), np.zeros((0, 2)))
    out.add(len(b[0]), len(a[0]), pair(b, a)[2])
    return out


def _in_bag(frame: Frame, stamps: dict[str, list[int]]) -> bool:
    """Whether the messages that a recorded frame was made from were recorded, too: sensor topics are best effort."""
    exact = False
    for sensor in frame.sensors:
        times = stamps.get(sensor, [])
        first = bisect.bisect_left(times, frame.stamp_ns - to_ns(MAX_AGE_S))
        if first == len(times) or times[first] > frame.stamp_ns + to_ns(SLOP_S):
            return False
        at = bisect.bisect_left(times, frame.stamp_ns)
        exact |= at < len(times) and times[at] == frame.stamp_ns
    return exact


# --- the world -------------------------------------------------------------------------------------


def compare_worlds(wanted: Sequence[World], found: Sequence[World]) -> tuple[dict[str, Any], F64]:
    """Each recorded state with the replayed one nearest in time. What the recorded world knew only from before the
    bag began cannot be known from the bag and is not asked for."""
    pairs, rows = Pairs(), []
    begin_ns = found[0].stamp_ns if found else 0
    near = nearest(wanted, found)
    met = {a.stamp_ns for a, _ in near}
    for a in wanted:
        pairs.add(0, 0 if a.stamp_ns in met else len(a.classes), np.zeros(0))
    for a, b in near:
        moved = a.xy + a.velocity * to_s(b.stamp_ns - a.stamp_ns)
        _, w, gaps = pair((b.classes, b.xy), (a.classes, moved))
        unasked = np.ones(len(a.classes), bool)
        unasked[w] = False
        unasked &= a.seen_ns < begin_ns
        pairs.add(len(b.classes), len(a.classes) - int(unasked.sum()), gaps)
        rmse = math.sqrt(float(np.mean(gaps**2))) if len(gaps) else 0.0
        rows.append((to_s(a.stamp_ns), len(a.classes), len(b.classes), rmse))
    table = np.array(rows, np.float64).reshape(-1, 4)
    difference = table[:, 2] - table[:, 1]
    figures = {
        "states": len(rows), "states_missing": len(wanted) - len(rows),
        "count_difference_mean": float(difference.mean()) if len(rows) else 0.0,
        "count_difference_max": float(np.abs(difference).max()) if len(rows) else 0.0, **pairs.figures(),
    }  # fmt: skip
    if not rows:
        figures["f1"] = 0.0
    return figures, table


def nearest(wanted: Sequence[T], found: Sequence[T]) -> list[tuple[T, T]]:
    """Each of wanted with the found of the nearest stamp, if one is within NEAR_S."""
    ordered = sorted(found, key=lambda x: x.stamp_ns)
    times = [x.stamp_ns for x in ordered]
    out = []
    for a in wanted:
        at = bisect.bisect_left(times, a.stamp_ns)
        near = min(range(max(0, at - 1), min(len(times), at + 1)), key=lambda i: abs(times[i] - a.stamp_ns), default=-1)
        if near >= 0 and abs(times[near] - a.stamp_ns) <= to_ns(NEAR_S):
            out.append((a, ordered[near]))
    return out


def compare_grids(wanted: Sequence[tuple[int, GridMap]], found: Sequence[tuple[int, GridMap]]) -> dict[str, Any]:
    """Grids of the same shape with the one nearest in time. agreement: share of cells that are free, occupied or
    unknown in both, of those that either knows; iou: of the occupied cells, intersection over union."""
    agree = known = both = either = compared = 0
    for stamp_ns, a in wanted:
        b = min(found, key=lambda g: abs(g[0] - stamp_ns))[1]
        if a.data.shape != b.data.shape:
            continue
        compared += 1
        x, y = np.sign(a.data), np.sign(b.data)  # -1 unknown, 0 free, 1 more or less occupied
        some = (x >= 0) | (y >= 0)
        agree, known = agree + int(((x == y) & some).sum()), known + int(some.sum())
        both, either = both + int(((x > 0) & (y > 0)).sum()), either + int(((x > 0) | (y > 0)).sum())
    return {
        "grids": compared, "agreement": agree / known if known else 1.0, "iou_occupied": both / either if either else 1.0,
    }  # fmt: skip


# --- words and plans -------------------------------------------------------------------------------


def compare_grounded(wanted: Sequence[Grounded], found: Sequence[Grounded]) -> dict[str, Any]:
    """Equal: the same words come to the same status and destination, with the target in the same place (ids of
    tracks are no more than names)."""
    left = list(found)
    equal = 0
    for a in wanted:
        same = next((b for b in left if _same_grounding(a, b)), None)
        if same is not None:
            left.remove(same)
            equal += 1
    return {"recorded": len(wanted), "replayed": len(found), "equal": equal}


def _same_grounding(a: Grounded, b: Grounded) -> bool:
    near = math.hypot(a.xy[0] - b.xy[0], a.xy[1] - b.xy[1]) <= RADIUS_M
    return near and (a.text, a.status, a.destination) == (b.text, b.status, b.destination)


def compare_plans(wanted: Sequence[Planned], found: Sequence[Planned], site: SiteMap) -> dict[str, Any]:
    """tasks_equal: share of the tasks of both plans that both give to the same robot; routes_equal: share of routes
    that are the same cell by cell, as far as both are planned; route_gap_m: mean distance of their cells, step by
    step. Open loop: once the plans part, the robots go on as they did when they were recorded."""
    same = tasks = routes = equal = 0
    gaps: list[F64] = []
    near = nearest(wanted, found)
    for a, b in near:
        tasks += len(a.tasks.keys() | b.tasks.keys())
        same += sum(b.tasks.get(key) == robot for key, robot in a.tasks.items())
        for robot in a.cells.keys() & b.cells.keys():
            steps = min(len(a.cells[robot]), len(b.cells[robot]))
            gap = _route_gap(a.cells[robot][:steps], b.cells[robot][:steps], site)
            routes, equal = routes + 1, equal + (not gap.any())
            gaps.append(gap)
    every = np.concatenate(gaps) if gaps else np.zeros(0)
    orders = Counter(key[0] for plan in wanted for key in plan.tasks)
    return {
        "plans": len(near), "plans_missing": len(wanted) - len(near), "orders": len(orders), "tasks_equal": same / tasks if tasks else 1.0,
        "routes_equal": equal / routes if routes else 1.0, "route_gap_m": float(every.mean()) if every.size else 0.0,
    }  # fmt: skip


def _route_gap(a: Sequence[int], b: Sequence[int], site: SiteMap) -> F64:
    (ay, ax), (by, bx) = (np.divmod(np.asarray(cells, np.int64), site.width) for cells in (a, b))
    return np.asarray(np.hypot(ax - bx, ay - by) * site.resolution_m, np.float64)


# --- judging ---------------------------------------------------------------------------------------


def latencies(recorded: Outputs, fusion_ms: Sequence[float], plan_ms: Sequence[float], own_clock: bool) -> dict[str, Any]:
    """Of the replay per call on this machine; of the recording from stamp to log time, where the two are of one
    clock."""
    out: dict[str, Any] = {"fusion_latency_ms": percentiles(fusion_ms), "plan_latency_ms": percentiles(plan_ms)}
    if own_clock:
        out["recorded_delay_ms"] = {
            kind: percentiles(np.asarray(seconds) * 1e3) for kind, seconds in sorted(recorded.delays_s.items())
        }
    return out


def replay_gates(figures: dict[str, Any], limits: ReplayLimits) -> dict[str, dict[str, Any]]:
    """Of what could be compared; InputError when that is nothing."""
    table: dict[str, tuple[float, float, bool]] = {}
    if "detections" in figures:
        f1 = figures["detections"]["f1"]
        table["replay_detections_f1"] = (f1, limits.min_detections_f1, f1 >= limits.min_detections_f1)
    if "world" in figures:
        f1, rmse = figures["world"]["f1"], figures["world"]["rmse_m"]
        table["replay_world_f1"] = (f1, limits.min_world_f1, f1 >= limits.min_world_f1)
        table["replay_world_rmse_m"] = (rmse, limits.max_world_rmse_m, rmse <= limits.max_world_rmse_m)
    if not table:
        raise InputError(
            "replay", "nothing to compare with: neither <robot>/detections nor /world_state of what was replayed is in the bag"
        )
    return {name: {"value": value, "limit": limit, "ok": bool(ok)} for name, (value, limit, ok) in table.items()}

"""What perception, fusion and planning gave, recorded or replayed: as much of it as a comparison needs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from aislewise import messages, topics
from aislewise.clock import to_s
from aislewise.errors import InputError
from aislewise.types import F64, GridMap, Plan
from pocketros import cdr

Ints = np.ndarray[Any, np.dtype[np.int64]]

KNOWN = 0.5
"""Existence from which a tracked object counts as there."""
FLEET_OUTPUTS = (topics.WORLD_STATE, topics.OCCUPANCY, topics.GROUNDED, topics.FLEET_PLAN)


@dataclass(frozen=True, slots=True)
class Frame:
    """One robot's detections. classes (N,); xy (N, 2) in base_link, m; sensors: which took part; digest: of all that
    was published, to tell whether two frames are the same to the last bit."""

    robot: str
    stamp_ns: int
    classes: Ints
    xy: F64
    sensors: tuple[str, ...]
    digest: bytes


@dataclass(frozen=True, slots=True)
class World:
    """The known objects of a world state. classes (N,); xy, velocity (N, 2) in map, m and m/s; seen_ns (N,)."""

    stamp_ns: int
    classes: Ints
    xy: F64
    velocity: F64
    seen_ns: Ints


@dataclass(frozen=True, slots=True)
class Grounded:
    """What an instruction came to. xy: where its target stands, (0, 0) without one."""

    stamp_ns: int
    text: str
    status: str
    destination: str
    xy: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Planned:
    """tasks: robot by (order, line, kind); cells: of each robot's route, released and intended."""

    stamp_ns: int
    tasks: dict[tuple[str, int, str], str]
    cells: dict[str, tuple[int, ...]]


@dataclass
class Outputs:
    """Filled by `take`, in the order of publication. delays_s: from stamp to publication, by kind of output."""

    frames: list[Frame] = field(default_factory=list)
    worlds: list[World] = field(default_factory=list)
    grids: list[tuple[int, GridMap]] = field(default_factory=list)
    grounded: list[Grounded] = field(default_factory=list)
    plans: list[Planned] = field(default_factory=list)
    delays_s: dict[str, list[float]] = field(default_factory=dict)

    def take(self, topic: topics.Topic, msg: Any, now_ns: int) -> None:
        """Raises InputError for a message that our own nodes would refuse."""
        stamp_ns = messages.from_stamp(msg.header.stamp)
        self.delays_s.setdefault(topic.name.strip("/"), []).append(to_s(now_ns - stamp_ns))
        if topic is topics.DETECTIONS:
            self.frames.append(_frame(msg))
        elif topic is topics.WORLD_STATE:
            self.worlds.append(_world(msg))
        elif topic is topics.OCCUPANCY:
            grid = messages.from_grid_msg(msg)
            if grid is not None:
                self.grids.append((stamp_ns, grid))
        elif topic is topics.GROUNDED:
            grounded, xy = messages.from_grounded_msg(msg)
            self.grounded.append(
                Grounded(stamp_ns, grounded.instruction.text, grounded.status.value, grounded.destination, xy)
            )
        elif topic is topics.FLEET_PLAN:
            self.plans.append(_planned(read_plan(msg)))


def read_plan(msg: Any) -> Plan:
    """The plan in a FleetPlan message. Raises InputError."""
    try:
        return msgspec.json.decode(msg.plan_json, type=Plan)
    except msgspec.MsgspecError as error:
        raise InputError("fleet_plan.plan_json", str(error)) from error


def _frame(msg: Any) -> Frame:
    frame = messages.from_detections_msg(msg)
    return Frame(
        frame.robot, frame.stamp_ns, np.array([int(d.cls) for d in frame.detections], np.int64),
        np.array([d.position[:2] for d in frame.detections], np.float64).reshape(-1, 2), frame.sensors,
        hashlib.blake2b(cdr.encode(msg), digest_size=16).digest(),
    )  # fmt: skip


def _world(msg: Any) -> World:
    state = messages.from_world_msg(msg)
    known = [o for o in state.objects if o.existence >= KNOWN]
    return World(
        state.stamp_ns, np.array([int(o.cls) for o in known], np.int64),
        np.array([o.position[:2] for o in known], np.float64).reshape(-1, 2),
        np.array([o.velocity for o in known], np.float64).reshape(-1, 2),
        np.array([o.last_seen_ns for o in known], np.int64),
    )  # fmt: skip


def _planned(plan: Plan) -> Planned:
    tasks = {(t.order_id, t.line, t.kind.value): r.robot for r in plan.robots for t in r.tasks if t.order_id}
    cells = {r.robot: (*(w.cell for w in r.released if not w.action), *r.horizon) for r in plan.robots}
    return Planned(plan.stamp_ns, tasks, cells)

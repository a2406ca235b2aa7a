"""Plain data that crosses the walls between rooms.

Everything is frozen and slotted. Arrays are numpy and must not be mutated after construction.
Units are SI (REP-103): metres, radians, seconds; stamps are integer nanoseconds of the ROS clock.
Frames follow REP-105: `map` -> `odom` -> `base_link` -> sensors; x forward, y left, z up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I8 = NDArray[np.int8]
U8 = NDArray[np.uint8]

EMBEDDING_SIZE = 32
"""Length of the vector shared by objects and phrases in the multimodal model."""


class ObjectClass(IntEnum):
    """What the model can name. The value is the channel in the network's heat map."""

    PERSON = 0
    FORKLIFT = 1
    PALLET = 2
    TOTE = 3
    ROBOT = 4
    BOX = 5
    WET_FLOOR = 6


class Colour(IntEnum):
    """Colour of an object; only a camera can tell."""

    RED = 0
    BLUE = 1
    GREEN = 2
    YELLOW = 3
    ORANGE = 4
    WHITE = 5
    GREY = 6
    BROWN = 7


ATTRIBUTES = ("vest", "loaded")
"""Binary attributes: a person wears a safety vest; a pallet carries goods."""


@dataclass(frozen=True, slots=True)
class Pose2D:
    """Planar pose: x_m, y_m, yaw_rad in the named parent frame (usually `map`)."""

    x_m: float
    y_m: float
    yaw_rad: float = 0.0


@dataclass(frozen=True, slots=True)
class CameraModel:
    """Pinhole camera. K: (3, 3) float64, pixels. T_base_camera: (4, 4) float64, optical frame
    (z forward, x right, y down; REP-103) expressed in base_link."""

    width: int
    height: int
    K: F64
    T_base_camera: F64


@dataclass(frozen=True, slots=True)
class SensorFrame:
    """One synchronised set of inputs of one robot. A missing sensor is None, not an error.

    image: (H, W, 3) uint8 RGB. points: (N, 4) float32 x, y, z, intensity in [0, 1], in base_link.
    age_ns: per present sensor, how much older than stamp_ns its data are.
    """

    robot: str
    stamp_ns: int
    T_map_base: Pose2D
    image: U8 | None = None
    camera: CameraModel | None = None
    points: F32 | None = None
    age_ns: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Detection:
    """One object claimed by the network in one frame, in base_link.

    class_probs: (7,) float32; colour_probs: (8,) float32; attributes: (2,) float32 in [0, 1] in the
    order of ATTRIBUTES; position: (3,) float32 box centre; size: (3,) float32 length, width, height;
    embedding: (32,) float32, unit length. score in [0, 1].
    """

    class_probs: F32
    score: float
    position: F32
    size: F32
    yaw_rad: float
    colour_probs: F32
    attributes: F32
    embedding: F32

    @property
    def cls(self) -> ObjectClass:
        return ObjectClass(int(np.argmax(self.class_probs)))


@dataclass(frozen=True, slots=True)
class GridMap:
    """Occupancy grid. data: (H, W) int8, -1 unknown, 0 free, 100 occupied (nav_msgs/OccupancyGrid).

    Row 0 is the smallest y, column 0 the smallest x. (x_m, y_m) is the corner of cell (0, 0) in the
    frame the grid is stated in; yaw_rad turns the grid about that corner (0 for map-aligned grids).
    """

    data: I8
    resolution_m: float
    x_m: float
    y_m: float
    yaw_rad: float = 0.0


@dataclass(frozen=True, slots=True)
class DetectionFrame:
    """Everything one robot saw at one instant: detections in base_link and where base_link was.

    local_grid: occupancy evidence of this sweep, map frame, map-aligned; None without lidar.
    sensors: which of "camera", "lidar" took part.
    """

    robot: str
    stamp_ns: int
    T_map_base: Pose2D
    detections: tuple[Detection, ...]
    local_grid: GridMap | None = None
    sensors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorldObject:
    """A tracked object in `map`.

    position: (3,) float64; covariance: (4, 4) float64 of (x, y, vx, vy); velocity: (2,) float64 m/s;
    size: (3,) float64. existence: probability in [0, 1] that the object is really there.
    """

    id: str
    class_probs: F32
    colour_probs: F32
    attributes: F32
    position: F64
    yaw_rad: float
    size: F64
    velocity: F64
    covariance: F64
    existence: float
    embedding: F32
    first_seen_ns: int
    last_seen_ns: int
    seen_by: tuple[str, ...]

    @property
    def cls(self) -> ObjectClass:
        return ObjectClass(int(np.argmax(self.class_probs)))

    @property
    def colour(self) -> Colour:
        return Colour(int(np.argmax(self.colour_probs)))


class RobotMode(str, Enum):
    """What a robot says it is doing."""

    IDLE = "idle"
    MOVING = "moving"
    ACTING = "acting"
    STOPPED = "stopped"
    CHARGING = "charging"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class RobotInfo:
    """What the fleet knows of one robot. battery in [0, 1]; load: order ids carried;
    reached_seq: sequence id of the last completed waypoint (VDA 5050 lastNodeSequenceId);
    problem: why it cannot carry out its route now, "" = it can."""

    id: str
    pose: Pose2D
    battery: float
    load: tuple[str, ...]
    mode: RobotMode
    reached_seq: int
    heard_at_ns: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class KeepOut:
    """A region robots must not enter: polygon (N, 2) float64 in `map`. until_ns 0 = no end.
    source: who asked ("operator", "instruction", object id)."""

    id: str
    polygon: F64
    reason: str
    source: str = "operator"
    until_ns: int = 0


@dataclass(frozen=True, slots=True)
class WorldState:
    """The tracked world at one instant, frame `map`. `version` grows by one with every publication."""

    version: int
    stamp_ns: int
    objects: tuple[WorldObject, ...]
    robots: tuple[RobotInfo, ...]
    occupancy: GridMap | None = None
    keep_outs: tuple[KeepOut, ...] = ()
    sensor_health: dict[str, str] = field(default_factory=dict)


class GroundingStatus(str, Enum):
    GROUNDED = "grounded"
    AMBIGUOUS = "ambiguous"
    NOT_FOUND = "not_found"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase of an instruction: "the blue tote near charger 2".

    words: the phrase as written; cls/colour/attribute: what the words name, None when unsaid;
    place: site-map place id when the phrase names a place; relation ("near", "left_of", ...) with
    its anchor phrase; embedding: (32,) float32 unit vector from the model's text tower.
    """

    words: str
    cls: ObjectClass | None = None
    colour: Colour | None = None
    attribute: str | None = None
    place: str | None = None
    relation: str | None = None
    anchor: Phrase | None = None
    embedding: F32 | None = None


@dataclass(frozen=True, slots=True)
class Instruction:
    """A parsed instruction. intent in {"bring", "go", "avoid", "cancel", "none"}.
    target: what to fetch; destination: where to; avoid: what to keep away from.
    unknown: content words the parser does not know: ask, never guess."""

    text: str
    intent: str
    confidence: float
    target: Phrase | None = None
    destination: Phrase | None = None
    avoid: tuple[Phrase, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroundedInstruction:
    """An instruction resolved over a WorldState.

    candidates: (object id, probability), best first. question: what to ask back when not grounded.
    target_id / destination: object id and place id when grounded; avoid_ids: object ids to keep
    away from now (`avoid` stays a standing request: new objects that fit are avoided too).
    """

    instruction: Instruction
    status: GroundingStatus
    candidates: tuple[tuple[str, float], ...] = ()
    target_id: str = ""
    destination: str = ""
    avoid_ids: tuple[str, ...] = ()
    question: str = ""


class OrderState(str, Enum):
    """Life of an order; the last four are final."""

    RECEIVED = "RECEIVED"
    PLANNED = "PLANNED"
    ASSIGNED = "ASSIGNED"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    DONE = "DONE"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    UNROUTABLE = "UNROUTABLE"

    @property
    def final(self) -> bool:
        return self in (
            OrderState.DONE,
            OrderState.CANCELLED,
            OrderState.FAILED,
            OrderState.UNROUTABLE,
        )


@dataclass(frozen=True, slots=True)
class OrderLine:
    """Move `quantity` loads from a pick face (by place id or by SKU, exactly one) to a station. weight_kg, volume_l: of one
    load, 0 = it does not matter.

    pick_at: (x_m, y_m) in `map` instead of a place, for objects found by an instruction;
    object_id then names the tracked object.
    """

    deliver_to: str
    pick_from: str = ""
    sku: str = ""
    quantity: int = 1
    pick_at: tuple[float, float] | None = None
    object_id: str = ""
    weight_kg: float = 0.0
    volume_l: float = 0.0


@dataclass(frozen=True, slots=True)
class Order:
    """A fleet manager's order under the client's own id. Stamps are simulated or ROS time, ns.
    release_ns: not to be started before; due_ns 0 = no due time; higher priority first."""

    order_id: str
    lines: tuple[OrderLine, ...]
    release_ns: int = 0
    due_ns: int = 0
    priority: int = 0
    capability: str = ""


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An accepted order and what became of it. reason: machine-readable code and words."""

    order: Order
    state: OrderState
    reason: str = ""
    robot: str = ""
    accepted_ns: int = 0
    updated_ns: int = 0
    lines_done: int = 0


class TaskKind(str, Enum):
    PICK = "pick"
    DROP = "drop"
    CHARGE = "charge"
    PARK = "park"


@dataclass(frozen=True, slots=True)
class Task:
    """One stop of a robot: drive to `cell` (row * width + col of the site map), then act dwell_s."""

    kind: TaskKind
    cell: int
    dwell_s: float
    order_id: str = ""
    line: int = 0
    place: str = ""
    object_id: str = ""


@dataclass(frozen=True, slots=True)
class Waypoint:
    """One node of a route, executed in order of seq. A move has action ""; an action ("pick",
    "drop", "charge") is a waypoint of its own at the cell the robot stands in (VDA 5050 node action).
    max_speed_mps: the most on the way to it from the one before (VDA 5050 edge maxSpeed), 0 = no limit."""

    seq: int
    x_m: float
    y_m: float
    cell: int
    action: str = ""
    action_id: str = ""
    dwell_s: float = 0.0
    object_id: str = ""
    max_speed_mps: float = 0.0


@dataclass(frozen=True, slots=True)
class RobotPlan:
    """Ordered tasks and route of one robot. `released` are the waypoints it may run now (robots only
    ever run these); `horizon`: intended cells after them, not yet released."""

    robot: str
    tasks: tuple[Task, ...]
    released: tuple[Waypoint, ...]
    horizon: tuple[int, ...] = ()
    eta_p50_ns: int = 0
    eta_p90_ns: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """Why something was decided: in one sentence, with the numbers it rests on."""

    subject: str
    choice: str
    because: str
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked plan for the whole fleet."""

    version: int
    world_version: int
    stamp_ns: int
    robots: tuple[RobotPlan, ...]
    unroutable: dict[str, str] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    solver: str = ""

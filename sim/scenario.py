"""A scenario: everything that makes a shift, read from YAML and checked. One seed, one shift."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aislewise.errors import InputError
from aislewise.types import Colour, ObjectClass
from sim.ablation import check_ablation
from sim.demand_profile import DemandConfig
from sim.faults import MAX_FAULTS, Fault, parse_fault
from sim.order_stream import located
from sim.props import Props
from sim.robots import RobotConfig
from sim.sensor_models import SensorSetup
from sim.warehouse import WarehouseConfig

MAX_BYTES, MAX_DESCRIPTION = 1_000_000, 500
MAX_ROBOTS, MAX_SENSOR_ROBOTS = 10_000, 200
EVENT_KINDS = ("wet_floor", "blocked_aisle", "person_down")
STANDING = (ObjectClass.PALLET, ObjectClass.TOTE, ObjectClass.BOX, ObjectClass.WET_FLOOR)
OBJECT_KINDS = (
    "camera dropout", "lidar dropout", "light blackout", "robot stop", "robot slow", "robot silent", "robot lost",
    "battery drop", "network cut", "network duplicate", "network reorder",
)  # fmt: skip
"""Faults that robots of object fidelity can have; the others need real sensor data."""
_FOLDER = Path(__file__).parent / "scenarios"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens at_s. at: (x, y) m in `map`, or none: a fitting place is drawn. A place
    where something stands or drives is left alone until it is clear. until_s: when it is over."""

    kind: str
    at_s: float
    at: tuple[float, float] | None = None
    radius_m: float = 0.9
    id: str = ""
    until_s: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in EVENT_KINDS:
            raise InputError("events.kind", f"{self.kind!r}", EVENT_KINDS)
        _within("events.at_s", self.at_s, 0.0, 1e6)
        _within("events.radius_m", self.radius_m, 0.2, 3.0)
        if self.until_s is not None:
            _within("events.until_s", self.until_s, self.at_s, 2e6)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A typed instruction, and what carrying it out means: target: id of the true object;
    destination: station; keep_out: robots must keep off wet floors from grace_s after the text on."""

    text: str
    at_s: float
    target: str = ""
    destination: str = ""
    keep_out: bool = True
    grace_s: float = 5.0

    def __post_init__(self) -> None:
        if not 0 < len(self.text) <= 1000:
            raise InputError("instruction.text", f"{len(self.text)} characters", "1 to 1000")
        _within("instruction.at_s", self.at_s, 0.0, 1e6)
        _within("instruction.grace_s", self.grace_s, 0.0, 1e4)


@dataclass(frozen=True, slots=True)
class Item:
    """An object that stands about from the start. near: a place; it is put against the wall or rack
    beside it, off the lanes, `offset_m` further along."""

    id: str
    cls: str
    near: str
    colour: str = ""
    offset_m: float = 2.0
    loaded: bool = True

    def __post_init__(self) -> None:
        names = [c.name.lower() for c in STANDING]
        if self.cls not in names:
            raise InputError(f"items.{self.id}.cls", f"{self.cls!r}", names)
        colours = [c.name.lower() for c in Colour]
        if self.colour and self.colour not in colours:
            raise InputError(f"items.{self.id}.colour", f"{self.colour!r}", colours)
        _within(f"items.{self.id}.offset_m", self.offset_m, -10.0, 10.0)


@dataclass(frozen=True, slots=True)
class Gates:
    """What a run must meet. min_detection_map, max_sim_s, max_late_share: only where given."""

    max_collisions: int = 0
    min_done_share: float = 0.9
    min_detection_map: float | None = None
    max_sim_s: float | None = None
    max_late_share: float | None = None

    def __post_init__(self) -> None:
        _within("gates.max_collisions", self.max_collisions, 0, 10_000)
        _within("gates.min_done_share", self.min_done_share, 0.0, 1.0)
        for name, high in (("min_detection_map", 1.0), ("max_sim_s", 1e6), ("max_late_share", 1.0)):
            if (value := getattr(self, name)) is not None:
                _within(f"gates.{name}", value, 0.0, high)


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How closely robots are simulated. sensor: so many, the first ones, have ray-cast sensors and the whole network;
    the others are of object fidelity: an error model measured on the network says what they report, object_hz times a
    second (sim.object_sensor). state_hz: reports a second of the latter; plan_s: between two plans."""

    sensor: int = 0
    object_hz: float = 0.5
    state_hz: float = 1.0
    plan_s: float = 0.5

    def __post_init__(self) -> None:
        _within("fidelity.sensor", self.sensor, 0, MAX_ROBOTS)
        _within("fidelity.object_hz", self.object_hz, 0.0, 10.0)
        _within("fidelity.state_hz", self.state_hz, 0.2, 10.0)
        _within("fidelity.plan_s", self.plan_s, 0.1, 10.0)


@dataclass(frozen=True)
class Scenario:
    """description: why it exists; faults: as sim.faults reads them; release_s: orders are released over this time; battery: least and greatest charge at the start;
    lidar_columns: rays per beam and turn; demand: how customers order, else a plain stream; slotting_m: how far from
    the stations fast movers lie; ablate: what the run goes without (sim.ablation).
    props: what stands about that is of no class; labels: totes carry printed labels; lights: lamps on the chargers show
    whether they are free; intent: people go from work to work, some with cartons or trolleys, and the forklift stacks."""

    name: str = "shift"
    description: str = ""
    seed: int = 1
    duration_s: float = 420.0
    robots: int = 6
    orders: int = 20
    people: int = 4
    forklifts: int = 1
    release_s: float = 120.0
    slotting_m: float = 12.0
    lidar_columns: int = 720
    battery: tuple[float, float] = (0.55, 0.95)
    warehouse: WarehouseConfig = field(default_factory=WarehouseConfig)
    robot: RobotConfig = field(default_factory=RobotConfig)
    sensors: SensorSetup = field(default_factory=SensorSetup)
    demand: DemandConfig | None = None
    items: tuple[Item, ...] = ()
    events: tuple[Event, ...] = ()
    faults: tuple[Fault, ...] = ()
    instruction: Spoken | None = None
    gates: Gates = field(default_factory=Gates)
    fidelity: Fidelity | None = None
    ablate: str = ""
    props: Props = field(default_factory=Props)
    labels: bool = False
    lights: bool = False
    intent: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (
            ("seed", 0, 2**62), ("duration_s", 1.0, 1e6), ("robots", 1, MAX_ROBOTS), ("orders", 0, 100_000),
            ("people", 0, 200), ("forklifts", 0, 1), ("release_s", 0.0, 1e6), ("slotting_m", 1.0, 1e4),
            ("lidar_columns", 8, 4096),
        ):  # fmt: skip
            _within(name, getattr(self, name), low, high)
        low, high = self.battery
        if not 0.0 < low <= high <= 1.0:
            raise InputError("battery", f"{self.battery}", "0 < least <= greatest <= 1")
        docks = self.warehouse.chargers + self.warehouse.parking
        sensor = self.robots if self.fidelity is None else min(self.fidelity.sensor, self.robots)
        if sensor > min(docks, MAX_SENSOR_ROBOTS):
            raise InputError("robots", f"{sensor} of sensor fidelity", f"{docks} chargers and parking places")
        if self.ablate:
            check_ablation(self.ablate)
            if self.ablate in ("camera", "lidar") and sensor < self.robots:  # their error model is of both sensors
                raise InputError("ablate", f"{self.ablate!r} with robots of object fidelity", "robots of sensor fidelity")
        ids = [i.id for i in self.items]
        if len(set(ids)) != len(ids):
            raise InputError("items", "ids must differ")
        if len(self.description) > MAX_DESCRIPTION:
            raise InputError("description", f"{len(self.description)} characters", MAX_DESCRIPTION)
        if len(self.faults) > MAX_FAULTS:
            raise InputError("faults", f"{len(self.faults)}", MAX_FAULTS)
        for k, fault in enumerate(self.faults):
            if max(fault.robots, default=0) > self.robots:
                raise InputError(f"faults[{k}].robot", f"{max(fault.robots)}", f"{self.robots} robots")
            spared = fault.place or fault.process or (fault.robots and max(fault.robots) <= sensor)
            if sensor < self.robots and not spared and fault.kind not in OBJECT_KINDS:
                raise InputError(f"faults[{k}]", f"{fault.kind} befalls robots of object fidelity", OBJECT_KINDS)

    @property
    def last_event_s(self) -> float:
        """When the last thing that was scripted happens."""
        times = [e.at_s for e in (*self.events, *self.faults)]
        return max([*times, self.instruction.at_s if self.instruction else 0.0, 0.0])


def load_scenario(source: str | Path) -> Scenario:
    """The scenario of a YAML file, or of a packaged name such as "shift". Raises InputError naming the
    field."""
    import yaml

    packaged = _FOLDER / f"{source}.yaml"
    path = packaged if packaged.exists() else Path(source)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError("scenario", f"{path.stat().st_size} bytes", MAX_BYTES)
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError("scenario", f"cannot read {path.name}: {error}") from error
    scenario = scenario_from(data)
    if scenario.demand is None:
        return scenario
    return dataclasses.replace(scenario, demand=located(scenario.demand, path.parent))


def scenario_from(data: Any) -> Scenario:
    """A scenario from plain mappings and lists, as YAML gives them."""
    out: Scenario = _build(Scenario, data, "scenario")
    return out


def _within(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not math.isfinite(value) or not low <= value <= high:
        raise InputError(name, f"{value}", f"{low} to {high}")


def _build(kind: Any, data: Any, where: str) -> Any:
    """A dataclass from a mapping, strictly: unknown keys and wrong types are errors."""
    if not isinstance(data, dict):
        raise InputError(where, "must be a mapping")
    hints = typing.get_type_hints(kind)
    known = {f.name for f in dataclasses.fields(kind)}
    for key in data:
        if key not in known:
            raise InputError(f"{where}.{key}", "is unknown", sorted(known))
    values = {k: _value(hints[k], v, f"{where}.{k}") for k, v in data.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise InputError(where, str(error).split("__init__() ")[-1]) from error


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _value(next(a for a in args if a is not type(None)), value, where)
    if hint is Fault:
        return parse_fault(value, where)
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise InputError(where, "must be a list")
        if args[-1] is Ellipsis:
            return tuple(_value(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
        if len(value) != len(args):
            raise InputError(where, f"{len(value)} values", len(args))
        return tuple(_value(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(args, value, strict=True)))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise InputError(where, f"{value!r}", f"a {hint.__name__}")
    return value

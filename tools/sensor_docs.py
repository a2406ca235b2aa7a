"""docs/sensors.md: what a scenario's `sensors:` may hold, from the dataclasses that read it."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from typing import Any

from sim.sensor_models import LIDARS, SensorSetup

INTRO = """# Simulated sensors

Made by `make docs` from sim/sensor_models.py. Without `sensors:` a scenario's robots carry a lidar of 32 beams and a
camera of 320 x 240 without lens, shutter or exposure of their own; every part below is off until it is named, and
what is left out of a part has its default. What chance decides is drawn per robot from the scenario's seed.

```yaml
sensors:
  lidar: {model: vlp16, motion: true, returns: dual, dust_per_m: 0.005}
  camera:
    distortion: [-0.2, 0.05, 0.001, -0.0005]
    rolling_shutter_s: 0.02
    exposure: {lag_s: 0.7}
    glare: {sun: [75, 40], lamps: [[1.0, 10.0, 2.8]]}
    timing: {latency_s: 0.1, jitter_s: 0.02, offset_s: 0.01, drift_ppm: 50}
  depth: {max_m: 5.0}
  imu: {}
  calibration: {camera_deg: 0.5, lidar_m: 0.01}
```

`glare` and `late_sensors` are scenarios that use them. Lens distortion is in `camera/camera_info`; the camera node
takes it out. Nothing in the stack uses depth and inertial data: they are published for users' own nodes and bags, as
`camera/depth_registered/image_raw` (32FC1, REP-118) and `imu/data_raw` (REP-145).
Wheel odometry with drift and the error of localisation are the robot's: `robot: {odometry_drift, localisation_m,
localisation_rad}`. While a sensor takes its time only the robot moves; people and vehicles stand still for that long.
"""


def sensors_page() -> str:
    parts = [INTRO, "\n## Lidar models\n", _models()]
    for where, kind in _tree("sensors", SensorSetup):
        parts.append(f"\n## `{where}`\n\n{_prose(kind)}\n\n| field | default |\n|---|---|\n{_rows(kind)}\n")
    return "".join(parts)


def _models() -> str:
    rows = "".join(
        f"| `{name}` | {len(m.elevation_deg)} | {m.elevation_deg[0]:g} to {m.elevation_deg[-1]:g} | {m.columns} at "
        f"{m.rate_hz:g} Hz | {m.min_range_m:g} to {m.max_range_m:g} | {100 * m.range_noise_m:g} | "
        f"{1e3 * m.divergence_rad:g} |\n"
        for name, m in LIDARS.items()
    )
    return (
        "\n| model | beams | elevation, deg | columns | range, m | range noise, cm | beam, mrad |\n"
        f"|---|---|---|---|---|---|---|\n{rows}"
    )


def _tree(where: str, kind: Any) -> typing.Iterator[tuple[str, Any]]:
    """Every dataclass below, each once."""
    seen: set[Any] = set()

    def walk(where: str, kind: Any) -> typing.Iterator[tuple[str, Any]]:
        if kind in seen:
            return
        seen.add(kind)
        if kind is not SensorSetup:
            yield where, kind
        for name, hint in typing.get_type_hints(kind).items():
            if (part := _part(hint)) is not None:
                yield from walk(f"{where}.{name}", part)

    yield from walk(where, kind)


def _part(hint: Any) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return next((o for o in options if dataclasses.is_dataclass(o)), None)


def _prose(kind: Any) -> str:
    return (inspect.getdoc(kind) or "").strip()


def _rows(kind: Any) -> str:
    rows = []
    for f in dataclasses.fields(kind):
        if _part(typing.get_type_hints(kind)[f.name]) is not None:
            default = "see below" if f.default is dataclasses.MISSING else "off"
        elif f.default is dataclasses.MISSING:
            default = "-"
        else:
            default = "-" if f.default in ("", None, ()) else f"{f.default}"
        rows.append(f"| `{f.name}` | {default} |")
    return "\n".join(rows)

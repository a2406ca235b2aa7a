"""Config dataclasses as the one source of settings: default, meaning, limits, and whether a change is safe at run time.

A node declares its ROS parameters from them (aislewise/node.py), the dataclass judges every value.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, get_type_hints

from aislewise.errors import InputError

SIMPLE = (bool, int, float, str)
_KEY = "aislewise.setting"


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of a config. about: meaning, with the unit where the name does not say it; low, high: limits
    of a number, both included; live: may be changed while the node runs."""

    about: str
    low: float | None = None
    high: float | None = None
    live: bool = True


def setting(
    default: Any, about: str, *, low: float | None = None, high: float | None = None, live: bool = True
) -> Any:
    """A dataclass field with its Setting."""
    return dataclasses.field(default=default, metadata={_KEY: Setting(about, low, high, live)})


def settings_of(cls: type[Any]) -> dict[str, tuple[type, Any, Setting]]:
    """Name -> (type, default, Setting) of the fields that a ROS parameter can hold."""
    hints = get_type_hints(cls)
    return {
        f.name: (hints[f.name], f.default, f.metadata.get(_KEY, Setting("", live=False)))
        for f in dataclasses.fields(cls)
        if hints[f.name] in SIMPLE
    }


def check(config: Any, prefix: str = "") -> None:
    """For `__post_init__`: InputError names the first number that is out of its limits, and the limits."""
    for f in dataclasses.fields(config):
        known = f.metadata.get(_KEY)
        if known is None or known.low is None:
            continue
        value = getattr(config, f.name)
        if isinstance(value, bool) or not math.isfinite(value) or not known.low <= value <= known.high:
            raise InputError(prefix + f.name, f"{value}", f"{known.low:g} to {known.high:g}")

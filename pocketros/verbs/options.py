"""Types of command line options."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError


def positive_float(text: str) -> float:
    value = _float(text)
    if value <= 0:
        raise ArgumentTypeError(f"{text} must be positive")
    return value


def unsigned_float(text: str) -> float:
    value = _float(text)
    if value < 0:
        raise ArgumentTypeError(f"{text} must not be negative")
    return value


def _float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ArgumentTypeError(f"{text!r} is no number")
    return value


def positive_int(text: str) -> int:
    return _int(text, 1)


def unsigned_int(text: str) -> int:
    return _int(text, 0)


def _int(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise ArgumentTypeError(f"{text!r} is no integer of at least {least}")
    return value

"""Checks of message fields: value -> the value to store, or AssertionError naming the field."""

from __future__ import annotations

import array
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .definitions import INTEGER_LIMITS, Field, FieldType

TYPECODES = {
    "int8": "b", "uint8": "B", "char": "B", "int16": "h", "uint16": "H", "int32": "i",
    "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f", "float64": "d",
}  # fmt: skip
DTYPES = {base: np.dtype(code) for base, code in TYPECODES.items()}
FLOAT32_MAX = 3.402823466e38
_PYTHON_TYPES = {"bool": bool, "float32": float, "float64": float, "string": str, "wstring": str}

Checker = Callable[[Any], Any]
FindClass = Callable[[str], type]


def make_checker(owner: str, field: Field, find_class: FindClass) -> Checker:
    """The check of one field of message `owner`; `find_class` gives the classes of nested messages."""
    label = f"The '{field.attribute}' field of {owner}"
    kind = field.type
    if kind.is_numeric_array:
        return _numeric_array_checker(label, kind)
    if kind.array:
        return _list_checker(label, kind, find_class)
    return _scalar_checker(label, kind, find_class)


def _scalar_checker(label: str, kind: FieldType, find_class: FindClass) -> Checker:
    base = kind.base
    if kind.is_message:
        cls: type = find_class(base)
        return lambda value: _require(
            isinstance(value, cls), value, f"{label} must be a {base}, not {_kind_of(value)}"
        )
    if base == "byte":
        return lambda value: (
            bytes(value)
            if isinstance(value, bytes | bytearray) and len(value) == 1
            else _fail(f"{label} must be bytes of length 1, not {value!r}")
        )
    python_type = _PYTHON_TYPES.get(base, int)
    low, high = INTEGER_LIMITS.get(base, (0, 0))

    def check(value: Any) -> Any:
        if not isinstance(value, python_type):
            _fail(f"{label} must be of type '{python_type.__name__}', not {_kind_of(value)}")
        if base in INTEGER_LIMITS and not low <= value <= high:
            _fail(f"{label} must be in [{low}, {high}] ({base}), not {value}")
        if base == "float32" and math.isfinite(value) and abs(value) > FLOAT32_MAX:
            _fail(f"{label} must be within float32's range, not {value}")
        if kind.string_bound and len(value) > kind.string_bound:
            _fail(f"{label} must have at most {kind.string_bound} characters, not {len(value)}")
        return value

    return check


def _list_checker(label: str, kind: FieldType, find_class: FindClass) -> Checker:
    element = _scalar_checker(
        f"each element of {label[0].lower()}{label[1:]}",
        FieldType(kind.base, string_bound=kind.string_bound),
        find_class,
    )
    quick = find_class(kind.base) if kind.is_message else _PYTHON_TYPES.get(kind.base)
    if kind.string_bound:
        quick = None

    def check(value: Any) -> Any:
        if isinstance(value, str | bytes | bytearray) or not isinstance(value, Iterable):
            _fail(f"{label} must be a sequence of {kind.base}, not {_kind_of(value)}")
        if not isinstance(value, list | tuple):
            value = list(value)
        _check_length(label, kind, len(value))
        if quick is None or not set(map(type, value)) <= {quick}:
            for item in value:
                element(item)
        return value

    return check


def _numeric_array_checker(label: str, kind: FieldType) -> Checker:
    code, dtype = TYPECODES[kind.base], DTYPES[kind.base]
    raw_bytes = dtype.itemsize == 1 and kind.base != "int8"
    fixed = kind.array == "fixed"
    unbounded = not fixed and not kind.size

    def check(value: Any) -> Any:
        cls = value.__class__
        if cls is array.array and value.typecode == code and not fixed:
            pass
        elif raw_bytes and (cls is bytes or cls is bytearray) and not fixed:
            pass
        elif isinstance(value, np.ndarray):
            value = _check_ndarray(label, value, dtype)
        elif cls is memoryview and not fixed:
            if value.ndim != 1 or np.dtype(value.format) != dtype or not value.contiguous:
                _fail(f"{label} takes a flat contiguous memoryview of {kind.base}")
        else:
            value = _convert_array(label, value, code, dtype, fixed)
        if not unbounded:
            _check_length(label, kind, len(value))
        return value

    return check


def _check_ndarray(label: str, value: Any, dtype: np.dtype[Any]) -> Any:
    if value.ndim != 1:
        _fail(f"{label} must be one-dimensional, not of shape {value.shape} (use .reshape(-1))")
    if value.dtype == dtype:
        return value
    if (value.dtype.kind in "iub" and dtype.kind == "f") or value.dtype.kind == dtype.kind == "f":
        return value.astype(dtype)
    if value.dtype.kind in "iu" and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if not value.size or (value.min() >= limits.min and value.max() <= limits.max):
            return value.astype(dtype)
    return _fail(f"{label} must hold {dtype}, not {value.dtype}")


def _convert_array(label: str, value: Any, code: str, dtype: np.dtype[Any], fixed: bool) -> Any:
    if isinstance(value, str) or not isinstance(value, Iterable):
        _fail(f"{label} must be a sequence of {dtype}, not {_kind_of(value)}")
    if isinstance(value, bytes | bytearray | memoryview) and dtype.itemsize > 1:
        _fail(f"{label} must be a sequence of {dtype}, not raw {_kind_of(value)}")
    try:
        converted = array.array(code, value if isinstance(value, list | tuple) else list(value))
    except (TypeError, OverflowError) as error:
        return _fail(f"{label} must be a sequence of {dtype}: {error}")
    return np.frombuffer(converted, dtype) if fixed and len(converted) else converted


def _check_length(label: str, kind: FieldType, length: int) -> None:
    if kind.array == "fixed" and length != kind.size:
        _fail(f"{label} must have {kind.size} elements, not {length}")
    if kind.array == "sequence" and kind.size and length > kind.size:
        _fail(f"{label} must have at most {kind.size} elements, not {length}")


def _require(condition: bool, value: Any, text: str) -> Any:
    return value if condition else _fail(text)


def _fail(text: str) -> Any:
    raise AssertionError(text)


def _kind_of(value: object) -> str:
    return f"'{type(value).__name__}'"

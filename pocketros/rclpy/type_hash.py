"""Type hashes: what tells two definitions of one type name apart (REP 2016)."""

from __future__ import annotations

from typing import Any

_SIZE = 32


class TypeHash:
    __slots__ = ("_value", "_version")

    def __init__(self, version: int = -1, value: bytes = bytes(_SIZE)) -> None:
        self.version = version
        self.value = value

    @property
    def version(self) -> int:
        """Version of the hashing scheme; -1 where no hash is known."""
        return self._version

    @version.setter
    def version(self, value: int) -> None:
        _require(value, int)
        self._version = value

    @property
    def value(self) -> bytes:
        return self._value

    @value.setter
    def value(self, value: bytes) -> None:
        _require(value, bytes)
        self._value = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TypeHash):
            return NotImplemented
        return (self._version, self._value) == (other._version, other._value)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        if self._version <= 0 or len(self._value) != _SIZE:
            return "INVALID"
        return f"RIHS{self._version:02}_{self._value.hex()}"


def _require(value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise AssertionError(f"must be {kind.__name__}, not {value!r}")

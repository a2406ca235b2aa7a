"""Typed errors. Each names the field that is wrong and the limit it broke, so that a client can act."""

from __future__ import annotations

from typing import Any


class AislewiseError(Exception):
    """Base of every error we raise on purpose. `code` is stable and part of the wire protocol."""

    code = "ERROR"


class InputError(AislewiseError):
    """Input from outside is not usable.

    field: dotted path of the offending field ("lines[0].quantity"); limit: what it had to satisfy.
    """

    code = "INVALID"

    def __init__(self, field: str, message: str, limit: Any = None) -> None:
        self.field, self.message, self.limit = field, message, limit
        tail = f" (limit: {limit})" if limit is not None else ""
        super().__init__(f"{field}: {message}{tail}")

    def __reduce__(self) -> Any:
        """So that it gets from one process to another whole."""
        return type(self), (self.field, self.message, self.limit)


class UnknownPlaceError(InputError):
    """A SKU, station, pick face or charger that the site map does not have."""

    code = "UNKNOWN"


class UnreachableError(InputError):
    """A place that exists but that no robot can reach."""

    code = "UNREACHABLE"


class ConflictError(AislewiseError):
    """The same order id was submitted before with a different body."""

    code = "CONFLICT"


class NotFoundError(AislewiseError):
    """No such order, robot or object."""

    code = "NOT_FOUND"


class StateError(AislewiseError):
    """A transition that the order's state machine does not allow (final is final)."""

    code = "BAD_STATE"


class UnsupportedError(AislewiseError):
    """A feature that is deliberately not offered, named in the message."""

    code = "UNSUPPORTED"

"""Messages to and from CDR bytes."""

from __future__ import annotations

from typing import Any

from pocketros import cdr


def serialize_message(message: Any) -> bytes:
    return cdr.serialize(message)


def deserialize_message(serialized_message: bytes, message_type: type) -> Any:
    return cdr.deserialize(serialized_message, message_type)

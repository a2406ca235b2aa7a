"""Checks that a class is of the kind of interface a call needs."""

from __future__ import annotations

from typing import Any

from pocketros.messages import type_name

from .exceptions import NoTypeSupportImportedException


def check_for_type_support(msg_or_srv_type: Any) -> None:
    """AttributeError if this is no ROS 2 interface class."""
    if getattr(type(msg_or_srv_type), "_TYPE_SUPPORT", msg_or_srv_type) is None:
        raise NoTypeSupportImportedException()  # one that a genuine installation generated
    try:
        type_name(msg_or_srv_type)
    except TypeError as error:
        raise AttributeError(
            f"{error} This might be a ROS 1 message type but it should be a ROS 2 message type."
        ) from None


def check_is_valid_msg_type(msg_type: Any) -> None:
    """RuntimeError for a service or action."""
    check_for_type_support(msg_type)
    if not hasattr(msg_type, "_SPEC"):
        raise RuntimeError(
            f"The message type provided is not valid ({msg_type}), this might be a service or action"
        )


def check_is_valid_srv_type(srv_type: Any) -> None:
    """RuntimeError for a message or action."""
    check_for_type_support(srv_type)
    if not (hasattr(srv_type, "Request") and hasattr(srv_type, "Response")):
        raise RuntimeError(
            f"The service type provided is not valid ({srv_type}), this might be a message or action"
        )


def check_is_valid_action_type(action_type: Any) -> None:
    """RuntimeError for a message or service. Not in rclpy, which fails later, in C."""
    check_for_type_support(action_type)
    if not hasattr(action_type, "Impl"):
        raise RuntimeError(
            f"The action type provided is not valid ({action_type}), this might be a message or service"
        )

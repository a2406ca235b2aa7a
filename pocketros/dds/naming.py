"""Names and types on the wire (docs.ros.org, "Topic and Service name mapping to DDS")."""

from __future__ import annotations

import re

TOPIC, REQUEST, REPLY = "rt", "rq", "rr"
_SUFFIX = {TOPIC: "", REQUEST: "Request", REPLY: "Reply"}
_TYPE = re.compile(r"(?P<package>\w+)::(?P<kind>msg|srv|action)::dds_::(?P<name>\w+)_")


def dds_topic(name: str, prefix: str, plain: bool = False) -> str:
    """`/a/b` → `rt/a/b`, or `rq/a/bRequest`; with `plain` as it is (no ROS conventions)."""
    return name.lstrip("/") if plain else f"{prefix}{name}{_SUFFIX[prefix]}"


def ros_topic(topic: str) -> tuple[str, str] | None:
    """(prefix, ROS name) of a DDS topic; None if it is not one of ROS."""
    prefix, slash, name = topic.partition("/")
    suffix = _SUFFIX.get(prefix)
    if suffix is None or not slash or not name.endswith(suffix):
        return None
    return prefix, f"/{name.removesuffix(suffix)}"


def dds_type(name: str) -> str:
    """`std_msgs/msg/String` → `std_msgs::msg::dds_::String_`; also halves of services."""
    package, kind, short = name.split("/")
    return f"{package}::{kind}::dds_::{short}_"


def ros_type(name: str) -> str:
    """The reverse of `dds_type`; a foreign type's name comes back as it is."""
    match = _TYPE.fullmatch(name)
    return f"{match['package']}/{match['kind']}/{match['name']}" if match else name


def service_of(half: str) -> str:
    """`pkg/srv/Name_Request` → `pkg/srv/Name`."""
    return half.removesuffix("_Request").removesuffix("_Response")

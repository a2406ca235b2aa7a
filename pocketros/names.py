"""ROS names: validation and expansion (design.ros2.org/articles/topic_and_service_names.html)."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SUBSTITUTION = re.compile(r"\{([^{}]*)\}")
MAX_NODE_NAME = 255


def find_name_error(name: str, kind: str) -> tuple[str, int] | None:
    """(what is wrong, index) for a "node", "namespace", "topic" or "full topic" name, or None.

    Topics may be relative, absolute or private (`~`, `~/x`) and hold `{node}`, `{ns}`,
    `{namespace}`; full ones are absolute and expanded.
    """
    if not name:
        return f"{kind} name must not be empty", 0
    if kind == "node":
        if len(name) > MAX_NODE_NAME:
            return f"node name must be at most {MAX_NODE_NAME} characters long", MAX_NODE_NAME
        bad = re.search(r"[^A-Za-z0-9_]", name)
        if bad:
            return "node name must not contain characters other than alphanumerics or '_'", bad.start()
        return ("node name must not start with a number", 0) if name[0].isdigit() else None
    if kind == "namespace":
        if name == "/":
            return None
        if not name.startswith("/"):
            return "namespace must be absolute, it must lead with a '/'", 0
    if kind == "full topic":
        if not name.startswith("/"):
            return "topic name must be absolute, it must lead with a '/'", 0
        if bad := re.search(r"[^A-Za-z0-9_/]", name):
            return "topic name must not contain characters other than alphanumerics, '_', or '/'", bad.start()
    return _find_topic_error(name)


def _find_topic_error(name: str) -> tuple[str, int] | None:
    body = name
    if name.startswith("~"):
        if name == "~":
            return None
        if name[1] != "/":
            return "'~' must be followed by '/'", 1
    for match in _SUBSTITUTION.finditer(name):
        if match[1] not in ("node", "ns", "namespace"):
            return f"unknown substitution {{{match[1]}}}", match.start()
    body = _SUBSTITUTION.sub(lambda m: "s" * len(m[0]), name.replace("~", "s", 1))
    bad = re.search(r"[^A-Za-z0-9_/]", body)
    if bad:
        return "name must not contain characters other than alphanumerics, '_', '~', '{', '}'", bad.start()
    if body.endswith("/"):
        return "name must not end with a forward slash", len(name) - 1
    position = 0
    for index, token in enumerate(body.split("/")):
        if not token and index:
            return "name must not contain repeated '/'", position
        if token and token[0].isdigit():
            return "name tokens must not start with a number", position
        position += len(token) + 1
    return None


def expand(name: str, node_name: str, namespace: str) -> str:
    """Absolute name of a valid relative, private or absolute one, before remapping."""
    full = f"/{node_name}" if namespace == "/" else f"{namespace}/{node_name}"
    values = {"node": node_name, "ns": namespace, "namespace": namespace}
    name = _SUBSTITUTION.sub(lambda m: values[m[1]], name)
    if name.startswith("~"):
        return full + name[1:]
    if name.startswith("/"):
        return name
    return f"/{name}" if namespace == "/" else f"{namespace}/{name}"

"""Command line arguments of ROS nodes: `--ros-args`, remap rules, parameter overrides and files.

Follows docs.ros.org "Passing ROS arguments to nodes via the command-line" and rcl's parameter file
format (`node: ros__parameters:`, wildcards `*` and `**`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import names

LOG_LEVELS = {"debug": 10, "info": 20, "warn": 30, "error": 40, "fatal": 50}
_SWITCHES = frozenset(
    f"--{verb}-{sink}-logs" for verb in ("enable", "disable")
    for sink in ("rosout", "stdout", "external-lib")
)  # fmt: skip


class ArgumentError(ValueError):
    """A ROS argument that cannot be understood; the message quotes it."""


class UnknownArgumentError(ArgumentError):
    """An option that ROS does not have."""


@dataclass(frozen=True, slots=True)
class Remap:
    """`match:=replacement`, for one node only when `node` is set; `kind` topic, node or ns."""

    kind: str
    match: str
    replacement: str
    node: str | None = None


@dataclass(slots=True)
class Arguments:
    """Parsed ROS arguments. `parameters` are (node pattern, name, value) in order, last one wins."""

    remaps: list[Remap] = field(default_factory=list)
    parameters: list[tuple[str, str, Any]] = field(default_factory=list)
    log_level: int | None = None
    logger_levels: dict[str, int] = field(default_factory=dict)
    log_to_stderr: bool = True
    log_to_rosout: bool = True
    others: list[str] = field(default_factory=list)

    def node_name(self, name: str) -> str:
        return self._identity("node", name) or name

    def namespace(self, name: str, default: str) -> str:
        return self._identity("ns", name) or default

    def _identity(self, kind: str, name: str) -> str | None:
        for rule in self.remaps:
            if rule.kind == kind and rule.node in (None, name):
                return rule.replacement
        return None

    def remap(self, full_name: str, node_name: str, namespace: str) -> str | None:
        """New absolute name of a topic or service, or None where no rule applies."""
        for rule in self.remaps:
            if rule.kind == "topic" and rule.node in (None, node_name):
                if names.expand(rule.match, node_name, namespace) == full_name:
                    return names.expand(rule.replacement, node_name, namespace)
        return None

    def overrides(self, full_node_name: str) -> dict[str, Any]:
        """Parameter values for one node, keyed by parameter name."""
        short = full_node_name.rpartition("/")[2]
        chosen: dict[str, Any] = {}
        for pattern, name, value in self.parameters:
            if pattern == short or _matches(pattern, full_node_name):
                chosen[name] = value
        return chosen


def parse(argv: Sequence[str]) -> Arguments:
    """Parse the `--ros-args ... --` sections of a command line; `others` keeps the rest.

    UnicodeEncodeError for an argument that the locale could not decode.
    """
    result = Arguments()
    tokens = list(argv)
    for token in tokens:
        token.encode()
    index, in_ros = 0, False
    while index < len(tokens):
        token = tokens[index]
        index += 1
        if not in_ros:
            if token == "--ros-args":
                in_ros = True
            else:
                result.others.append(token)
        elif token == "--":
            in_ros = False
        elif token == "--ros-args":
            continue
        elif token in _SWITCHES:
            if token.endswith("stdout-logs"):
                result.log_to_stderr = token.startswith("--enable")
            elif token.endswith("rosout-logs"):
                result.log_to_rosout = token.startswith("--enable")
        elif token in _OPTIONS:
            if index >= len(tokens):
                raise ArgumentError(f"{token} needs a value")
            try:
                _OPTIONS[token](result, tokens[index])
            except ArgumentError as error:
                raise ArgumentError(f"Failed to parse ROS arguments: {token} {tokens[index]}: {error}") from error
            index += 1
        else:
            raise UnknownArgumentError(f"Found unknown ROS arguments: {[token]}")
    return result


def remove_ros_args(argv: Sequence[str]) -> list[str]:
    """The command line without its `--ros-args ... --` sections."""
    kept: list[str] = []
    in_ros = False
    for token in argv:
        if token == "--ros-args":
            in_ros = True
        elif in_ros and token == "--":
            in_ros = False
        elif not in_ros:
            kept.append(token)
    return kept


def _split_rule(text: str) -> tuple[str | None, str, str]:
    left, separator, right = text.partition(":=")
    if not separator or not left:
        raise ArgumentError(f"expected name:=value, not {text!r}")
    node, colon, name = left.partition(":")
    return (node, name, right) if colon else (None, left, right)


def _add_remap(result: Arguments, text: str) -> None:
    node, match, replacement = _split_rule(text)
    kind = {"__node": "node", "__name": "node", "__ns": "ns"}.get(match, "topic")
    check = {"node": "node", "ns": "namespace", "topic": "topic"}[kind]
    for value in (replacement,) if kind != "topic" else (match, replacement):
        if error := names.find_name_error(value, check):
            raise ArgumentError(f"remap rule {text!r}: {error[0]}")
    result.remaps.append(Remap(kind, match, replacement, node))


def _add_parameter(result: Arguments, text: str) -> None:
    node, name, value = _split_rule(text)
    result.parameters.append((node or "/**", name, parse_value(value)))


def _add_parameter_file(result: Arguments, path: str) -> None:
    result.parameters += load_parameter_file(path)


def _add_log_level(result: Arguments, text: str) -> None:
    logger, separator, level = text.rpartition(":=")
    if level.lower() not in LOG_LEVELS:
        raise ArgumentError(f"unknown log level {level!r}")
    if separator:
        result.logger_levels[logger] = LOG_LEVELS[level.lower()]
    else:
        result.log_level = LOG_LEVELS[level.lower()]


def _ignore(result: Arguments, text: str) -> None:
    """Options that concern security enclaves and log back ends, of which there are none here."""


_OPTIONS = {
    "-r": _add_remap, "--remap": _add_remap, "-p": _add_parameter, "--param": _add_parameter,
    "--params-file": _add_parameter_file, "--log-level": _add_log_level,
    "-e": _ignore, "--enclave": _ignore, "--log-config-file": _ignore, "--log-file-name": _ignore,
}  # fmt: skip


def load_parameter_file(path: str | Path) -> list[tuple[str, str, Any]]:
    """Read a ROS parameter file into (node pattern, parameter name, value) entries, in order.

    A key may stand there several times, which is why the YAML nodes are walked and not a dict.
    """
    import yaml

    try:
        loader = _loader()(Path(path).read_text(encoding="utf-8"))
        root = loader.get_single_node()
    except OSError as error:
        raise ArgumentError(f"cannot read parameter file {str(path)!r}: {error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ArgumentError(f"parameter file {str(path)!r}: {error}") from error
    if not isinstance(root, yaml.MappingNode):
        raise ArgumentError(f"parameter file {str(path)!r} must map node names to parameters")
    entries: list[tuple[str, str, Any]] = []
    try:
        _collect_nodes(loader, root, "", entries)
    except (ValueError, yaml.YAMLError) as error:
        raise ArgumentError(f"parameter file {str(path)!r}: {error}") from error
    return entries


def _collect_nodes(
    loader: Any, tree: Any, prefix: str, entries: list[tuple[str, str, Any]]
) -> None:
    for key_node, value in tree.value:
        key = str(key_node.value)
        if not hasattr(value, "value") or value.id != "mapping":
            raise ValueError(f"{prefix}/{key} holds no ros__parameters")
        if key != "ros__parameters":
            _collect_nodes(loader, value, f"{prefix}/{key.strip('/')}", entries)
        elif prefix:
            _collect_parameters(loader, value, "", prefix, entries)
        else:
            raise ValueError("ros__parameters must stand under a node name")


def _collect_parameters(
    loader: Any, tree: Any, prefix: str, node: str, entries: list[tuple[str, str, Any]]
) -> None:
    for key_node, value in tree.value:
        name = f"{prefix}{key_node.value}"
        if value.id == "mapping":
            _collect_parameters(loader, value, f"{name}.", node, entries)
            continue
        try:
            entries.append((node, name, check_value(loader.construct_object(value, deep=True))))
        except ValueError as error:
            raise ValueError(f"parameter {name!r}: {error}") from error


def _matches(pattern: str, full_name: str) -> bool:
    """`*` stands for one name token, `**` for any number of them."""
    parts = []
    for token in pattern.strip("/").split("/"):
        parts.append("(?:/[^/]+)*" if token == "**" else "/[^/]+" if token == "*" else f"/{re.escape(token)}")
    return re.fullmatch("".join(parts), full_name) is not None


def parse_value(text: str) -> Any:
    """A parameter value from its YAML spelling, typed as rcl does. ArgumentError if impossible."""
    try:
        return check_value(_load_yaml(text)) if text else ""
    except ValueError as error:
        raise ArgumentError(f"parameter value {text!r}: {error}") from error


def check_value(value: Any) -> Any:
    """Return the value if a ROS parameter can hold it; ValueError otherwise."""
    if isinstance(value, bool | int | float | str):
        return value
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is no bool, integer, double, string or array of one of these")
    kinds = {type(item) for item in value}
    if len(kinds) > 1 or not kinds <= {bool, int, float, str}:
        raise ValueError(f"{value!r} must hold elements of one type, bool, integer, double or string")
    return value


def _load_yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.load(text, _loader())
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


_loader_class: Any = None


def _loader() -> Any:
    """A safe YAML loader with rcl's scalars: no dates or sexagesimals, and `1e-3` is a double."""
    global _loader_class
    if _loader_class is None:
        import yaml

        class Loader(yaml.SafeLoader):  # type: ignore[misc]
            yaml_implicit_resolvers: dict[str, Any] = {}

        first_of_number = list("-+.0123456789")
        Loader.add_implicit_resolver(
            "tag:yaml.org,2002:bool",
            re.compile(r"(?:y|n|yes|no|true|false|on|off)$", re.IGNORECASE),
            list("yYnNtTfFoO"),
        )
        Loader.add_implicit_resolver(
            "tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|[0-9]+)$"), first_of_number
        )
        Loader.add_implicit_resolver(
            "tag:yaml.org,2002:float",
            re.compile(
                r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"
                r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
            ),
            first_of_number,
        )
        Loader.add_constructor("tag:yaml.org,2002:bool", _yaml_bool)
        _loader_class = Loader
    return _loader_class


def _yaml_bool(loader: Any, node: Any) -> bool:
    return str(loader.construct_scalar(node)).lower() in ("y", "yes", "true", "on")

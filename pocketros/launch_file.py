"""Reads ROS 2 YAML launch files into a plan: what is to be started, when, and with what.

Reading has no effects: the same file, arguments and environment give the same plan.
"""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import arguments, names
from .launch_entity import Entity, Scope
from .launch_plan import (
    LaunchError,
    LaunchPlan,
    LogStep,
    NodeStep,
    ProcessStep,
    Resolver,
    ShutdownStep,
    Step,
)
from .launch_substitutions import SubstitutionError, as_bool

MAX_INCLUDE_DEPTH = 20


def load(
    path: str | Path, args: dict[str, str] | None = None, resolver: Resolver | None = None
) -> LaunchPlan:
    """Read a launch file with the given launch arguments.

    With a `resolver` every node's executable is looked up now rather than when it starts. Raises
    LaunchError for anything that is not understood.
    """
    path = Path(path).resolve()
    reader = _Reader(dict(args or {}))
    scope = Scope(dict(args or {}), dict(os.environ), file=path)
    reader.read_file(path, scope)
    if unknown := set(args or {}) - reader.declared.keys():
        known = ", ".join(sorted(reader.declared)) or "none"
        raise LaunchError(f"{path.name} has no argument {sorted(unknown)[0]!r} (it has: {known})")
    plan = LaunchPlan(path, tuple(reader.steps), tuple(reader.declared.items()))
    if resolver is not None:
        for node in plan.nodes:
            try:
                resolver(node.package, node.executable)
            except Exception as error:
                raise LaunchError(f"{node.where}: {error}") from error
    return plan


class _Reader:
    def __init__(self, given: dict[str, str]) -> None:
        self.given = given
        self.declared: dict[str, str] = {}
        self.steps: list[Step] = []

    def read_file(self, path: Path, scope: Scope) -> None:
        import yaml

        if scope.depth > MAX_INCLUDE_DEPTH:
            raise LaunchError(f"{path.name}: files include each other more than {MAX_INCLUDE_DEPTH} deep")
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise LaunchError(f"cannot read launch file {path}: {error}") from error
        if not isinstance(document, dict) or list(document) != ["launch"]:
            raise LaunchError(f"{path.name}: the one top level entry must be 'launch'")
        before, scope.file = scope.file, path
        self.read_entries(document["launch"], scope, path.name)
        scope.file = before

    def read_entries(self, entries: Any, scope: Scope, where: str) -> None:
        if not isinstance(entries, list):
            raise LaunchError(f"{where}: expected a list of entries")
        for index, entry in enumerate(entries):
            place = f"{where}[{index}]"
            if not isinstance(entry, dict) or len(entry) != 1:
                raise LaunchError(f"{place}: an entry is a mapping with one key, its kind")
            kind, body = next(iter(entry.items()))
            handler = _ENTITIES.get(kind)
            if handler is None:
                known = ", ".join(sorted(_ENTITIES))
                raise LaunchError(f"{place}: unknown entity {kind!r} (known: {known})")
            try:
                entity = Entity(kind, body, scope, f"{place} {kind}")
                if entity.condition():
                    handler(self, entity, scope)
                    entity.finish()
            except (SubstitutionError, arguments.ArgumentError) as error:
                raise LaunchError(f"{place} {kind}: {error}") from error

    # Entities. Each reads its attributes from `e`; what it leaves unread is an error.

    def arg(self, e: Entity, scope: Scope) -> None:
        name = e.text("name")
        e.text("description", "")
        choices = [choice.text("value") for choice in e.children("choice")]
        default = e.optional_text("default")
        if name not in scope.variables:
            if default is None:
                raise LaunchError(f"{e.where}: argument {name!r} is required and was not given")
            scope.variables[name] = default
        value = scope.variables[name]
        if choices and value not in choices:
            raise LaunchError(f"{e.where}: {name}:={value!r} is not one of {', '.join(choices)}")
        self.declared.setdefault(name, value)

    def let(self, e: Entity, scope: Scope) -> None:
        scope.variables[e.text("name")] = e.text("value")

    def group(self, e: Entity, scope: Scope) -> None:
        inner = copy.deepcopy(scope) if e.boolean("scoped", True) else scope
        self.read_entries(e.nested(), inner, e.where)

    def include(self, e: Entity, scope: Scope) -> None:
        path = Path(e.text("file"))
        if not path.name.endswith((".yaml", ".yml")):
            raise LaunchError(f"{e.where}: can include YAML launch files only, not {path.name!r}")
        for argument in e.children("arg"):
            scope.variables[argument.text("name")] = argument.text("value")
        path = path if path.is_absolute() else scope.file.parent / path
        scope.depth += 1
        self.read_file(path, scope)
        scope.depth -= 1

    def node(self, e: Entity, scope: Scope) -> None:
        package, executable = e.text("pkg"), e.text("exec")
        name, space = e.text("name", ""), e.optional_text("namespace")
        if name and (problem := names.find_name_error(name, "node")):
            raise LaunchError(f"{e.where}: {problem[0]}: {name!r}")
        namespace = _join(scope.namespace, space or "", e.where)
        argv = [*e.words("args"), "--ros-args", *e.words("ros_args")]
        argv += ["-r", f"__node:={name}"] if name else []
        argv += ["-r", f"__ns:={namespace}"] if namespace else []
        argv += scope.parameters
        for parameter in e.children("param"):
            argv += _parameter_arguments(parameter)
        own = [f"{r.text('from')}:={r.text('to')}" for r in e.children("remap")]
        for rule in (*scope.remaps, *own):
            argv += ["-r", rule]
        e.text("output", "")
        arguments.parse(argv)  # a rule or value that is wrong is wrong here, not at run time
        self.steps.append(
            NodeStep(
                package, executable, name, namespace,
                tuple(argv) if argv[-1] != "--ros-args" else tuple(argv[:-1]),
                e.environment(scope), e.boolean("respawn", False), e.number("respawn_delay", 0.0),
                scope.delay_s, e.where,
            )
        )  # fmt: skip

    def executable(self, e: Entity, scope: Scope) -> None:
        command = e.words("cmd")
        if not command:
            raise LaunchError(f"{e.where}: 'cmd' must not be empty")
        e.text("output", "")
        self.steps.append(
            ProcessStep(
                tuple(command), e.text("name", ""), e.text("cwd", ""), e.environment(scope),
                e.boolean("respawn", False), e.number("respawn_delay", 0.0), scope.delay_s, e.where,
            )
        )  # fmt: skip

    def push_ros_namespace(self, e: Entity, scope: Scope) -> None:
        scope.namespace = _join(scope.namespace, e.text("namespace"), e.where)

    def set_parameter(self, e: Entity, scope: Scope) -> None:
        value = arguments.parse_value(e.text("value"))
        scope.parameters = [*scope.parameters, "-p", f"{e.text('name')}:={_spell(value)}"]

    def set_parameters_from_file(self, e: Entity, scope: Scope) -> None:
        scope.parameters = [*scope.parameters, "--params-file", e.text("filename")]

    def set_use_sim_time(self, e: Entity, scope: Scope) -> None:
        value = "true" if as_bool(e.text("value")) else "false"
        scope.parameters = [*scope.parameters, "-p", f"use_sim_time:={value}"]

    def set_remap(self, e: Entity, scope: Scope) -> None:
        scope.remaps = [*scope.remaps, f"{e.text('from')}:={e.text('to')}"]

    def set_env(self, e: Entity, scope: Scope) -> None:
        scope.env[e.text("name")] = e.text("value")

    def append_env(self, e: Entity, scope: Scope) -> None:
        name, value = e.text("name"), e.text("value")
        separator, first = e.text("separator", os.pathsep), e.boolean("prepend", False)
        old = scope.env.get(name)
        parts = [value] if old is None else [value, old] if first else [old, value]
        scope.env[name] = separator.join(parts)

    def unset_env(self, e: Entity, scope: Scope) -> None:
        scope.env.pop(e.text("name"), None)

    def timer(self, e: Entity, scope: Scope) -> None:
        inner = copy.deepcopy(scope)
        inner.delay_s += e.number("period")
        self.read_entries(e.nested(), inner, e.where)

    def log(self, e: Entity, scope: Scope) -> None:
        self.steps.append(LogStep(e.text("message"), scope.delay_s))

    def shutdown(self, e: Entity, scope: Scope) -> None:
        self.steps.append(ShutdownStep(e.text("reason", ""), scope.delay_s))


_ENTITIES: dict[str, Callable[[_Reader, Entity, Scope], None]] = {
    name: getattr(_Reader, name)
    for name in (
        "arg", "let", "group", "include", "node", "executable", "push_ros_namespace",
        "set_parameter", "set_parameters_from_file", "set_use_sim_time", "set_remap", "set_env",
        "append_env", "unset_env", "timer", "log", "shutdown",
    )
}  # fmt: skip
_ENTITIES["push-ros-namespace"] = _Reader.push_ros_namespace


def _parameter_arguments(e: Entity, prefix: str = "") -> list[str]:
    """Command line arguments of one `param` entry: a value, a nested set or a file."""
    if e.has("from"):
        path = e.text("from")
        if e.boolean("allow_substs", False):
            raise LaunchError(f"{e.where}: 'allow_substs' is not supported")
        e.finish()
        if not Path(path).is_file():
            raise LaunchError(f"{e.where}: no parameter file {path!r}")
        return ["--params-file", path]
    name = prefix + e.text("name")
    if e.has("param"):
        nested = [a for child in e.children("param") for a in _parameter_arguments(child, f"{name}.")]
        e.finish()
        return nested
    value = e.value("value")
    e.finish()
    return ["-p", f"{name}:={_spell(value)}"]


def _spell(value: Any) -> str:
    """A parameter value in YAML that reads back with the same type."""
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if isinstance(value, list):
        return "[" + ", ".join(_spell(item) for item in value) + "]"
    return json.dumps(value)


def _join(base: str, namespace: str, where: str) -> str:
    """Namespace below `base`; an absolute one stands for itself."""
    if not namespace:
        return base
    joined = namespace if namespace.startswith("/") else f"{base.rstrip('/')}/{namespace}"
    joined = joined.rstrip("/") or "/"
    if problem := names.find_name_error(joined, "namespace"):
        raise LaunchError(f"{where}: {problem[0]}: {joined!r}")
    return joined

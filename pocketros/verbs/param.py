"""Read and set the parameters of nodes through their parameter services, with ros2's words."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any

import yaml

from . import session
from .command import Commands
from .errors import VerbError
from .node import absolute, node_names
from .options import unsigned_float
from .session import Session, opened
from .types import service_type

CALL_TIMEOUT_S = 5.0
KINDS = (
    "not set", "boolean", "integer", "double", "string", "byte array", "boolean array", "integer array",
    "double array", "string array",
)  # fmt: skip
"""Parameter types as rcl_interfaces/msg/ParameterType numbers them."""


def add(commands: Commands) -> None:
    p = commands.add("list", list_parameters, "output a list of available parameters")
    p.add_argument("node_name", nargs="?", help="such as /talker (default: all nodes)")
    p.add_argument("--filter", metavar="REGEX", help="only parameters whose names match")
    p.add_argument("--param-prefixes", nargs="+", default=[], metavar="PREFIX", help="only those under these prefixes")
    p.add_argument("--param-type", action="store_true", help="print types as well")
    _add_common(p)
    p = commands.add("get", get, "get a parameter")
    _add_node(p)
    p.add_argument("parameter_name")
    p.add_argument("--hide-type", action="store_true", help="print the value alone")
    p = commands.add("set", set_parameter, "set a parameter")
    _add_node(p)
    p.add_argument("parameter_name")
    p.add_argument("value", help="in YAML: 1 is an integer, 1.0 a double, true a boolean, [1, 2] an integer array")
    p = commands.add("dump", dump, "show all parameters of a node as a parameter file")
    _add_node(p)
    p = commands.add("describe", describe, "show descriptive information about declared parameters")
    _add_node(p)
    p.add_argument("parameter_names", nargs="+", metavar="parameter_name")


def _add_node(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("node_name", help="such as /talker")
    parser.add_argument(
        "--timeout", type=unsigned_float, default=1.0, metavar="S",
        help="wait so long for the node (default %(default)s)",
    )  # fmt: skip
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--include-hidden-nodes", action="store_true", help="consider hidden nodes as well")
    session.add_arguments(parser)


def list_parameters(args: argparse.Namespace) -> None:
    try:
        wanted = re.compile(args.filter or "")
    except re.error as error:
        raise VerbError(f"--filter: {args.filter!r} is no regular expression: {error}", 2) from None
    with opened(args) as s:
        nodes = node_names(s, args.include_hidden_nodes)
        if args.node_name:
            nodes = [name for name in nodes if name == absolute(args.node_name)]
            if not nodes:
                raise VerbError("Node not found")
        for node in dict.fromkeys(nodes):
            reply = _call(s, node, "ListParameters", prefixes=args.param_prefixes)
            if reply is None:
                print(f"Wait for service timed out waiting for parameter services for node {node}", file=sys.stderr)
                continue
            names = sorted(filter(wanted.match, reply.result.names))
            if names and not args.node_name:
                print(f"{node}:")
            kinds = _types(s, node, names) if args.param_type and names else {}
            for name in names:
                print(f"  {name} (type: {kinds[name]})" if kinds else f"  {name}")


def _types(s: Session, node: str, names: list[str]) -> dict[str, str]:
    descriptors = _need(s, node, "DescribeParameters", names=names).descriptors
    return {item.name: KINDS[item.type] for item in descriptors}


def get(args: argparse.Namespace) -> None:
    with opened(args) as s:
        node = _found(s, args)
        values = _need(s, node, "GetParameters", names=[args.parameter_name]).values
    if not values:
        raise VerbError("Parameter not set")
    kind = KINDS[values[0].type]
    value = _python(values[0])
    label = f"{kind.replace(' array', '').capitalize()} {'values are' if 'array' in kind else 'value is'}:"
    if value is None:
        print("None" if args.hide_type else "Parameter not set.")
    else:
        print(value) if args.hide_type else print(label, value)


def set_parameter(args: argparse.Namespace) -> int:
    from rcl_interfaces.msg import Parameter
    from rclpy.parameter import get_parameter_value

    message = Parameter(name=args.parameter_name, value=get_parameter_value(args.value))
    with opened(args) as s:
        results = _need(s, _found(s, args), "SetParameters", parameters=[message]).results
    result = results[0]
    reason = f": {result.reason}" if result.reason else ""
    if result.successful:
        print(f"Set parameter successful{reason}")
        return 0
    print(f"Setting parameter failed{reason}", file=sys.stderr)
    return 1


def dump(args: argparse.Namespace) -> None:
    from rclpy.parameter import PARAMETER_SEPARATOR_STRING

    with opened(args) as s:
        node = _found(s, args)
        names = sorted(_need(s, node, "ListParameters").result.names)
        values = _need(s, node, "GetParameters", names=names).values if names else []
    tree: dict[str, Any] = {}
    for name, value in zip(names, values, strict=False):
        *groups, last = name.split(PARAMETER_SEPARATOR_STRING)
        branch = tree
        for group in groups:
            branch = branch.setdefault(group, {})
        branch[last] = _python(value)
    print(yaml.dump({node: {"ros__parameters": tree}}, default_flow_style=False))


def describe(args: argparse.Namespace) -> None:
    with opened(args) as s:
        descriptors = _need(s, _found(s, args), "DescribeParameters", names=args.parameter_names).descriptors
    for item in descriptors:
        print(f"Parameter name: {item.name}")
        print(f"  Type: {KINDS[item.type]}")
        if item.description:
            print(f"  Description: {item.description}")
        print("  Constraints:")
        if item.read_only:
            print("    Read only: true")
        for limits in [*item.floating_point_range, *item.integer_range][:1]:
            print(f"    Min value: {limits.from_value}\n    Max value: {limits.to_value}")
            if limits.step:
                print(f"    Step: {limits.step}")
        if item.additional_constraints:
            print(f"    Additional constraints: {item.additional_constraints}")


def _python(value: Any) -> Any:
    """A parameter's value; arrays come off the wire as numpy's, and print as lists of plain numbers."""
    from rclpy.parameter import parameter_value_to_python

    found = parameter_value_to_python(value)
    return [getattr(item, "item", lambda i=item: i)() for item in found] if isinstance(found, list) else found


def _found(s: Session, args: argparse.Namespace) -> str:
    name = absolute(args.node_name)
    if not s.wait(lambda: name in node_names(s, args.include_hidden_nodes), args.timeout):
        raise VerbError("Node not found")
    return name


def _call(s: Session, node: str, kind: str, **fields: Any) -> Any:
    """The reply of one of a node's parameter services; None where none came."""
    service = service_type(f"rcl_interfaces/srv/{kind}")
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()
    return s.call(service, f"{node}/{name}", service.Request(**fields), CALL_TIMEOUT_S)


def _need(s: Session, node: str, kind: str, **fields: Any) -> Any:
    reply = _call(s, node, kind, **fields)
    if reply is None:
        raise VerbError(f"Wait for service timed out waiting for parameter services for node {node}")
    return reply

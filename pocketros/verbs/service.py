"""List, look into and call the services of a ROS graph, with ros2's words."""

from __future__ import annotations

import argparse
import sys
import time

from . import session
from .command import Commands
from .errors import VerbError
from .from_yaml import fill, parse
from .options import positive_float
from .session import opened
from .types import service_type, services


def add(commands: Commands) -> None:
    p = commands.add("list", list_services, "output a list of available services")
    p.add_argument("-t", "--show-types", action="store_true", help="additionally show the service type")
    p.add_argument("-c", "--count-services", action="store_true", help="only display the number of services")
    p.add_argument("--include-hidden-services", action="store_true", help="consider hidden services as well")
    session.add_arguments(p)
    p = commands.add("type", show_type, "output a service's type")
    p.add_argument("service_name", help="such as /talker/list_parameters")
    session.add_arguments(p)
    p = commands.add("info", info, "print information about a service")
    p.add_argument("service_name", help="such as /add_two_ints")
    session.add_arguments(p)
    p = commands.add("find", find, "output a list of available services of a given type")
    p.add_argument("service_type", help="such as rcl_interfaces/srv/ListParameters")
    p.add_argument("-c", "--count-services", action="store_true", help="only display the number of services")
    p.add_argument("--include-hidden-services", action="store_true", help="consider hidden services as well")
    session.add_arguments(p)
    p = commands.add("call", call, "call a service", lambda a: a.rate)
    p.add_argument("service_name", help="such as /add_two_ints")
    p.add_argument("service_type", help="such as std_srvs/srv/Trigger")
    values = p.add_mutually_exclusive_group()
    values.add_argument("values", nargs="?", default="{}", metavar="YAML", help="fields to set, such as '{a: 1, b: 2}'")
    values.add_argument("--stdin", action="store_true", help="read the values from standard input")
    p.add_argument("-r", "--rate", type=positive_float, metavar="HZ", help="repeat the call at this rate")
    session.add_arguments(p)


def list_services(args: argparse.Namespace) -> None:
    with opened(args) as s:
        found = services(s, args.include_hidden_services)
    if args.count_services:
        print(len(found))
        return
    for name, types in found:
        print(f"{name} [{', '.join(types)}]" if args.show_types else name)


def show_type(args: argparse.Namespace) -> int:
    with opened(args) as s:
        types = dict(services(s, hidden=True)).get(s.node.resolve_service_name(args.service_name), [])
    print(*types, sep="\n", end="\n" if types else "")
    return 0 if types else 1


def info(args: argparse.Namespace) -> None:
    with opened(args) as s:
        name = s.node.resolve_service_name(args.service_name)
        types = dict(services(s, hidden=True)).get(name)
        if types is None:
            raise VerbError(f"Unknown service '{args.service_name}'")
        print(f"Type: {types[0] if len(types) == 1 else types}")
        print(f"Clients count: {s.node.count_clients(name)}")
        print(f"Services count: {s.node.count_services(name)}")


def find(args: argparse.Namespace) -> None:
    with opened(args) as s:
        names = [name for name, types in services(s, args.include_hidden_services) if args.service_type in types]
    if args.count_services:
        print(len(names))
    else:
        print(*names, sep="\n", end="\n" if names else "")


def call(args: argparse.Namespace) -> None:
    kind = service_type(args.service_type)
    request = kind.Request()
    if fill(request, parse(sys.stdin.read() if args.stdin else args.values)):
        raise VerbError("requests take no 'auto' or 'now'", 2)
    with opened(args) as s:
        client = s.node.create_client(kind, args.service_name)
        if not client.service_is_ready():
            print("waiting for service to become available...")
            s.wait(client.service_is_ready)
        while True:
            print(f"requester: making request: {request!r}\n")
            started = time.monotonic()
            future = client.call_async(request)
            s.spin(future)
            print(f"response:\n{future.result()!r}\n")
            if not args.rate:
                return
            s.sleep(started + 1 / args.rate - time.monotonic())

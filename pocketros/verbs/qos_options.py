"""The --qos-* options, and profiles that fit what is offered."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

PROFILES = ("default", "system_default", "sensor_data", "services_default", "parameters", "parameter_events")
HISTORY = ("system_default", "keep_last", "keep_all")
RELIABILITY = ("system_default", "reliable", "best_effort")
DURABILITY = ("system_default", "transient_local", "volatile")
LIVELINESS = ("system_default", "automatic", "manual_by_topic")


def add_arguments(parser: argparse.ArgumentParser, what: str, default: str) -> None:
    """`what` is "subscribe" or "publish", `default` the preset to start from."""
    instead = "instead of the profile's"
    parser.add_argument(
        "--qos-profile", choices=PROFILES, default=default, help=f"preset to {what} with (default %(default)s)"
    )
    parser.add_argument("--qos-depth", type=int, metavar="N", help=f"queue size {instead}")
    parser.add_argument("--qos-history", choices=HISTORY, help=f"history {instead}")
    fit = " (default: what fits the publishers found)" if what == "subscribe" else ""
    parser.add_argument("--qos-reliability", choices=RELIABILITY, help=f"reliability {instead}{fit}")
    parser.add_argument("--qos-durability", choices=DURABILITY, help=f"durability {instead}{fit}")
    parser.add_argument("--qos-liveliness", choices=LIVELINESS, help=f"liveliness {instead}")
    parser.add_argument(
        "--qos-liveliness-lease-duration-seconds", type=float, metavar="S", help=f"lease duration {instead}"
    )


def profile(args: argparse.Namespace) -> Any:
    """The profile the options spell."""
    from rclpy.duration import Duration
    from rclpy.qos import (
        DurabilityPolicy,
        HistoryPolicy,
        LivelinessPolicy,
        QoSPresetProfiles,
        QoSProfile,
        ReliabilityPolicy,
    )

    preset = QoSPresetProfiles.get_from_short_key(args.qos_profile)
    found = QoSProfile(
        history=preset.history, depth=preset.depth, reliability=preset.reliability, durability=preset.durability
    )
    if args.qos_history:
        found.history = HistoryPolicy.get_from_short_key(args.qos_history)
    if args.qos_reliability:
        found.reliability = ReliabilityPolicy.get_from_short_key(args.qos_reliability)
    if args.qos_durability:
        found.durability = DurabilityPolicy.get_from_short_key(args.qos_durability)
    if args.qos_liveliness:
        found.liveliness = LivelinessPolicy.get_from_short_key(args.qos_liveliness)
    if args.qos_liveliness_lease_duration_seconds:
        found.liveliness_lease_duration = Duration(seconds=args.qos_liveliness_lease_duration_seconds)
    if args.qos_depth is not None and args.qos_depth >= 0:
        found.depth = args.qos_depth
    elif found.transient_local and not found.depth:
        found.depth = 1
    return found


def chosen(args: argparse.Namespace) -> bool:
    """True where the user named any policy; the profile is then taken as it is spelt."""
    names = ("depth", "history", "reliability", "durability", "liveliness", "liveliness_lease_duration_seconds")
    return any(getattr(args, f"qos_{name}") is not None for name in names)


def fit(request: Any, offers: Iterable[Any]) -> list[str]:
    """Ask for as much as all of the publishers' profiles offer; returns what to warn of."""
    from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

    offers = list(offers)
    if not offers:
        return []
    warnings = []
    reliable = [offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers]
    request.reliability = ReliabilityPolicy.RELIABLE if all(reliable) else ReliabilityPolicy.BEST_EFFORT
    if any(reliable) and not all(reliable):
        warnings.append(_mixed("QoSReliabilityPolicy.RELIABLE", "QoSReliabilityPolicy.BEST_EFFORT"))
    local = [offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers]
    request.durability = DurabilityPolicy.TRANSIENT_LOCAL if all(local) else DurabilityPolicy.VOLATILE
    if any(local) and not all(local):
        warnings.append(_mixed("QoSDurabilityPolicy.TRANSIENT_LOCAL", "QoSDurabilityPolicy.VOLATILE"))
    return warnings


def _mixed(wanted: str, instead: str) -> str:
    return (
        f"Some, but not all, publishers are offering {wanted}. "
        f"Falling back to {instead} as it will connect to all publishers"
    )

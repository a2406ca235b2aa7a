"""Which transport carries the nodes of this process."""

from __future__ import annotations

import os

from .bus import Bus, TransportError, domain_bus

TRANSPORTS = ("inprocess", "dds")


def transport() -> str:
    """The transport that the environment's POCKETROS_TRANSPORT asks for; "inprocess" if nothing."""
    name = os.environ.get("POCKETROS_TRANSPORT") or TRANSPORTS[0]
    if name not in TRANSPORTS:
        raise TransportError(f"POCKETROS_TRANSPORT must be one of {', '.join(TRANSPORTS)}, not {name!r}")
    return name


def open_bus(domain_id: int) -> Bus:
    """The bus of a ROS domain over the chosen transport; `release()` it when done."""
    if transport() == "inprocess":
        return domain_bus(domain_id)
    try:
        from .dds.bus import open_domain
    except ModuleNotFoundError as error:
        if error.name != "cyclonedds":
            raise
        raise TransportError(
            "POCKETROS_TRANSPORT=dds needs the package cyclonedds, which is not installed"
        ) from error
    return open_domain(domain_id)

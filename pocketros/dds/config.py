"""From ROS 2's environment variables to Cyclone's XML configuration.

ROS_AUTOMATIC_DISCOVERY_RANGE (LOCALHOST, SUBNET, OFF, SYSTEM_DEFAULT), ROS_STATIC_PEERS (separated
by semicolons) and CYCLONEDDS_URI mean what they mean to rmw_cyclonedds_cpp (docs.ros.org, "Improved
Dynamic Discovery"), with one difference: without ROS_AUTOMATIC_DISCOVERY_RANGE nothing leaves this
machine, where ROS 2's default is SUBNET.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

RANGES = ("LOCALHOST", "SUBNET", "OFF", "SYSTEM_DEFAULT")
MAX_PARTICIPANTS = 32
"""Processes of one domain on one machine that find each other, as in ROS 2."""

# Datagrams of the largest size and room for a burst of them: a 2 MB point cloud in datagrams of the
# default size overruns the default socket buffer and waits for retransmissions (tens of milliseconds).
_LARGE_MESSAGES = "<MaxMessageSize>65500B</MaxMessageSize>"
_BUFFER = '<Internal><SocketReceiveBufferSize min="{size}"/></Internal>'
BUFFER_SIZES = ("4MB", "default")
"""Receive buffers to ask for, in this order: the system may grant less (net.core.rmem_max)."""


class DiscoveryError(ValueError):
    """An environment variable of discovery has a value it cannot have; the message names it."""


def cyclone_config(environment: Mapping[str, str] = os.environ, buffer_size: str = "4MB") -> str:
    """Configuration for dds_create_domain: fragments of XML and URIs, later ones win."""
    scope = (environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE") or "LOCALHOST").upper()
    if scope not in RANGES:
        raise DiscoveryError(
            f"ROS_AUTOMATIC_DISCOVERY_RANGE must be one of {', '.join(RANGES)}, not {scope!r}"
        )
    peers = [p.strip() for p in environment.get("ROS_STATIC_PEERS", "").split(";") if p.strip()]
    if scope in ("OFF", "SYSTEM_DEFAULT"):
        peers = []
    general, discovery = [], []
    if scope != "SUBNET" and scope != "SYSTEM_DEFAULT":
        general.append("<AllowMulticast>false</AllowMulticast>")
    if scope == "LOCALHOST":
        # With peers elsewhere other interfaces are needed; with a configuration of Cyclone's own they are
        # its business (naming one twice is an error).
        if not peers and not environment.get("CYCLONEDDS_URI"):
            general.append('<Interfaces><NetworkInterface address="127.0.0.1"/></Interfaces>')
        peers = ["localhost", *peers]
    if scope == "OFF":
        discovery.append("<ParticipantIndex>none</ParticipantIndex>")
        discovery.append(f"<Tag>ros_discovery_off_{os.getpid()}</Tag>")
    elif scope != "SYSTEM_DEFAULT":
        discovery.append("<ParticipantIndex>auto</ParticipantIndex>")
        discovery.append(f"<MaxAutoParticipantIndex>{MAX_PARTICIPANTS}</MaxAutoParticipantIndex>")
    if peers:
        entries = "".join(f"<Peer address={quoteattr(peer)}/>" for peer in peers)
        discovery.append(f"<Peers>{entries}</Peers>")
    general.append(_LARGE_MESSAGES)
    own = (
        f"<CycloneDDS><Domain><General>{''.join(general)}</General>"
        f"<Discovery>{''.join(discovery)}</Discovery>"
        f"{_BUFFER.format(size=buffer_size)}</Domain></CycloneDDS>"
    )
    return ",".join(filter(None, (own, environment.get("CYCLONEDDS_URI", ""))))

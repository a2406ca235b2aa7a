"""The remote side of the graph: who else is in the domain, and which node owns which endpoint.

Two sources, as for rmw: DDS discovery's built-in topics (participants, readers and writers with
type, QoS and USER_DATA) and `ros_discovery_info`, on which every ROS participant says which of its
endpoints belong to which node (rmw_dds_common).
"""

from __future__ import annotations

import ctypes as ct
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pocketros import cdr
from pocketros.bus import Endpoint, NodeName, Packet
from pocketros.messages import message_class

from . import naming
from .capi import (
    GUID_BYTES,
    BuiltinEndpoint,
    BuiltinParticipant,
    SampleInfo,
    check,
    dds,
)
from .qos import RemoteQos, read_qos, user_data_value

log = logging.getLogger("pocketros.dds")

GRAPH_TOPIC = "ros_discovery_info"
GRAPH_TYPE = "rmw_dds_common/msg/ParticipantEntitiesInfo"
BARE_DDS = NodeName("_CREATED_BY_BARE_DDS_APP_", "/_CREATED_BY_BARE_DDS_APP_")
"""Whom ROS 2's tools name as owner of an endpoint that no node claims."""

_ALIVE = 1 << 4
_PREFIX = 12


@dataclass(frozen=True, slots=True)
class RemoteEndpoint:
    gid: bytes
    is_writer: bool
    topic: str
    type_name: str
    qos: RemoteQos


class Discovery:
    """Tables of the remote graph. Written by the bus's thread, read under `lock` by anybody."""

    def __init__(self, own_prefix: bytes, lock: threading.RLock) -> None:
        self._own = own_prefix[:_PREFIX]
        self._lock = lock
        self._participants: dict[int, bytes] = {}
        self._endpoints: dict[int, RemoteEndpoint] = {}
        self._nodes: dict[bytes, list[tuple[NodeName, frozenset[bytes]]]] = {}
        self.on_endpoint: Callable[[RemoteEndpoint], None] = lambda remote: None

    # ------------------------------------------------------------------ from the wire

    def take_participants(self, reader: int) -> None:
        for handle, info, data in _take(reader, BuiltinParticipant):
            with self._lock:
                if info:
                    self._participants[handle] = bytes(data.key)
                elif (gone := self._participants.pop(handle, None)) is not None:
                    self._nodes.pop(gone, None)

    def take_endpoints(self, reader: int, is_writer: bool) -> None:
        for handle, info, data in _take(reader, BuiltinEndpoint):
            if not info:
                with self._lock:
                    self._endpoints.pop(handle, None)
                continue
            gid = bytes(data.key)
            if gid[:_PREFIX] == self._own:
                continue
            remote = RemoteEndpoint(
                gid,
                is_writer,
                (data.topic_name or b"").decode("utf-8", "replace"),
                (data.type_name or b"").decode("utf-8", "replace"),
                read_qos(data.qos),
            )
            with self._lock:
                self._endpoints[handle] = remote
            self.on_endpoint(remote)

    def on_node_info(self, packet: Packet) -> None:
        """A participant's list of nodes; what cannot be read is another implementation's, or noise."""
        try:
            message = cdr.deserialize(packet.data, message_class(GRAPH_TYPE))
        except cdr.CdrError as error:
            log.warning("dropped a message on %s: %s", GRAPH_TOPIC, error)
            return
        participant = bytes(message.gid.data)
        if participant[:_PREFIX] == self._own:
            return
        nodes = [
            (
                NodeName(entry.node_name, entry.node_namespace),
                frozenset(
                    bytes(gid.data) for gid in (*entry.reader_gid_seq, *entry.writer_gid_seq)
                ),
            )
            for entry in message.node_entities_info_seq
        ]
        with self._lock:
            self._nodes[participant] = nodes

    # ------------------------------------------------------------------ to the graph

    def nodes(self) -> list[NodeName]:
        with self._lock:
            return [name for nodes in self._nodes.values() for name, _ in nodes]

    def endpoints(self, kind: str | None, name: str | None) -> list[Endpoint]:
        """Remote ROS endpoints of that kind and name (None: any), services once (by their request topic).

        One that its participant has not named the node of yet is not there yet; only participants that
        name none at all own theirs themselves.
        """
        with self._lock:
            remotes = list(self._endpoints.values())
            owners = {
                gid: name for nodes in self._nodes.values() for name, gids in nodes for gid in gids
            }
            telling = {participant[:_PREFIX] for participant in self._nodes}
        remotes = [r for r in remotes if r.gid in owners or r.gid[:_PREFIX] not in telling]
        found = [(remote, *known) for remote in remotes if (known := _kind_and_name(remote)) is not None]
        return [
            _as_endpoint(remote, its_kind, its_name, owners)
            for remote, its_kind, its_name in found
            if kind in (None, its_kind) and name in (None, its_name)
        ]

    def find(self, topic: str, is_writer: bool) -> list[RemoteEndpoint]:
        with self._lock:
            return [
                e for e in self._endpoints.values() if e.topic == topic and e.is_writer == is_writer
            ]


def _kind_and_name(remote: RemoteEndpoint) -> tuple[str, str] | None:
    """What the graph calls it; None for what is not ROS's, and for replies."""
    found = naming.ros_topic(remote.topic)
    if found is None or found[0] == naming.REPLY:
        return None
    if found[0] == naming.TOPIC:
        return "publisher" if remote.is_writer else "subscription", found[1]
    return "client" if remote.is_writer else "service", found[1]


def _as_endpoint(
    remote: RemoteEndpoint, kind: str, name: str, owners: dict[bytes, NodeName]
) -> Endpoint:
    type_name = naming.ros_type(remote.type_name)
    return Endpoint(
        kind,
        name,
        naming.service_of(type_name) if kind in ("client", "service") else type_name,
        remote.qos.profile(),
        owners.get(remote.gid, BARE_DDS),
        gid=remote.gid,
        type_hash=user_data_value(remote.qos.user_data, "typehash"),
    )


_BATCH = 64


def _take(reader: int, layout: Any) -> Iterator[tuple[int, bool, Any]]:
    """(instance handle, alive, sample) of all that waits; samples are valid until the next step."""
    samples = (ct.c_void_p * _BATCH)()
    infos = (SampleInfo * _BATCH)()
    while True:
        ct.memset(samples, 0, ct.sizeof(samples))
        count = check(dds.dds_take(reader, samples, infos, _BATCH, _BATCH), "dds_take")
        try:
            for index in range(count):
                info = infos[index]
                alive = bool(info.valid_data) and info.instance_state == _ALIVE
                yield info.instance_handle, alive, layout.from_address(samples[index])
        finally:
            if count:
                dds.dds_return_loan(reader, samples, count)
        if count < _BATCH:
            return


def graph_message(participant: bytes, nodes: dict[NodeName, tuple[list[bytes], list[bytes]]]) -> bytes:
    """CDR of this participant's nodes with the GIDs of their readers and writers."""
    info, entry, gid = (
        message_class(f"rmw_dds_common/msg/{n}")
        for n in ("ParticipantEntitiesInfo", "NodeEntitiesInfo", "Gid")
    )
    return cdr.serialize(
        info(
            gid=gid(data=_gid_field(participant)),
            node_entities_info_seq=[
                entry(
                    node_namespace=name.namespace,
                    node_name=name.name,
                    reader_gid_seq=[gid(data=_gid_field(g)) for g in readers],
                    writer_gid_seq=[gid(data=_gid_field(g)) for g in writers],
                )
                for name, (readers, writers) in nodes.items()
            ],
        )
    )


def _gid_field(gid: bytes) -> list[int]:
    return list(gid.ljust(GUID_BYTES, b"\0"))

"""The bus over DDS: one participant per process and domain, one thread that receives.

Listeners would run in Cyclone's own threads and wait there for the interpreter; a wait set in one
thread of ours cannot hold up the middleware, and drains all readers in turn.
"""

from __future__ import annotations

import atexit
import ctypes as ct
import functools
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from cyclonedds.domain import DomainParticipant

from pocketros import cdr
from pocketros.bus import Endpoint, GraphWaiter, NodeName, Packet, TransportError

from . import capi, naming
from .capi import DdsError, IncompatibleQosStatus, SampleLostStatus, check, dds, guid
from .config import BUFFER_SIZES, cyclone_config
from .discovery import GRAPH_TOPIC, GRAPH_TYPE, Discovery, RemoteEndpoint, graph_message
from .endpoints import ServiceRequester, ServiceServer, TopicReader, TopicWriter
from .qos import POLICY_NAMES, dds_qos
from .raw import Taker, create_topic, write

log = logging.getLogger("pocketros.dds")

MAX_MESSAGE_BYTES = 64 << 20
_WRITER_EVENTS = capi.PUBLICATION_MATCHED | capi.OFFERED_INCOMPATIBLE_QOS
_READER_EVENTS = (
    capi.SUBSCRIPTION_MATCHED | capi.REQUESTED_INCOMPATIBLE_QOS | capi.SAMPLE_LOST
)  # fmt: skip
_CLOSE_PATIENCE_S = 2.0
_GRAPH_INTERVAL_NS = 20_000_000


@dataclass(frozen=True, slots=True)
class _Half:
    """A DDS reader or writer of ours: what it belongs to, and what discovery compares."""

    endpoint: Endpoint
    entity: int
    gid: bytes
    is_writer: bool
    topic: str
    type_name: str
    keys: list[int]


class DdsBus(GraphWaiter):
    """A ROS domain as this process sees it through DDS (pocketros.bus.Bus)."""

    def __init__(self, domain_id: int) -> None:
        super().__init__()
        self.max_bytes = _size_limit()
        self.closed = False
        self.users = 1
        self._serial = itertools.count(1)
        self._keys = itertools.count(1)
        self._nodes: list[NodeName] = []
        self._halves: dict[int, _Half] = {}
        self._topics: dict[tuple[str, str], Any] = {}
        self._handlers: dict[int, Callable[[], None]] = {}
        self._taker = Taker()
        self._domain = _create_domain(domain_id)
        self._participant = DomainParticipant(domain_id)
        self._gid = guid(self._participant._ref)
        self._waitset = check(dds.dds_create_waitset(self._participant._ref), "dds_create_waitset")
        self._stop = check(dds.dds_create_guardcondition(self._participant._ref), "guard condition")
        self._news = check(dds.dds_create_guardcondition(self._participant._ref), "guard condition")
        self._attach(self._stop, lambda: None)
        self._attach(self._news, lambda: dds.dds_set_guardcondition(self._news, False))
        self._stale = False
        self._send_after_ns = 0
        self.discovery = Discovery(self._gid, self.lock)
        self.discovery.on_endpoint = self._check_types
        self._graph_writer = self._start_discovery()
        self._thread = threading.Thread(target=self._run, name=f"dds-{domain_id}", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------ pocketros.bus.Bus

    def add_node(self, node: NodeName) -> None:
        with self.lock:
            self._nodes.append(node)
            self._announce()

    def remove_node(self, node: NodeName) -> None:
        with self.lock:
            if node in self._nodes:
                self._nodes.remove(node)
                self._announce()

    def create_writer(self, endpoint: Endpoint) -> TopicWriter:
        return TopicWriter(self, endpoint)

    def create_reader(self, endpoint: Endpoint) -> TopicReader:
        return TopicReader(self, endpoint)

    def create_requester(self, endpoint: Endpoint) -> ServiceRequester:
        return ServiceRequester(self, endpoint)

    def create_server(self, endpoint: Endpoint) -> ServiceServer:
        return ServiceServer(self, endpoint)

    def nodes(self) -> list[NodeName]:
        with self.lock:
            return [*self._nodes, *self.discovery.nodes()]

    def endpoints(self, kind: str | None = None, name: str | None = None) -> list[Endpoint]:
        with self.lock:
            own = {half.endpoint.serial: half.endpoint for half in self._halves.values()}
            remote = self.discovery.endpoints(kind, name)
        return [e for e in own.values() if kind in (None, e.kind) and name in (None, e.name)] + remote

    def release(self) -> None:
        """Close when the last context is done. The receiving thread does it: this may be a signal handler."""
        self.users -= 1
        if self.users == 0:
            self.closed = True
            dds.dds_set_guardcondition(self._stop, True)

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until a released bus has left the network."""
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    # ------------------------------------------------------------------ for endpoints

    @staticmethod
    def is_plain(endpoint: Endpoint) -> bool:
        """True for a topic that bears no ROS prefix on the wire."""
        return bool(endpoint.qos.avoid_ros_namespace_conventions)

    def make_writer(
        self, endpoint: Endpoint, topic: str, type_name: str, hashed: str, extra: str = ""
    ) -> int:
        handle = self._topic(topic, type_name)
        endpoint.type_hash = cdr.type_hash(hashed)
        with dds_qos(endpoint.qos, _user_data(endpoint, extra)) as qos:
            writer = check(
                dds.dds_create_writer(self._participant._ref, handle, qos, None), f"writer of {topic}"
            )
        self._add(endpoint, writer, True, topic, type_name)
        return writer

    def make_reader(
        self, endpoint: Endpoint, topic: str, type_name: str, hashed: str,
        callback: Callable[[Packet], None], extra: str = "",
    ) -> int:  # fmt: skip
        handle = self._topic(topic, type_name)
        endpoint.type_hash = cdr.type_hash(hashed)
        with dds_qos(endpoint.qos, _user_data(endpoint, extra)) as qos:
            reader = check(
                dds.dds_create_reader(self._participant._ref, handle, qos, None), f"reader of {topic}"
            )
        half = self._add(endpoint, reader, False, topic, type_name)
        half.keys.append(self._on_data(reader, callback))
        return reader

    def make_pair(
        self, endpoint: Endpoint, role: str, callback: Callable[[Packet], None]
    ) -> tuple[int, int]:
        """(reader, writer) of a service's client or server; `role` is "clientid" or "serviceid"."""
        identity = self._gid[:12] + next(self._serial).to_bytes(4, "big")
        extra = f"{role}={'.'.join(f'{byte:x}' for byte in identity)};"
        ways = [(naming.REPLY, "Response"), (naming.REQUEST, "Request")]
        (to_read, read_half), (to_write, write_half) = ways if role == "clientid" else ways[::-1]

        def names(prefix: str, half: str) -> tuple[str, str, str]:
            name = f"{endpoint.type_name}_{half}"
            return naming.dds_topic(endpoint.name, prefix), naming.dds_type(name), name

        writer = self.make_writer(endpoint, *names(to_write, write_half), extra)
        reader = self.make_reader(endpoint, *names(to_read, read_half), callback, extra)
        return reader, writer

    def remove(self, endpoint: Endpoint, *entities: int) -> None:
        with self.lock:
            for entity in entities:
                half = self._halves.pop(entity, None)
                for key in half.keys if half is not None else ():
                    self._handlers.pop(key, None)
            self._announce()
        for entity in entities:
            if entity:
                dds.dds_delete(entity)

    # ------------------------------------------------------------------ inside

    def _topic(self, name: str, type_name: str) -> int:
        with self.lock:
            if self.closed:
                raise TransportError(f"topic {name}: the context was shut down")
            key = (name, type_name)
            if key not in self._topics:
                self._topics[key] = create_topic(self._participant, name, type_name)
            return int(self._topics[key]._ref)

    def _add(
        self, endpoint: Endpoint, entity: int, is_writer: bool, topic: str, type_name: str
    ) -> _Half:
        events = _WRITER_EVENTS if is_writer else _READER_EVENTS
        check(dds.dds_set_status_mask(entity, events), "dds_set_status_mask")
        with self.lock:
            key = self._attach(entity, lambda: self._on_events(entity))
            half = _Half(endpoint, entity, guid(entity), is_writer, topic, type_name, [key])
            endpoint.serial = endpoint.serial or next(self._serial)
            endpoint.gid = half.gid
            self._halves[entity] = half
            self._announce()
            peers = [h for h in self._halves.values() if h.topic == topic]
            strangers = self.discovery.find(topic, not is_writer)
        for peer in peers:
            if peer.is_writer != is_writer and peer.type_name != type_name:
                peer.endpoint.report_mismatch("TYPE")
                endpoint.report_mismatch("TYPE")
        for stranger in strangers:
            if stranger.type_name != type_name:
                endpoint.report_mismatch("TYPE")
        return half

    def _check_types(self, remote: RemoteEndpoint) -> None:
        """A foreign type under one of our names is never matched: say so."""
        with self.lock:
            ours = [h for h in self._halves.values() if h.topic == remote.topic]
        for half in ours:
            if half.is_writer != remote.is_writer and half.type_name != remote.type_name:
                half.endpoint.report_mismatch("TYPE")

    def _attach(self, entity: int, handler: Callable[[], None]) -> int:
        key = next(self._keys)
        self._handlers[key] = handler
        check(dds.dds_waitset_attach(self._waitset, entity, key), "dds_waitset_attach")
        return key

    def _on_data(self, reader: int, callback: Callable[[Packet], None]) -> int:
        condition = check(dds.dds_create_readcondition(reader, capi.ANY_STATE), "read condition")

        def take() -> None:
            for packet in self._taker.take(reader):
                callback(packet)

        return self._attach(condition, take)

    def _on_events(self, entity: int) -> None:
        """Matches, refused matches and losses of one of our DDS endpoints."""
        half = self._halves.get(entity)
        mask = ct.c_uint32()
        wanted = _WRITER_EVENTS if half is None or half.is_writer else _READER_EVENTS
        if dds.dds_take_status(entity, ct.byref(mask), wanted) < 0 or half is None:
            return
        endpoint, happened = half.endpoint, mask.value
        if happened & capi.SAMPLE_LOST:
            lost = SampleLostStatus()
            dds.dds_get_sample_lost_status(entity, ct.byref(lost))
            if lost.total_count_change > 0:
                endpoint.report_lost("LOST", lost.total_count_change)
        if happened & (capi.OFFERED_INCOMPATIBLE_QOS | capi.REQUESTED_INCOMPATIBLE_QOS):
            status = IncompatibleQosStatus()
            role = "offered" if half.is_writer else "requested"
            getattr(dds, f"dds_get_{role}_incompatible_qos_status")(entity, ct.byref(status))
            policy = POLICY_NAMES.get(status.last_policy_id)  # others: types, which discovery reports
            if policy is not None:
                for _ in range(max(1, status.total_count_change)):
                    endpoint.report_mismatch(policy)
        if happened & (capi.PUBLICATION_MATCHED | capi.SUBSCRIPTION_MATCHED):
            if endpoint.on_match:
                endpoint.on_match(capi.matched(entity, half.is_writer))
            self.wake_waiters()

    def _start_discovery(self) -> int:
        participant, found = self._participant._ref, self.discovery
        for topic, take in (
            (capi.BUILTIN_PARTICIPANT, found.take_participants),
            (capi.BUILTIN_PUBLICATION, lambda r: found.take_endpoints(r, True)),
            (capi.BUILTIN_SUBSCRIPTION, lambda r: found.take_endpoints(r, False)),
        ):
            reader = check(dds.dds_create_reader(participant, topic, None, None), "built-in topic")
            check(dds.dds_set_status_mask(reader, 0), "dds_set_status_mask")
            condition = check(dds.dds_create_readcondition(reader, capi.ANY_STATE), "read condition")
            self._attach(condition, functools.partial(self._graph_changed, take, reader))
        topic = self._topic(GRAPH_TOPIC, naming.dds_type(GRAPH_TYPE))
        user_data = f"typehash={cdr.type_hash(GRAPH_TYPE)};"
        with dds_qos(_GraphQos(keep_all=True), user_data) as qos:
            reader = check(dds.dds_create_reader(participant, topic, qos, None), GRAPH_TOPIC)
        with dds_qos(_GraphQos(keep_all=False), user_data) as qos:
            writer = check(dds.dds_create_writer(participant, topic, qos, None), GRAPH_TOPIC)
        self._on_data(reader, self._on_node_info)
        return writer

    def _graph_changed(self, take: Callable[[int], None], reader: int) -> None:
        take(reader)
        self.wake_waiters()

    def _on_node_info(self, packet: Packet) -> None:
        self.discovery.on_node_info(packet)
        self.wake_waiters()

    def _announce(self) -> None:
        """The local graph has changed; called under the lock. The receiving thread tells the domain."""
        self._changed.notify_all()
        if not self._stale:
            self._stale = True
            dds.dds_set_guardcondition(self._news, True)

    def _send_graph(self) -> int:
        """Tell the domain which endpoints belong to which node, if that has changed. Returns the time to wait
        until it may be told again, ns: a message holds all endpoints, and nodes make them by the dozen."""
        if not self._stale:
            return capi.INFINITY
        left_ns = self._send_after_ns - time.monotonic_ns()
        if left_ns > 0:
            return left_ns
        with self.lock:
            self._stale = False
            nodes: dict[NodeName, tuple[list[bytes], list[bytes]]] = {n: ([], []) for n in self._nodes}
            for half in self._halves.values():
                if half.endpoint.node in nodes:
                    nodes[half.endpoint.node][half.is_writer].append(half.gid)
        code = write(self._graph_writer, graph_message(self._gid, nodes))
        if code < 0:
            log.warning("could not announce the graph (%d)", code)
        self._send_after_ns = time.monotonic_ns() + _GRAPH_INTERVAL_NS
        return capi.INFINITY

    def _run(self) -> None:
        triggered = (ct.c_ssize_t * 64)()
        while not self.closed:
            wait_ns = self._send_graph()
            count = dds.dds_waitset_wait(self._waitset, triggered, len(triggered), wait_ns)
            if count < 0:
                log.error("the receiving thread stops: dds_waitset_wait gave %d", count)
                break
            for key in triggered[: min(count, len(triggered))]:
                handler = self._handlers.get(key)
                if handler is None or self.closed:
                    continue
                try:
                    handler()
                except Exception:  # whatever a callback raises, the others go on
                    log.exception("while receiving")
        dds.dds_delete(self._domain)


@dataclass(frozen=True, slots=True)
class _GraphQos:
    """Of `ros_discovery_info`: each participant's latest word, also for those who come later."""

    keep_all: bool
    depth: int = 1
    best_effort: bool = False
    transient_local: bool = True
    deadline_ns: int = 0
    lifespan_ns: int = 0
    liveliness_rank: int = 0
    lease_ns: int = 0


def _user_data(endpoint: Endpoint, extra: str) -> str:
    return extra + (f"typehash={endpoint.type_hash};" if endpoint.type_hash else "")


def _size_limit() -> int:
    text = os.environ.get("POCKETROS_MAX_MESSAGE_BYTES") or str(MAX_MESSAGE_BYTES)
    if not text.isdecimal() or int(text) < 1024:
        raise TransportError(f"POCKETROS_MAX_MESSAGE_BYTES must be a number >= 1024, not {text!r}")
    return int(text)


def _create_domain(domain_id: int) -> int:
    for size in BUFFER_SIZES:
        domain = dds.dds_create_domain(domain_id, cyclone_config(buffer_size=size).encode())
        if domain >= 0:
            return int(domain)
    return check(domain, f"DDS domain {domain_id} (see Cyclone's message, and CYCLONEDDS_URI)")


_buses: dict[int, DdsBus] = {}
_buses_lock = threading.Lock()


def open_domain(domain_id: int) -> DdsBus:
    """The process's bus of a domain (0 to 232), opened once however many contexts use it."""
    if not 0 <= domain_id <= 232:
        raise ValueError(f"domain id must be in [0, 232], not {domain_id}")
    with _buses_lock:
        bus = _buses.get(domain_id)
        if bus is not None and not bus.closed:
            bus.users += 1
            return bus
        if bus is not None:
            bus.join()
        try:
            bus = _buses[domain_id] = DdsBus(domain_id)
        except DdsError as error:
            raise TransportError(str(error)) from error
        return bus


def _leave(buses: Iterable[DdsBus]) -> None:
    """At exit: peers forget us at once instead of when our lease runs out."""
    for bus in buses:
        if not bus.closed:
            bus.users = 1
            bus.release()
        bus.join(_CLOSE_PATIENCE_S)


atexit.register(lambda: _leave(list(_buses.values())))

"""The bus: what a transport must offer, and the in-process transport.

The interface is small on purpose: announce nodes and endpoints, write, deliver, look at the graph.
Queues, callbacks and types of execution belong to the rclpy layer above; a transport only calls
`deliver`, from whatever thread it likes. In-process delivery happens inside `write`, in order of
subscription, and hands every reader the very object that was published. A transport that receives
bytes delivers `Packet`s to endpoints that are `lazy`, and whoever takes one unpacks it.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

Deliver = Callable[[Any], None]


class TransportError(RuntimeError):
    """A transport cannot be had, or cannot carry what it was given; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A message as it came over the wire: CDR with encapsulation header, times in ns of Unix time."""

    data: memoryview
    source_ns: int
    received_ns: int


class Policies(Protocol):
    """The part of a QoS profile that decides matching; rclpy.qos.QoSProfile is one."""

    keep_all: bool
    best_effort: bool
    transient_local: bool
    depth: int
    deadline_ns: int
    lifespan_ns: int
    liveliness_rank: int
    lease_ns: int


@dataclass(frozen=True, slots=True)
class NodeName:
    name: str
    namespace: str

    @property
    def full(self) -> str:
        return f"/{self.name}" if self.namespace == "/" else f"{self.namespace}/{self.name}"


@dataclass(eq=False, slots=True)
class Endpoint:
    """One end of a topic or service, as the graph shows it.

    `kind` is "publisher", "subscription", "client" or "service"; `type_name` such as
    `std_msgs/msg/String`. `on_mismatch(reason)` hears of a peer that cannot be matched: "TYPE" or
    the name of the QoS policy; `mismatches` counts them. `on_lost(reason, count)` hears of messages
    that did not get through: "LOST" on the way, "MALFORMED", "TOO_LARGE"; `lost` counts them.
    `lazy` endpoints take Packets. `gid` and `type_hash` are known to transports that have them.
    """

    kind: str
    name: str
    type_name: str
    qos: Any
    node: NodeName
    deliver: Deliver | None = None
    on_mismatch: Callable[[str], None] | None = None
    on_match: Callable[[int], None] | None = None
    serial: int = 0
    mismatches: dict[str, int] = field(default_factory=dict)
    matched: tuple[Endpoint, ...] = ()
    lazy: bool = False
    on_lost: Callable[[str, int], None] | None = None
    lost: dict[str, int] = field(default_factory=dict)
    gid: bytes = bytes(16)
    type_hash: str = ""

    def report_mismatch(self, reason: str) -> None:
        self.mismatches[reason] = self.mismatches.get(reason, 0) + 1
        if self.on_mismatch:
            self.on_mismatch(reason)

    def report_lost(self, reason: str, count: int = 1) -> None:
        self.lost[reason] = self.lost.get(reason, 0) + count
        if self.on_lost:
            self.on_lost(reason, count)


class Writer(Protocol):
    """Sending end of a topic. `matched` counts the readers it reaches."""

    @property
    def matched(self) -> int: ...

    def write(self, message: Any) -> None: ...

    def write_cdr(self, data: bytes) -> None: ...

    def wait_for_acks(self, timeout_s: float | None) -> bool: ...

    def close(self) -> None: ...


class Requester(Protocol):
    """Calling end of a service; replies arrive at the endpoint's `deliver((sequence, reply))`."""

    @property
    def matched(self) -> int: ...

    def send(self, request: Any) -> int: ...

    def close(self) -> None: ...


class Reader(Protocol):
    """Receiving end of a topic or service; `matched` counts those it hears."""

    @property
    def matched(self) -> int: ...

    def close(self) -> None: ...


class Bus(Protocol):
    """A transport. A service's endpoint has `deliver((request, reply))`, `reply(response)`."""

    def add_node(self, node: NodeName) -> None: ...

    def remove_node(self, node: NodeName) -> None: ...

    def create_writer(self, endpoint: Endpoint) -> Writer: ...

    def create_reader(self, endpoint: Endpoint) -> Reader: ...

    def create_requester(self, endpoint: Endpoint) -> Requester: ...

    def create_server(self, endpoint: Endpoint) -> Reader: ...

    def nodes(self) -> list[NodeName]: ...

    def endpoints(self, kind: str | None = None, name: str | None = None) -> list[Endpoint]: ...

    def wait_for_change(self, ready: Callable[[], bool], timeout_s: float | None) -> bool: ...

    def wake_waiters(self) -> None: ...

    def release(self) -> None:
        """A context that had opened the bus was shut down. Never blocks: signal handlers call it."""


def mismatch(offered: Policies, requested: Policies) -> str | None:
    """The first QoS policy that keeps a publisher from matching a subscription (DDS 1.4, 2.2.3)."""
    if offered.best_effort and not requested.best_effort:
        return "RELIABILITY"
    if requested.transient_local and not offered.transient_local:
        return "DURABILITY"
    if requested.deadline_ns and not 0 < offered.deadline_ns <= requested.deadline_ns:
        return "DEADLINE"
    if offered.liveliness_rank < requested.liveliness_rank:
        return "LIVELINESS"
    if requested.lease_ns and not 0 < offered.lease_ns <= requested.lease_ns:
        return "LIVELINESS_LEASE_DURATION"
    return None


class _LocalWriter:
    __slots__ = ("_bus", "_endpoint", "_history", "targets")

    def __init__(self, bus: InProcessBus, endpoint: Endpoint) -> None:
        self._bus = bus
        self._endpoint = endpoint
        self.targets: tuple[Deliver, ...] = ()
        keep = endpoint.qos.transient_local
        limit = None if endpoint.qos.keep_all else endpoint.qos.depth
        self._history: deque[Any] | None = deque(maxlen=limit) if keep else None

    @property
    def matched(self) -> int:
        return len(self._endpoint.matched)

    def write(self, message: Any) -> None:
        if self._history is None:
            for deliver in self.targets:
                deliver(message)
            return
        with self._bus.lock:  # a late joiner gets each message once: as history or as news
            self._history.append(message)
            for deliver in self.targets:
                deliver(message)

    def write_cdr(self, data: bytes) -> None:
        from .cdr import deserialize
        from .messages import message_class

        self.write(deserialize(data, message_class(self._endpoint.type_name)))

    def wait_for_acks(self, timeout_s: float | None) -> bool:
        """True at once: delivery is done when write() returns."""
        return True

    def replay(self, reader: Endpoint) -> None:
        if self._history is not None and reader.qos.transient_local and reader.deliver:
            for message in tuple(self._history):
                reader.deliver(message)

    def close(self) -> None:
        self._bus.remove(self._endpoint)


class _LocalRequester:
    """Sends each request to every matched server; the first reply wins, as over DDS."""

    __slots__ = ("_bus", "_endpoint", "_sequence")

    def __init__(self, bus: InProcessBus, endpoint: Endpoint) -> None:
        self._bus = bus
        self._endpoint = endpoint
        self._sequence = itertools.count(1)

    @property
    def matched(self) -> int:
        return len(self._endpoint.matched)

    def send(self, request: Any) -> int:
        sequence = next(self._sequence)
        answer = self._endpoint.deliver
        assert answer is not None
        for server in self._endpoint.matched:
            assert server.deliver is not None
            server.deliver((request, lambda reply: answer((sequence, reply))))
        return sequence

    def close(self) -> None:
        self._bus.remove(self._endpoint)


class _LocalHandle:
    __slots__ = ("_bus", "_endpoint")

    def __init__(self, bus: InProcessBus, endpoint: Endpoint) -> None:
        self._bus = bus
        self._endpoint = endpoint

    @property
    def matched(self) -> int:
        return len(self._endpoint.matched)

    def close(self) -> None:
        self._bus.remove(self._endpoint)


class GraphWaiter:
    """The part of a bus that lets callers wait for the graph to change."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)

    def wait_for_change(self, ready: Callable[[], bool], timeout_s: float | None) -> bool:
        """Block until `ready()` holds after some change of the graph; False when time is up."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while not ready():
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def wake_waiters(self) -> None:
        """Let waiters of `wait_for_change` look again (the graph changed, a context was shut down)."""
        with self._changed:
            self._changed.notify_all()


class InProcessBus(GraphWaiter):
    """All nodes of one ROS domain within this process."""

    def __init__(self) -> None:
        super().__init__()
        self._nodes: list[NodeName] = []
        self._topics: dict[str, list[Endpoint]] = {}
        self._services: dict[str, list[Endpoint]] = {}
        self._writers: dict[int, _LocalWriter] = {}
        self._serial = itertools.count(1)

    def add_node(self, node: NodeName) -> None:
        with self._changed:
            self._nodes.append(node)
            self._changed.notify_all()

    def remove_node(self, node: NodeName) -> None:
        with self._changed:
            if node in self._nodes:
                self._nodes.remove(node)
            self._changed.notify_all()

    def create_writer(self, endpoint: Endpoint) -> _LocalWriter:
        writer = _LocalWriter(self, endpoint)
        self._add(self._topics, endpoint, writer)
        return writer

    def create_reader(self, endpoint: Endpoint) -> _LocalHandle:
        self._add(self._topics, endpoint)
        return _LocalHandle(self, endpoint)

    def create_requester(self, endpoint: Endpoint) -> _LocalRequester:
        self._add(self._services, endpoint)
        return _LocalRequester(self, endpoint)

    def create_server(self, endpoint: Endpoint) -> _LocalHandle:
        self._add(self._services, endpoint)
        return _LocalHandle(self, endpoint)

    def nodes(self) -> list[NodeName]:
        with self.lock:
            return list(self._nodes)

    def endpoints(self, kind: str | None = None, name: str | None = None) -> list[Endpoint]:
        with self.lock:
            found = [e for table in (self._topics, self._services) for es in table.values() for e in es]
        return [e for e in found if kind in (None, e.kind) and name in (None, e.name)]

    def release(self) -> None:
        """Nothing to let go of."""

    def _add(
        self, table: dict[str, list[Endpoint]], endpoint: Endpoint, writer: _LocalWriter | None = None
    ) -> None:
        with self._changed:
            endpoint.serial = next(self._serial)
            if writer is not None:
                self._writers[endpoint.serial] = writer
            peers = table.setdefault(endpoint.name, [])
            peers.append(endpoint)
            for peer in peers:
                if peer.kind != endpoint.kind:
                    self._report_mismatch(endpoint, peer)
            self._rematch(peers)
            if endpoint.kind == "subscription":
                for peer in endpoint.matched:
                    self._writers[peer.serial].replay(endpoint)
            self._changed.notify_all()

    def remove(self, endpoint: Endpoint) -> None:
        with self._changed:
            table = self._topics if endpoint.kind in ("publisher", "subscription") else self._services
            peers = table.get(endpoint.name, [])
            if endpoint not in peers:
                return
            peers.remove(endpoint)
            if writer := self._writers.pop(endpoint.serial, None):
                writer.targets = ()
            endpoint.matched = ()
            self._rematch(peers)
            if not peers:
                del table[endpoint.name]
            self._changed.notify_all()

    def _report_mismatch(self, a: Endpoint, b: Endpoint) -> None:
        reason = _why_not(a, b)
        if reason is None:
            return
        for endpoint in (a, b):
            endpoint.report_mismatch(reason)

    def _rematch(self, peers: list[Endpoint]) -> None:
        for endpoint in peers:
            before = len(endpoint.matched)
            endpoint.matched = tuple(
                p for p in peers if p.kind != endpoint.kind and _why_not(endpoint, p) is None
            )
            if writer := self._writers.get(endpoint.serial):
                writer.targets = tuple(r.deliver for r in endpoint.matched if r.deliver)
            if endpoint.on_match and len(endpoint.matched) != before:
                endpoint.on_match(len(endpoint.matched))


def _why_not(a: Endpoint, b: Endpoint) -> str | None:
    """Why two opposite endpoints of one name cannot be matched, or None."""
    if a.type_name != b.type_name:
        return "TYPE"
    if a.kind == "publisher":
        return mismatch(a.qos, b.qos)
    if b.kind == "publisher":
        return mismatch(b.qos, a.qos)
    return None


_buses: dict[int, InProcessBus] = {}
_buses_lock = threading.Lock()


def domain_bus(domain_id: int) -> InProcessBus:
    """The in-process bus of a ROS domain (0 to 232); made on first use."""
    if not 0 <= domain_id <= 232:
        raise ValueError(f"domain id must be in [0, 232], not {domain_id}")
    with _buses_lock:
        return _buses.setdefault(domain_id, InProcessBus())

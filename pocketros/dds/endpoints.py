"""Writers, readers, requesters and servers: one ROS endpoint each, on one or two DDS endpoints."""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Callable
from typing import Any, Protocol

from pocketros import cdr
from pocketros.bus import Endpoint, Packet, TransportError
from pocketros.messages import message_class

from . import naming
from .capi import GONE, INFINITY, TIMEOUT, check, dds, instance_handle, matched
from .raw import CDR_LE, write

_HEADER = struct.Struct("<Qq")
"""rmw_cyclonedds_cpp's service header, after the encapsulation header: client id, sequence number."""
_BODY = 4 + _HEADER.size

REPLY_PATIENCE_S = 0.1
"""How long a server waits for a client's reply reader to be discovered, as rmw does."""


class Wire(Protocol):
    """What endpoints ask of the bus: DDS entities for them, wired to a callback; their end."""

    max_bytes: int

    def is_plain(self, endpoint: Endpoint) -> bool: ...

    def make_writer(self, endpoint: Endpoint, topic: str, type_name: str, hashed: str) -> int: ...

    def make_reader(
        self, endpoint: Endpoint, topic: str, type_name: str, hashed: str,
        callback: Callable[[Packet], None],
    ) -> int: ...  # fmt: skip

    def make_pair(
        self, endpoint: Endpoint, role: str, callback: Callable[[Packet], None]
    ) -> tuple[int, int]: ...

    def remove(self, endpoint: Endpoint, *entities: int) -> None: ...


class _End:
    """What the four kinds share: their DDS entities, and an end that may come twice."""

    def __init__(self, bus: Wire, endpoint: Endpoint) -> None:
        self._bus = bus
        self._endpoint = endpoint
        self._writer = self._reader = 0

    def _send(self, data: bytes | memoryview) -> None:
        if len(data) > self._bus.max_bytes:
            raise TransportError(
                f"{self._endpoint.name}: a message of {len(data)} bytes is over the limit of "
                f"{self._bus.max_bytes} (POCKETROS_MAX_MESSAGE_BYTES)"
            )
        if len(data) <= len(CDR_LE):
            raise cdr.CdrError(f"{self._endpoint.name}: {len(data)} bytes are no message")
        code = write(self._writer, data)
        if code == TIMEOUT:  # flow control: a reliable reader does not keep up
            self._endpoint.report_lost("LOST")
        elif code < 0 and code not in GONE:
            check(code, f"writing on {self._endpoint.name}")

    def close(self) -> None:
        self._bus.remove(self._endpoint, self._writer, self._reader)


class TopicWriter(_End):
    def __init__(self, bus: Wire, endpoint: Endpoint) -> None:
        super().__init__(bus, endpoint)
        topic = naming.dds_topic(endpoint.name, naming.TOPIC, bus.is_plain(endpoint))
        type_name = naming.dds_type(endpoint.type_name)
        self._writer = bus.make_writer(endpoint, topic, type_name, endpoint.type_name)

    @property
    def matched(self) -> int:
        return matched(self._writer, True)

    def write(self, message: Any) -> None:
        self._send(cdr.encode(message))

    def write_cdr(self, data: bytes) -> None:
        self._send(data)

    def wait_for_acks(self, timeout_s: float | None) -> bool:
        wait_ns = INFINITY if timeout_s is None or timeout_s < 0 else int(timeout_s * 1e9)
        code = dds.dds_wait_for_acks(self._writer, wait_ns)
        return code != TIMEOUT and check(code, "dds_wait_for_acks") == 0


class TopicReader(_End):
    def __init__(self, bus: Wire, endpoint: Endpoint) -> None:
        super().__init__(bus, endpoint)
        topic = naming.dds_topic(endpoint.name, naming.TOPIC, bus.is_plain(endpoint))
        type_name = naming.dds_type(endpoint.type_name)
        self._class = None if endpoint.lazy else message_class(endpoint.type_name)
        self._reader = bus.make_reader(endpoint, topic, type_name, endpoint.type_name, self._on_packet)

    @property
    def matched(self) -> int:
        return matched(self._reader, False)

    def _on_packet(self, packet: Packet) -> None:
        deliver = self._endpoint.deliver
        assert deliver is not None
        if len(packet.data) > self._bus.max_bytes:
            self._endpoint.report_lost("TOO_LARGE")
        elif self._class is None:
            deliver(packet)
        elif (message := _unpack(self._endpoint, packet.data, self._class)) is not None:
            deliver(message)


class ServiceRequester(_End):
    def __init__(self, bus: Wire, endpoint: Endpoint) -> None:
        super().__init__(bus, endpoint)
        self._sequence = itertools.count(1)
        self._reply_class = message_class(f"{endpoint.type_name}_Response")
        self._reader, self._writer = bus.make_pair(endpoint, "clientid", self._on_reply)
        self._id = instance_handle(self._writer)

    @property
    def matched(self) -> int:
        return min(matched(self._writer, True), matched(self._reader, False))

    def send(self, request: Any) -> int:
        sequence = next(self._sequence)
        self._send(_with_header(cdr.serialize(request), self._id, sequence))
        return sequence

    def _on_reply(self, packet: Packet) -> None:
        header = _split_header(self._endpoint, packet.data)
        if header is None or header[0] != self._id:  # every client hears every reply
            return
        message = _unpack(self._endpoint, header[2], self._reply_class)
        if message is not None and self._endpoint.deliver is not None:
            self._endpoint.deliver((header[1], message))


class ServiceServer(_End):
    def __init__(self, bus: Wire, endpoint: Endpoint) -> None:
        super().__init__(bus, endpoint)
        self._request_class = message_class(f"{endpoint.type_name}_Request")
        self._reader, self._writer = bus.make_pair(endpoint, "serviceid", self._on_request)

    @property
    def matched(self) -> int:
        return matched(self._reader, False)

    def _on_request(self, packet: Packet) -> None:
        header = _split_header(self._endpoint, packet.data)
        if header is None:
            return
        client, sequence, body = header
        message = _unpack(self._endpoint, body, self._request_class)
        if message is not None and self._endpoint.deliver is not None:
            self._endpoint.deliver((message, lambda reply: self._reply(client, sequence, reply)))

    def _reply(self, client: int, sequence: int, reply: Any) -> None:
        """Send once the clients' readers are known as well as their writers: replies have no history."""
        deadline = time.monotonic() + REPLY_PATIENCE_S
        while (
            matched(self._writer, True) < matched(self._reader, False)
            and time.monotonic() < deadline
        ):
            time.sleep(0.005)
        self._send(_with_header(cdr.serialize(reply), client, sequence))


def _with_header(data: bytes, client: int, sequence: int) -> bytes:
    return data[:4] + _HEADER.pack(client, sequence) + data[4:]


def _split_header(endpoint: Endpoint, data: memoryview) -> tuple[int, int, bytes] | None:
    if len(data) < _BODY:
        endpoint.report_lost("MALFORMED")
        return None
    client, sequence = _HEADER.unpack_from(data, 4)
    return client, sequence, bytes(data[:4]) + bytes(data[_BODY:])


def _unpack(endpoint: Endpoint, data: bytes | memoryview, message_type: Any) -> Any:
    try:
        return cdr.deserialize(data, message_type)
    except cdr.CdrError:
        endpoint.report_lost("MALFORMED")
        return None

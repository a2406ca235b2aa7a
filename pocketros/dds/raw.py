"""Topics whose samples are opaque CDR, and the two ways a sample takes: out and in."""

from __future__ import annotations

import ctypes as ct
import dataclasses
import functools
import time
import weakref
from collections.abc import Iterator
from typing import Any

import cyclonedds.idl
import cyclonedds.idl.types
import numpy as np
from cyclonedds.domain import DomainParticipant
from cyclonedds.topic import Topic

from pocketros.bus import Packet

from .capi import ANY_STATE, GONE, IoVec, Sample, SampleInfo, check, dds

BATCH = 32
COPY_BELOW = 1 << 14
"""Smaller samples are copied out of Cyclone's memory (a loan costs more than the copy)."""

CDR_LE = b"\x00\x01\x00\x00"
"""Encapsulation header: plain CDR, little-endian, no options (DDSI-RTPS 2.5, 10.2)."""


@functools.cache
def _opaque(type_name: str) -> Any:
    """A type of one byte under the wanted name: enough for matching, which goes by name.

    Between two peers that know type objects (XTypes) it goes by structure instead: so the byte's name
    is made of the type's, or all our types would be taken for the same.
    """
    cls = cyclonedds.idl.make_idl_struct(
        type_name.rsplit("::", 1)[-1],
        type_name.replace("::", "."),
        {type_name.replace("::", "_"): cyclonedds.idl.types.uint8},
    )
    return dataclasses.dataclass(cls)


def create_topic(participant: DomainParticipant, name: str, type_name: str) -> Topic[Any]:
    return Topic(participant, name, _opaque(type_name))


def write(writer: int, data: bytes | bytearray | memoryview) -> int:
    """Send one sample, encapsulation header included; returns the API's code (negative: not sent)."""
    size = len(data)
    if size % 4:  # the last datagram must end on a word
        data = bytes(data) + b"\0" * (-size % 4)
    address = np.frombuffer(data, np.uint8).ctypes.data
    return int(dds.dds_write(writer, ct.byref(Sample(address, len(data)))))


class Taker:
    """Takes samples out of readers. One per thread: it reuses its buffers."""

    def __init__(self) -> None:
        self._samples = (ct.c_void_p * BATCH)()
        self._infos = (SampleInfo * BATCH)()

    def take(self, reader: int) -> Iterator[Packet]:
        """All samples that wait in `reader`, oldest first."""
        while True:
            count = dds.dds_takecdr(reader, self._samples, BATCH, self._infos, ANY_STATE)
            if count in GONE:  # closed by another thread since we were woken
                return
            check(count, "dds_takecdr")
            packets = [self._packet(i) for i in range(count)]
            yield from (packet for packet in packets if packet is not None)
            if count < BATCH:
                return

    def _packet(self, index: int) -> Packet | None:
        info, sample = self._infos[index], self._samples[index] or 0
        if not info.valid_data:  # an instance's end, not data
            dds.ddsi_serdata_unref(sample)
            return None
        return Packet(_payload(sample), info.source_timestamp, time.time_ns())


def _payload(sample: int) -> memoryview:
    """Bytes of a sample, read-only. Large ones stay where they are until nobody looks at them."""
    size = dds.ddsi_serdata_size(sample)
    vector = IoVec()
    held = dds.ddsi_serdata_to_ser_ref(sample, 0, size, ct.byref(vector))
    dds.ddsi_serdata_unref(sample)
    if vector.size < COPY_BELOW:
        data = ct.string_at(vector.data, vector.size)
        dds.ddsi_serdata_to_ser_unref(held, ct.byref(vector))
        return memoryview(data)
    loan = (ct.c_ubyte * vector.size).from_address(vector.data)
    weakref.finalize(loan, dds.ddsi_serdata_to_ser_unref, held, ct.pointer(vector)).atexit = False
    return memoryview(loan).cast("B").toreadonly()

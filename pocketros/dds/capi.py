"""Cyclone DDS's C API through ctypes: what this transport needs of it, and nothing else.

ctypes lets go of the interpreter lock during each call, so a writer that blocks (flow control of a
reliable topic) stops its own thread only. The Python package's own write does not.
"""

from __future__ import annotations

import ctypes as ct
import sys
from collections.abc import Callable
from typing import Any

from cyclonedds.internal import load_cyclonedds

ANY_STATE = 0x7F
INFINITY = 0x7FFFFFFFFFFFFFFF
GUID_BYTES = 16
TIMEOUT = -10
GONE = (-3, -9)
"""What calls on an entity that was deleted answer (bad parameter, already deleted)."""

# Built-in topics (dds_public_impl.h: DDS_BUILTIN_TOPIC_*) and statuses (1 << DDS_*_STATUS_ID).
BUILTIN_PARTICIPANT, BUILTIN_PUBLICATION, BUILTIN_SUBSCRIPTION = (0x7FFF0000 + i for i in (1, 3, 4))
OFFERED_INCOMPATIBLE_QOS, REQUESTED_INCOMPATIBLE_QOS = 1 << 3, 1 << 4
SAMPLE_LOST, PUBLICATION_MATCHED, SUBSCRIPTION_MATCHED = 1 << 5, 1 << 11, 1 << 12

Entity = ct.c_int32


class DdsError(RuntimeError):
    """A call into Cyclone DDS failed; the message says which and why."""


class SampleInfo(ct.Structure):
    """dds_sample_info_t; times in nanoseconds since the Unix epoch."""

    _fields_ = [
        ("sample_state", ct.c_uint32),
        ("view_state", ct.c_uint32),
        ("instance_state", ct.c_uint32),
        ("valid_data", ct.c_bool),
        ("source_timestamp", ct.c_int64),
        ("instance_handle", ct.c_uint64),
        ("publication_handle", ct.c_uint64),
        ("generations", ct.c_uint32 * 5),
    ]


class Sample(ct.Structure):
    """What a topic of the Python package takes as a sample: serialised bytes and their number."""

    _fields_ = [("data", ct.c_void_p), ("size", ct.c_size_t)]


class IoVec(ct.Structure):
    """ddsi_iovec_t."""

    _fields_ = (
        [("size", ct.c_ulong), ("data", ct.c_void_p)]
        if sys.platform == "win32"
        else [("data", ct.c_void_p), ("size", ct.c_size_t)]
    )


class BuiltinEndpoint(ct.Structure):
    """dds_builtintopic_endpoint_t: a reader or writer anywhere in the domain."""

    _fields_ = [
        ("key", ct.c_ubyte * GUID_BYTES),
        ("participant_key", ct.c_ubyte * GUID_BYTES),
        ("participant_instance_handle", ct.c_uint64),
        ("topic_name", ct.c_char_p),
        ("type_name", ct.c_char_p),
        ("qos", ct.c_void_p),
    ]


class BuiltinParticipant(ct.Structure):
    """dds_builtintopic_participant_t."""

    _fields_ = [("key", ct.c_ubyte * GUID_BYTES), ("qos", ct.c_void_p)]


class IncompatibleQosStatus(ct.Structure):
    """dds_offered_incompatible_qos_status_t and dds_requested_incompatible_qos_status_t."""

    _fields_ = [
        ("total_count", ct.c_uint32),
        ("total_count_change", ct.c_int32),
        ("last_policy_id", ct.c_uint32),
    ]


class SampleLostStatus(ct.Structure):
    _fields_ = [("total_count", ct.c_uint32), ("total_count_change", ct.c_int32)]


_P = ct.c_void_p
_I32, _U32, _I64, _BOOL = ct.c_int32, ct.c_uint32, ct.c_int64, ct.c_bool
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "dds_create_domain": (Entity, [_U32, ct.c_char_p]),
    "dds_create_participant": (Entity, [_U32, _P, _P]),
    "dds_create_reader": (Entity, [Entity, Entity, _P, _P]),
    "dds_create_writer": (Entity, [Entity, Entity, _P, _P]),
    "dds_create_waitset": (Entity, [Entity]),
    "dds_create_guardcondition": (Entity, [Entity]),
    "dds_create_readcondition": (Entity, [Entity, _U32]),
    "dds_set_guardcondition": (_I32, [Entity, _BOOL]),
    "dds_waitset_attach": (_I32, [Entity, Entity, ct.c_ssize_t]),
    "dds_waitset_wait": (_I32, [Entity, ct.POINTER(ct.c_ssize_t), ct.c_size_t, _I64]),
    "dds_delete": (_I32, [Entity]),
    "dds_get_guid": (_I32, [Entity, _P]),
    "dds_get_instance_handle": (_I32, [Entity, ct.POINTER(ct.c_uint64)]),
    "dds_set_status_mask": (_I32, [Entity, _U32]),
    "dds_take_status": (_I32, [Entity, ct.POINTER(_U32), _U32]),
    "dds_get_matched_publications": (_I32, [Entity, _P, ct.c_size_t]),
    "dds_get_matched_subscriptions": (_I32, [Entity, _P, ct.c_size_t]),
    "dds_get_offered_incompatible_qos_status": (_I32, [Entity, _P]),
    "dds_get_requested_incompatible_qos_status": (_I32, [Entity, _P]),
    "dds_get_sample_lost_status": (_I32, [Entity, _P]),
    "dds_wait_for_acks": (_I32, [Entity, _I64]),
    "dds_write": (_I32, [Entity, _P]),
    "dds_take": (_I32, [Entity, ct.POINTER(_P), _P, ct.c_size_t, _U32]),
    "dds_return_loan": (_I32, [Entity, ct.POINTER(_P), _I32]),
    "dds_takecdr": (_I32, [Entity, ct.POINTER(_P), _U32, _P, _U32]),
    "ddsi_serdata_size": (_U32, [_P]),
    "ddsi_serdata_to_ser_ref": (_P, [_P, ct.c_size_t, ct.c_size_t, ct.POINTER(IoVec)]),
    "ddsi_serdata_to_ser_unref": (None, [_P, ct.POINTER(IoVec)]),
    "ddsi_serdata_unref": (None, [_P]),
    "dds_strretcode": (ct.c_char_p, [_I32]),
    "dds_create_qos": (_P, []),
    "dds_delete_qos": (None, [_P]),
    "dds_qset_history": (None, [_P, _U32, _I32]),
    "dds_qset_reliability": (None, [_P, _U32, _I64]),
    "dds_qset_durability": (None, [_P, _U32]),
    "dds_qset_durability_service": (None, [_P, _I64, _U32, _I32, _I32, _I32, _I32]),
    "dds_qset_deadline": (None, [_P, _I64]),
    "dds_qset_lifespan": (None, [_P, _I64]),
    "dds_qset_liveliness": (None, [_P, _U32, _I64]),
    "dds_qset_writer_data_lifecycle": (None, [_P, _BOOL]),
    "dds_qset_data_representation": (None, [_P, _U32, ct.POINTER(ct.c_int16)]),
    "dds_qset_userdata": (None, [_P, _P, ct.c_size_t]),
    "dds_qget_history": (_BOOL, [_P, ct.POINTER(_U32), ct.POINTER(_I32)]),
    "dds_qget_reliability": (_BOOL, [_P, ct.POINTER(_U32), ct.POINTER(_I64)]),
    "dds_qget_durability": (_BOOL, [_P, ct.POINTER(_U32)]),
    "dds_qget_deadline": (_BOOL, [_P, ct.POINTER(_I64)]),
    "dds_qget_lifespan": (_BOOL, [_P, ct.POINTER(_I64)]),
    "dds_qget_liveliness": (_BOOL, [_P, ct.POINTER(_U32), ct.POINTER(_I64)]),
    "dds_qget_userdata": (_BOOL, [_P, ct.POINTER(_P), ct.POINTER(ct.c_size_t)]),
    "dds_free": (None, [_P]),
}


class _Library:
    """The shared library; its functions, with signatures, as attributes."""

    def __init__(self) -> None:
        library = load_cyclonedds()
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise AttributeError(f"{name} is not declared in capi._SIGNATURES")


dds = _Library()


def check(code: int, what: str) -> int:
    """`code` if it is no error; else DdsError saying what failed."""
    if code < 0:
        reason = (dds.dds_strretcode(code) or b"unknown error").decode()
        raise DdsError(f"{what}: {reason} ({code})")
    return code


def guid(entity: int) -> bytes:
    """The 16-byte GUID of an entity; its first 12 bytes are its participant's."""
    buffer = (ct.c_ubyte * GUID_BYTES)()
    check(dds.dds_get_guid(entity, buffer), "dds_get_guid")
    return bytes(buffer)


def instance_handle(entity: int) -> int:
    handle = ct.c_uint64()
    check(dds.dds_get_instance_handle(entity, ct.byref(handle)), "dds_get_instance_handle")
    return handle.value


def matched(entity: int, is_writer: bool) -> int:
    """Number of readers a writer reaches, or of writers a reader hears; 0 for one that is gone."""
    count = dds.dds_get_matched_subscriptions if is_writer else dds.dds_get_matched_publications
    return max(0, int(count(entity, None, 0)))

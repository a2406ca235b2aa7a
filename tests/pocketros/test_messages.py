"""Message classes, their definitions and their CDR bytes."""

from __future__ import annotations

import array
import contextlib
import copy
import pickle
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pocketros

pocketros.activate(mode="always")

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion
from sensor_msgs.msg import CameraInfo, Image, Imu, LaserScan, PointCloud2
from std_msgs.msg import Bool, Empty, Header, Int8, String, UInt8
from std_srvs.srv import SetBool, Trigger

from pocketros import cdr
from pocketros.definitions import (
    DefinitionError,
    parse_message,
    parse_service,
)
from pocketros.messages import message_class, registry, service_class
from pocketros.registry import Registry

ALL_MESSAGES = [f"{p}/msg/{n}" for p in sorted(registry.packages()) for n in registry.names(p, "msg")]
FIXTURE = "pocketros_fixture_msgs"


@pytest.fixture(scope="module")
def fixture_package(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("interfaces")
    (folder / "msg").mkdir()
    (folder / "srv").mkdir()
    (folder / "package.xml").write_text(f"<package><name>{FIXTURE}</name></package>")
    (folder / "msg" / "Everything.msg").write_text(textwrap.dedent("""
        # All that a definition may hold
        int32 LIMIT=-7
        string NAME='a # b'   # comment
        byte FLAG=3
        std_msgs/Header header
        bool yes true
        byte level 2
        char letter 65
        int8[3] fixed [1, -2, 3]
        float32[] floats
        float64[<=2] bounded [1.5, 2.5]
        string text "x y"
        string<=3 short abc
        string[] words ["a", 'b, c']
        string<=4[<=2] few
        Small[2] pair
        Small[] many
        bool[] flags [true, false]
        byte[] raw [1, 2]
        uint64 class 5
        """))
    (folder / "msg" / "Small.msg").write_text("int16 v 9\n")
    (folder / "srv" / "Ask.srv").write_text("Small what\n---\nfloat32 answer\n")
    pocketros.activate(interface_paths=[folder], mode="always")
    pocketros.activate(interface_paths=[folder], mode="always")  # again is fine
    return FIXTURE


# ----------------------------------------------------------------------------- definitions


def test_defaults_constants_and_names_come_from_the_text(fixture_package: str) -> None:
    cls = message_class(f"{fixture_package}/msg/Everything")
    message = cls()
    assert (cls.LIMIT, cls.NAME, cls.FLAG) == (-7, "a # b", b"\x03")
    assert message.yes is True and message.level == b"\x02" and message.letter == 65
    assert list(message.fixed) == [1, -2, 3] and message.fixed.dtype == np.int8
    assert message.floats == array.array("f") and list(message.bounded) == [1.5, 2.5]
    assert (message.text, message.short, message.words) == ("x y", "abc", ["a", "b, c"])
    assert [p.v for p in message.pair] == [9, 9] and message.many == [] and message.few == []
    assert message.flags == [True, False] and message.raw == [b"\x01", b"\x02"]
    assert message.class_ == 5, "a field named like a keyword gets an underscore"
    assert message.get_fields_and_field_types()["few"] == "sequence<string<4>, 2>"
    assert message.get_fields_and_field_types()["pair"] == f"{fixture_package}/Small[2]"


def test_packages_from_folders_import_like_any_other(fixture_package: str) -> None:
    module = __import__(f"{fixture_package}.srv", fromlist=["Ask"])
    request = module.Ask.Request()
    assert request.what.v == 9 and module.Ask.Response().answer == 0.0
    with pytest.raises(AttributeError, match="no interface 'Nothing'"):
        module.Nothing  # noqa: B018
    with pytest.raises(ImportError):
        __import__(f"{fixture_package}.action")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("int32", "cannot parse"),
        ("int32 a\nint32 a", "line 2: 'a' appears twice"),
        ("int32 A=many", "line 1"),
        ("uint8 A=256", "out of range"),
        ("int32 bad__name", "invalid field name"),
        ("int32<=3 a", "only strings"),
        ("int32[2] a [1]", "1 elements"),
        ("float64[<=1] a [1, 2]", "bound is 1"),
        ("string<=2 a abc", "exceeds"),
        ("geometry_msgs/Point a 3", "no default"),
        ("bool a maybe", "not a bool"),
    ],
)
def test_bad_definitions_name_the_line(text: str, complaint: str) -> None:
    with pytest.raises(DefinitionError, match=complaint):
        parse_message(text, "p/msg/M")


def test_services_have_two_halves() -> None:
    spec = parse_service("int32 a\n---\nint32 b\n", "p/srv/S")
    assert spec.request.fields[0].name == "a" and spec.response.fields[0].name == "b"
    with pytest.raises(DefinitionError, match="exactly one"):
        parse_service("int32 a\n", "p/srv/S")


def test_a_package_needs_its_manifest_and_a_free_name(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"no package\.xml"):
        Registry().add_package(tmp_path)
    (tmp_path / "package.xml").write_text("<package><name>std_msgs</name></package>")
    with pytest.raises(DefinitionError, match="already known"):
        Registry().add_package(tmp_path)


def test_standard_defaults_of_ros_are_kept() -> None:
    assert Quaternion().w == 1.0 and Pose().orientation == Quaternion()
    assert DiagnosticStatus.OK == b"\0" and DiagnosticStatus.STALE == b"\x03"


# --------------------------------------------------------------------------------- classes


def test_construction_takes_keywords_only_and_unknown_names_are_errors() -> None:
    assert Point(x=1.0).x == 1.0
    with pytest.raises(TypeError):
        Point(1.0, 2.0, 3.0)
    with pytest.raises(AttributeError, match="'w'"):
        Point(w=1.0)
    with pytest.raises(AttributeError):
        Point().w = 1.0


@pytest.mark.parametrize(
    ("cls", "field", "value"),
    [
        (Point, "x", 1), (Point, "x", "1"), (Point, "x", np.float32(1)), (Int8, "data", 128),
        (Int8, "data", 1.0), (UInt8, "data", -1), (String, "data", b"x"), (Bool, "data", 1),
        (PoseStamped, "header", Point()), (PoseStamped, "pose", None), (DiagnosticStatus, "level", 1),
        (DiagnosticStatus, "values", [1]), (DiagnosticStatus, "values", "text"),
        (Imu, "orientation_covariance", [0.0] * 8), (Imu, "orientation_covariance", np.zeros((3, 3))),
        (Image, "data", [256]), (Image, "data", "text"), (Image, "data", np.zeros((2, 2), np.uint8)),
        (Image, "data", np.array([300])), (Image, "data", np.zeros(2)), (LaserScan, "ranges", ["a"]),
        (LaserScan, "ranges", b"1234"), (LaserScan, "angle_min", 1e39),
    ],
)  # fmt: skip
def test_wrong_values_are_refused(cls: Any, field: str, value: Any) -> None:
    message = cls()
    before = copy.deepcopy(message)
    with pytest.raises(AssertionError, match=field):
        setattr(message, field, value)
    with pytest.raises(AssertionError, match=field):
        cls(**{field: value})
    assert message == before


@pytest.mark.parametrize(
    "data",
    [b"abc", bytearray(b"abc"), memoryview(b"abc"), array.array("B", b"abc"),
     np.frombuffer(b"abc", np.uint8)],
)  # fmt: skip
def test_buffers_are_kept_without_a_copy_and_compare_by_content(data: Any) -> None:
    image = Image(data=data)
    assert image.data is data
    assert image == Image(data=[97, 98, 99]) and image != Image(data=b"abd")
    assert cdr.serialize(image) == cdr.serialize(Image(data=b"abc"))


def test_arrays_of_other_types_are_converted_where_nothing_is_lost() -> None:
    assert LaserScan(ranges=np.array([1.0, 2.0])).ranges.dtype == np.float32
    assert list(LaserScan(ranges=[1, 2.5]).ranges) == [1.0, 2.5]
    assert Image(data=np.array([1, 255], np.int64)).data.dtype == np.uint8
    assert CameraInfo(k=[1.0] * 9).k.dtype == np.float64


def test_messages_have_no_shared_defaults() -> None:
    first, second = Imu(), Imu()
    first.orientation_covariance[0] = 5.0
    first.header.frame_id = "x"
    assert second.orientation_covariance[0] == 0.0 and second.header.frame_id == ""


def test_messages_copy_pickle_and_print() -> None:
    message = PoseStamped(header=Header(frame_id="map"), pose=Pose(position=Point(x=1.0)))
    assert copy.deepcopy(message) == message and copy.deepcopy(message) is not message
    assert pickle.loads(pickle.dumps(message)) == message
    assert repr(Point(x=1.0)) == "geometry_msgs.msg.Point(x=1.0, y=0.0, z=0.0)"
    assert "<2000 elements>" in repr(Image(data=bytes(2000)))
    with pytest.raises(TypeError):
        hash(message)


def test_services_carry_request_and_response() -> None:
    assert SetBool.Request(data=True).data and Trigger.Response().message == ""
    assert service_class("std_srvs/srv/SetBool") is SetBool
    assert type(SetBool.Request()).__name__ == "SetBool_Request"


# ------------------------------------------------------------------------------------- cdr


@pytest.mark.parametrize("name", ALL_MESSAGES)
def test_every_known_message_survives_cdr(name: str) -> None:
    message = message_class(name)()
    assert cdr.deserialize(cdr.serialize(message), type(message)) == message


def test_cdr_of_own_packages_and_odd_fields(fixture_package: str) -> None:
    cls = message_class(f"{fixture_package}/msg/Everything")
    message = cls(
        floats=[1.0, 2.0], words=["ä", ""], many=[message_class(f"{fixture_package}/msg/Small")(v=-3)],
        flags=[], raw=[b"\xff"], fixed=[0, 1, 2],
    )  # fmt: skip
    assert cdr.deserialize(cdr.serialize(message), cls) == message
    ask = service_class(f"{fixture_package}/srv/Ask")
    assert cdr.deserialize(cdr.serialize(ask.Request()), ask.Request) == ask.Request()


def test_known_bytes() -> None:
    """String "hi" and an empty message, as ROS 2 puts them on the wire."""
    assert cdr.serialize(String(data="hi")) == bytes.fromhex("00010000 03000000 686900")
    assert cdr.serialize(Empty()) == bytes.fromhex("00010000 00")


def test_deserialized_arrays_view_the_bytes() -> None:
    data = cdr.serialize(PointCloud2(data=bytes(1000)))
    assert not cdr.deserialize(data, PointCloud2).data.flags.owndata


@pytest.mark.parametrize("keep", [0, 3, 5, 11, 30])
def test_truncated_bytes_are_an_error(keep: int) -> None:
    data = cdr.serialize(PoseStamped(header=Header(frame_id="map")))
    with pytest.raises(cdr.CdrError):
        cdr.deserialize(data[:keep], PoseStamped)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_never_do_worse_than_an_error(noise: bytes) -> None:
    with contextlib.suppress(cdr.CdrError):
        cdr.deserialize(b"\x00\x01\x00\x00" + noise, LaserScan)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(width=32, allow_nan=False), max_size=50),
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20),
    st.integers(-(2**31), 2**31 - 1),
)
def test_cdr_round_trip_property(ranges: list[float], frame: str, sec: int) -> None:
    scan = LaserScan(ranges=ranges)
    scan.header.frame_id = frame
    scan.header.stamp.sec = sec
    assert cdr.deserialize(cdr.serialize(scan), LaserScan) == scan


def test_message_definition_is_complete_and_reads_back(fixture_package: str) -> None:
    text = cdr.message_definition(f"{fixture_package}/msg/Everything")
    head, *parts = text.split("=" * 80 + "\n")
    assert [p.splitlines()[0] for p in parts] == [
        "MSG: std_msgs/Header", "MSG: builtin_interfaces/Time", f"MSG: {fixture_package}/Small",
    ]  # fmt: skip
    assert parse_message(head, f"{fixture_package}/msg/Everything") == registry.message(
        f"{fixture_package}/msg/Everything"
    )


def test_message_definitions_are_understood_by_rosbags() -> None:
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.EMPTY)
    for name in ("sensor_msgs/msg/PointCloud2", "vision_msgs/msg/Detection3DArray", "nav_msgs/msg/Path"):
        store.register(get_types_from_msg(cdr.message_definition(name), name))


# ------------------------------------------------------------------------------ activation


def test_activation_names_what_is_active_and_cannot_change_its_mind() -> None:
    assert pocketros.active() == "pocketros"
    assert pocketros.activate() == "pocketros"
    with pytest.raises(ValueError, match="auto, always, never"):
        pocketros.activate(mode="sometimes")
    with pytest.raises(RuntimeError, match="already active"):
        pocketros.activate(mode="never")


def test_never_without_ros_is_an_error() -> None:
    import importlib.util
    import subprocess

    script = "import pocketros; pocketros.activate()"
    if importlib.util.find_spec("rclpy") and "pocketros" not in str(sys.modules.get("rclpy")):
        pytest.skip("genuine rclpy is installed")
    result = subprocess.run(
        [sys.executable, "-c", script], env={"POCKETROS": "never", "PATH": ""}, capture_output=True,
        text=True, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    assert result.returncode != 0 and "POCKETROS=never" in result.stderr


def test_importing_rclpy_by_its_place_is_refused() -> None:
    with pytest.raises(ImportError, match="activate"):
        __import__("pocketros.rclpy")

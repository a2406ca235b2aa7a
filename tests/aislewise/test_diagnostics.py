"""What a node says of its inputs: silent, slow and refused ones are told apart."""

from __future__ import annotations

import pytest

from aislewise.clock import to_ns
from aislewise.diagnostics import InputWatch, Level, Timing
from aislewise.topics import Topic

TOPIC = Topic("points", "x/msg/X", "sensor", 2.0, 1.5)


def watch(*arrivals_s: float) -> InputWatch:
    out = InputWatch(TOPIC, "points", 0)
    for at in arrivals_s:
        out.heard(to_ns(at))
        out.used(2.0)
    return out


@pytest.mark.parametrize(
    ("arrivals", "now_s", "level", "words"),
    [
        ((), 1.0, Level.OK, "ok"),
        ((), 2.0, Level.STALE, "nothing received"),
        ((0.5, 1.0, 1.5, 2.0), 2.2, Level.OK, "ok"),
        ((0.5, 1.0, 1.5, 2.0), 4.0, Level.ERROR, "silent for 2.0 s, stale after 1.5 s"),
        ((0.0, 1.4, 2.8, 4.2, 5.6), 6.0, Level.WARN, "0.71 Hz instead of 2 Hz"),
    ],
)
def test_silence_slowness_and_absence_have_levels_of_their_own(
    arrivals: tuple[float, ...], now_s: float, level: Level, words: str
) -> None:
    concern = watch(*arrivals).concern(to_ns(now_s))
    assert (concern.level, concern.message) == (level, words)


def test_a_refusal_is_a_warning_for_a_while_and_stays_in_the_figures() -> None:
    points = watch(*(0.5 * k for k in range(60)))
    points.refuse(to_ns(10.0), "points: NaN")
    assert points.concern(to_ns(15.0)).message == "refused: points: NaN"
    late = points.concern(to_ns(29.8))
    assert late.level is Level.OK and late.values["refused"] == "1" and late.values["last refusal"] == "points: NaN"


def test_rate_and_latency_are_in_the_figures() -> None:
    values = watch(*(0.5 * k for k in range(20))).concern(to_ns(9.6)).values
    assert values["rate Hz"] == "2.00" and values["expected Hz"] == "2" and values["p50 ms"] == "2.00"


def test_time_set_back_starts_the_watch_anew() -> None:
    points = watch(100.0, 100.5)
    points.heard(to_ns(0.5))
    assert points.concern(to_ns(1.0)).level is Level.OK


def test_a_pause_in_which_nobody_listened_is_no_silence() -> None:
    points = watch(0.5, 1.0)
    points.restart(to_ns(60.0))
    assert points.concern(to_ns(61.0)).level is Level.OK


def test_percentiles_are_of_the_last_values() -> None:
    timing = Timing(size=100)
    for ms in [1000.0] * 50 + list(range(100)):
        timing.add(float(ms))
    assert timing.values("plan ") == {"plan p50 ms": "50.00", "plan p99 ms": "98.00", "plan max ms": "99.00"}
    assert timing.count == 150 and Timing().values() == {}

"""Without tracking the world is what the last frames show: nothing more, nothing less."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aislewise.clock import to_ns
from aislewise.types import Colour, ObjectClass, Pose2D
from fusion.latest import LatestFrames
from fusion.world import WorldConfig, WorldModel
from tests.fusion.test_tracker import HOME, PERSON, ROBOT, TOTE, detection, frame
from tests.fusion.test_world import SITE, WET, look
from tests.fusion.test_world import detection as claim


def test_an_object_is_there_at_the_first_look_and_gone_with_the_next_that_lacks_it() -> None:
    latest = LatestFrames()
    latest.update(frame(0.0, detection(TOTE, 3, 1), detection(PERSON, 5, 2)))
    assert [o.cls for o in latest.objects(to_ns(0.4))] == [TOTE, PERSON]
    latest.update(frame(0.5, detection(PERSON, 5, 2)))
    assert [o.cls for o in latest.objects(to_ns(0.6))] == [PERSON]


def test_each_robot_keeps_its_own_last_frame_until_it_is_too_old() -> None:
    latest = LatestFrames(keep_s=1.5)
    latest.update(frame(0.0, detection(TOTE, 3, 1)))
    latest.update(frame(1.0, detection(TOTE, -3, 1), robot="robot_2", pose=Pose2D(6.0, 0.0, 0.0)))
    both = latest.objects(to_ns(1.4))
    assert len(both) == 2 and len({o.id for o in both}) == 2  # the same tote, twice: nobody associates
    np.testing.assert_allclose(both[0].position, both[1].position, atol=1e-6)
    assert [o.seen_by for o in latest.objects(to_ns(2.0))] == [("robot_2",)]
    assert latest.objects(to_ns(3.0)) == ()


def test_a_late_frame_does_not_bring_back_what_was() -> None:
    latest = LatestFrames()
    latest.update(frame(1.0))
    latest.update(frame(0.5, detection(TOTE, 3, 1)))
    assert latest.objects(to_ns(1.0)) == () and latest.rejected == 1


@settings(max_examples=25, deadline=None, derandomize=True)
@given(score=st.floats(0.0, 1.0), looks=st.integers(1, 5))
def test_looking_again_makes_nothing_surer(score: float, looks: int) -> None:
    latest = LatestFrames()
    existence = set()
    for k in range(looks):
        latest.update(frame(0.5 * k, detection(TOTE, 3, 1, score=score, colour=Colour.BLUE)))
        existence.add(tuple((o.existence, o.colour_probs.tobytes()) for o in latest.objects(to_ns(0.5 * k))))
    assert len(existence) == 1
    for ((found, _),) in [e for e in existence if e]:
        assert 0.3 <= found < 0.9


def test_nothing_moves_and_fleet_members_are_no_objects() -> None:
    latest = LatestFrames()
    for k in range(4):
        latest.update(frame(0.5 * k, detection(PERSON, 3 + 0.5 * k, 1), detection(ROBOT, 6, 0)), [Pose2D(6.0, 0.0)])
    (person,) = latest.objects(to_ns(1.9))
    assert person.cls is PERSON and not person.velocity.any()
    assert person.position[0] == pytest.approx(4.5)
    places, sizes = latest.movers([PERSON], to_ns(1.9))
    np.testing.assert_allclose(places, [person.position[:2]])
    np.testing.assert_allclose(sizes, [person.size])
    assert len(latest.movers([TOTE], to_ns(1.9))[0]) == 0


def test_the_world_forgets_a_wet_floor_it_was_told_to_avoid_as_soon_as_nobody_looks() -> None:
    worlds = {tracking: WorldModel(SITE, WorldConfig(tracking=tracking)) for tracking in (True, False)}
    kept = {}
    for tracking, world in worlds.items():
        world.avoid(WET)
        end_s = look(world, 0.0, claim(ObjectClass.WET_FLOOR, 3, 0))
        seen = len(world.state(to_ns(end_s)).keep_outs)
        away = Pose2D(HOME.x_m + 10.0, HOME.y_m + 10.0, 0.0)
        end_s = look(world, end_s, pose=away)
        kept[tracking] = seen, len(world.state(to_ns(end_s)).keep_outs)
    assert kept == {True: (1, 1), False: (1, 0)}

"""Renders the sensors of several robots at once, in processes of their own: open3d's ray casts hold the
interpreter's lock, so that threads would wait for one another and hold up whoever works on the frames."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from typing import Any

from aislewise.types import Pose2D
from sim.ego_motion import STILL, Twist
from sim.rigs import NO_ERRORS, MountErrors
from sim.scene import Base, Placed, Scene
from sim.sensors import CameraConfig, LidarConfig, Lighting, RawFrame, capture, sweep
from sim.truth import Standing, TruthObject, labels

Seen = tuple[RawFrame, tuple[TruthObject, ...]]


@dataclass(frozen=True, slots=True)
class Moment:
    """What stands where at one instant. number: rises from one moment to the next; placed: thing k as
    instance k + 1 of the scene."""

    number: int
    stamp_ns: int
    placed: tuple[Placed, ...]
    things: tuple[Standing, ...]
    lidar: LidarConfig
    camera: CameraConfig
    light: Lighting


@dataclass(frozen=True, slots=True)
class View:
    """One robot's: own: its instance; seeds: of the generator of its noise; light: its own, not the moment's; level: of
    its exposure."""

    pose: Pose2D
    own: int
    seeds: tuple[int, ...]
    light: Lighting | None = None
    twist: Twist = STILL
    mounts: MountErrors = NO_ERRORS
    level: float = 1.0


def render(scene: Scene, moment: Moment, view: View) -> Seen:
    """The sensors' frame, and what was truly there to be seen in it."""
    import numpy as np

    rng = np.random.default_rng(view.seeds)
    light, mounts = view.light or moment.light, view.mounts
    turn = sweep(scene, moment.lidar, view.pose, rng, (view.own,), view.twist, mounts.lidar)
    shot = capture(scene, moment.camera, view.pose, light, rng, view.twist, mounts.camera, view.level)
    frame = RawFrame(moment.stamp_ns, shot.image, turn.points, shot.depth, shot.brightness)
    return frame, tuple(labels(moment.things, view.pose, turn, shot))


def render_all(base: Base, moment: Moment, views: Sequence[View]) -> Iterator[Seen]:
    """In this process, one after the other."""
    scene = Scene(base, moment.placed)
    return (render(scene, moment, view) for view in views)


class RenderPool:
    """Worker processes that know the standing part of the scene. `close` it."""

    def __init__(self, base: Base, workers: int = 2) -> None:
        self._pool = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_start, initargs=(base,)
        )
        with _blocked_interrupts():  # they start now, not with the first frame
            for _ in range(workers):
                self._pool.submit(_warm_up)

    def render_all(self, moment: Moment, views: Sequence[View]) -> Iterator[Seen]:
        """In the order of the views, each as soon as it is ready; the same frames as without a pool."""
        blob = pickle.dumps(moment, protocol=5)
        return self._pool.map(_work, [moment.number] * len(views), [blob] * len(views), views)

    @property
    def pids(self) -> list[int]:
        return sorted(self._pool._processes or ())

    def close(self) -> None:
        """Ends the workers at once, whatever they are at: what they render nobody will look at."""
        for process in list((self._pool._processes or {}).values()):
            process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _blocked_interrupts() -> Iterator[None]:
    """Processes started meanwhile never see SIGINT: a Ctrl-C in the terminal reaches the whole group, and it is the
    parent who decides when the work ends."""
    resource_tracker.ensure_running()  # starting it unblocks signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_base: Base | None = None
_latest: tuple[int, Moment, Scene] | None = None
"""Of a worker process: each builds the scene of a moment once."""
_known: dict[Any, Any] = {}
"""Sensors that it has seen: rays and tables are worked out once."""


def _start(base: Base) -> None:
    global _base
    _base = base
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed leaves no workers behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _warm_up() -> None:
    assert _base is not None
    Scene(_base)


def _work(number: int, blob: bytes, view: View) -> Seen:
    global _latest
    assert _base is not None
    if _latest is None or _latest[0] != number:
        moment: Moment = pickle.loads(blob)
        lidar, camera = _known.setdefault(moment.lidar, moment.lidar), _known.setdefault(moment.camera, moment.camera)
        _latest = number, replace(moment, lidar=lidar, camera=camera), Scene(_base, moment.placed)
    return render(_latest[2], _latest[1], view)

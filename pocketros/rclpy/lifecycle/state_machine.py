"""The state machine of managed nodes, as rcl_lifecycle's default_state_machine.c defines it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from lifecycle_msgs.msg import State, Transition

from ..exceptions import RCLError


class TransitionCallbackReturn(Enum):
    """What a transition callback reports; the values are those of lifecycle_msgs/msg/Transition."""

    SUCCESS = Transition.TRANSITION_CALLBACK_SUCCESS
    FAILURE = Transition.TRANSITION_CALLBACK_FAILURE
    ERROR = Transition.TRANSITION_CALLBACK_ERROR

    def to_label(self) -> str:
        """Label of the transition that leaves the intermediate state."""
        return f"transition_{self.name.lower()}"


class LifecycleState(NamedTuple):
    label: str
    state_id: int


class TransitionRow(NamedTuple):
    """One arrow of the state machine, in the order of rclpy's tuples."""

    transition_id: int
    label: str
    start_id: int
    start_label: str
    goal_id: int
    goal_label: str


_PRIMARY = ("unknown", "unconfigured", "inactive", "active", "finalized")
_INTERMEDIATE = (
    "configuring", "cleaningup", "shuttingdown", "activating", "deactivating", "errorprocessing",
)  # fmt: skip
STATES: dict[str, int] = {
    **{name: getattr(State, f"PRIMARY_STATE_{name.upper()}") for name in _PRIMARY},
    **{name: getattr(State, f"TRANSITION_STATE_{name.upper()}") for name in _INTERMEDIATE},
}

# (label, name of its id, start, intermediate state) and where success, failure and error lead.
_REQUESTS = {
    "configure": ("configuring", [("CONFIGURE", "unconfigured")]),
    "cleanup": ("cleaningup", [("CLEANUP", "inactive")]),
    "activate": ("activating", [("ACTIVATE", "inactive")]),
    "deactivate": ("deactivating", [("DEACTIVATE", "active")]),
    "shutdown": (
        "shuttingdown",
        [(f"{start.upper()}_SHUTDOWN", start) for start in ("unconfigured", "inactive", "active")],
    ),
}
_OUTCOMES = {
    "configure": ("inactive", "unconfigured", "errorprocessing"),
    "cleanup": ("unconfigured", "inactive", "errorprocessing"),
    "activate": ("active", "inactive", "errorprocessing"),
    "deactivate": ("inactive", "active", "errorprocessing"),
    "shutdown": ("finalized", "finalized", "errorprocessing"),
    "error": ("unconfigured", "finalized", "finalized"),
}


def _make_graph() -> tuple[TransitionRow, ...]:
    rows = []

    def add(id_name: str, label: str, start: str, goal: str) -> None:
        number = getattr(Transition, f"TRANSITION_{id_name}")
        rows.append(TransitionRow(number, label, STATES[start], start, STATES[goal], goal))

    for label, goals in _OUTCOMES.items():
        intermediate, requests = _REQUESTS.get(label, ("errorprocessing", []))
        for id_name, start in requests:
            add(id_name, label, start, intermediate)
        for outcome, goal in zip(TransitionCallbackReturn, goals, strict=True):
            add(f"ON_{label.upper()}_{outcome.name}", outcome.to_label(), intermediate, goal)
    return tuple(rows)


GRAPH = _make_graph()


class StateMachine:
    """Holds the current state; `on_transition(row)` hears of every change."""

    initialized = True
    # rclpy's C services; ours are ordinary services of the node.
    service_change_state = None
    service_get_state = None
    service_get_available_states = None
    service_get_available_transitions = None
    service_get_transition_graph = None

    def __init__(self, on_transition: Callable[[TransitionRow], Any]) -> None:
        self._state = "unconfigured"
        self._on_transition = on_transition

    @property
    def current_state(self) -> tuple[int, str]:
        return STATES[self._state], self._state

    @property
    def available_states(self) -> list[tuple[int, str]]:
        return [(number, label) for label, number in STATES.items()]

    @property
    def available_transitions(self) -> list[TransitionRow]:
        return [row for row in GRAPH if row.start_label == self._state]

    @property
    def transition_graph(self) -> list[TransitionRow]:
        return list(GRAPH)

    def get_transition_by_label(self, label: str) -> int:
        return self._find(lambda row: row.label == label, label).transition_id

    def trigger_transition_by_id(self, transition_id: int) -> None:
        self._go(self._find(lambda row: row.transition_id == transition_id, transition_id))

    def trigger_transition_by_label(self, label: str) -> None:
        self._go(self._find(lambda row: row.label == label, label))

    def _find(self, wanted: Callable[[TransitionRow], bool], what: object) -> TransitionRow:
        for row in self.available_transitions:
            if wanted(row):
                return row
        raise RCLError(
            f"Failed to trigger lifecycle state machine transition: no transition {what!r} "
            f"leaves the state {self._state!r}"
        )

    def _go(self, row: TransitionRow) -> None:
        self._state = row.goal_label
        self._on_transition(row)

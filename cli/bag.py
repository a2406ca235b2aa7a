"""`aislewise bag`: record, play and describe bags, in ros2's own format. The verb itself is pocketros'."""

from __future__ import annotations

from typing import Any

from pocketros.verbs import command


def add(subparsers: Any) -> None:
    from cli.ros import prepare_verb

    command.add(subparsers, "bag", prepare_verb)

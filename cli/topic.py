"""`aislewise topic`: look into the topics of a running system and publish to them. The verb itself is pocketros'."""

from __future__ import annotations

from typing import Any

from pocketros.verbs import command


def add(subparsers: Any) -> None:
    from cli.ros import prepare_verb

    command.add(subparsers, "topic", prepare_verb)

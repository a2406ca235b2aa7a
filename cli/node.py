"""`aislewise node`: list the nodes of a running system and what they offer. The verb itself is pocketros'."""

from __future__ import annotations

from typing import Any

from pocketros.verbs import command


def add(subparsers: Any) -> None:
    from cli.ros import prepare_verb

    command.add(subparsers, "node", prepare_verb)

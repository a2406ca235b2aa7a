"""`aislewise service`: list, look into and call services. The verb itself is pocketros'."""

from __future__ import annotations

from typing import Any

from pocketros.verbs import command


def add(subparsers: Any) -> None:
    from cli.ros import prepare_verb

    command.add(subparsers, "service", prepare_verb)

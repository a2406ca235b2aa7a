"""Interface types by name, from the command line or from the graph."""

from __future__ import annotations

from typing import Any

from pocketros.definitions import DefinitionError
from pocketros.messages import message_class, service_class

from .errors import VerbError
from .session import Session, is_hidden


def message_type(name: str) -> Any:
    """Class of `pkg/msg/Name` or `pkg/Name`."""
    try:
        return message_class(_full(name, "msg"))
    except DefinitionError as error:
        raise VerbError(f"The passed message type is invalid: {error}") from None


def service_type(name: str) -> Any:
    """Class of `pkg/srv/Name` or `pkg/Name`."""
    try:
        return service_class(_full(name, "srv"))
    except DefinitionError as error:
        raise VerbError(f"The passed service type is invalid: {error}") from None


def raw_type(name: str) -> Any:
    """The class of a message if its definition is known, else a stand-in that carries raw CDR only."""
    try:
        return message_class(name)
    except DefinitionError:
        return type(name.rsplit("/", 1)[-1], (), {"__slots__": (), "_TYPE": name, "_SPEC": None})


def _full(name: str, kind: str) -> str:
    parts = name.split("/")
    if len(parts) == 2:
        parts.insert(1, kind)
    if len(parts) != 3 or parts[1] != kind or not all(parts):
        raise DefinitionError(f"{name!r} is not of the form package/{kind}/Name")
    return "/".join(parts)


def topics(session: Session, hidden: bool = False) -> list[tuple[str, list[str]]]:
    """Names and types of the topics on the graph."""
    found = session.node.get_topic_names_and_types()
    return [(name, types) for name, types in found if hidden or not is_hidden(name)]


def services(session: Session, hidden: bool = False) -> list[tuple[str, list[str]]]:
    found = session.node.get_service_names_and_types()
    return [(name, types) for name, types in found if hidden or not is_hidden(name)]


def topic_type(session: Session, topic: str, *, wait: bool = False) -> str:
    """The one type of a topic on the graph; with `wait` until there is one."""
    name = session.node.resolve_topic_name(topic)

    def find() -> list[str]:
        return next((types for found, types in topics(session, hidden=True) if found == name), [])

    if not (types := find()):
        print(f"WARNING: topic [{topic}] does not appear to be published yet")
        if not wait:
            raise VerbError("Could not determine the type for the passed topic")
        session.wait(lambda: bool(find()))
        types = find()
    if len(types) > 1:
        raise VerbError(f"Cannot echo topic '{topic}', as it contains more than one type: [{', '.join(types)}]")
    return types[0]

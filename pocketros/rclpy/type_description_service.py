"""`~/get_type_description`: what the fields of a type are, for tools that do not have its package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import ParameterDescriptor
from type_description_interfaces.msg import (
    Field,
    FieldType,
    IndividualTypeDescription,
    TypeDescription,
    TypeSource,
)
from type_description_interfaces.srv import GetTypeDescription

from pocketros import cdr
from pocketros.definitions import DefinitionError, MessageSpec
from pocketros.definitions import FieldType as FieldTypeSpec
from pocketros.messages import registry
from pocketros.registry import walk

if TYPE_CHECKING:
    from .node import Node

START_TYPE_DESCRIPTION_SERVICE_PARAM = "start_type_description_service"
_ID_NAMES = {"bool": "BOOLEAN", "float32": "FLOAT", "float64": "DOUBLE", "char": "UINT8"}


class TypeDescriptionService:
    """Present if the parameter `start_type_description_service` is true, as it is by default."""

    def __init__(self, node: Node) -> None:
        name = START_TYPE_DESCRIPTION_SERVICE_PARAM
        if not node.has_parameter(name):
            text = "If enabled, start the ~/get_type_description service."
            node.declare_parameter(name, True, ParameterDescriptor(description=text, read_only=True))
        self.enabled = bool(node.get_parameter(name).value)
        if self.enabled:
            node.create_service(GetTypeDescription, "~/get_type_description", _answer)


def _answer(request: Any, response: Any) -> Any:
    try:
        specs = list(walk(registry, request.type_name))
    except DefinitionError as error:
        response.failure_reason = str(error)
        return response
    known = cdr.type_hash(request.type_name)
    if request.type_hash not in ("", known):
        response.failure_reason = f"type hash {request.type_hash} is not {known or 'known'}"
        return response
    response.successful = True
    first, *others = (_describe(spec) for spec in specs)
    response.type_description = TypeDescription(
        type_description=first,
        referenced_type_descriptions=sorted(others, key=lambda item: item.type_name),
    )
    if request.include_type_sources:
        text = cdr.message_definition(request.type_name)
        source = TypeSource(type_name=request.type_name, encoding="msg", raw_file_contents=text)
        response.type_sources = [source]
    return response


def _describe(spec: MessageSpec) -> Any:
    fields = [Field(name=field.name, type=_field_type(field.type)) for field in spec.fields]
    return IndividualTypeDescription(type_name=spec.name, fields=fields)


def _field_type(kind: FieldTypeSpec) -> Any:
    name = "NESTED_TYPE" if kind.is_message else _ID_NAMES.get(kind.base, kind.base.upper())
    if kind.string_bound:
        name = f"BOUNDED_{name}"
    if kind.array == "fixed":
        name += "_ARRAY"
    elif kind.array:
        name += "_BOUNDED_SEQUENCE" if kind.size else "_UNBOUNDED_SEQUENCE"
    return FieldType(
        type_id=getattr(FieldType, f"FIELD_TYPE_{name}"),
        capacity=kind.size,
        string_capacity=kind.string_bound,
        nested_type_name=kind.base if kind.is_message else "",
    )

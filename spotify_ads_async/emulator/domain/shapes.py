"""Shapes of requests.

What the facts of the document allow in paths, queries and bodies, and which statuses they declare.
The emulator judges requests by the facts and not by the SDK's own models, so that a mistake in one shows in the other.
A shape is a schema with its references followed, its parts merged and what only answers hold left out.
"""

from __future__ import annotations

import functools
from typing import Any, Final, TypeAlias

import msgspec

from spotify_ads_async.api.facts import METHODS, Facts, known_facts

__all__ = ["OperationShape", "Shape", "enum_properties", "named_shape", "operation_shape"]

Shape: TypeAlias = dict[str, Any]

_TAKEN_APART = frozenset({"$ref", "allOf", "discriminator", "items", "oneOf", "properties", "readOnly", "required"})
_REQUIRED_IN_TEXT: Final = {"AdSetCreateRequest": ["campaign_id"]}
"""What the document calls required in a text alone, by schema."""


class OperationShape(msgspec.Struct, frozen=True, kw_only=True):
    """What the requests of one operation may hold; ``body`` is None where they have none."""

    path: Shape
    query: Shape
    body: Shape | None
    multipart: bool
    statuses: frozenset[int]


@functools.cache
def _facts() -> Facts:
    return known_facts()


@functools.cache
def _operations() -> dict[str, dict[str, Any]]:
    items = _facts()["paths"].values()
    return {item[method]["operationId"]: item[method] for item in items for method in METHODS if method in item}


_UNDOCUMENTED: dict[str, Any] = {"responses": {"200": None, "403": None}}
"""What is known of an operation that stands in no document: it takes nothing."""


@functools.cache
def operation_shape(operation: str) -> OperationShape:
    """The shape of an operation's requests, by its operationId."""
    given = _operations().get(operation, _UNDOCUMENTED)
    parameters = [_followed(one) for one in given.get("parameters", ())]
    body = given.get("requestBody", {}).get("content", {})
    media_type, media = next(iter(body.items()), ("", None))
    return OperationShape(
        path=_in_place(parameters, "path"),
        query=_in_place(parameters, "query"),
        body=_shape(media["schema"]) if media else None,
        multipart=media_type == "multipart/form-data",
        statuses=frozenset(int(status) for status in given["responses"] if status.isdigit()),
    )


@functools.cache
def named_shape(name: str) -> Shape:
    """The shape of the schema of this name."""
    shape = _flat(_facts()["components"]["schemas"][name])
    required = [*shape.get("required", ()), *_REQUIRED_IN_TEXT.get(name, ())]
    return {**shape, "required": required} if required else shape


@functools.cache
def enum_properties() -> frozenset[str]:
    """The names of the properties that hold one value of an enum, or a list of them."""
    parts = [part for one in _facts()["components"]["schemas"].values() for part in (one, *one.get("allOf", ()))]
    return frozenset(name for part in parts for name, one in part.get("properties", {}).items() if _is_enum(one))


def _is_enum(node: dict[str, Any]) -> bool:
    node = _followed(node)
    return "enum" in node or ("items" in node and _is_enum(node["items"]))


def _in_place(parameters: list[dict[str, Any]], place: str) -> Shape:
    """The parameters of the path or the query, as an object."""
    found = [one for one in parameters if one["in"] == place]
    return {
        "type": "object",
        "properties": {one["name"]: _shape(one["schema"]) for one in found},
        "required": [one["name"] for one in found if one.get("required")],
    }


def _followed(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        _, kind, name = node["$ref"].removeprefix("#/").split("/")
        node = _facts()["components"][kind][name]
    return node


def _shape(node: dict[str, Any]) -> Shape:
    """The shape of a schema: objects and unions by name, for they may hold themselves; everything else in place."""
    return {"ref": node["$ref"].rpartition("/")[2]} if "$ref" in node and _has_fields(node) else _flat(node)


def _has_fields(node: dict[str, Any]) -> bool:
    node = _followed(node)
    return "properties" in node or "oneOf" in node or any(map(_has_fields, node.get("allOf", ())))


def _flat(node: dict[str, Any]) -> Shape:
    """One level of a shape, with its parts merged."""
    node = _followed(node)
    own: Shape = {name: value for name, value in node.items() if name not in _TAKEN_APART}
    if "mapping" in node.get("discriminator", ()):
        own["tag"] = node["discriminator"]["propertyName"]
        own["oneOf"] = {tag: _shape({"$ref": reference}) for tag, reference in node["discriminator"]["mapping"].items()}
    if "items" in node:
        own["items"] = _shape(node["items"])
    if "properties" in node:
        own["properties"] = {
            name: _shape(one) for name, one in node["properties"].items() if not _followed(one).get("readOnly")
        }
    if "required" in node:
        own["required"] = node["required"]
    flat: Shape = {}
    for part in [*map(_flat, node.get("allOf", ())), own]:
        merged = (
            {"properties": {**flat.get("properties", {}), **part.get("properties", {})}} if "properties" in part else {}
        )
        required = [*flat.get("required", ()), *part.get("required", ())]
        flat |= {**part, **merged, **({"required": required} if required else {})}
    return flat

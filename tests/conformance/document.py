"""The facts of the OpenAPI document as a judge: its operations, and its schemas as JSON Schema."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker

from spotify_ads_async.api.facts import METHODS, known_facts

Schema: TypeAlias = dict[str, Any]

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
INT_BOUNDS = {"int32": 2**31, "int64": 2**63}


@dataclass(frozen=True)
class Parameter:
    name: str
    place: str
    required: bool
    schema: Schema


@dataclass(frozen=True)
class DocumentedOperation:
    id: str
    method: str
    path: str
    parameters: tuple[Parameter, ...]
    body: Schema | None
    media_type: str | None
    answer: Schema | None
    """The schema of the answer to a success, None where there is none."""

    def placed(self, place: str) -> dict[str, Parameter]:
        return {one.name: one for one in self.parameters if one.place == place}


class Document:
    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.components: dict[str, Schema] = {
            name: _as_json_schema(schema) for name, schema in root["components"]["schemas"].items()
        }
        self._judged = {"schemas": _by_tags(self.components)}
        self._judges: dict[int, tuple[Schema, Draft202012Validator]] = {}
        self.operations = {one.id: one for one in self._operations()}

    def _operations(self) -> Iterator[DocumentedOperation]:
        for path, item in self.root["paths"].items():
            for method in METHODS:
                if method not in item:
                    continue
                node = item[method]
                body = self._follow(node.get("requestBody", {})).get("content", {})
                media_type = next(iter(body), None)
                yield DocumentedOperation(
                    id=node["operationId"],
                    method=method.upper(),
                    path=path,
                    parameters=tuple(
                        self._parameter(one) for one in [*item.get("parameters", ()), *node.get("parameters", ())]
                    ),
                    body=_as_json_schema(body[media_type]["schema"]) if media_type else None,
                    media_type=media_type,
                    answer=self._answer(node["responses"]),
                )

    def _parameter(self, node: dict[str, Any]) -> Parameter:
        node = self._follow(node)
        return Parameter(node["name"], node["in"], bool(node.get("required")), _as_json_schema(node["schema"]))

    def _answer(self, responses: dict[str, Any]) -> Schema | None:
        for status, response in responses.items():
            content = self._follow(response).get("content", {})
            if str(status).startswith("2") and "application/json" in content:
                return _as_json_schema(content["application/json"]["schema"])
        return None

    def _follow(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            found: Any = self.root
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def flat(self, schema: Schema) -> Schema:
        """``schema`` with its references followed and the parts of its ``allOf`` merged into it."""
        while "$ref" in schema:
            schema = self.components[schema["$ref"].rpartition("/")[2]]
        merged: Schema = {}
        for part in [
            *map(self.flat, schema.get("allOf", ())),
            {name: value for name, value in schema.items() if name != "allOf"},
        ]:
            properties = {**merged.get("properties", {}), **part.get("properties", {})}
            required = [*merged.get("required", ()), *part.get("required", ())]
            merged |= part
            if properties:
                merged["properties"] = properties
            if required:
                merged["required"] = required
        return merged

    def variants(self, schema: Schema) -> tuple[str, dict[str, Schema]] | None:
        """The tag's name and the schemas by tag, of a discriminated union."""
        flat = self.flat(schema)
        if "oneOf" not in flat:
            return None
        discriminator = flat["discriminator"]
        return discriminator["propertyName"], {
            tag: {"$ref": reference} for tag, reference in discriminator["mapping"].items()
        }

    def problems(self, schema: Schema, value: object) -> list[str]:
        """What the schema library finds wrong with a JSON value."""
        if id(schema) not in self._judges:
            judged = {**_by_tags(schema), "components": self._judged}
            self._judges[id(schema)] = schema, Draft202012Validator(judged, format_checker=FORMATS)
        return [f"{one.json_path}: {one.message}" for one in self._judges[id(schema)][1].iter_errors(value)]

    def strangers(self, schema: Schema, value: object, place: str = "$") -> list[str]:
        """Places of keys that the document does not have: JSON Schema lets them pass."""
        variants = self.variants(schema)
        if variants and isinstance(value, dict):
            schema = variants[1][value[variants[0]]]
        flat = self.flat(schema)
        if isinstance(value, list):
            return [
                found for at, one in enumerate(value) for found in self.strangers(flat["items"], one, f"{place}[{at}]")
            ]
        if not isinstance(value, dict):
            return []
        known = flat.get("properties", {})
        here = [f"{place}.{name}" for name in value if name not in known]
        return here + [
            found
            for name in value
            if name in known
            for found in self.strangers(known[name], value[name], f"{place}.{name}")
        ]


def _as_json_schema(node: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """OpenAPI 3.0's dialect in JSON Schema's.

    References stand alone, ``nullable`` is a type, examples and extensions are left out.
    """
    if isinstance(node, list):
        return [_as_json_schema(one) for one in node]
    if not isinstance(node, Mapping):
        return node
    if isinstance(node.get("$ref"), str):
        return {"$ref": node["$ref"]}
    kept = {
        name: (
            {inner: _as_json_schema(one) for inner, one in value.items()}
            if name == "properties"
            else _as_json_schema(value)
        )
        for name, value in node.items()
        if name not in {"example", "description", "nullable", "default", "deprecated", "title"}
        and not name.startswith("x-")
    }
    if node.get("nullable"):
        if isinstance(kept.get("type"), str):
            kept["type"] = [kept["type"], "null"]
        if "enum" in kept:
            kept["enum"] = [*kept["enum"], None]
    return kept


def _by_tags(node: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """``oneOf`` with a discriminator means the schema that the tag names, and not the only one that fits."""
    if isinstance(node, list):
        return [_by_tags(one) for one in node]
    if not isinstance(node, dict):
        return node
    changed = {name: _by_tags(value) for name, value in node.items()}
    if "oneOf" in node and "discriminator" in node:
        tag, mapping = node["discriminator"]["propertyName"], node["discriminator"]["mapping"]
        del changed["oneOf"], changed["discriminator"]
        changed |= {"type": "object", "required": [tag], "properties": {tag: {"enum": list(mapping)}}}
        changed["allOf"] = [
            {"if": {"properties": {tag: {"const": value}}}, "then": {"$ref": reference}}
            for value, reference in mapping.items()
        ]
    return changed


FORMATS = FormatChecker(formats=())


@FORMATS.checks("uuid")
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or UUID.fullmatch(value) is not None


@FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("uri", raises=ValueError)
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme)


@FORMATS.checks("int32")
def _is_int32(value: object) -> bool:
    return not isinstance(value, int) or -INT_BOUNDS["int32"] <= value < INT_BOUNDS["int32"]


@FORMATS.checks("int64")
def _is_int64(value: object) -> bool:
    return not isinstance(value, int) or -INT_BOUNDS["int64"] <= value < INT_BOUNDS["int64"]


@functools.cache
def load() -> Document:
    return Document(known_facts())

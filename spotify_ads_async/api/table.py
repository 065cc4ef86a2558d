"""The facts of a document as a flat table, one row for each thing that can be new, gone or changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from spotify_ads_async.api.facts import METHODS, Facts

__all__ = ["FactKind", "FactTable", "Key"]

FactKind: TypeAlias = Literal["server", "operation", "parameter", "field", "enum value", "required", "status", "type"]
"""What a fact is about. ``type`` is what a body, an answer or a named schema is made of, ``server`` an address."""
Schema: TypeAlias = Mapping[str, Any]

_LIMITS = {
    "maxItems": "at most {} items",
    "maxLength": "at most {} characters",
    "maxProperties": "at most {} fields",
    "maximum": "at most {}",
    "minItems": "at least {} items",
    "minLength": "at least {} characters",
    "minProperties": "at least {} fields",
    "minimum": "at least {}",
    "multipleOf": "a multiple of {}",
    "pattern": "like {}",
    "default": "by default {}",
    "style": "written in the style {}",
}
_FLAGS = {
    "deprecated": "deprecated",
    "exclusiveMaximum": "less than that",
    "exclusiveMinimum": "more than that",
    "nullable": "or null",
    "readOnly": "only answered",
    "uniqueItems": "all different",
    "writeOnly": "only sent",
}
_DENIED = {"additionalProperties": "no other fields", "explode": "lists in one value"}
_SCHEMAS = "#/components/schemas/"


class Key(NamedTuple):
    """What names a fact: its kind, the operation or schema that it belongs to, and the name below that."""

    kind: FactKind
    owner: str
    name: str = ""

    def __str__(self) -> str:
        """``getCampaigns.updated_at_gt``."""
        return f"{self.owner}.{self.name}" if self.name else self.owner

    @property
    def holder(self) -> str:
        """The name without its last part: ``budget`` for the field ``budget.type``."""
        return self.name.rpartition(".")[0]


class FactTable:
    """The facts of one document.

    Attributes:
        rows: each fact with its value in words.
        sent: the operations and schemas that requests hold.
        answered: the operations and schemas that answers hold.
    """

    def __init__(self, facts: Facts, renamed: Mapping[str, str]) -> None:
        """Read the facts; ``renamed`` maps names of schemas to those to use in their place."""
        self._schemas: Mapping[str, Schema] = facts["components"]["schemas"]
        self._parameters: Mapping[str, Schema] = facts["components"]["parameters"]
        self._renamed = renamed
        self.rows: dict[Key, str] = {}
        self.sent: set[str] = set()
        self.answered: set[str] = set()
        self.rows |= {Key("server", one["url"]): "" for one in facts["servers"]}
        for path, item in facts["paths"].items():
            for method in METHODS:
                if method in item:
                    self._read_operation(f"{method.upper()} {path}", item[method])
        for name, schema in self._schemas.items():
            owner = renamed.get(name, name)
            self.rows[Key("type", owner)] = self._words(schema)
            self._read_schema(owner, "", schema)

    def knows_whole_of(self, key: Key) -> bool:
        """Whether this table has what the fact belongs to, so that the fact's own absence says something."""
        if key.kind in {"operation", "server"}:
            return True
        if not {Key("operation", key.owner), Key("type", key.owner)} & self.rows.keys():
            return False
        holder = key.holder.rstrip("[]")
        return not holder or bool(
            {Key("field", key.owner, holder), Key("parameter", key.owner, holder)} & self.rows.keys()
        )

    def in_full(self, key: Key) -> str:
        """A fact's value, with the values of the enum that it names."""
        words = self.rows[key]
        values = self._schemas.get(words, {}).get("enum")
        return f"{words}: {', '.join(map(str, values))}" if values else words

    def _read_operation(self, call: str, given: Schema) -> None:
        owner = given["operationId"]
        self.rows[Key("operation", owner)] = _with_marks(call, given)
        for one in given.get("parameters", ()):
            parameter = self._parameters[one["$ref"].rpartition("/")[2]] if "$ref" in one else one
            name = (
                parameter["name"] if parameter["in"] in {"path", "query"} else f"{parameter['in']} {parameter['name']}"
            )
            words = _with_marks(self._words(parameter["schema"]), parameter)
            self.rows[Key("parameter", owner, name)] = words + (", required" if parameter.get("required") else "")
            self._read_schema(owner, name, parameter["schema"])
            self._reach(parameter["schema"], self.sent)
        self.sent.add(owner)
        if body := given.get("requestBody"):
            needed = ", required" if body.get("required") else ""
            self.rows[Key("type", owner, "body")] = f"{self._media(body, self.sent)}{needed}"
        for status, answer in given["responses"].items():
            self.rows[Key("status", owner, status)] = self._media(answer, self.answered)

    def _media(self, given: Schema, reached: set[str]) -> str:
        """What a body or an answer is made of."""
        content: Mapping[str, Schema] = given.get("content", {})
        for one in content.values():
            self._reach(one["schema"], reached)
        return ", ".join(f"{media}: {self._words(one['schema'])}" for media, one in content.items())

    def _read_schema(self, owner: str, place: str, schema: Schema) -> None:
        """The fields, enum values and required names of a schema, and of those without a name inside of it."""
        below = f"{place}." if place else ""
        for value in schema.get("enum", ()):
            self.rows[Key("enum value", owner, f"{below}{value}")] = ""
        for name in schema.get("required", ()):
            self.rows[Key("required", owner, f"{below}{name}")] = ""
        for name, field in schema.get("properties", {}).items():
            self.rows[Key("field", owner, f"{below}{name}")] = self._words(field)
            self._read_schema(owner, f"{below}{name}", field)
        tags: Mapping[str, Any] = schema.get("discriminator", {})
        for tag, reference in tags.get("mapping", {}).items():
            self.rows[Key("type", owner, f"{below}{tags.get('propertyName')}={tag}")] = self._kind({"$ref": reference})
        for inner in _inner(schema):
            self._read_schema(owner, f"{place}[]", inner)
        for part in _parts(schema):
            self._read_schema(owner, place, part)

    def _words(self, schema: Schema) -> str:
        """What a schema is, without what has rows of its own."""
        parts = [part for part in _parts(schema) if "$ref" not in part]
        return _with_marks(self._kind(schema), *parts, schema)

    def _kind(self, schema: Schema) -> str:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return self._renamed.get(name, name)
        named = [self._kind(part) for part in _parts(schema) if "$ref" in part or "allOf" not in schema]
        if named:
            return (" and " if "allOf" in schema else " or ").join(named)
        for inner in _inner(schema):
            return f"{'list' if 'items' in schema else 'object'} of {self._words(inner)}"
        return " ".join([schema.get("type", "object"), *([schema["format"]] if "format" in schema else [])])

    def _reach(self, schema: Schema, reached: set[str]) -> None:
        """Add the names of every schema that this one is made of."""
        for name in _references(schema):
            new = self._renamed.get(name, name)
            if new not in reached and name in self._schemas:
                reached.add(new)
                self._reach(self._schemas[name], reached)


def _parts(schema: Schema) -> Iterator[Schema]:
    for key in ("allOf", "anyOf", "oneOf"):
        yield from schema.get(key, ())


def _inner(schema: Schema) -> list[Schema]:
    """What a list or an object of any keys holds."""
    return [one for key in ("items", "additionalProperties") if isinstance(one := schema.get(key), dict)]


def _with_marks(words: str, *given: Schema) -> str:
    """Words with the limits and flags that stand beside."""
    said = [form.format(one[key]) for one in given for key, form in _LIMITS.items() if key in one]
    said += [word for one in given for key, word in _FLAGS.items() if one.get(key)]
    said += [word for one in given for key, word in _DENIED.items() if one.get(key) is False]
    return ", ".join([words, *said])


def _references(node: object) -> Iterator[str]:
    """The names of the schemas that a schema refers to."""
    if isinstance(node, str):
        if node.startswith(_SCHEMAS):
            yield node.removeprefix(_SCHEMAS)
    elif isinstance(node, dict | list):
        held = cast("dict[str, object] | list[object]", node)
        for one in held.values() if isinstance(held, dict) else held:
            yield from _references(one)

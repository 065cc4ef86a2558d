"""From schemas to Python shapes: enums, structs and unions, each for requests or for answers."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import msgspec

from codegen import names
from codegen.document import Document, GenerationError
from codegen.overrides import NameByMode, Overrides

__all__ = ["Attribute", "EnumShape", "Mode", "Shape", "Shapes", "StructShape", "UnionShape"]

Mode: TypeAlias = Literal["request", "answer"]
Schema: TypeAlias = dict[str, Any]

_PLACES = {"requestBody": "Body", "responses": "Answer"}
_NOTES = {"uri": "URI", "int32": "INT32"}
_MEANINGFUL = {"$ref", "allOf", "oneOf", "enum", "properties", "required", "minProperties", "items"}


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    """One attribute of a struct; ``type`` is Python source, without the None or UNSET of its default."""

    name: str
    type: str
    required: bool
    nullable: bool


class EnumShape(msgspec.Struct, frozen=True, kw_only=True):
    """A class of string values."""

    name: str
    values: tuple[str, ...]
    answer_only: tuple[str, ...]


class StructShape(msgspec.Struct, frozen=True, kw_only=True):
    """A struct.

    ``tag`` is the field and value that tell it from the others of its union; ``family`` the union's name in answers.
    """

    name: str
    mode: Mode
    attributes: tuple[Attribute, ...]
    at_least: int = 0
    tag: tuple[str, str] | None = None
    family: str | None = None


class UnionShape(msgspec.Struct, frozen=True, kw_only=True):
    """Structs that a tag tells apart."""

    name: str
    mode: Mode
    tag_field: str
    variants: dict[str, str]
    shared: tuple[Attribute, ...] = ()

    @property
    def unknown(self) -> str:
        """The name of the struct for tags that the document does not know."""
        return f"Unknown{self.name}"


Shape: TypeAlias = EnumShape | StructShape | UnionShape


class Property(msgspec.Struct, frozen=True, kw_only=True):
    """One property of an object, with the places of all its ``allOf`` parts merged."""

    name: str
    schema: Schema
    pointer: str
    required: bool


class Shapes:
    """Collects every shape that is asked for, and what it needs in turn.

    Attributes:
        found: the shapes by Python name, each after those that it needs.
        modules: Python name → module.
        served: Python name → the modes in which it was asked for.
    """

    def __init__(self, document: Document, overrides: Overrides, twofold: frozenset[str] | None = None) -> None:
        self._document = document
        self._overrides = overrides
        self._twofold = twofold or frozenset()
        self._final = twofold is not None
        self._visiting: set[tuple[str, Mode]] = set()
        self._module = "common"
        self.found: dict[str, Shape] = {}
        self.modules: dict[str, str] = {}
        self.served: dict[str, set[Mode]] = {}

    @property
    def twofold(self) -> frozenset[str]:
        """The names that serve requests and answers."""
        return frozenset(name for name, modes in self.served.items() if len(modes) > 1)

    def ask(self, schema: Schema, pointer: str, mode: Mode, module: str) -> str:
        """The Python type of ``schema``.

        What it needs is collected into ``module`` unless it stands somewhere already.
        """
        self._module = module
        return self.type_of(schema, pointer, mode)

    def type_of(self, schema: Schema, pointer: str, mode: Mode) -> str:
        """The Python type of a schema, as source."""
        try:
            return self._type_of(schema, pointer, mode)
        except KeyError as missing:
            raise GenerationError(f"{pointer}: the schema has no {missing}; correct it in `mend`") from None
        except re.error as problem:
            raise GenerationError(f"{pointer}: Python reads no such pattern, {problem}; correct it in `mend`") from None

    def _type_of(self, schema: Schema, pointer: str, mode: Mode) -> str:
        set_type = self._overrides.type_at(pointer, mode)
        schema, pointer = self._resolve(schema, pointer)
        set_type = set_type or self._overrides.type_at(pointer, mode)
        if set_type:
            return _annotated(set_type, schema) if mode == "request" else set_type
        if "oneOf" in schema:
            return self._union(schema, pointer, mode)
        if schema.get("enum") and schema.get("type", "string") == "string":
            return self._enum(schema, pointer, mode)
        if schema.get("properties") or "allOf" in schema:
            return self._struct(schema, pointer, mode)
        if schema.get("type") == "array":
            inner = f"list[{self.type_of(schema['items'], f'{pointer}/items', mode)}]"
            return _annotated(inner, schema) if mode == "request" else inner
        return _scalar(schema, mode, pointer)

    def _resolve(self, schema: Schema, pointer: str) -> tuple[Schema, str]:
        """Follow references, and ``allOf`` with one part that says anything, up to a schema with a name of its own."""
        while True:
            schema, pointer = self._document.follow(schema, pointer)
            parts = [(part, at) for at, part in enumerate(schema.get("allOf", ())) if set(part) & _MEANINGFUL]
            if (
                len(parts) != 1
                or "properties" in schema
                or "required" in schema
                or _schema_name(pointer) in self._overrides.names
            ):
                return schema, pointer
            part, at = parts[0]
            if "$ref" not in part:
                return schema, pointer
            schema, pointer = part, f"{pointer}/allOf/{at}"

    def _name(self, pointer: str, mode: Mode) -> str:
        """The Python name of the class for the schema at ``pointer``."""
        schema_name = _schema_name(pointer)
        if schema_name is None:
            inline = self._overrides.inline.get(pointer)
            if inline is None:
                inline = _made_up_name(self._document, pointer)
                self._document.note(
                    f"{pointer} is called {inline} until it has a name: add it to `inline` in the overrides"
                )
            return self._by_mode(inline, mode)
        given = self._overrides.names.get(schema_name)
        if isinstance(given, NameByMode):
            return given.request if mode == "request" else given.answer
        return self._by_mode(given or names.struct_name(schema_name), mode)

    def _by_mode(self, name: str, mode: Mode) -> str:
        self.served.setdefault(name, set()).add(mode)
        return f"Stored{name}" if mode == "answer" and name in self._twofold else name

    def _enum(self, schema: Schema, pointer: str, mode: Mode) -> str:
        name = self._name(pointer, mode)
        self.served.pop(name, None)
        values = tuple(str(value) for value in schema["enum"] if value is not None)
        known = self.found.get(name)
        if isinstance(known, EnumShape):
            if not set(values) <= set(known.values) and not set(known.values) <= set(values):
                raise GenerationError(
                    f"two schemas are called {name} and neither holds all values of the other: give one another name"
                )
            values = max(known.values, values, key=len)
        said = self._overrides
        answer_only = tuple(
            value for value in values if value in said.answer_only and f"{name}.{value}" not in said.sendable
        )
        self._keep(EnumShape(name=name, values=values, answer_only=answer_only), pointer)
        return name

    def _struct(
        self, schema: Schema, pointer: str, mode: Mode, *, tag: tuple[str, str] | None = None, family: str | None = None
    ) -> str:
        name = self._name(pointer, mode)
        if (pointer, mode) in self._visiting:
            return name
        self._visiting.add((pointer, mode))
        shape = StructShape(
            name=name,
            mode=mode,
            attributes=tuple(self.attributes(schema, pointer, mode, without=tag[0] if tag else None)),
            at_least=_deep(self._document, schema, "minProperties") if mode == "request" else 0,
            tag=tag,
            family=family,
        )
        self._visiting.discard((pointer, mode))
        known = self.found.get(name)
        if self._final and known is not None and known != shape:
            raise GenerationError(
                f"two different schemas are called {name} (one at {pointer}): give one of them another name"
            )
        self._keep(shape, pointer)
        return name

    def _union(self, schema: Schema, pointer: str, mode: Mode) -> str:
        name = self._name(pointer, mode)
        tag_field = schema["discriminator"]["propertyName"]
        variants: dict[str, str] = {}
        shared: list[Attribute] | None = None
        for value, reference in schema["discriminator"]["mapping"].items():
            variant, at = self._document.follow({"$ref": reference}, pointer)
            if mode == "request":
                variants[value] = self._struct(variant, at, mode, tag=(tag_field, value))
                continue
            variants[value] = self._struct(variant, at, mode, family=name)
            theirs = self.attributes(variant, at, mode)
            shared = theirs if shared is None else [one for one in shared if one in theirs]
        self._keep(
            UnionShape(name=name, mode=mode, tag_field=tag_field, variants=variants, shared=tuple(shared or ())),
            pointer,
        )
        return name

    def attributes(self, schema: Schema, pointer: str, mode: Mode, without: str | None = None) -> list[Attribute]:
        """The attributes of an object, its ``allOf`` parts merged, without what does not exist in ``mode``."""
        result: list[Attribute] = []
        for one in _properties(self._document, schema, pointer):
            resolved, _ = self._resolve(one.schema, one.pointer)
            read_only = one.schema.get("readOnly") or resolved.get("readOnly")
            if one.name == without or (mode == "request" and read_only):
                continue
            result.append(
                Attribute(
                    name=names.attribute(one.name, one.pointer),
                    type=self.type_of(one.schema, one.pointer, mode),
                    required=one.required and mode == "request",
                    nullable=bool(one.schema.get("nullable") or resolved.get("nullable")),
                )
            )
        return result

    def _keep(self, shape: Shape, pointer: str) -> None:
        self.found[shape.name] = shape
        self.modules.setdefault(shape.name, self._overrides.modules.schemas.get(_component(pointer), self._module))


def _schema_name(pointer: str) -> str | None:
    parent, _, name = pointer.rpartition("/")
    return name if parent == "/components/schemas" else None


def _made_up_name(document: Document, pointer: str) -> str:
    """A name for what stands at ``pointer``, and the fields on the way to it.

    The name comes from the schema or the operation that holds it.
    """
    top, *keys = pointer.split("/")[1:]
    if top == "paths":
        operation = document.at("/".join(["", top, *keys[:2]]))
        of_parameter = keys[2] == "parameters"
        said = [
            operation["operationId"],
            operation["parameters"][int(keys[3])]["name"] if of_parameter else _PLACES[keys[2]],
        ]
    else:
        said = [keys[1]]
    fields = [
        "item" if key == "items" else key for before, key in pairwise(keys) if key == "items" or before == "properties"
    ]
    return "".join(names.pascal(one) for one in [*said, *fields])


def _component(pointer: str) -> str:
    """The named schema that holds what stands at ``pointer``; empty where none does."""
    return pointer.split("/")[3] if pointer.startswith("/components/schemas/") else ""


def _properties(document: Document, schema: Schema, pointer: str) -> list[Property]:
    """The properties of an object and of its ``allOf`` parts.

    The last definition of a name wins, in the place of the first.
    """
    found: dict[str, Property] = {}
    required = set(_required(document, schema))
    for one in _own_properties(document, schema, pointer):
        found[one.name] = msgspec.structs.replace(one, required=one.name in required)
    return list(found.values())


def _own_properties(document: Document, schema: Schema, pointer: str) -> list[Property]:
    schema, pointer = document.follow(schema, pointer)
    inherited = [
        one
        for at, part in enumerate(schema.get("allOf", ()))
        for one in _own_properties(document, part, f"{pointer}/allOf/{at}")
    ]
    own = [
        Property(name=name, schema=value, pointer=f"{pointer}/properties/{name}", required=False)
        for name, value in schema.get("properties", {}).items()
    ]
    return [*inherited, *own]


def _required(document: Document, schema: Schema) -> list[str]:
    schema, _ = document.follow(schema, "")
    return [
        *schema.get("required", ()),
        *(name for part in schema.get("allOf", ()) for name in _required(document, part)),
    ]


def _deep(document: Document, schema: Schema, keyword: str) -> int:
    schema, _ = document.follow(schema, "")
    return max([schema.get(keyword, 0), *(_deep(document, part, keyword) for part in schema.get("allOf", ()))])


_PYTHON = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "object": "dict[str, Any]"}
_FORMS = {"date-time": "UtcTime", "binary": "bytes"}


def _scalar(schema: Schema, mode: Mode, pointer: str) -> str:
    kind, form = schema.get("type"), schema.get("format")
    if kind not in _PYTHON:
        raise GenerationError(f"{pointer}: codegen does not know the type {kind!r}: set one in `types`")
    if kind == "string" and form in _FORMS:
        return _FORMS[form]
    if mode == "answer":
        return _PYTHON[kind]
    return "Uuid" if (kind, form) == ("string", "uuid") else _annotated(_PYTHON[kind], schema)


def _constraints(schema: Schema) -> dict[str, object]:
    """The keywords of ``msgspec.Meta`` for what the schema demands."""
    unit = "Items" if schema.get("type") == "array" else "Length"
    ours = {"minimum": "ge", "maximum": "le", f"min{unit}": "min_length", f"max{unit}": "max_length"}
    ours["pattern"] = "pattern"
    found: dict[str, object] = {name: schema[said] for said, name in ours.items() if schema.get(said) is not None}
    re.compile(schema.get("pattern", ""))
    if found.get("min_length") == 0:
        del found["min_length"]
    return found


def _annotated(python: str, schema: Schema) -> str:
    """The type with what the schema demands of its values."""
    constraints = _constraints(schema)
    notes = [f"Meta({', '.join(f'{name}={value!r}' for name, value in constraints.items())})"] if constraints else []
    if schema.get("uniqueItems"):
        notes.append("UNIQUE")
    if schema.get("format") in _NOTES:
        notes.append(_NOTES[schema["format"]])
    return f"Annotated[{', '.join([python, *notes])}]" if notes else python

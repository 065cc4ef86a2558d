"""Whether a request keeps to the document: paths, queries and bodies against their shapes.

A shape becomes a msgspec type once; what msgspec cannot say (unique items, fewest properties, days that exist) follows
in a second pass, for the shapes that need it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, TypeAlias, TypedDict, cast
from urllib.parse import parse_qsl

import msgspec

from spotify_ads_async.emulator.domain.answers import Refusal, refused
from spotify_ads_async.emulator.domain.shapes import Shape, named_shape, operation_shape

__all__ = ["Checker", "check_named"]

Residue: TypeAlias = Callable[[Any, str], None]

UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
INSTANT = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$"
URI = r"^[A-Za-z][A-Za-z0-9+.-]*:([A-Za-z0-9._~:/?#@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+$"
_PATTERNS = {"uuid": UUID, "date-time": INSTANT, "uri": URI}
_INTEGERS = {"int32": 2**31, "int64": 2**63}
_LOCATED = re.compile(r"^(?P<rule>.*) - at `\$\.?(?P<where>.*)`$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>.*)`$")
_EMPTY: dict[str, Any] = {}
_typed_dict = cast("Callable[[str, dict[str, Any]], Any]", TypedDict)  # a type made at run time
_is_uuid = re.compile(UUID).fullmatch


class Checker:
    """Checks the requests of one operation."""

    def __init__(self, operation: str) -> None:
        shape = operation_shape(operation)
        self.multipart = shape.multipart
        self.statuses = shape.statuses
        self._query = shape.query
        self._body = shape.body
        self._uuids = frozenset(name for name, one in shape.path["properties"].items() if one.get("format") == "uuid")

    @property
    def shape(self) -> Shape | None:
        """The shape of the request body, None where there is none."""
        return self._body

    @property
    def takes_body(self) -> bool:
        """Whether the operation has a request body."""
        return self._body is not None

    def path(self, values: dict[str, str]) -> dict[str, str]:
        """The path's values, checked; UUIDs in lower case."""
        for name in self._uuids:
            if not _is_uuid(values[name]):
                raise Refusal(400, "BAD_REQUEST", f"{name}: {values[name]!r} is not a UUID")
            values[name] = values[name].lower()
        return values

    def query(self, text: str, *, strict: bool = False) -> dict[str, Any]:
        """The query's values, converted and with the published defaults; ``strict`` refuses unknown parameters."""
        properties: dict[str, Shape] = self._query["properties"]
        given: dict[str, Any] = {}
        for name, value in parse_qsl(text, keep_blank_values=True):
            shape = properties.get(name)
            if shape is None:
                if strict:
                    raise refused(f"{name}: the operation takes no such parameter")
            elif shape.get("type") == "array":
                given.setdefault(name, []).append(value)
            elif name in given:
                raise refused(f"{name}: given more than once")
            else:
                given[name] = value
        if not properties:
            return given
        values = _checked(self._query, lambda kind: msgspec.convert(given, kind, strict=False))
        for name, shape in properties.items():
            if "default" in shape and shape.get("type") != "array":
                values.setdefault(name, shape["default"])
        if values.get("offset", 0) < 0:
            raise refused("offset: must be at least 0")
        return values

    def body(self, content: bytes) -> Any:  # noqa: ANN401 - whatever the document says
        """The body, decoded and checked; attributes that the document does not know are left out."""
        shape = self._body
        if shape is None:
            return None
        if not content:
            raise refused("body: the operation needs one")
        shape = self._tagged(shape, content)
        return _checked(shape, lambda kind: _decoder(_Key(shape), kind).decode(content))

    def form(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of a multipart body, checked; ``media`` holds bytes."""
        shape = _named(self._body or _EMPTY)
        if not isinstance(fields.get("media"), bytes):
            raise refused("media: the form needs a file of this name")
        rest = {name: value for name, value in fields.items() if name != "media"}
        without = {**shape, "properties": {k: v for k, v in shape["properties"].items() if k != "media"}}
        without["required"] = [name for name in shape["required"] if name != "media"]
        checked = _checked(without, lambda kind: msgspec.convert(rest, kind, strict=False))
        return {**checked, "media": fields["media"]}

    @staticmethod
    def _tagged(shape: Shape, content: bytes) -> Shape:
        """The member of a union that the body's tag names, or the shape itself."""
        target = _named(shape)
        if "oneOf" not in target:
            return shape
        tag = {
            "type": "object",
            "properties": {target["tag"]: {"type": "string", "enum": list(target["oneOf"])}},
            "required": [target["tag"]],
        }
        found = _checked(tag, lambda kind: msgspec.json.decode(content, type=kind))
        return target["oneOf"][found[target["tag"]]]


def check_named(name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON
    """``value``, held against the shape of this name; attributes that the shape does not know are left out.

    Raises:
        Refusal: it does not fit (400).
    """
    return _checked(named_shape(name), lambda kind: msgspec.convert(value, kind))


class _Key:
    """A shape as a key of a cache: by identity, kept alive with the cache."""

    __slots__ = ("shape",)

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def __hash__(self) -> int:
        return id(self.shape)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.shape is self.shape


def _checked(shape: Shape, decode: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - see Checker.body
    try:
        value = decode(_type(_Key(shape)))
    except msgspec.ValidationError as error:
        raise refused(_worded(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise refused("body: not valid JSON") from None
    residue = _residue(_Key(shape))
    if residue is not None:
        residue(value, "")
    return value


def _worded(text: str) -> str:
    """A msgspec message with the place in front: ``budget.type: Invalid enum value 'X'``."""
    located = _LOCATED.match(text)
    rule, where = (located["rule"], located["where"].lstrip(".")) if located else (text, "")
    absent = _MISSING.match(rule)
    if absent:
        return f"{where}.{absent['name']}: required".lstrip(".")
    return f"{where or 'body'}: {rule}"


def _named(shape: Shape) -> Shape:
    return named_shape(shape["ref"]) if "ref" in shape else shape


@functools.cache
def _decoder(_key: _Key, kind: Any) -> msgspec.json.Decoder[Any]:  # noqa: ANN401 - a type made at run time
    return msgspec.json.Decoder(kind)


@functools.cache
def _type(key: _Key) -> Any:  # noqa: ANN401 - a type made at run time
    """The msgspec type of a shape."""
    shape = _named(key.shape)
    if shape is not key.shape:
        return _type(_Key(shape))
    kind = _plain_type(shape)
    return kind | None if shape.get("nullable") else kind


def _plain_type(shape: Shape) -> Any:  # noqa: ANN401 - one kind a line
    if "enum" in shape:
        return Literal[tuple(shape["enum"])]
    match shape.get("type"):
        case "string":
            pattern = _PATTERNS.get(shape.get("format", ""), shape.get("pattern"))
            whole = pattern and re.sub(r"\$$", r"\\Z", pattern)  # Python's $ would let a line feed follow
            return Annotated[
                str, msgspec.Meta(min_length=shape.get("minLength"), max_length=shape.get("maxLength"), pattern=whole)
            ]
        case "integer":
            bound = _INTEGERS.get(shape.get("format", ""), 2**63)
            return Annotated[int, msgspec.Meta(ge=shape.get("minimum", -bound), le=shape.get("maximum", bound - 1))]
        case "number":
            return Annotated[float, msgspec.Meta(ge=shape.get("minimum"))]
        case "boolean":
            return bool
        case "array":
            items = _type(_Key(shape["items"]))
            return Annotated[
                list[items], msgspec.Meta(min_length=shape.get("minItems"), max_length=shape.get("maxItems"))
            ]
        case _:
            required = shape.get("required", ())
            fields = {
                name: _type(_Key(part)) if name in required else NotRequired[_type(_Key(part))]
                for name, part in shape.get("properties", _EMPTY).items()
            }
            return _typed_dict("Body", fields) if fields else dict[str, Any] if "type" in shape else Any


@functools.cache
def _residue(key: _Key) -> Residue | None:
    """What a msgspec type cannot check in this shape, or None where it checks everything."""
    shape = _named(key.shape)
    if shape.get("format") == "date-time":
        return _check_day
    if shape.get("type") == "array":
        return _items_residue(shape)
    inner = {name: found for name, part in shape.get("properties", _EMPTY).items() if (found := _residue(_Key(part)))}
    fewest = shape.get("minProperties", 0)
    if not inner and not fewest:
        return None

    def check(value: Any, where: str) -> None:  # noqa: ANN401 - any JSON
        if value is None:
            return
        if len(value) < fewest:
            raise refused(f"{where or 'body'}: at least {fewest} attribute is needed")
        for name, residue in inner.items():
            if name in value:
                residue(value[name], f"{where}.{name}".lstrip("."))

    return check


def _items_residue(shape: Shape) -> Residue | None:
    each = _residue(_Key(shape["items"]))
    unique = shape.get("uniqueItems", False)
    if each is None and not unique:
        return None

    def check(value: Any, where: str) -> None:  # noqa: ANN401 - any JSON
        if unique and any(item in value[:index] for index, item in enumerate(value)):
            raise refused(f"{where}: items must differ")
        if each is not None:
            for index, item in enumerate(value):
                each(item, f"{where}[{index}]")

    return check


def _check_day(value: Any, where: str) -> None:  # noqa: ANN401 - any JSON
    if value is None:
        return
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise refused(f"{where}: {value!r} is no time that exists") from None

"""The facts of the API's OpenAPI document.

Names, types, constraints, enums, required lists and statuses, and none of its sentences.
They are an OpenAPI document themselves, so that whatever reads one reads them. What carries no order is sorted;
properties and enum values keep the document's order, for users see them in it. ``api.json`` holds the facts that this
version was made from.
"""

from __future__ import annotations

import importlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import msgspec

__all__ = ["FILE", "METHODS", "Facts", "known_facts", "parse_document", "render_facts", "take_facts"]

Facts: TypeAlias = dict[str, Any]

FILE: Final = Path(__file__).parents[1] / "api.json"
"""Where the package holds the facts that it was made from."""
METHODS: Final = ("get", "put", "post", "patch", "delete")
"""The methods of a path, in the order in which the facts name them."""
_MOST_PARTS: Final = 1_000_000
_DEEPEST: Final = 100
_DATE: Final = "tag:yaml.org,2002:timestamp"
_SWITCH: Final = "tag:yaml.org,2002:bool"
_TOO_LARGE: Final = f"more than {_MOST_PARTS} parts, or nested more than {_DEEPEST} deep"
WIDTH: Final = 160
"""The longest line of the file that holds more than one fact."""

_FAULTS = (KeyError, TypeError, AttributeError, ValueError)  # where a document is of another form
_TEXTS = frozenset({"$ref", "format", "pattern", "type"})
_LISTS = frozenset({"enum", "properties", "required"})
_SIZES = frozenset({"maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties", "uniqueItems"})
_NUMBERS = _SIZES | {"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"}
_FLAGS = frozenset({"additionalProperties", "deprecated", "nullable", "readOnly", "writeOnly"})
_KEYWORDS = _TEXTS | _NUMBERS | _FLAGS | {"default", "enum"}
"""What is kept of a schema as it stands; the parts of a schema that are schemas are taken apart in turn."""


def take_facts(document: Mapping[str, Any]) -> Facts:
    """The facts of an OpenAPI 3.0 document. Taking the facts of facts changes nothing.

    Args:
        document: the document as nested dicts.

    Raises:
        ValueError: it is no OpenAPI document.
    """
    try:
        _require_bounds(document)
        components = document["components"]
        shared = components.get("parameters", {})
        return {
            "components": {
                "parameters": _by_name(shared, lambda one: _parameter(_followed(one, components))),
                "schemas": _by_name(components["schemas"], _schema),
            },
            "info": {key: document["info"][key] for key in ("title", "version") if key in document.get("info", ())},
            "openapi": document["openapi"],
            "paths": _paths(document["paths"], components),
            "servers": [{"url": _text(one["url"])} for one in document.get("servers", ())],
        }
    except _FAULTS as problem:
        said = f"it has no {problem}" if isinstance(problem, KeyError) else str(problem)
        raise ValueError(
            ": ".join(["not an OpenAPI 3.0 document", *getattr(problem, "__notes__", ()), said])
        ) from problem


def _by_name(parts: Mapping[str, Any], read: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Each part as read, in the order of the names; what is wrong with one says which."""
    found: dict[str, Any] = {}
    for name, one in sorted(parts.items()):
        try:
            found[name] = read(one)
        except _FAULTS as problem:
            problem.add_note(name)
            raise
    return found


def _require_bounds(document: object) -> None:
    """Refuse what holds itself, and what a few lines of YAML blow up: both come of aliases.

    Raises:
        ValueError: it has too many parts, or they are nested too deeply.
    """
    if not isinstance(document, dict):
        raise TypeError("no object, but a text, a list or nothing")
    level: list[object] = [document]
    left = _MOST_PARTS
    for _ in range(_DEEPEST):
        level = list(islice(chain.from_iterable(map(_inner, level)), left))
        left -= len(level)
    if level or not left:
        raise ValueError(_TOO_LARGE)


def _inner(value: object) -> Iterable[object]:
    held: Any = value
    return held.values() if isinstance(value, dict) else held if isinstance(value, list) else ()


def _paths(given: Mapping[str, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    paths = _by_name(given, lambda item: _path(item, components))
    seen = Counter(one["operationId"] for item in paths.values() for one in item.values())
    if twice := [name for name, many in seen.items() if many > 1]:
        raise ValueError(f"several operations are called {', '.join(twice)}")
    return paths


def _path(item: Mapping[str, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    """A path's operations; the parameters that they have in common stand with each."""
    item = _followed(item, components)
    return {
        method: _operation(item[method], item.get("parameters", ()), components) for method in METHODS if method in item
    }


def _operation(
    given: Mapping[str, Any], common: Iterable[Mapping[str, Any]], components: Mapping[str, Any]
) -> dict[str, Any]:
    found: dict[str, Any] = {"operationId": _text(given["operationId"]), "tags": list(given.get("tags", ()))}
    parameters: dict[tuple[str, str], dict[str, Any]] = {}
    for one in [*common, *given.get("parameters", ())]:
        said = _followed(one, components)
        parameters[said["name"], said["in"]] = _parameter(one)
    if parameters:
        found["parameters"] = [one for _, one in sorted(parameters.items())]
    if "requestBody" in given:
        body = _followed(given["requestBody"], components)
        found["requestBody"] = {"content": _content(body["content"]), "required": bool(body.get("required", False))}
    if given.get("deprecated"):
        found["deprecated"] = True
    contents = {str(status): _followed(one, components).get("content") for status, one in given["responses"].items()}
    found["responses"] = {status: {"content": _content(one)} if one else {} for status, one in sorted(contents.items())}
    return found


def _followed(given: Mapping[str, Any], components: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference to a shared path, parameter, body or answer leads to."""
    for _ in range(_DEEPEST):
        if "$ref" not in given:
            return given
        _, _, kind, name = given["$ref"].split("/")
        given = components[kind][name]
    raise ValueError(f"references without end, from {given['$ref']}")


def _parameter(given: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in given:
        return {"$ref": _text(given["$ref"])}
    kept = {key: given[key] for key in ("deprecated", "explode", "in", "name", "required", "style") if key in given}
    return {**kept, "schema": _schema(given.get("schema", {}))}


def _content(given: Mapping[str, Any]) -> dict[str, Any]:
    return {media: {"schema": _schema(one.get("schema", {}))} for media, one in sorted(given.items())}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} stands where a text should")
    return value


def _keyword(key: str, value: Any) -> Any:  # noqa: ANN401 - whatever stands there
    if key in _NUMBERS and not (isinstance(value, int | float) and math.isfinite(value)):
        raise TypeError(f"{value!r} is no {key}")
    if key in {"enum", "required"} and not isinstance(cast("object", value), list):
        raise TypeError(f"{value!r} stands where a list should")
    return _text(value) if key in _TEXTS else value


def _schema(given: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: _keyword(key, given[key]) for key in given if key in _KEYWORDS}
    if tags := given.get("discriminator"):
        mapping = {tag: _text(reference) for tag, reference in tags.get("mapping", {}).items()}
        found["discriminator"] = {"propertyName": _text(tags["propertyName"])} | (
            {"mapping": mapping} if mapping else {}
        )
    if isinstance(given.get("additionalProperties"), Mapping):
        found["additionalProperties"] = _schema(given["additionalProperties"])
    for key in ("allOf", "anyOf", "oneOf"):
        if key in given:
            found[key] = [_schema(one) for one in given[key]]
    if "items" in given:
        found["items"] = _schema(given["items"])
    if "properties" in given:
        found["properties"] = {name: _schema(one) for name, one in given["properties"].items()}
    if given.get("required"):
        found["required"] = sorted(_keyword("required", given["required"]))
    return dict(sorted(found.items()))


def render_facts(facts: Facts) -> str:
    """The text of ``api.json``: one fact a line as far as it goes, so that a comparison of two versions reads well."""
    return _laid_out(facts, "") + "\n"


def _laid_out(value: object, indent: str, before: str = "", key: str = "") -> str:
    """A value as JSON, behind ``before`` on its line.

    In lines of its own where it holds a list of facts or grows too long.
    """
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not (
        _has_list(cast("object", value), key) or len(indent) + len(before) + len(flat) > WIDTH
    ):
        return f"{before}{flat}"
    inner = indent + " "
    if isinstance(value, dict):
        named = cast("dict[str, object]", value).items()
        parts = [_laid_out(one, inner, f"{json.dumps(name)}: ", name) for name, one in named]
        opening, closing = "{", "}"
    else:
        parts = [_laid_out(one, inner) for one in cast("list[object]", value)]
        opening, closing = "[", "]"
    return f"{before}{opening}\n" + ",\n".join(f"{inner}{part}" for part in parts) + f"\n{indent}{closing}"


def _has_list(value: object, key: str = "") -> bool:
    """Whether a value is or holds a list of facts: enum values, required names, properties."""
    if isinstance(value, dict):
        named = cast("dict[str, object]", value)
        return (key in _LISTS and len(named) > 1) or any(_has_list(one, name) for name, one in named.items())
    if isinstance(value, list):
        items = cast("list[object]", value)
        return (key in _LISTS and len(items) > 1) or any(_has_list(one) for one in items)
    return False


def parse_document(text: str) -> Facts:
    """The facts of a document's text, YAML or JSON.

    Raises:
        ValueError: it is neither, or no OpenAPI document.
        ModuleNotFoundError: it is YAML, and the extra ``cli``, which reads YAML, is not installed.
    """
    try:
        return take_facts(json.loads(text) if text.lstrip().startswith("{") else _read_yaml(text))
    except (json.JSONDecodeError, RecursionError) as problem:
        raise ValueError(f"neither YAML nor JSON: {problem}") from None


def _read_yaml(text: str) -> Any:  # noqa: ANN401 - whatever stands there
    yaml: Any = importlib.import_module("yaml")  # not needed where the document is JSON
    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader = type("TextLoader", (base,), {"yaml_implicit_resolvers": _resolvers(base.yaml_implicit_resolvers)})
    try:
        events = yaml.parse(text, Loader=loader)
        steps = (
            isinstance(one, yaml.CollectionStartEvent) - isinstance(one, yaml.CollectionEndEvent) for one in events
        )
        if any(depth > _DEEPEST for depth in accumulate(steps)):  # on these the loader would run out of its stack
            raise ValueError(_TOO_LARGE)
        return yaml.load(text, Loader=loader)
    except yaml.YAMLError as problem:
        raise ValueError(f"neither YAML nor JSON: {problem}") from problem


def _resolvers(given: Mapping[str, list[tuple[str, Any]]]) -> dict[str, list[tuple[str, Any]]]:
    """YAML's guesses, without those at dates and at on/off: the document means text there."""
    return {
        first: [guess for guess in guesses if guess[0] not in (_DATE, "" if first in "tTfF" else _SWITCH)]
        for first, guesses in given.items()
    }


def known_facts() -> Facts:
    """The facts that this version of the package was made from."""
    return msgspec.json.decode(FILE.read_bytes(), type=Facts)

"""From the document's operations to calls: what each takes, answers, spends, and how it is called in Python."""

from __future__ import annotations

from typing import Any

import msgspec

from codegen import names
from codegen.document import Document, GenerationError
from codegen.overrides import ListOf, Overrides
from codegen.shapes import Shapes, StructShape

__all__ = ["Operation", "Parameter", "read"]

_METHODS = ("get", "put", "post", "patch", "delete")


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of the path or the query; ``type`` is Python source with its constraints."""

    name: str
    type: str
    required: bool


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of the document with what the overrides say about it."""

    id: str
    method: str
    path: str
    tag: str
    summary: str
    call: str
    path_parameters: tuple[Parameter, ...]
    query: tuple[Parameter, ...]
    body: str | None
    body_required: bool
    multipart: bool
    answer: str | None
    repeat: str
    walk: ListOf | None
    item: str | None
    page_size: int

    @property
    def constant(self) -> str:
        """The name of its constant in ``operations.py``."""
        return names.constant(self.id)

    @property
    def holder(self) -> str:
        """The path of attributes up to the method: ``account.ad_sets``."""
        return self.call.rpartition(".")[0]

    @property
    def python_method(self) -> str:
        """The name of the method."""
        return self.call.rpartition(".")[2]


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """An operation as it stands in the document; ``shared`` are the parameters of its path."""

    path: str
    method: str
    given: dict[str, Any]
    shared: list[dict[str, Any]]

    @property
    def id(self) -> str:
        return self.given["operationId"]

    @property
    def tag(self) -> str:
        return self.given["tags"][0]


def read(document: Document, overrides: Overrides) -> tuple[list[Operation], Shapes]:
    """Every operation, in the order of the document, and the shapes that they need.

    Raises:
        GenerationError: an operation has no entry in the overrides, or an entry has no operation.
    """
    first = Shapes(document, overrides)
    _read(document, overrides, first)
    shapes = Shapes(document, overrides, first.twofold)
    operations = _read(document, overrides, shapes)
    left = set(overrides.operations) - {operation.id for operation in operations}
    if left:
        raise GenerationError(f"the document has no operation {', '.join(sorted(left))}: drop them from `operations` in the overrides")
    return operations, shapes


def _read(document: Document, overrides: Overrides, shapes: Shapes) -> list[Operation]:
    found = [
        _Found(path=path, method=method, given=item[method], shared=item.get("parameters", []))
        for path, item in document.root["paths"].items()
        for method in _METHODS
        if method in item
    ]
    missing = [one.id for one in found if one.id not in overrides.operations]
    if missing:
        raise GenerationError(f"give {', '.join(missing)} a call and a summary: add them to `operations` in the overrides")
    tags = list(dict.fromkeys(one.tag for one in found))
    found.sort(key=lambda one: tags.index(one.tag))
    operations = [_operation(overrides, shapes, document, one) for one in found]
    for name in overrides.errors:
        pointer = f"/components/schemas/{name}"
        shapes.ask(document.at(pointer), pointer, "answer", "estimates")
    return operations


def _operation(overrides: Overrides, shapes: Shapes, document: Document, found: _Found) -> Operation:
    given, tag = found.given, found.tag
    said = overrides.operations[found.id]
    module = overrides.modules.tags.get(tag, tag.replace("-", "_"))
    item = f"/paths/{found.path.replace('~', '~0').replace('/', '~1')}"
    place = f"{item}/{found.method}"
    written = [
        *((one, f"{item}/parameters/{at}") for at, one in enumerate(found.shared)),
        *((one, f"{place}/parameters/{at}") for at, one in enumerate(given.get("parameters", []))),
    ]
    parameters = [document.follow(one, at) for one, at in written]
    body, multipart = _body(shapes, given, place, module)
    answer = _answer(shapes, given, place, module)
    query = tuple(_parameter(shapes, one, at, module) for one, at in parameters if one["in"] == "query")
    return Operation(
        id=found.id,
        method=found.method.upper(),
        path=found.path,
        tag=tag,
        summary=said.summary,
        call=said.call,
        path_parameters=_in_order(found.path, [_parameter(shapes, one, at, module) for one, at in parameters if one["in"] == "path"]),
        query=query,
        body=body,
        body_required=bool(given.get("requestBody", {}).get("required")),
        multipart=multipart,
        answer=answer,
        repeat=said.repeat or ("safe" if found.method == "get" else "never"),
        walk=said.walk,
        item=_item(shapes, answer, said.walk),
        page_size=next((one["schema"]["maximum"] for one, _ in parameters if one["name"] == "limit"), 0),
    )


def _in_order(path: str, parameters: list[Parameter]) -> tuple[Parameter, ...]:
    """The path's parameters as they stand in the path."""
    return tuple(sorted(parameters, key=lambda one: path.index(f"{{{one.name}}}")))


def _parameter(shapes: Shapes, given: dict[str, Any], pointer: str, module: str) -> Parameter:
    return Parameter(
        name=names.attribute(given["name"], pointer),
        type=shapes.ask(given["schema"], f"{pointer}/schema", "request", module),
        required=bool(given.get("required")),
    )


def _body(shapes: Shapes, given: dict[str, Any], place: str, module: str) -> tuple[str | None, bool]:
    content = given.get("requestBody", {}).get("content", {})
    for media, one in content.items():
        pointer = f"{place}/requestBody/content/{media.replace('/', '~1')}/schema"
        return shapes.ask(one["schema"], pointer, "request", module), media == "multipart/form-data"
    return None, False


def _answer(shapes: Shapes, given: dict[str, Any], place: str, module: str) -> str | None:
    for status, answer in given["responses"].items():
        for media, one in answer.get("content", {}).items():
            if str(status).startswith("2"):
                pointer = f"{place}/responses/{status}/content/{media.replace('/', '~1')}/schema"
                return shapes.ask(one["schema"], pointer, "answer", module)
    return None


def _item(shapes: Shapes, answer: str | None, walk: ListOf | None) -> str | None:
    """The type of a list's items, from the attribute of the answer that holds them."""
    if walk is None:
        return None
    shape = shapes.found.get(answer or "")
    if isinstance(shape, StructShape):
        for attribute in shape.attributes:
            if attribute.name == walk.items and attribute.type.startswith("list["):
                return attribute.type.removeprefix("list[").removesuffix("]")
    raise GenerationError(f"{answer} has no list called {walk.items}: correct `list` in the overrides")

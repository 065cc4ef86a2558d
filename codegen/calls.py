"""From the document's operations to calls: what each takes, answers, spends, and how it is called in Python."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from codegen import names
from codegen.document import Document, GenerationError
from codegen.overrides import Call, ListOf, Overrides
from codegen.shapes import Shapes, StructShape
from spotify_ads_async.api.facts import METHODS

__all__ = ["Operation", "Parameter", "read"]


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
    group: str
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
        """The name of its constant in ``operations/``."""
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
    """An operation as it stands in the document."""

    path: str
    method: str
    given: dict[str, Any]

    @property
    def id(self) -> str:
        return self.given["operationId"]

    @property
    def tag(self) -> str:
        return next(iter(self.given["tags"]), "other")


def read(document: Document, overrides: Overrides) -> tuple[list[Operation], Shapes]:
    """Every operation, by group, path and method, and the shapes that they need.

    An operation without an entry in the overrides gets a call of its own name, and a note; so does an entry without an
    operation.
    """
    first = Shapes(document, overrides)
    _read(document, overrides, first)
    shapes = Shapes(document, overrides, first.twofold)
    operations = _read(document, overrides, shapes)
    for gone in sorted(set(overrides.operations) - {operation.id for operation in operations}):
        document.note(f"the document has no operation {gone}: drop it from `operations` in the overrides")
    return operations, shapes


def _read(document: Document, overrides: Overrides, shapes: Shapes) -> list[Operation]:
    found = [
        _Found(path=path, method=method, given=item[method])
        for path, item in document.root["paths"].items()
        for method in METHODS
        if method in item
    ]
    found.sort(key=lambda one: one.tag)
    operations = [_operation(_call(document, overrides, found, one), shapes, document, one, overrides) for one in found]
    for name in overrides.errors:
        pointer = f"/components/schemas/{name}"
        if document.has(pointer):
            shapes.ask(document.at(pointer), pointer, "answer", "estimates")
    return operations


def _call(document: Document, overrides: Overrides, all_found: list[_Found], found: _Found) -> Call:
    """What the overrides say about an operation; where they say nothing, a call beside the others of its group."""
    said = overrides.operations.get(found.id)
    if said is not None:
        return said
    place = max(
        (
            root
            for root, one in overrides.resources.items()
            if "." not in root and all(f"{{{name}}}" in found.path for name in one.ids)
        ),
        key=lambda root: len(overrides.resources[root].ids),
    )
    beside = [
        overrides.operations[one.id].call
        for one in all_found
        if one.tag == found.tag and one.id in overrides.operations
    ]
    holders = [call.rpartition(".")[0] for call in beside if call.startswith(f"{place}.")]
    call = f"{max(holders, key=holders.count) if holders else place}.{names.snake(found.id)}"
    document.note(
        f"{found.id} is called {call} until it has a call and a summary: add them to `operations` in the overrides"
    )
    return Call(call=call, summary=f"{names.words(found.id).capitalize()}.")


def _operation(said: Call, shapes: Shapes, document: Document, found: _Found, overrides: Overrides) -> Operation:
    given, tag = found.given, found.tag
    module = names.attribute(overrides.modules.tags.get(tag, tag.replace("-", "_")), f"the tag of {found.id}")
    names.attribute(names.constant(found.id), f"the operation at {found.path}")
    place = f"/paths/{found.path.replace('~', '~0').replace('/', '~1')}/{found.method}"
    parameters = [
        document.follow(one, f"{place}/parameters/{at}") for at, one in enumerate(given.get("parameters", []))
    ]
    body, multipart = _body(shapes, given, place, module)
    answer = _answer(shapes, given, place, module)
    query = tuple(_parameter(shapes, one, at, module) for one, at in parameters if one["in"] == "query")
    return Operation(
        id=found.id,
        method=found.method.upper(),
        path=found.path,
        group=module,
        tag=tag,
        summary=said.summary,
        call=said.call,
        path_parameters=_in_order(
            found.path, [_parameter(shapes, one, at, module) for one, at in parameters if one["in"] == "path"]
        ),
        query=query,
        body=body,
        body_required=bool(given.get("requestBody", {}).get("required")),
        multipart=multipart,
        answer=answer,
        repeat=said.repeat or ("safe" if found.method == "get" else "never"),
        walk=said.walk,
        item=_item(shapes, answer, said.walk),
        page_size=next((one["schema"].get("maximum", 0) for one, _ in parameters if one["name"] == "limit"), 0),
    )


def _in_order(path: str, parameters: list[Parameter]) -> tuple[Parameter, ...]:
    """The path's parameters as they stand in the path."""
    by_name = {one.name: one for one in parameters}
    if by_name.keys() != set(in_path := re.findall(r"{(.*?)}", path)):
        raise GenerationError(f"{path}: its parameters are called {', '.join(by_name)}; correct the slip in `mend`")
    return tuple(by_name[name] for name in in_path)


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

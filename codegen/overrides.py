"""The overrides file: what the document cannot say."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from codegen.document import Document, GenerationError

__all__ = ["Call", "Overrides", "Resource", "load"]

FILE = Path(__file__).with_name("overrides.yaml")


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Mend(_Strict, frozen=True, kw_only=True):
    """A slip of the document, mended: a value set, or names added to a list and removed from it."""

    at: str
    why: str
    set: Any = None
    add: list[str] = []
    remove: list[str] = []


class Legacy(_Strict, frozen=True, kw_only=True):
    """An attribute that answers carry though the document does not tell."""

    at: str
    schema: dict[str, Any]
    why: str


class TypeOf(_Strict, frozen=True, kw_only=True, rename={"mode": "in"}):
    """A Python type that the document's format does not tell."""

    at: str
    type: str
    why: str
    mode: Literal["request", "answer"] | None = None


class NameByMode(_Strict, frozen=True, kw_only=True):
    """Two names of a schema that serves requests and answers."""

    request: str
    answer: str


class Modules(_Strict, frozen=True, kw_only=True):
    """In which module a tag or a schema goes."""

    tags: dict[str, str]
    schemas: dict[str, str]


class Resource(_Strict, frozen=True, kw_only=True, rename={"name": "class"}):
    """A class whose methods are calls; ``reached_by`` is how a user comes to one that the client hands out."""

    name: str
    summary: str
    reached_by: str | None = None
    module: str | None = None
    ids: tuple[str, ...] = ()


class ListOf(_Strict, frozen=True, kw_only=True):
    """How a list is walked."""

    items: str
    style: Literal["offset", "offset-uncounted", "continuation", "limit", "whole"]


class Call(_Strict, frozen=True, kw_only=True, rename={"walk": "list"}):
    """The Python call of an operation."""

    call: str
    summary: str
    repeat: Literal["safe", "keyed", "never"] | None = None
    walk: ListOf | None = None


class Overrides(_Strict, frozen=True, kw_only=True):
    """The whole file; what each part means stands in it."""

    mend: list[Mend]
    legacy: list[Legacy]
    types: list[TypeOf]
    answer_only: list[str]
    sendable: list[str]
    errors: list[str]
    modules: Modules
    names: dict[str, str | NameByMode]
    inline: dict[str, str]
    docs: dict[str, str]
    resources: dict[str, Resource]
    operations: dict[str, Call]

    def apply(self, document: Document) -> None:
        """Mend the document in place, and mark what only some answers carry.

        An entry that fits nothing becomes a note.
        """
        for mended in self.mend:
            if mended.add or mended.remove:
                document.mend_list(mended.at, add=mended.add, remove=mended.remove)
            else:
                document.mend(mended.at, mended.set)
        for legacy in self.legacy:
            document.mend(legacy.at, {**legacy.schema, "readOnly": True})
        schemas = (f"/components/schemas/{name}" for name in [*self.names, *self.errors, *self.modules.schemas])
        for pointer in [*schemas, *self.inline, *(one.at for one in self.types)]:
            document.has(pointer)

    def type_at(self, pointer: str, mode: str) -> str | None:
        """The Python type that is set for ``pointer``, if one is."""
        return next((one.type for one in self.types if one.at == pointer and one.mode in {None, mode}), None)


def load(file: Path = FILE) -> Overrides:
    """Read the overrides.

    Raises:
        GenerationError: the file is not of its own shape.
    """
    try:
        return msgspec.convert(yaml.safe_load(file.read_text(encoding="utf-8")), Overrides)
    except msgspec.ValidationError as problem:
        raise GenerationError(f"{file}: {problem}") from problem

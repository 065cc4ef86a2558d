"""The facts of the OpenAPI document: finding places in them, and mending the document's slips."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any, cast

import anyio

from spotify_ads_async.api.facts import Facts
from spotify_ads_async.core.api_document import read_document
from spotify_ads_async.errors import SpotifyAdsError
from spotify_ads_async.network.options import TransportOptions

__all__ = ["Document", "GenerationError", "load"]


class GenerationError(Exception):
    """The document and the overrides do not fit together; the message says what to do."""


def load(source: str) -> Facts:
    """The facts of a YAML or JSON document at a path or an https URL.

    Raises:
        GenerationError: it cannot be read, or is no OpenAPI document.
    """
    try:
        return anyio.run(read_document, source, TransportOptions())
    except SpotifyAdsError as problem:
        raise GenerationError(f"no document to follow: {problem}") from problem


class Document:
    """The facts as nested dicts, addressed by JSON pointers such as ``/components/schemas/AdSetResponse``.

    Attributes:
        root: the facts, as they are mended.
        notes: what the overrides say that fits nothing in them, and what was made up because the overrides do not say
            it.
    """

    def __init__(self, facts: Facts) -> None:
        self.root = deepcopy(facts)
        self.notes: list[str] = []

    def at(self, pointer: str) -> Any:  # noqa: ANN401 -- whatever JSON stands there
        """What stands at ``pointer``.

        Raises:
            GenerationError: nothing does.
        """
        place: Any = self.root
        for key in _keys(pointer):
            try:
                place = cast("list[Any]", place)[int(key)] if isinstance(place, list) else place[key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise GenerationError(f"the document has nothing at {pointer}: correct or drop the override") from None
        return place

    def has(self, pointer: str) -> bool:
        """Whether something stands at ``pointer``; where nothing does, a note says so."""
        try:
            self.at(pointer)
        except GenerationError as problem:
            self.note(str(problem))
            return False
        return True

    def note(self, text: str) -> None:
        """Keep a note, once."""
        if text not in self.notes:
            self.notes.append(text)

    def mend(self, pointer: str, value: object) -> None:
        """Put ``value`` at ``pointer``, unless it stands there already."""
        parent, _, last = pointer.rpartition("/")
        if not self.has(parent):
            return
        place, key = self.at(parent), _keys("/" + last)[0]
        if place.get(key) == value:
            self.note(f"the document has been mended at {pointer}: drop the override")
        place[key] = value

    def mend_list(self, pointer: str, *, add: Iterable[str], remove: Iterable[str]) -> None:
        """Add names to the list at ``pointer`` and remove others, unless that has been done already."""
        if not self.has(pointer):
            return
        names: list[str] = self.at(pointer)
        mended = sorted({*names, *add} - set(remove))
        if mended == sorted(names):
            self.note(f"the document has been mended at {pointer}: drop the override")
        names[:] = mended

    def follow(self, schema: dict[str, Any], pointer: str) -> tuple[dict[str, Any], str]:
        """The schema that ``schema`` refers to and where it stands; itself where it is no reference."""
        if "$ref" not in schema:
            return schema, pointer
        pointer = schema["$ref"].removeprefix("#")
        return self.follow(self.at(pointer), pointer)


def _keys(pointer: str) -> list[str]:
    return [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]]

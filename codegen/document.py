"""The facts of the OpenAPI document: finding places in them, and mending the document's slips."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any, cast
from urllib.request import urlopen

from spotify_ads_async.api.facts import Facts, parse_document

__all__ = ["Document", "GenerationError", "load"]


class GenerationError(Exception):
    """The document and the overrides do not fit together; the message says what to do."""


def load(source: str) -> Facts:
    """The facts of a YAML or JSON document at a path or an http(s) URL.

    Raises:
        GenerationError: it cannot be read, or is no OpenAPI document.
    """
    try:
        if source.startswith(("https://", "http://")):
            with urlopen(source, timeout=60) as answer:  # noqa: S310 -- the scheme has just been checked
                return parse_document(answer.read().decode())
        return parse_document(Path(source).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise GenerationError(f"{source} is no document that can be followed: {problem}") from problem


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

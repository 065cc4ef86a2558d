"""The OpenAPI document: loading it, finding places in it, and mending its slips."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast
from urllib.request import urlopen

import yaml

__all__ = ["Document", "GenerationError", "load"]


class GenerationError(Exception):
    """The document and the overrides do not fit together; the message says what to do."""


def load(source: str) -> dict[str, Any]:
    """Read a YAML or JSON document from a path or an http(s) URL."""
    if source.startswith(("https://", "http://")):
        with urlopen(source, timeout=60) as answer:  # noqa: S310 -- the scheme has just been checked
            text = answer.read().decode()
    else:
        text = Path(source).read_text(encoding="utf-8")
    return yaml.load(text, Loader=_TextLoader)  # noqa: S506 -- a SafeLoader


class _TextLoader(yaml.SafeLoader):
    """YAML without guesses at dates and at on/off: the document means text there."""

    yaml_implicit_resolvers = {  # noqa: RUF012 -- PyYAML's way
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp" and first not in "oOyYnN"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class Document:
    """An OpenAPI document as nested dicts, addressed by JSON pointers such as ``/components/schemas/AdSetResponse``."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root

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

    def mend(self, pointer: str, value: object) -> None:
        """Put ``value`` at ``pointer``.

        Raises:
            GenerationError: it stands there already, so the slip is gone.
        """
        parent, _, last = pointer.rpartition("/")
        place = self.at(parent)
        key = _keys("/" + last)[0]
        if place.get(key) == value:
            raise GenerationError(f"the document has been mended at {pointer}: drop the override")
        place[key] = value

    def follow(self, schema: dict[str, Any], pointer: str) -> tuple[dict[str, Any], str]:
        """The schema that ``schema`` refers to and where it stands; itself where it is no reference."""
        while "$ref" in schema:
            pointer = schema["$ref"].removeprefix("#")
            schema = self.at(pointer)
        return schema, pointer


def _keys(pointer: str) -> list[str]:
    return [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]]

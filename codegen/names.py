"""Names and words: from the document's spelling to Python's, and back to English."""

from __future__ import annotations

import keyword
import re

from codegen.document import GenerationError

__all__ = ["article", "attribute", "constant", "member", "pascal", "plural", "snake", "struct_name", "words"]

_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

_VOWEL_SOUNDS = ("a", "e", "i", "o", "un", "up", "hour")
_TAKEN = frozenset(["self", "mro", "list", "str", "int", "float", "bool", "bytes", "dict"])
_ABBREVIATIONS = {"capi": "Conversions API", "aam": "automatic advanced matching"}


def snake(name: str) -> str:
    """``getAdSetById`` → ``get_ad_set_by_id``."""
    return _BOUNDARY.sub("_", name).lower()


def constant(name: str) -> str:
    """``getAdSetById`` → ``GET_AD_SET_BY_ID``."""
    return snake(name).upper()


def pascal(name: str) -> str:
    """``frequency_unit`` → ``FrequencyUnit``."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[_\-]", name))


def struct_name(schema: str) -> str:
    """The name of a schema's class where the overrides give none."""
    for pattern, form in (
        (r"Create(\w+)Request", r"\1Create"),
        (r"(\w+)CreateRequest", r"\1Create"),
        (r"Update(\w+)Request", r"\1Update"),
        (r"(\w+)UpdateRequest", r"\1Update"),
        (r"(\w+)(?:Request|Response)", r"\1"),
    ):
        found = re.fullmatch(pattern, schema)
        if found:
            return found.expand(form)
    if not schema.isidentifier():
        raise GenerationError(f"the schema {schema} needs a Python name: add it to `names` in the overrides")
    return schema


def attribute(name: str, pointer: str) -> str:
    """The name of a property as an attribute.

    Raises:
        GenerationError: it is no Python name.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or name in _TAKEN or name.startswith("__"):
        raise GenerationError(f"{pointer}: {name!r} cannot be an attribute; teach codegen to rename it")
    return name


def member(value: str) -> str:
    """The name of an enum's value: itself, or for ``9:16`` ``VALUE_9_16``."""
    plain = value.isidentifier() and not keyword.iskeyword(value) and value != "mro" and not value.startswith("_")
    return value if plain else "VALUE_" + re.sub(r"\W", "_", value)


def words(name: str) -> str:
    """``AdSetDraft`` → ``ad set draft``."""
    return " ".join(_ABBREVIATIONS.get(part, part) for part in snake(name).split("_"))


def article(text: str) -> str:
    """``ad set`` → ``an ad set``."""
    if plural(text):
        return text
    return f"{'an' if text.lower().startswith(_VOWEL_SOUNDS) else 'a'} {text}"


def plural(text: str) -> bool:
    """Whether the words stand for many."""
    return text.endswith("s") and not text.endswith(("ss", "status"))

"""Examples of commands: those of the manual, as help shows them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

__all__ = ["FILE", "examples", "lines_of", "places_of", "wrapped"]

FILE = Path(__file__).with_name("examples.md")
_MOST_SHOWN = 4
_CONTINUED = " \\"
_VARIABLE = re.compile(r"\$\(.*\)|\$[A-Z_]+")


def examples() -> dict[str, str]:
    """The examples by command, ``index`` for the manual's first page."""
    parts = re.split(r"^# (\S+)\n", FILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def lines_of(words: str) -> Sequence[str]:
    """The lines that call a command such as ``spotify-ads bulk plan``, each once; IDs that others answer are ``ID``."""
    name = words.split()[1] if " " in words else "index"
    text = examples().get(name, "")
    found = re.findall(rf"^\$ ({re.escape(words)}(?: .*)?)$", text, flags=re.MULTILINE)
    return list(dict.fromkeys(_VARIABLE.sub("ID", line) for line in found))[:_MOST_SHOWN]


def places_of(word: str) -> Sequence[str]:
    """The groups' commands of that name: for ``undo``, ``spotify-ads bulk undo``."""
    found = re.findall(
        rf"^\$ (spotify-ads [a-z]\S* {re.escape(word)})\b", FILE.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    return list(dict.fromkeys(found))


def wrapped(words: str, width: int) -> Sequence[str]:
    """The same as the end of a help text, nothing where there are none."""
    lines: list[str] = []
    for line in lines_of(words):
        parts = textwrap.wrap(line, width - 4, subsequent_indent="    ", break_on_hyphens=False, break_long_words=False)
        lines += [f"  {part}{_CONTINUED if part != parts[-1] else ''}" for part in parts]
    return ["", "Examples:", *lines] if lines else []

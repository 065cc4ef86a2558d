"""Text from outside on a terminal: nothing in it may move the cursor, change colours or hide what it says."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["name_of", "printable", "printable_json"]

# Control characters (C0 without tab and line feed, DEL, C1) and those that turn the direction of writing or are
# invisible.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)


def name_of(path: Path) -> str:
    r"""A file's name as text, with bytes that are none written out, as ``\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def printable(text: str) -> str:
    r"""``text`` with unsafe characters written out, as ``\x1b``."""
    return _UNSAFE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def printable_json(text: str) -> str:
    """JSON text that says the same in safe characters: they can stand only inside strings, so their escapes do."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)

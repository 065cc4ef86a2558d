"""The public names and their signatures, as lines of text.

``python -m support.public_api`` (in tests/) writes public_api.txt anew.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Union, get_origin

import msgspec

from spotify_ads_async import resources

FILE = Path(__file__).parent.parent / "public_api.txt"
RESOURCES = Path(resources.__file__).parent
MODULES = (
    "spotify_ads_async",
    "spotify_ads_async.bulk",
    "spotify_ads_async.dlt",
    "spotify_ads_async.emulator",
    "spotify_ads_async.errors",
    "spotify_ads_async.events",
    "spotify_ads_async.governor",
    "spotify_ads_async.mcp",
    "spotify_ads_async.models",
    "spotify_ads_async.money",
    "spotify_ads_async.operation",
    "spotify_ads_async.operations",
    "spotify_ads_async.pagination",
    "spotify_ads_async.proxy",
    "spotify_ads_async.reports",
    *sorted(f"spotify_ads_async.resources.{file.stem}" for file in RESOURCES.glob("[a-z]*.py")),
    "spotify_ads_async.settings",
    "spotify_ads_async.auth.sign_in",
    "spotify_ads_async.telemetry",
    "spotify_ads_async.trees",
    "spotify_ads_async.types",
    "spotify_ads_async.uploads",
    "pytest_spotify_ads",
)
_ADDRESS = re.compile(r"<([\w.]+) (?:object )?at 0x[0-9a-f]+>")


def names(module: str) -> dict[str, object]:
    """What a module offers: the names of its ``__all__``."""
    loaded = importlib.import_module(module)
    return {name: getattr(loaded, name) for name in sorted(loaded.__all__)}


def public_api() -> str:
    """Every public name, its kind, and what of it a caller relies on."""
    lines: list[str] = []
    for module in MODULES:
        for name, value in names(module).items():
            lines += _described(f"{module}.{name}", value)
    return "\n".join(lines) + "\n"


def _described(name: str, value: object) -> Iterator[str]:
    home = getattr(value, "__module__", None)
    if isinstance(value, type) and isinstance(home, str) and home.startswith("spotify_ads_async"):
        yield from _described_class(name, value)
    elif inspect.isfunction(value):
        yield f"{name}{_signature(value)}"
    else:
        yield f"{name}: {'UnionType' if get_origin(value) in {Union, UnionType} else type(value).__name__}"


def _described_class(name: str, cls: type) -> Iterator[str]:
    bases = ", ".join(base.__name__ for base in cls.__bases__ if base is not object)
    if issubclass(cls, enum.Enum):
        yield f"{name}({bases}): {' '.join(member.name for member in cls)}"
        return
    if issubclass(cls, msgspec.Struct):
        yield f"{name}({bases})({', '.join(_fields(cls))})"
    else:
        yield f"{name}({bases}){_signature(cls.__init__) if '__init__' in vars(cls) else ''}"
    for attribute, value in sorted(vars(cls).items()):
        if attribute.startswith("_"):
            continue
        plain = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if inspect.isfunction(plain):
            yield f"{name}.{attribute}{_signature(plain)}"
        elif isinstance(value, property) or type(value).__name__ == "cached_property":
            yield f"{name}.{attribute}: property"


def _fields(cls: type[msgspec.Struct]) -> Iterator[str]:
    for field in msgspec.structs.fields(cls):
        yield field.name if field.required else f"{field.name}=…"


def _signature(function: object) -> str:
    shown = str(inspect.signature(function))  # type: ignore[arg-type]
    return _ADDRESS.sub(r"<\1>", shown).replace("(self, ", "(").replace("(self)", "()")


if __name__ == "__main__":
    FILE.write_text(public_api())

"""Values of options that need no conversion, without the library that converts.

Typer asks pydantic about every option, also about those that nobody gave, and the import of it is a tenth of what a
list takes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from typer.core import TyperArgument, TyperOption

__all__ = ["convert_what_needs_it"]

_PLAIN = (str, int, float, Enum)
_LONG = 19
"""Digits of numbers that the library shall judge."""


def convert_what_needs_it() -> None:
    """Let options and arguments take defaults and texts as they are; a typer made otherwise converts all, as ever."""
    for kind in (TyperOption, TyperArgument):
        if make := getattr(kind, "get_runtime_param", None):
            kind.get_runtime_param = _conversion_of(make)  # type: ignore[method-assign]


def _conversion_of(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda param: _Conversion(lambda: make(param))


class _Conversion:
    """What typer holds of one parameter, made where a value of it needs conversion."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def coerce(self, value: Any, *, param: Any, ctx: Any) -> Any:  # noqa: ANN401 - typer's own
        """The value as the command takes it; what is given is a text, and else the default or None."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        described = getattr(param, "type_descriptor", None)
        if described and described.annotation in {str, list[str]} and not _is_text(value):
            raise typer.BadParameter("it holds bytes that are no text in UTF-8", ctx=ctx, param=param)
        taken = described and _taken(described.annotation, described.parameter_info, value, param.default)
        return self._make().coerce(value, param=param, ctx=ctx) if taken is None else taken

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - typer's own
        return getattr(self._make(), name)


def _is_text(value: Any) -> bool:  # noqa: ANN401 - typer's own
    """Whether UTF-8 holds what was given; a file's name (``@FILE``) may be any bytes."""
    texts = [text for text in ([value] if isinstance(value, str) else value) if not text.isascii()]
    if not texts:
        return True
    from spotify_ads_async.types import is_text  # noqa: PLC0415 - help needs none, and it brings the whole package

    return all(is_text(text) or text.startswith("@") for text in texts)


def _taken(kind: Any, info: Any, value: Any, default: Any) -> Any:  # noqa: ANN401 - typer's own
    """The value where it is plain to see; None where it is not, or may be wrong."""
    if info.parser is not None:
        return None
    if kind == list[str] and not isinstance(value, str):
        return list(value)
    if not isinstance(value, str) or value is default:
        return value if value is default and isinstance(value, _PLAIN) else None
    if kind is str or (get_origin(kind) is Literal and value in get_args(kind)):
        return value
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next((member for member in kind if member.value == value), None)
    if kind is Path:
        return _path(info, value)
    if kind is int and value.isascii() and value.isdecimal() and len(value) < _LONG:
        number = int(value)
        too_little, too_much = info.min is not None and number < info.min, info.max is not None and number > info.max
        return None if too_little or too_much else number
    return None


def _path(info: Any, value: str) -> Path | None:  # noqa: ANN401 - typer's own
    """A path that may be as it is; None where typer has to look closer, and may refuse it."""
    if info.resolve_path or info.allow_dash or info.writable or info.path_type is not None:
        return None
    path = Path(value)
    if not path.exists():
        return None if info.exists else path
    is_of_the_kind = (info.file_okay or not path.is_file()) and (info.dir_okay or not path.is_dir())
    return path if is_of_the_kind and os.access(path, os.R_OK) else None

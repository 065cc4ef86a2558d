"""Errors of several tasks as the one that came first."""

from __future__ import annotations

from typing import cast

__all__ = ["first_cause"]


def first_cause(error: BaseException) -> BaseException:
    """The first error inside groups of errors, or the error itself."""
    inner = cast("tuple[BaseException, ...]", getattr(error, "exceptions", ()))
    return first_cause(inner[0]) if inner else error

"""Errors of several tasks as the one that came first."""

from __future__ import annotations

from typing import cast

__all__ = ["first_cause"]


def first_cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error inside groups of errors."""
    cause: BaseException = group
    while isinstance(cause, BaseExceptionGroup):
        cause = cast("BaseExceptionGroup[BaseException]", cause).exceptions[0]
    return cause

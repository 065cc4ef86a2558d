"""Tasks side by side: a few at a time, and their errors as the one that came first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import TypeVar, cast

import anyio
from anyio.abc import TaskGroup

__all__ = ["first_cause", "leave", "some_at_once"]

ItemT = TypeVar("ItemT")
_AT_ONCE = 16


def first_cause(error: BaseException) -> BaseException:
    """The first error inside groups of errors, or the error itself."""
    inner = cast("tuple[BaseException, ...]", getattr(error, "exceptions", ()))
    return first_cause(inner[0]) if inner else error


async def leave(
    tasks: TaskGroup, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> None:
    """Leave a group that an ``__aenter__`` entered, with what its ``__aexit__`` was given.

    An error of the block lets the tasks end by themselves; a cancellation ends them. Raises their first error.
    """
    try:
        if error is None or isinstance(error, Exception):
            await tasks.__aexit__(None, None, None)
        else:
            await tasks.__aexit__(kind, error, trace)
    except BaseExceptionGroup as group:
        raise first_cause(group) from None


async def some_at_once(
    work: Callable[[ItemT], Awaitable[None]], items: Sequence[ItemT], *, at_once: int = _AT_ONCE
) -> None:
    """Run ``work`` for every item, a few at a time. The first error ends them all and is raised as it is."""
    room = anyio.Semaphore(at_once)

    async def limited(item: ItemT) -> None:
        try:
            await work(item)
        finally:
            room.release()

    try:
        async with anyio.create_task_group() as tasks:
            for item in items:
                await room.acquire()
                tasks.start_soon(limited, item)
    except BaseExceptionGroup as group:
        raise first_cause(group) from None

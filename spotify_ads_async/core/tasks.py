"""Tasks side by side: a few at a time, and their errors as the one that came first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, cast

import anyio

__all__ = ["first_cause", "some_at_once"]

ItemT = TypeVar("ItemT")
_AT_ONCE = 16


def first_cause(error: BaseException) -> BaseException:
    """The first error inside groups of errors, or the error itself."""
    inner = cast("tuple[BaseException, ...]", getattr(error, "exceptions", ()))
    return first_cause(inner[0]) if inner else error


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

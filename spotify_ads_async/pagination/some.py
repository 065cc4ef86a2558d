"""Some of what a list holds: reading ends with the last item that is wanted; and so many at a time."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from typing import Any, TypeVar

__all__ = ["batched", "closing", "first"]

ItemT = TypeVar("ItemT")


def batched(items: Sequence[ItemT], size: int) -> Iterator[list[ItemT]]:
    """``items`` in lists of ``size``, in order; the last one may be shorter."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


@contextlib.asynccontextmanager
async def closing(items: AsyncIterable[ItemT]) -> AsyncGenerator[AsyncIterator[ItemT]]:
    """What ends reading ahead when the block is left."""
    iterator: Any = aiter(items)
    try:
        yield iterator
    finally:
        if hasattr(iterator, "aclose"):
            await iterator.aclose()


async def first(
    most: int, items: AsyncIterable[ItemT], fits: Callable[[ItemT], bool] = lambda _: True
) -> tuple[list[ItemT], bool]:
    """At most so many items that fit, and whether there are more."""
    found: list[ItemT] = []
    async with closing(items) as iterator:
        async for item in iterator:
            if fits(item):
                if len(found) == most:
                    return found, True
                found.append(item)
    return found, False

"""Rows of what the API answers: their columns, a list walked to its end, or things read one by one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.parquet import NO_KINDS, kinds_of
from spotify_ads_async.cli.run import DONE, FAILED, say
from spotify_ads_async.errors import NotFound
from spotify_ads_async.pagination import ListCall

__all__ = ["rows_of", "write_each", "write_list"]


def rows_of(*structs: type[Any], output: Output, fields: str | None, table: Sequence[str]) -> Rows:
    """Rows of structs with the columns that are asked for; by default ``table`` for people, and every field of any of them else."""
    everything = {field.encode_name: None for struct in structs for field in msgspec.structs.fields(struct)}
    columns = [name.strip() for name in fields.split(",")] if fields else table if output is Output.TABLE else list(everything)
    typed = output is Output.PARQUET
    kinds = {name: kind for struct in structs for name, kind in kinds_of(struct).items()} if typed else NO_KINDS
    return Rows(output, columns, kinds=kinds)


async def write_list(
    items: ListCall[Any], rows: Rows, *, limit: int | None, wanted: Callable[[Mapping[str, Any]], bool] = lambda _: True
) -> None:
    """Write the items that are wanted, ``limit`` at most, while pages are read."""
    left = limit
    with rows:
        async with items.walk() as walk:
            async for item in walk:
                row = msgspec.to_builtins(item)
                if not wanted(row):
                    continue
                rows.write(row)
                left = None if left is None else left - 1
                if left == 0:
                    break


async def write_each(ids: Iterable[str], read: Callable[[str], Awaitable[Any]], rows: Rows) -> int:
    """Write what is there, and say what is not. Answers the exit code."""
    code = DONE
    with rows:
        for one in ids:
            try:
                found = await read(one)
            except NotFound as missing:
                say(f"failed: {missing}")
                code = FAILED
            else:
                rows.write(msgspec.to_builtins(found))
    return code

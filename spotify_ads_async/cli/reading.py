"""Rows of what the API answers: their columns, lists of one ad account or several, or things read one by one."""

from __future__ import annotations

import contextlib
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from typing import Any

import msgspec

from spotify_ads_async.bulk.plan.columns import suggestion
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.parquet import NO_KINDS, kinds_of
from spotify_ads_async.cli.run import DONE, FAILED, say, usage_error
from spotify_ads_async.client import AdAccount, AdsClient
from spotify_ads_async.errors import NotFound

__all__ = ["ACCOUNT_COLUMN", "rows_of", "write_each", "write_rows"]

ACCOUNT_COLUMN = "ad_account_id"
"""The column of rows of several ad accounts."""


def rows_of(
    *structs: type[Any], output: Output, fields: str | None, table: Sequence[str], of_accounts: bool = False
) -> Rows:
    """Rows of structs with the columns that are asked for.

    By default ``table`` for people, and every field of any of them else.
    With ``of_accounts``, the first column is the ad account that a row comes from.

    Raises:
        typer.BadParameter: a column is asked for that none of the structs has.
    """
    everything = {field.encode_name: None for struct in structs for field in msgspec.structs.fields(struct)}
    columns = (
        [name.strip() for name in fields.split(",")]
        if fields
        else table
        if output is Output.TABLE
        else list(everything)
    )
    if fields:
        _require_known(columns, structs)
    typed = output is Output.PARQUET
    kinds = {name: kind for struct in structs for name, kind in kinds_of(struct).items()} if typed else NO_KINDS
    return Rows(output, [ACCOUNT_COLUMN, *columns] if of_accounts else columns, kinds=kinds)


def _require_known(columns: Sequence[str], structs: Sequence[type[Any]]) -> None:
    known = dict.fromkeys([ACCOUNT_COLUMN, *(name for struct in structs for name in kinds_of(struct))])
    for column in columns:
        parts = column.split(".")
        nearest = next((name for count in range(len(parts), 0, -1) if (name := ".".join(parts[:count])) in known), None)
        # Below a value of several kinds, any name may be found.
        if nearest is None or (nearest != column and any(name.startswith(f"{nearest}.") for name in known)):
            hint = suggestion(column, known) or f"; there are {', '.join(known)}"
            usage_error(f"--fields {column}: there is no such field{hint}")


async def write_rows(
    client: AdsClient,
    ad_accounts: Sequence[str],
    read: Callable[[AdAccount], AsyncIterable[Any]],
    rows: Rows,
    *,
    limit: int | None = None,
    row_of: Callable[[Any], Mapping[str, Any] | None] = msgspec.to_builtins,
) -> int:
    """Write the rows of one ad account, of several, or of every one where none is named; ``limit`` at most.

    Rows of several accounts name theirs. Accounts that do not answer are named on stderr, and the others' rows come all
    the same. ``row_of`` makes a row of what was read, or None to leave it out. Answers the exit code.
    """
    if len(ad_accounts) == 1:
        with rows:
            async with _closing(read(client.ad_account(ad_accounts[0]))) as items:
                await _write((("", item) async for item in items), rows, limit, row_of)
        return DONE
    async with client.across_accounts(read, ad_accounts or None) as found:
        with rows:
            await _write(found, rows, limit, row_of)
    for business_id, error in found.refused_businesses.items():
        say(f"failed: the ad accounts of business {business_id}: {error}")
    for ad_account_id, error in found.failures.items():
        say(f"failed: ad account {ad_account_id}: {error}")
    return FAILED if found.failures or found.refused_businesses else DONE


async def _write(
    found: AsyncIterable[tuple[str, Any]],
    rows: Rows,
    limit: int | None,
    row_of: Callable[[Any], Mapping[str, Any] | None],
) -> None:
    left = limit
    async for ad_account_id, item in found:
        row = row_of(item)
        if row is None:
            continue
        rows.write({**row, ACCOUNT_COLUMN: ad_account_id} if ad_account_id else row)
        left = None if left is None else left - 1
        if left == 0:
            return


@contextlib.asynccontextmanager
async def _closing(items: AsyncIterable[Any]) -> AsyncGenerator[AsyncIterator[Any]]:
    """What ends reading ahead when the block is left."""
    iterator: Any = aiter(items)
    try:
        yield iterator
    finally:
        if hasattr(iterator, "aclose"):
            await iterator.aclose()


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

"""Rows of what the API answers: their columns, lists of one ad account or several, or things read one by one."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec

from spotify_ads_async.bulk.listed import ListedKind
from spotify_ads_async.bulk.plan.columns import Kind, suggestion
from spotify_ads_async.bulk.plan.expressions import BadExpression, Condition, Listed, list_query, parse_condition
from spotify_ads_async.cli.output import Output, Rows, plain
from spotify_ads_async.cli.parquet import ColumnKind
from spotify_ads_async.cli.progress import counting
from spotify_ads_async.cli.recent import MOST
from spotify_ads_async.cli.run import DONE, FAILED, in_words, say, usage_error
from spotify_ads_async.client import AdAccount, AdsClient
from spotify_ads_async.errors import NotFound
from spotify_ads_async.pagination.some import closing

__all__ = [
    "ACCOUNT_COLUMN",
    "Chosen",
    "Rows",
    "rows_of",
    "selection",
    "write_each",
    "write_rows",
    "write_some",
]

ACCOUNT_COLUMN = "ad_account_id"
"""The column of rows of several ad accounts."""
_COUNTED_FROM = 25
"""Rows that fill a screen, so that the head is out of sight, and people lose count."""
_KINDS: Mapping[Kind, ColumnKind] = {
    Kind.INTEGER: ColumnKind.WHOLE,
    Kind.MONEY: ColumnKind.WHOLE,
    Kind.NUMBER: ColumnKind.NUMBER,
    Kind.BOOLEAN: ColumnKind.FLAG,
    Kind.TIME: ColumnKind.MOMENT,
}


class Chosen:
    """What a list is to show: what the server is asked to choose by, and what must hold of each item.

    Attributes:
        query: the list's parameters.
        shown: the last things that were chosen, ID → name.
    """

    def __init__(self, kind: ListedKind, conditions: Sequence[Condition], query: Mapping[str, Any]) -> None:
        paged = {"limit": kind.list.page_size} if kind.list.page_size else {}
        self.query = {**paged, **list_query(kind, conditions), **query}
        self.shown: dict[str, str] = {}
        self._conditions = conditions

    def row(self, item: object) -> Mapping[str, Any] | None:
        """The row of an item, None where a condition does not hold."""
        said = plain(item)
        row: dict[str, Any] = cast("dict[str, Any]", said) if isinstance(said, dict) else {"value": said}
        if not all(condition.holds(row) for condition in self._conditions):
            return None
        if len(self.shown) < MOST:
            self.shown[str(row.get("id") or "")] = str(row.get("name") or "")
        return row


def selection(kind: ListedKind, where: Sequence[str] | None, query: Mapping[str, Any]) -> Chosen:
    """What ``--where`` and ``--query`` choose.

    Raises:
        typer.BadParameter: there is no such field, or no such value.
    """
    conditions = conditions_on(kind, where)
    try:
        return Chosen(kind, conditions, query)
    except BadExpression as problem:
        usage_error(f"--where {problem}")


def conditions_on(kind: Listed, where: Sequence[str] | None) -> list[Condition]:
    """What ``--where`` says.

    Raises:
        typer.BadParameter: there is no such field, or no such value.
    """
    try:
        return [parse_condition(kind, text) for text in where or ()]
    except BadExpression as problem:
        usage_error(f"--where {problem}")


def rows_of(
    kind: ListedKind, *, output: Output, fields: str | None, wide: bool = False, of_accounts: bool = False
) -> Rows:
    """Rows of a kind of thing, with the columns that are asked for.

    By default they are those of its table for people, and every field else. With ``of_accounts``, the first column is
    the ad account that a row comes from.

    Raises:
        typer.BadParameter: a column is asked for that there is not.
    """
    columns = [name.strip() for name in fields.split(",")] if fields else list(kind.table)
    if fields:
        _require_known(columns, kind)
    elif output is not Output.TABLE or not columns:
        columns = list(
            dict.fromkeys(field.encode_name for one in kind.structs for field in msgspec.structs.fields(one))
        )
    typed = output is Output.PARQUET
    kinds = {name: _KINDS.get(one.kind, ColumnKind.TEXT) for name, one in kind.answer_columns.items() if typed}
    amounts = {
        name: one.writes for name in columns if (one := kind.answer_columns.get(name)) and one.kind is Kind.AMOUNT
    }
    if output is Output.TABLE:  # which shows money with its currency, whatever it is called
        columns, amounts = [amounts.get(name, name) for name in columns], {}
    columns = list(dict.fromkeys([ACCOUNT_COLUMN, *columns])) if of_accounts else columns
    return Rows(output, columns, kinds=kinds | dict.fromkeys(amounts, ColumnKind.TEXT), amounts=amounts, wide=wide)


def _require_known(columns: Sequence[str], kind: ListedKind) -> None:
    known = dict.fromkeys([ACCOUNT_COLUMN, *kind.answer_columns])
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
    row_of: Callable[[Any], Mapping[str, Any] | None] = plain,
) -> int:
    """Write the rows of one ad account, of several, or of every one where none is named; ``limit`` at most.

    Rows of several accounts name theirs. Accounts that do not answer are named on stderr, and the others' rows come all
    the same. ``row_of`` makes a row of what was read, or None to leave it out. Answers the exit code.
    """
    if len(ad_accounts) == 1:
        await write_some(read(client.ad_account(ad_accounts[0])), rows, limit=limit, row_of=row_of)
        return DONE
    async with client.across_accounts(read, ad_accounts or None) as found:
        await _write(found, rows, limit, row_of)
    for business_id, error in found.refused_businesses.items():
        say(f"failed: the ad accounts of business {business_id}: {in_words(error)}")
    for ad_account_id, error in found.failures.items():
        say(f"failed: ad account {ad_account_id}: {in_words(error)}")
    return FAILED if found.failures or found.refused_businesses else DONE


async def write_some(
    items: AsyncIterable[Any],
    rows: Rows,
    *,
    limit: int | None = None,
    row_of: Callable[[Any], Mapping[str, Any] | None] = plain,
) -> None:
    """Write the rows of one list; ``limit`` at most."""
    async with closing(items) as each:
        await _write((("", item) async for item in each), rows, limit, row_of)


async def _write(
    found: AsyncIterable[tuple[str, Any]],
    rows: Rows,
    limit: int | None,
    row_of: Callable[[Any], Mapping[str, Any] | None],
) -> None:
    written = seen = 0
    with rows, counting("read") as read:
        async for ad_account_id, item in found:
            read()
            seen += 1
            row = row_of(item)
            if row is None:
                continue
            rows.write({**row, ACCOUNT_COLUMN: ad_account_id} if ad_account_id else row)
            written += 1
            if written == limit:
                break
    if rows.is_table and not written:
        say(f"none of {seen:,} fits" if seen else "there is nothing")
    elif rows.is_table and written > _COUNTED_FROM and sys.stdout.isatty():
        say(f"{written:,} rows")


async def write_each(ids: Iterable[str], read: Callable[[str], Awaitable[Any]], rows: Rows) -> int:
    """Write what is there, and say what is not. Answers the exit code."""
    code = DONE
    with rows:
        for one in ids:
            try:
                found = await read(one)
            except NotFound as missing:
                say(f"failed: {in_words(missing)}")
                code = FAILED
            else:
                rows.write(plain(found))
    return code

"""``list`` and ``get`` of every kind of thing: one command for all, with the same options."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from spotify_ads_async.bulk.listed import KINDS, ListedKind
from spotify_ads_async.cli.call import query_values
from spotify_ads_async.cli.completing import complete_id
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.options import (
    AdAccount,
    AdAccounts,
    AllAccounts,
    Fields,
    Limit,
    OutputForm,
    Query,
    Where,
    Wide,
    needed,
    needed_some,
)
from spotify_ads_async.cli.output import Output, plain, show
from spotify_ads_async.cli.reading import Rows, rows_of, selection, write_each, write_rows, write_some
from spotify_ads_async.cli.recent import remember
from spotify_ads_async.cli.run import DONE, FAILED, in_words, run, say
from spotify_ads_async.cli.short_ids import whole_ids
from spotify_ads_async.client import AdAccount as Account
from spotify_ads_async.client import AdsClient
from spotify_ads_async.pagination import ListCall

__all__ = ["accounts", "add_reading", "businesses"]


def add_reading(app: typer.Typer, plural: str) -> None:
    """Give a group of commands ``list`` and ``get``."""
    kind = KINDS[plural]

    @app.command("list", help=f"List {plural}; rows appear while pages are read.")
    def list_(
        *,
        where: Where = None,
        query: Query = None,
        limit: Limit = None,
        fields: Fields = None,
        wide: Wide = False,
        ad_account: AdAccounts = None,
        all_accounts: AllAccounts = False,
        output: OutputForm = Output.TABLE,
    ) -> None:
        of = needed_some(ad_account, every=all_accounts)
        chosen = selection(kind, where, query_values(kind.list, query))
        rows = rows_of(kind, output=output, fields=fields, wide=wide, of_accounts=len(of) != 1)

        async def command() -> int:
            async with connected() as client:
                reader = client.with_options(keep_json=rows.is_json)

                def read(account: Account) -> ListCall[Any]:
                    return ListCall(reader, kind.list, path={"ad_account_id": account.id}, query=chosen.query)

                code = await write_rows(client, of, read, rows, limit=limit, row_of=chosen.row)
            await remember(plural, chosen.shown.items())
            return code

        run(command)

    @app.command("get", help=f"Read one of the {plural}, or several.")
    def get(
        ids: Annotated[
            list[str],
            typer.Argument(metavar="ID", help="Whole, or its beginning as tables show it.", autocompletion=complete_id),
        ],
        *,
        fields: Fields = None,
        wide: Wide = False,
        ad_account: AdAccount = None,
        output: OutputForm = Output.JSON,
    ) -> None:
        of = needed(ad_account)
        rows = rows_of(kind, output=output, fields=fields, wide=wide)
        run(lambda: _get(kind, of, ids, rows, whole=output is Output.JSON and not fields))

    del list_, get


async def _get(kind: ListedKind, ad_account: str, given: Sequence[str], rows: Rows, *, whole: bool) -> int:
    """One thing as an object of its own; several as rows."""
    async with connected() as client:
        ids = await whole_ids(client, kind.plural, ad_account, given)
        if whole and len(ids) == 1:
            show(plain(await client.call(kind.get, path=kind.path(ad_account, ids[0]))))
            return DONE
        return await write_each(ids, lambda one: client.call(kind.get, path=kind.path(ad_account, one)), rows)


def _lists_all(plural: str, said: str, read: Callable[[AdsClient], AsyncIterable[Any]]) -> Callable[..., None]:
    """The command that lists what is in no ad account."""

    def list_all(
        *,
        where: Where = None,
        limit: Limit = None,
        fields: Fields = None,
        wide: Wide = False,
        output: OutputForm = Output.TABLE,
    ) -> None:
        kind = KINDS[plural]
        chosen, rows = selection(kind, where, {}), rows_of(kind, output=output, fields=fields, wide=wide)

        async def command() -> int:
            async with connected() as client:
                items = read(client.with_options(keep_json=rows.is_json))
                await write_some(items, rows, limit=limit, row_of=chosen.row)
            await remember(plural, chosen.shown.items())
            refused: Mapping[str, Exception] = getattr(items, "refused", {})
            for business_id, error in refused.items():
                say(f"failed: the ad accounts of business {business_id}: {in_words(error)}")
            return FAILED if refused else DONE

        run(command)

    list_all.__doc__ = said
    return list_all


accounts = _lists_all(
    "accounts",
    "List every ad account of every business that you belong to.\n\n"
    "A business that refuses is named, and the others are listed.",
    lambda client: client.ad_accounts(),
)
businesses = _lists_all(
    "businesses", "List the businesses that you belong to.", lambda client: client.businesses.list()
)

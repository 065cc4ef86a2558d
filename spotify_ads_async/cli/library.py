"""``spotify-ads assets|audiences``: what ads are made of, and whom they are for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from spotify_ads_async.cli.call import query_values
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.consent import Yes, agreed
from spotify_ads_async.cli.options import (
    AdAccount,
    AdAccounts,
    AllAccounts,
    Fields,
    Limit,
    OutputForm,
    json_body,
    needed,
    needed_some,
)
from spotify_ads_async.cli.output import Output, Rows, show
from spotify_ads_async.cli.reading import rows_of, write_each, write_rows
from spotify_ads_async.cli.run import DONE, run, say, usage_error
from spotify_ads_async.cli.upload import upload_list, upload_media
from spotify_ads_async.client import AdAccount as Account
from spotify_ads_async.models import (
    Asset,
    AssetUpdate,
    Audience,
    AudioType,
    CustomAudienceUpdate,
    LookalikeAudienceUpdate,
)
from spotify_ads_async.operation import ListOperation
from spotify_ads_async.operations import BATCH_GET_AUDIENCES, GET_ASSETS_BY_AD_ACCOUNT
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.types import UNSET

__all__ = ["assets", "audiences"]

_PAGE = 50
_WAIT = 900.0


class _Kind(NamedTuple):
    """One kind of thing: how it is listed and read, and what a table shows of it."""

    plural: str
    list: ListOperation[Any, Any]
    get: Callable[[Account, str], Awaitable[Any]]
    structs: tuple[type[Any], ...]
    table: tuple[str, ...]

    def rows(self, output: Output, fields: str | None, *, of_accounts: bool = False) -> Rows:
        return rows_of(*self.structs, output=output, fields=fields, table=self.table, of_accounts=of_accounts)


async def _asset(account: Account, asset_id: str) -> Asset:
    return await account.assets.get(asset_id)


async def _audience(account: Account, audience_id: str) -> Audience:
    return await account.audiences.get(audience_id)


_ASSETS = _Kind(
    "assets",
    GET_ASSETS_BY_AD_ACCOUNT,
    _asset,
    tuple(Asset.variants().values()),
    ("name", "asset_type", "status", "id", "duration_ms", "width", "height", "created_at"),
)
_AUDIENCES = _Kind(
    "audiences",
    BATCH_GET_AUDIENCES,
    _audience,
    (Audience,),
    ("name", "type", "subtype", "status", "id", "size.min", "size.max", "created_at"),
)

assets = typer.Typer(
    help="List, read, upload and rename assets.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)
audiences = typer.Typer(
    help="List, read, create, change and delete audiences.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Ids = Annotated[list[str], typer.Argument(metavar="ID")]
One = Annotated[str, typer.Argument(metavar="ID")]
Query = Annotated[
    list[str] | None,
    typer.Option(
        "--query", metavar="NAME=VALUE", help="What the API shall choose by; repeat it for more, or for a list."
    ),
]
Name = Annotated[str | None, typer.Option("--name", help="The new name.")]


def _add_reading(app: typer.Typer, kind: _Kind) -> None:
    """The commands that both kinds have alike."""

    @app.command("list", help=f"List {kind.plural}; rows appear while pages are read.")
    def list_(
        *,
        query: Query = None,
        limit: Limit = None,
        fields: Fields = None,
        ad_account: AdAccounts = None,
        all_accounts: AllAccounts = False,
        output: OutputForm = Output.TABLE,
    ) -> None:
        accounts, values = needed_some(ad_account, every=all_accounts), query_values(kind.list, query)
        run(
            lambda: _list(
                kind,
                accounts,
                {"limit": _PAGE, **values},
                limit,
                kind.rows(output, fields, of_accounts=len(accounts) != 1),
            )
        )

    @app.command("get", help=f"Read one of the {kind.plural}, or several.")
    def get(ids: Ids, *, fields: Fields = None, ad_account: AdAccount = None, output: OutputForm = Output.JSON) -> None:
        account = needed(ad_account)
        run(lambda: _get(kind, account, ids, kind.rows(output, fields), whole=output is Output.JSON and not fields))

    del list_, get


_add_reading(assets, _ASSETS)
_add_reading(audiences, _AUDIENCES)


async def _list(kind: _Kind, ad_accounts: tuple[str, ...], query: dict[str, Any], limit: int | None, rows: Rows) -> int:
    async with connected() as client:

        def read(account: Account) -> ListCall[Any]:
            return ListCall(client, kind.list, path={"ad_account_id": account.id}, query=query)

        return await write_rows(client, ad_accounts, read, rows, limit=limit)


async def _get(kind: _Kind, ad_account: str, ids: list[str], rows: Rows, *, whole: bool) -> int:
    """One thing as an object of its own; several as rows."""
    async with connected() as client:
        account = client.ad_account(ad_account)
        if whole and len(ids) == 1:
            show(msgspec.to_builtins(await kind.get(account, ids[0])))
            return DONE
        return await write_each(ids, lambda one: kind.get(account, one), rows)


@assets.command("create")
def create_assets(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="Media files.")],
    *,
    name: Annotated[str | None, typer.Option("--name", help="The asset's name; the file's name by default.")] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait until it is processed.", min=0.0)] = _WAIT,
    ad_account: AdAccount = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Make assets from media files, as `upload` does."""
    if name is not None and len(files) > 1:
        usage_error("--name is for one file")
    account = needed(ad_account)
    run(lambda: upload_media(files, name, wait, account, output))


@assets.command("update")
def update_asset(
    asset_id: One,
    *,
    name: Name = None,
    subtype: Annotated[AudioType | None, typer.Option("--subtype", help="What an audio asset is.")] = None,
    ad_account: AdAccount = None,
) -> None:
    """Change an asset's name, or what kind of audio it is."""
    if name is None and subtype is None:
        usage_error("give --name or --subtype")
    account = needed(ad_account)

    async def command() -> None:
        async with connected() as client:
            assets_of = client.ad_account(account).assets
            kind = (await assets_of.get(asset_id)).asset_type
            if kind is None:
                usage_error(f"{asset_id}: the API does not say what kind of asset it is")
            change = AssetUpdate(
                asset_type=kind,
                name=UNSET if name is None else name,
                asset_subtype=UNSET if subtype is None else subtype,
            )
            show(msgspec.to_builtins(await assets_of.update(asset_id, change)))

    run(command)


@audiences.command("create")
def create_audience(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", exists=True, dir_okay=False, help="A customer list; it is hashed on this machine."
        ),
    ] = None,
    *,
    name: Annotated[str | None, typer.Option("--name", help="The audience's name; the file's name by default.")] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave out lines of a list that hold no identifier.")
    ] = False,
    body: Annotated[
        str | None, typer.Option("--body", metavar="JSON|@FILE", help="Any other kind: the whole request.")
    ] = None,
    wait: Annotated[
        float | None, typer.Option(help=f"Seconds to wait until a list is processed; {_WAIT:.0f} by default.", min=0.0)
    ] = None,
    ad_account: AdAccount = None,
    output: Annotated[
        Output | None,
        typer.Option(
            "--output",
            "-o",
            envvar="SPOTIFY_ADS_OUTPUT",
            help="The form of results; a table of a list by default, else JSON.",
        ),
    ] = None,
) -> None:
    """Make an audience from a customer list, as `upload --audience` does, or any other kind from a body."""
    if (file is None) == (body is None):
        usage_error("give either a customer list or --body")
    if body is not None and (name is not None or skip_invalid):
        usage_error("--name and --skip-invalid are for a customer list: a body has its own name")
    if body is not None and wait is not None:
        usage_error("--wait is for a customer list: `spotify-ads audiences get ID` says how far any other audience is")
    account = needed(ad_account)
    if file is not None:
        seconds, form = _WAIT if wait is None else wait, output or Output.TABLE
        run(
            lambda: upload_list(
                [file], None, name, skip_invalid=skip_invalid, wait=seconds, ad_account=account, output=form
            )
        )
    content = json_body(body)

    async def command() -> None:
        async with connected() as client:
            made = msgspec.to_builtins(await client.ad_account(account).audiences.create(content))  # pyright: ignore[reportArgumentType]
        if output is None:
            show(made)
        else:
            with _AUDIENCES.rows(output, None) as rows:
                rows.write(made)

    run(command)


@audiences.command("update")
def update_audience(
    audience_id: One,
    *,
    name: Name = None,
    description: Annotated[str | None, typer.Option("--description", help="The new description.")] = None,
    ad_account: AdAccount = None,
) -> None:
    """Change an audience's name or description. `upload --audience --replace ID` replaces its list."""
    if name is None and description is None:
        usage_error("give --name or --description")
    account = needed(ad_account)

    async def command() -> None:
        async with connected() as client:
            audiences_of = client.ad_account(account).audiences
            kind = (await audiences_of.get(audience_id)).type
            change = LookalikeAudienceUpdate if kind == "LOOKALIKE" else CustomAudienceUpdate
            texts = {
                "name": UNSET if name is None else name,
                "description": UNSET if description is None else description,
            }
            show(msgspec.to_builtins(await audiences_of.update(audience_id, change(**texts))))

    run(command)


@audiences.command("delete")
def delete_audience(
    audience_id: One,
    *,
    yes: Yes = False,
    ad_account: AdAccount = None,
) -> None:
    """Delete an audience. It cannot be undone."""
    account = needed(ad_account)

    async def command() -> None:
        if not await agreed(f"delete the audience {audience_id}?", yes=yes):
            say("nothing was deleted")
            return
        async with connected() as client:
            show(msgspec.to_builtins(await client.ad_account(account).audiences.delete(audience_id)))

    run(command)

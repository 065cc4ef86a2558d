"""``spotify-ads assets|audiences``: what ads are made of, and whom they are for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spotify_ads_async.bulk.listed import KINDS
from spotify_ads_async.bulk.plan.state import shape_of
from spotify_ads_async.cli.answered import require_asked, require_made, require_of, require_subtype, require_texts
from spotify_ads_async.cli.completing import complete_id
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.consent import Yes, agreed
from spotify_ads_async.cli.listing import add_reading
from spotify_ads_async.cli.options import AdAccount, OutputForm, command_group, json_body, needed
from spotify_ads_async.cli.output import Output, plain, show, show_done
from spotify_ads_async.cli.reading import rows_of
from spotify_ads_async.cli.run import run, say, usage_error
from spotify_ads_async.cli.short_ids import whole_ids
from spotify_ads_async.cli.upload import Encoding, SkipInvalid, require_distinct, upload_list, upload_media
from spotify_ads_async.errors import InvalidAnswer
from spotify_ads_async.models import (
    AssetType,
    AssetUpdate,
    Audience,
    AudioType,
    CustomAudienceCreate,
    CustomAudienceUpdate,
    LookalikeAudienceCreate,
    LookalikeAudienceUpdate,
)
from spotify_ads_async.operations.assets import UPDATE_ASSET
from spotify_ads_async.operations.audiences import CREATE_AUDIENCE, DELETE_AUDIENCE, EDIT_AUDIENCE
from spotify_ads_async.types import UNSET

__all__ = ["assets", "audiences"]

_WAIT = 900.0

assets = command_group("List, read, upload and rename assets.")
audiences = command_group("List, read, create, change and delete audiences.")

One = Annotated[str, typer.Argument(metavar="ID", autocompletion=complete_id)]
Name = Annotated[str | None, typer.Option("--name", help="The new name.")]
FormOfAnAudience = Annotated[
    Output | None,
    typer.Option(
        "--output",
        "-o",
        envvar="SPOTIFY_ADS_OUTPUT",
        help="The form of results; a table of a list by default, else JSON.",
    ),
]


add_reading(assets, "assets")
add_reading(audiences, "audiences")


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
    require_distinct(files, name)
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
            (whole_id,) = await whole_ids(client, "assets", account, [asset_id])
            kind = (await assets_of.get(whole_id)).asset_type
            if kind is None:
                usage_error(f"{asset_id}: the API does not say what kind of asset it is")
            if subtype is not None and kind != AssetType.AUDIO:
                usage_error(f"{asset_id} is {kind}: --subtype is for audio")
            change = AssetUpdate(
                asset_type=kind,
                name=UNSET if name is None else name,
                asset_subtype=UNSET if subtype is None else subtype,
            )
            answer = await assets_of.update(whole_id, change)
            found = require_of(answer, whole_id, UPDATE_ASSET.id)
            require_texts({"name": name}, found, UPDATE_ASSET.id)
            require_subtype(subtype, found, UPDATE_ASSET.id)
            show_done("changed", "asset", answer)

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
    skip_invalid: SkipInvalid = False,
    encoding: Encoding = None,
    body: Annotated[
        str | None, typer.Option("--body", metavar="JSON|@FILE", help="Any other kind: the whole request.")
    ] = None,
    wait: Annotated[
        float | None, typer.Option(help=f"Seconds to wait until a list is processed; {_WAIT:.0f} by default.", min=0.0)
    ] = None,
    ad_account: AdAccount = None,
    output: FormOfAnAudience = None,
) -> None:
    """Make an audience from a customer list, as `upload --audience` does, or any other kind from a body."""
    if (file is None) == (body is None):
        usage_error("give either a customer list or --body")
    if body is not None and (name is not None or skip_invalid or encoding is not None):
        usage_error("--name, --skip-invalid and --encoding are for a customer list: a body has its own name")
    if body is not None and wait is not None:
        usage_error("--wait is for a customer list: `spotify-ads audiences get ID` says how far any other audience is")
    account = needed(ad_account)
    if file is not None:
        seconds, form = _WAIT if wait is None else wait, output or Output.TABLE
        run(
            lambda: upload_list(
                [file],
                None,
                name,
                skip_invalid=skip_invalid,
                encoding=encoding,
                wait=seconds,
                ad_account=account,
                output=form,
            )
        )
    content = json_body(body)

    async def command() -> None:
        async with connected() as client:
            answer = await client.ad_account(account).audiences.create(content)  # pyright: ignore[reportArgumentType]
        found, made = require_made(answer, "audience", CREATE_AUDIENCE.id), plain(answer)
        if output is None:
            show_done("made", "audience", made)
        else:
            with rows_of(KINDS["audiences"], output=output, fields=None) as rows:
                rows.write(made)
        kind = content["audience_type"]
        shape = shape_of(LookalikeAudienceCreate if kind == "LOOKALIKE" else CustomAudienceCreate, Audience)
        sent = {"type" if name == "audience_type" else name: value for name, value in content.items()}
        require_asked(shape, sent, found)

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
            (whole_id,) = await whole_ids(client, "audiences", account, [audience_id])
            kind = (await audiences_of.get(whole_id)).type
            change = LookalikeAudienceUpdate if kind == "LOOKALIKE" else CustomAudienceUpdate
            texts = {
                "name": UNSET if name is None else name,
                "description": UNSET if description is None else description,
            }
            answer = await audiences_of.update(whole_id, change(**texts))
            sent = {"name": name, "description": description}
            require_texts(sent, require_of(answer, whole_id, EDIT_AUDIENCE.id), EDIT_AUDIENCE.id)
            show_done("changed", "audience", answer)

    run(command)


@audiences.command("delete")
def delete_audience(audience_id: One, *, yes: Yes = False, ad_account: AdAccount = None) -> None:
    """Delete an audience. It cannot be undone."""
    account = needed(ad_account)

    async def command() -> None:
        if not await agreed(f"delete the audience {audience_id}?", yes=yes):
            say("nothing was deleted")
            return
        async with connected() as client:
            (whole_id,) = await whole_ids(client, "audiences", account, [audience_id])
            answer = await client.ad_account(account).audiences.delete(whole_id)
            if answer.deletion_count == 0:
                raise InvalidAnswer("the server answered, and deleted nothing", operation=DELETE_AUDIENCE.id)
            show(plain(answer))
            say(f"deleted: audience ({whole_id})")

    run(command)

"""``spotify-ads upload``: media files, and customer lists."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.options import AdAccount, OutputForm, needed
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.progress import doing, uploading
from spotify_ads_async.cli.run import DONE, FAILED, in_words, run, say, usage_error
from spotify_ads_async.cli.text import name_of
from spotify_ads_async.errors import SpotifyAdsError
from spotify_ads_async.models import AudienceStatus
from spotify_ads_cli.consoles import go_on_unread

__all__ = ["Encoding", "SkipInvalid", "require_distinct", "upload", "upload_list", "upload_media"]

_COLUMNS = ("file", "id", "status", "size", "sha256")
_LIST_COLUMNS = ("file", "id", "status", "identifiers", "repeated", "cleaned", "refused")


Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding", metavar="NAME", help="The encoding of a list, such as windows-1252; told by its bytes else."
    ),
]


SkipInvalid = Annotated[bool, typer.Option("--skip-invalid", help="Leave out lines that are not plainly a customer's.")]


def upload(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="Media files, or a customer list.")
    ],
    *,
    audience: Annotated[
        bool, typer.Option("--audience", help="The file is a customer list for an audience; it is hashed here.")
    ] = False,
    replace: Annotated[
        str | None, typer.Option("--replace", metavar="ID", help="Replace the list of this audience.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name of what is made; the file's by default.")
    ] = None,
    skip_invalid: SkipInvalid = False,
    encoding: Encoding = None,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", help="Seconds to wait until it is processed.", min=0.0)
    ] = 900.0,
    ad_account: AdAccount = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Upload media files, whole or in sections; the same command goes on after an interruption."""
    require_distinct(files, name)
    if (replace is not None or skip_invalid or encoding is not None) and not audience:
        usage_error("--replace, --skip-invalid and --encoding are for lists: add --audience")
    account = needed(ad_account)
    if audience:
        run(
            lambda: upload_list(
                files,
                replace,
                name,
                skip_invalid=skip_invalid,
                encoding=encoding,
                wait=wait,
                ad_account=account,
                output=output,
            )
        )
    else:
        run(lambda: upload_media(files, name, wait, account, output))


def require_distinct(files: list[Path], name: str | None) -> None:
    """Refuse a file that is named twice, as it would become two assets, and a name that is empty or for several."""
    if len(files) > 1 and name is not None:
        usage_error("--name is for one file")
    if name is not None and not name.strip():
        usage_error("--name is empty: leave it out for the file's name")
    if repeated := [file for file, count in Counter(one.resolve() for one in files).items() if count > 1]:
        twice = next(one for one in files if one.resolve() == repeated[0])
        usage_error(f"{twice} is named twice: each file is uploaded once")


async def upload_media(files: list[Path], name: str | None, wait: float, ad_account: str, output: Output) -> int | None:
    """Upload media files one after the other, and write a row for each. Answers the exit code."""
    failed = False
    go_on_unread()
    async with connected() as client:
        assets = client.ad_account(ad_account).assets
        with Rows(output, _COLUMNS) as rows:
            for file in files:
                try:
                    with uploading(file.name) as tell:
                        done = await assets.upload(file, name=name, timeout=wait, progress=tell)
                except SpotifyAdsError as error:
                    if len(files) == 1:
                        raise
                    failed = True
                    say(f"{file}: {in_words(error)}")
                    continue
                rows.write(
                    {
                        "file": name_of(file),
                        "id": done.id,
                        "status": done.status,
                        "size": done.size,
                        "sha256": done.sha256,
                    }
                )
    return FAILED if failed else None


async def upload_list(
    files: list[Path],
    replace: str | None,
    name: str | None,
    *,
    skip_invalid: bool,
    encoding: str | None = None,
    wait: float,
    ad_account: str,
    output: Output,
) -> int:
    """Make an audience from a customer list, or replace the one with the id ``replace``, and write a row about it.

    Answers the exit code.
    """
    if len(files) > 1:
        usage_error("one list at a time becomes an audience")
    if replace is not None and name is not None:
        usage_error("--name is for a new audience: `spotify-ads audiences update ID --name NAME` renames one")
    async with connected() as client:
        audiences = client.ad_account(ad_account).audiences
        with Rows(output, _LIST_COLUMNS) as rows:
            with doing(f"{files[0].name}: hashing it here, and sending it"):
                done = await audiences.upload_file(
                    files[0], name=name, audience_id=replace, skip_invalid=skip_invalid, encoding=encoding, timeout=wait
                )
            facts = msgspec.structs.asdict(done)
            rows.write(
                {
                    "file": name_of(files[0]),
                    "id": done.id,
                    "status": done.status,
                    **{one: facts[one] for one in _LIST_COLUMNS[3:]},
                }
            )
    if replace is None and done.audience.name is None:
        say(f"the server does not tell what audience {done.id} is called")
    if done.empty:
        say(f"rows without anything where identifiers stand, which were left out: {done.empty}")
    if done.encoding_assumed:
        say(
            "the list was read as Windows-1252, which the file does not tell: --encoding says what it is where that is"
            " wrong"
        )
    if done.unchanged:
        say(
            f"audience {done.id} looks as it did before, so nobody can tell yet whether the new list is processed: look"
            f" at it later (spotify-ads audiences get {done.id})"
        )
    if done.status == AudienceStatus.EMPTY:
        say(
            f"audience {done.id} is empty: nobody on the list was found on Spotify; check the list, and replace it"
            f" (spotify-ads upload --audience --replace {done.id} FILE)"
        )
        return FAILED
    return DONE

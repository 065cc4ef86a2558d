"""``spotify-ads import``: an exported tree, made anew."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import anyio.to_thread
import msgspec
import typer

from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.consent import Yes, agreed
from spotify_ads_async.cli.options import AdAccount, OutputForm, needed
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.progress import counting
from spotify_ads_async.cli.run import DONE, FAILED, run, say, usage_error
from spotify_ads_async.cli.trees import (
    COLUMNS,
    Ignore,
    Publish,
    RenamePattern,
    Start,
    conclude,
    renaming,
    told_at_the_end,
    write_made,
)
from spotify_ads_async.cli.zones import Zone, in_zone
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.trees import CampaignTree, DraftTree, Made, Rename, parse
from spotify_ads_async.trees.files import read_file
from spotify_ads_async.trees.rates import read_rates

__all__ = ["import_"]


Receipt = Annotated[
    Path | None,
    typer.Option("--receipt", metavar="FILE", dir_okay=False, help="What is done so far; FILE.receipt by default."),
]
Rate = Annotated[
    list[str] | None,
    typer.Option(
        "--rate",
        metavar="CURRENCY=RATE",
        help="For budgets in another currency: JPY=0.0067 makes 150 JPY 1.00; repeatable.",
    ),
]


class _Import(msgspec.Struct, frozen=True, kw_only=True):
    """What is made of a file, and how."""

    file: Path
    ad_account: str
    receipt: Path
    rename: Rename | None
    start: datetime | None
    publish: bool
    rates: dict[str, str]
    ignore: tuple[str, ...]


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="As export tree writes it.")
    ],
    *,
    rename: RenamePattern = None,
    start: Start = None,
    zone: Zone = None,
    publish: Publish = False,
    receipt: Receipt = None,
    rate: Rate = None,
    ignore: Ignore = None,
    yes: Yes = False,
    ad_account: AdAccount = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Make what an exported tree holds, campaign by campaign, as drafts.

    The receipt keeps what is done: the same command goes on after an interruption, and makes nothing twice.
    """
    asked = _Import(
        file=file,
        ad_account=needed(ad_account),
        receipt=receipt or file.with_name(f"{file.name}.receipt"),
        rename=renaming(rename),
        start=in_zone(start, zone),
        publish=publish,
        rates=_rates(rate or []),
        ignore=tuple(ignore or ()),
    )
    run(lambda: _import(asked, output, yes=yes))


async def _import(asked: _Import, output: Output, *, yes: bool) -> int:
    trees = parse(await anyio.to_thread.run_sync(read_file, asked.file), ignore=asked.ignore)
    archived = [tree.campaign for tree in trees if str(tree.campaign.status) == "ARCHIVED"]
    if not trees:
        say(f"{asked.file} holds no campaign: nothing was made")
        return FAILED
    if len(archived) == len(trees):
        say(f"{asked.file} holds archived campaigns alone, which are not made again: nothing was made")
        return FAILED
    total = sum(_count(tree) for tree in trees)
    also = ", and publish them" if asked.publish else ""
    if not await agreed(f"make {total} drafts from {asked.file}{also}?", yes=yes):
        say("nothing was made")
        return DONE
    done = await _make(asked, output, total)
    for one in archived:
        say(f"left out, archived: campaign {one.name} ({one.id}) with all that is in it")
    if not done:
        say(
            f"nothing was left to do: the receipt {asked.receipt} has every campaign of the file; another --receipt"
            " makes them once more"
        )
    return conclude(done, publish=asked.publish, again="run the same command with --publish")


async def _make(asked: _Import, output: Output, total: int) -> list[DraftTree]:
    """Make the drafts; a campaign is shown when it is whole, for until then its drafts may be deleted again."""
    done: list[DraftTree] = []
    made: list[Made] = []
    async with connected() as client:
        with told_at_the_end(asked.receipt), Rows(output, COLUMNS) as rows, counting("drafts made", total) as count:

            def take(one: Made) -> None:
                made.append(one)
                count()

            def finish(tree: DraftTree) -> None:
                done.append(tree)
                write_made(rows, made)
                made.clear()

            await client.ad_account(asked.ad_account).trees.load(
                asked.file,
                receipt=asked.receipt,
                rename=asked.rename,
                start=asked.start,
                publish=asked.publish,
                on_made=take,
                on_done=finish,
                rates=asked.rates,
                ignore=asked.ignore,
            )
    return done


def _count(tree: CampaignTree) -> int:
    """How many drafts a tree makes: what is archived is left out."""
    if str(tree.campaign.status) == "ARCHIVED":
        return 0
    ad_sets = [one for one in tree.ad_sets if str(one.ad_set.status) != "ARCHIVED"]
    return 1 + len(ad_sets) + sum(str(ad.status) != "ARCHIVED" for one in ad_sets for ad in one.ads)


def _rates(given: list[str]) -> dict[str, str]:
    rates: dict[str, str] = {}
    for text in given:
        currency, equals, rate = text.partition("=")
        if not equals or currency.upper() in rates:
            usage_error(f"--rate {text}: write each currency once, as JPY=0.0067")
        rates[currency.upper()] = rate
    try:
        read_rates(rates)
    except InvalidRequest as problem:
        usage_error(f"--rate {problem.message}")
    return rates

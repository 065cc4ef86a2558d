"""``spotify-ads import``: an exported tree, made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import anyio.to_thread
import typer

from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.consent import Yes, agreed
from spotify_ads_async.cli.options import AdAccount, OutputForm, needed
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.progress import counting
from spotify_ads_async.cli.run import DONE, FAILED, run, say, usage_error
from spotify_ads_async.cli.trees import COLUMNS, Ignore, Publish, Start, conclude, renaming, told_at_the_end, write_made
from spotify_ads_async.cli.zones import Zone, in_zone
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.trees import CampaignTree, DraftTree, Made, parse
from spotify_ads_async.trees.files import read_file
from spotify_ads_async.trees.rates import read_rates

__all__ = ["import_"]


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="As export tree writes it.")
    ],
    *,
    rename: Annotated[
        str | None,
        typer.Option(
            "--rename", metavar="PATTERN", help="New names of everything, such as '{name} II', from the old {name}."
        ),
    ] = None,
    start: Start = None,
    zone: Zone = None,
    publish: Publish = False,
    receipt: Annotated[
        Path | None,
        typer.Option("--receipt", metavar="FILE", dir_okay=False, help="What is done so far; FILE.receipt by default."),
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(
            "--rate",
            metavar="CURRENCY=RATE",
            help="For budgets in another currency: JPY=0.0067 makes 150 JPY 1.00; repeatable.",
        ),
    ] = None,
    ignore: Ignore = None,
    yes: Yes = False,
    ad_account: AdAccount = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Make what an exported tree holds, campaign by campaign, as drafts.

    The receipt keeps what is done: the same command goes on after an interruption, and makes nothing twice.
    """
    account, renamed, begin = needed(ad_account), renaming(rename), in_zone(start, zone)
    kept = receipt or file.with_name(f"{file.name}.receipt")

    rates = _rates(rate or [])

    async def command() -> int:
        trees = parse(await anyio.to_thread.run_sync(read_file, file), ignore=ignore or ())
        archived = [tree.campaign for tree in trees if str(tree.campaign.status) == "ARCHIVED"]
        if not trees:
            say(f"{file} holds no campaign: nothing was made")
            return FAILED
        if len(archived) == len(trees):
            say(f"{file} holds archived campaigns alone, which are not made again: nothing was made")
            return FAILED
        total = sum(_count(tree) for tree in trees)
        if not await agreed(f"make {total} drafts from {file}{', and publish them' if publish else ''}?", yes=yes):
            say("nothing was made")
            return DONE
        done: list[DraftTree] = []
        async with connected() as client:
            copies = client.ad_account(account).trees
            made: list[Made] = []
            with told_at_the_end(kept), Rows(output, COLUMNS) as rows:
                whole: list[Made] = []

                def finish(tree: DraftTree) -> None:
                    """Show a campaign when it is whole: until then, its drafts may be deleted again."""
                    done.append(tree)
                    if output is Output.TABLE:
                        whole.extend(made)  # a table and the count would write over each other
                    else:
                        write_made(rows, made)
                    made.clear()

                try:
                    with counting("drafts made", total) as count:

                        def take(one: Made) -> None:
                            made.append(one)
                            count()

                        await copies.load(
                            file,
                            receipt=kept,
                            rename=renamed,
                            start=begin,
                            publish=publish,
                            on_made=take,
                            on_done=finish,
                            rates=rates,
                            ignore=ignore or (),
                        )
                finally:
                    write_made(rows, whole)
        for one in archived:
            say(f"left out, archived: campaign {one.name} ({one.id}) with all that is in it")
        if not done:
            say(
                f"nothing was left to do: the receipt {kept} has every campaign of the file; another --receipt makes"
                " them once more"
            )
        return conclude(done, publish=publish, again="run the same command with --publish")

    run(command)


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

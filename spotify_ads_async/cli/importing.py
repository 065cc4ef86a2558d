"""``spotify-ads import``: an exported tree, made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import anyio
import typer

from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.consent import Yes, agreed
from spotify_ads_async.cli.counter import counting
from spotify_ads_async.cli.options import AdAccount, OutputForm, needed
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.run import DONE, run, say
from spotify_ads_async.cli.trees import COLUMNS, Publish, Start, conclude, renaming, told_at_the_end, write_made
from spotify_ads_async.trees import DraftTree, Made, parse

__all__ = ["import_"]


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="As export tree writes it.")],
    *,
    rename: Annotated[
        str | None, typer.Option("--rename", metavar="PATTERN", help="New names of everything, such as '{name} II', from the old {name}.")
    ] = None,
    start: Start = None,
    publish: Publish = False,
    receipt: Annotated[
        Path | None, typer.Option("--receipt", metavar="FILE", dir_okay=False, help="What is done so far; FILE.receipt by default.")
    ] = None,
    yes: Yes = False,
    ad_account: AdAccount = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Make what an exported tree holds, campaign by campaign, as drafts.

    The receipt keeps what is done: the same command goes on after an interruption, and makes nothing twice.
    """
    account, renamed = needed(ad_account), renaming(rename)
    kept = receipt or file.with_name(f"{file.name}.receipt")

    async def command() -> int:
        total = sum(
            1 + len(tree.ad_sets) + sum(len(one.ads) for one in tree.ad_sets) for tree in parse(await anyio.Path(file).read_bytes())
        )
        if not await agreed(f"make {total} drafts from {file}{', and publish them' if publish else ''}?", yes=yes):
            say("nothing was made")
            return DONE
        done: list[DraftTree] = []
        async with connected() as client:
            trees = client.ad_account(account).trees
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

                        await trees.load(file, receipt=kept, rename=renamed, start=start, publish=publish, on_made=take, on_done=finish)
                finally:
                    write_made(rows, whole)
        if not done:
            say(f"nothing was left to do: the receipt {kept} has every campaign of the file; another --receipt makes them once more")
        return conclude(done)

    run(command)

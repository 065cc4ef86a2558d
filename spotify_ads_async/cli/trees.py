"""Campaign trees: ``campaigns clone``, ``ad-sets clone`` and ``export tree``, and what ``import`` shares with them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import anyio
import msgspec
import typer

from spotify_ads_async.cli.completing import complete_id
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.consent import Yes, agreed
from spotify_ads_async.cli.options import AdAccount, OutputForm, needed
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.progress import counting
from spotify_ads_async.cli.run import DONE, FAILED, run, say, usage_error
from spotify_ads_async.cli.short_ids import whole_ids
from spotify_ads_async.cli.terminal import progress_line
from spotify_ads_async.cli.zones import Zone, in_zone, moment_of
from spotify_ads_async.errors import ConfigurationError, InvalidRequest
from spotify_ads_async.models import DraftValidationError

if TYPE_CHECKING:  # most commands on campaigns and ad sets have nothing to do with trees
    from spotify_ads_async.trees import DraftTree, Made, Rename, Trees

__all__ = [
    "CLONES",
    "COLUMNS",
    "Publish",
    "Start",
    "add_clone",
    "conclude",
    "export_tree",
    "renaming",
    "say_errors",
    "told_at_the_end",
    "write_made",
]

COLUMNS = ("kind", "name", "draft_id", "original_id")
_NAME = "{name}"
_MOST_SAID = 20
_AFTER_A_KILL = {
    "campaign": "; a kill would leave it there, for `spotify-ads drafts delete`, and --receipt FILE goes on after one",
    "ad_set": "; a kill would leave it there, see `spotify-ads drafts list`, and --receipt FILE goes on after one",
}
"""What nobody can say any more once it happened, by the kind of the first draft."""

NewName = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Its new name; the old one with ' (copy)' by default.")
]
RenamePattern = Annotated[
    str | None,
    typer.Option(
        "--rename", metavar="PATTERN", help="New names of what is in it, such as '{name} II', from the old {name}."
    ),
]
Start = Annotated[
    datetime | None,
    typer.Option(
        "--start",
        metavar="TIME",
        parser=moment_of,
        help="When the first ad set starts, UTC without --zone; all dates move alike. They stay by default.",
    ),
]
Publish = Annotated[
    bool, typer.Option("--publish", help="Go live at once, if nothing is wrong; drafts deliver nothing.")
]

Ignore = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore", metavar="KEY", help="Leave out a key, such as one that is newer than this program; repeatable."
    ),
]

CloneReceipt = Annotated[
    Path | None,
    typer.Option(
        "--receipt",
        metavar="FILE",
        dir_okay=False,
        help="Keep what is done in a new file: after a crash, the same command goes on and makes nothing twice.",
    ),
]

Cloning: TypeAlias = "Callable[[str, Callable[[Made], None]], Awaitable[DraftTree]]"

CLONES: Mapping[str, str] = {
    "campaigns": (
        "Make a campaign anew with its ad sets and ads, as drafts under new names and dates.\n\nWhat is paused stays"
        " paused; with --publish, what drafts cannot hold is set before anything can run, and all is compared."
    ),
    "ad sets": (
        "Make an ad set anew with its ads in the same campaign, as drafts.\n\n--publish takes along what else the"
        " campaign's draft holds."
    ),
}
"""What can be made anew, and what is said of it."""


def add_clone(app: typer.Typer, plural: str) -> None:
    """Give a group of commands ``clone``."""
    noun = plural.removesuffix("s")

    @app.command("clone", help=CLONES[plural])
    def clone(
        given: Annotated[
            str,
            typer.Argument(metavar="ID", help="Whole, or its beginning as tables show it.", autocompletion=complete_id),
        ],
        *,
        name: NewName = None,
        rename: RenamePattern = None,
        start: Start = None,
        zone: Zone = None,
        publish: Publish = False,
        ignore: Ignore = None,
        receipt: CloneReceipt = None,
        yes: Yes = False,
        ad_account: AdAccount = None,
        output: OutputForm = Output.TABLE,
    ) -> None:
        account, renamed, begin = needed(ad_account), renaming(rename), in_zone(start, zone)

        def cloning(trees: Trees) -> Cloning:
            make = trees.clone_campaign if plural == "campaigns" else trees.clone_ad_set
            return lambda whole_id, made: make(
                whole_id,
                name=name,
                rename=renamed,
                start=begin,
                publish=publish,
                on_made=made,
                ignore=ignore or (),
                receipt=receipt,
            )

        also = ", with whatever else the campaign's draft holds" if plural == "ad sets" else ""
        question = "" if yes or not publish else f"make a copy of the {noun} {given} and publish it{also}?"
        run(
            lambda: _clone(
                account, plural, given, cloning, output=output, question=question, publish=publish, receipt=receipt
            )
        )

    del clone


async def export_tree(ad_account: str, to: Path | None, *, archived: bool) -> None:
    """Write the account's tree to a file that is not there yet, or to stdout."""
    if to is not None and await anyio.Path(to).exists():
        raise FileExistsError(f"{to} is there already: name another file, or remove it")
    counts: dict[str, int] = {}
    async with connected() as client:
        trees = client.ad_account(ad_account).trees
        with counting("lines written") as count:
            if to is not None:
                counts = await trees.export(to, archived=archived, on_line=count)
            else:
                async for kind, written in trees.lines(archived=archived):
                    if sys.stdout.isatty():
                        progress_line.clear()
                    sys.stdout.buffer.write(written)
                    counts[kind] = counts.get(kind, 0) + 1
                    count()
                sys.stdout.buffer.flush()
    parts = (
        f"{counts.get(kind, 0)} {plural}"
        for kind, plural in (("campaign", "campaigns"), ("ad_set", "ad sets"), ("ad", "ads"))
    )
    say(f"{', '.join(parts)} exported{f' to {to}' if to else ''}")


def say_errors(campaign_id: str, errors: Sequence[DraftValidationError]) -> None:
    """What keeps a draft from going live."""
    for error in errors:
        part = (error.validation_entity_type or "campaign").lower().replace("_", " ")
        codes = f" ({', '.join(error.error_codes)})" if error.error_codes else ""
        say(f"cannot go live: {part} {error.validation_entity_id or campaign_id}: {error.message}{codes}")


def renaming(pattern: str | None) -> Rename | None:
    """The new name of each old one."""
    if pattern is None:
        return None
    if _NAME not in pattern:
        usage_error(f"--rename {pattern}: {_NAME} must be in it, where the old name goes")
    return lambda name: pattern.replace(_NAME, name)


def write_made(rows: Rows, made: Sequence[Made]) -> None:
    """Write a row for each draft."""
    for one in made:
        rows.write(msgspec.to_builtins(one))


async def _clone(
    ad_account: str,
    plural: str,
    given: str,
    cloning: Callable[[Trees], Cloning],
    *,
    output: Output,
    question: str,
    publish: bool,
    receipt: Path | None = None,
) -> int:
    if question and not await agreed(question, yes=False):
        say("nothing was made")
        return DONE
    every: list[Made] = []
    async with connected() as client:
        (whole_id,) = await whole_ids(client, plural, ad_account, [given])
        with told_at_the_end(receipt), contextlib.ExitStack() as shown:
            count: Callable[[], None] | None = None

            def made(one: Made) -> None:
                nonlocal count
                if count is None:
                    # Now, and not at the end: a crash leaves this draft behind. The count begins after it, on a line of
                    # its own.
                    after_a_kill = "" if receipt else _AFTER_A_KILL[one.kind]
                    say(f"making the draft of {_noun(one.kind)} {one.draft_id}{after_a_kill}")
                    count = shown.enter_context(counting("drafts made"))
                every.append(one)
                count()

            done = await cloning(client.ad_account(ad_account).trees)(whole_id, made)
    with Rows(output, COLUMNS) as rows:
        write_made(rows, every)
    return conclude([done], publish=publish, again="clone it with --publish")


@contextlib.contextmanager
def told_at_the_end(receipt: Path | None = None) -> Generator[None]:
    """Say what became of the drafts where Ctrl-C ends the block, and how an import goes on.

    An error says so itself.
    """
    try:
        yield
    except BaseException as ended:
        if isinstance(ended, anyio.get_cancelled_exc_class()):
            for note in getattr(ended, "__notes__", ()):
                say(note)
        refused = isinstance(ended, InvalidRequest | ConfigurationError)
        if receipt is not None and receipt.exists() and not refused:
            say(f"not finished: the same command goes on, by the receipt {receipt}")
        raise


def conclude(done: Sequence[DraftTree], *, publish: bool, again: str) -> int:
    """Say what is live, what is not and why, what is not as it was wanted, and what to do about it.

    Args:
        done: what was made.
        publish: whether it should have gone live.
        again: the command that publishes it with what drafts cannot hold.
    """
    for tree in done:
        say_errors(tree.campaign_id, tree.errors)
        _say_what_is_not_vouched_for(tree)
    live = [tree for tree in done if tree.published]
    drafts = [tree for tree in done if not tree.published]
    if live:
        say(f"live: {' '.join(tree.campaign_id for tree in live)}")
    if drafts:
        ids = " ".join(tree.campaign_id for tree in drafts)
        valid = sum(not tree.errors for tree in drafts)
        say(f"drafts that are not live: {len(drafts)}, of which {valid} could go live")
        if any(tree.unheld for tree in drafts):
            say(
                f"  {again} to set what drafts cannot hold; published otherwise, the campaign is live and paused"
                " without it"
            )
        say(f"  spotify-ads drafts publish {ids}")
        say(f"  spotify-ads drafts delete {ids}")
    return FAILED if any(tree.errors or tree.differences or (publish and not tree.published) for tree in done) else DONE


def _say_what_is_not_vouched_for(tree: DraftTree) -> None:
    said = [f"left out, {one.reason}: {_noun(one.kind)} {one.name} ({one.original_id})" for one in tree.left_out]
    said += [
        f"a draft cannot hold {name}={value} of {_noun(one.kind)} {one.name} ({one.draft_id})"
        for one in tree.unheld
        for name, value in one.values.items()
    ]
    for line in said[:_MOST_SAID]:
        say(line)
    if len(said) > _MOST_SAID:
        say(f"… and {len(said) - _MOST_SAID} more such lines")
    for one in tree.differences:
        where = f"{_noun(one.kind)} {one.name}{f' ({one.id})' if one.id else ''}"
        if one.attribute:
            say(
                f"not as it was wanted: {where}: {one.attribute} is {_value(one.found)}, and should be"
                f" {_value(one.wanted)}"
            )
        else:
            say(
                f"not as it was wanted: {where}"
                f" {'is not there' if one.found is None else 'is there, and was not wanted'}"
            )
    for note in tree.notes:
        say(note)


def _noun(kind: str) -> str:
    return kind.replace("_", " ")


def _value(value: object) -> str:
    return "not there" if value is None else msgspec.json.encode(value).decode()

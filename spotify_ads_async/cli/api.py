"""``spotify-ads api changes``: what has changed in the API since this version was made."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer

from spotify_ads_async.api.changes import find_changes, render_changes
from spotify_ads_async.api.facts import known_facts
from spotify_ads_async.cli.connect import environment
from spotify_ads_async.cli.options import command_group
from spotify_ads_async.cli.output import show
from spotify_ads_async.cli.run import DONE, FAILED, USAGE, run, say
from spotify_ads_async.cli.text import printable
from spotify_ads_async.core.api_document import read_document
from spotify_ads_async.errors import ConnectionFailed, InvalidAnswer
from spotify_ads_async.version import __version__

__all__ = ["app"]

app = command_group("The API itself, and how it moves.")


@app.callback()
def group() -> None:
    """The API itself, and how it moves."""


@app.command()
def changes(
    document: Annotated[
        str | None,
        typer.Argument(
            metavar="DOCUMENT",
            help="A file or an https address; by default where Spotify publishes the API's document.",
        ),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object.")] = False,
) -> None:
    """Say what is new, gone or changed in the API's document since this version was made. It spends no quota.

    The exit code is 0 where nothing has changed, 1 where something has, 2 where the document cannot be read.
    """
    run(lambda: _changes(document, as_json=as_json))


async def _changes(document: str | None, *, as_json: bool) -> int:
    settings = await environment()
    source = document or settings.api_document
    try:
        now = await read_document(source, settings.transport)
    except (ConnectionFailed, InvalidAnswer) as problem:
        say(f"error: {problem}")
        return USAGE
    found = find_changes(known_facts(), now)
    if as_json:
        show({"document": source, "version": __version__, "changes": msgspec.to_builtins(found)})
    else:
        sys.stdout.writelines(f"{printable(line)}\n" for line in render_changes(found))
        many = "one change" if len(found) == 1 else f"{len(found) or 'no'} changes"
        say(f"{many} between spotify-ads-async {__version__} and {source}")
    return FAILED if found else DONE

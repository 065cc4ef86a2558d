"""The man page, from the program and its examples: what :mod:`tools.manual` writes beside the command line's pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from spotify_ads_async.cli.run import EXIT_CODES
from spotify_ads_async.version import __version__
from spotify_ads_cli.app import COMMANDS, app
from spotify_ads_cli.examples import examples, lines_of

__all__ = ["FILE", "man_page", "readable"]

_TYPES = {"str": "TEXT", "int": "NUMBER", "float": "NUMBER", "path": "FILE", "file": "FILE"}
FILE = Path(__file__).parents[1] / "docs" / "man" / "spotify-ads.1"


def man_page(commands: dict[str, tuple[Any, typer.Context]]) -> str:
    """The whole page, in roff."""
    lines = [
        r".\" Written by `make manual`: change the program or spotify_ads_cli/examples.md, not this page.",
        f'.TH SPOTIFY-ADS 1 "" "spotify-ads-async {__version__}" "User commands"',
        ".SH NAME",
        r"spotify-ads \- the Spotify Ads API on the command line, within its limits",
        ".SH SYNOPSIS",
        r".B spotify-ads",
        r"[\fIOPTIONS\fR] \fICOMMAND\fR [\fIARGUMENTS\fR]",
        ".SH DESCRIPTION",
        *_prose(examples()["index"].partition("```")[0]),
        ".SH OPTIONS",
        *(line for record in _records(get_command(app), next(iter(commands.values()))[1]) for line in record),
        ".SH COMMANDS",
        *(
            line
            for name, (command, context) in commands.items()
            for line in _command(f"spotify-ads {name}", command, context)
        ),
        ".SH EXIT STATUS",
        *(line for code, meaning in EXIT_CODES.items() for line in (".TP", f".B {code}", _text(meaning))),
        ".SH ENVIRONMENT",
        *(line for names, meaning in _variables() for line in (".TP", f".B {_text(names)}", _text(meaning))),
    ]
    return "\n".join(lines) + "\n"


def _command(words: str, command: Any, context: typer.Context) -> Iterator[str]:  # noqa: ANN401 - typer's own
    """One command; of a group, each of its commands."""
    inner = getattr(command, "commands", {})
    for name, one in inner.items():
        if not one.hidden:
            yield from _command(f"{words} {name}", one, typer.Context(one, info_name=name, parent=context))
    if inner:
        return
    yield f".SS {_text(words)}"
    yield from _prose(command.help or COMMANDS[words.split()[1]].help)
    for record in _records(command, context, without=frozenset({"--profile", "--proxy", "--debug"})):
        yield from record
    for example in lines_of(words):
        yield from (".PP", ".EX", _text(example), ".EE")


def _records(
    command: Any,  # noqa: ANN401 - typer's own
    context: typer.Context,
    *,
    without: frozenset[str] = frozenset(),
) -> Iterator[tuple[str, ...]]:
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and not without & set(parameter.opts):
            yield (".TP", f".B {_text(readable(record[0]))}", _text(record[1]))


def readable(names: str) -> str:
    """A parameter's names, with the kind of value in a word: ``--port NUMBER``."""
    # An argument's type says nothing beside its name, unless it names the choices.
    names = re.sub(r"^([A-Z._|]+) <[^>]*>$", r"\1", names)
    return re.sub(r"<(str|int|float|path|file)( range)?>$", lambda found: _TYPES[found[1]], names)


def _variables() -> list[tuple[str, str]]:
    """The environment's variables, from the table of the manual's first page."""
    return re.findall(r"^\| (`SPOTIFY_ADS_[^|]*) \| ([^|]*) \|$", examples()["index"], flags=re.MULTILINE)


def _prose(text: str) -> Iterator[str]:
    for paragraph in text.strip().split("\n\n"):
        yield from (".PP", _text(" ".join(paragraph.split())))


def _text(text: str) -> str:
    """A line of roff: nothing in it is a request, and links are their words."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("`", "")
    plain = " ".join(plain.split()).replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{plain}" if plain[:1] in {".", "'"} else plain

"""Running a command: the event loop, errors as messages, and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn

import anyio
import typer

from spotify_ads_async import bulk
from spotify_ads_async.cli.consent import ConsentNeeded
from spotify_ads_async.cli.terminal import progress_line
from spotify_ads_async.cli.text import printable
from spotify_ads_async.core.tasks import first_cause
from spotify_ads_async.errors import ConfigurationError, InvalidRequest, OutcomeUnknown, SpotifyAdsError
from spotify_ads_async.spreadsheets import SpreadsheetError

__all__ = ["DONE", "EXIT_CODES", "FAILED", "INTERRUPTED", "REFUSED", "USAGE", "in_words", "run", "say", "usage_error"]

DONE, FAILED, USAGE, REFUSED, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES: Mapping[int, str] = {
    DONE: "done",
    FAILED: "some of it failed, or the server refused it",
    USAGE: "wrong usage, or something is missing, such as a file or a sign-in",
    REFUSED: "refused before anything was sent, or an outcome is not known",
    INTERRUPTED: "interrupted by Ctrl-C",
}
"""What a command's exit code says."""


_USAGE_ERRORS = (ConfigurationError, SpreadsheetError, bulk.BadExpression, bulk.NotAPlan, OSError)


def say(message: str) -> None:
    """Write a line for people to stderr; results go to stdout."""
    progress_line.clear()
    typer.echo(printable(message), err=True)


class _WrongUsage(typer.BadParameter):
    """How the command was called is wrong; the message says all of it."""

    def format_message(self) -> str:
        """The message, without words of typer's own before it."""
        return self.message


def usage_error(message: str) -> NoReturn:
    """End with a message about how the command was called."""
    raise _WrongUsage(printable(message))


def run(command: Callable[[], Awaitable[int | None]]) -> NoReturn:
    """Run an async command to its end and leave with its exit code."""
    try:
        code = anyio.run(command) or DONE
    except KeyboardInterrupt:
        say("interrupted")
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - every error gets its message or its traceback
        code = _explained(first_cause(error))
    except BaseExceptionGroup as group:
        code = _explained(first_cause(group))
    raise typer.Exit(code)


def _explained(error: BaseException) -> int:
    """Say what went wrong. An error of the program itself is raised as it is."""
    if isinstance(error, BrokenPipeError):
        # Whoever read the output has seen enough: no message, and nothing failed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    if isinstance(error, KeyboardInterrupt):
        say("interrupted")
        return INTERRUPTED
    if isinstance(error, ConsentNeeded):
        say(str(error))
        return USAGE
    if isinstance(error, _USAGE_ERRORS):
        _tell("error", error)
        return USAGE
    if isinstance(error, InvalidRequest | OutcomeUnknown | bulk.BadChanges | bulk.PlanInUse | bulk.WrongPlan):
        if isinstance(error, bulk.BadChanges):
            say(str(error))
        else:
            _tell("refused", error)
        return REFUSED
    if isinstance(error, SpotifyAdsError):
        _tell("failed", error)
        return FAILED
    raise error


def in_words(error: BaseException) -> str:
    """An error without the number that the system gives it: `plan.csv: No such file or directory`."""
    if isinstance(error, OSError) and error.strerror:
        place = "" if error.filename is None else f"{error.filename}: "
        return f"{place}{error.strerror}"
    return str(error)


def _tell(word: str, error: BaseException) -> None:
    """An error with its notes: what became of the rest, and what to do."""
    say(f"{word}: {in_words(error)}")
    for note in getattr(error, "__notes__", ()):
        say(f"  {note}")

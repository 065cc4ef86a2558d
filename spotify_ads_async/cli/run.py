"""Running a command: the event loop, errors as messages, and exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import anyio
import typer

from spotify_ads_async import bulk
from spotify_ads_async.auth.homes import provide_temporary_folder
from spotify_ads_async.cli.consent import ConsentNeeded
from spotify_ads_async.cli.signals import BY_OTHERS, on_signals
from spotify_ads_async.cli.terminal import progress_line
from spotify_ads_async.cli.text import printable
from spotify_ads_async.core.tasks import first_cause
from spotify_ads_async.errors import ConfigurationError, InvalidRequest, OutcomeUnknown, SpotifyAdsError
from spotify_ads_async.pagination.walk import WHILE_WALKING
from spotify_ads_async.spreadsheets import SpreadsheetError
from spotify_ads_cli.consoles import told_to_end

__all__ = [
    "DONE",
    "EXIT_CODES",
    "FAILED",
    "INTERRUPTED",
    "REFUSED",
    "USAGE",
    "in_words",
    "on_loop_problem",
    "run",
    "say",
    "take_descriptors",
    "usage_error",
]

DONE, FAILED, USAGE, REFUSED, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES: Mapping[int, str] = {
    DONE: "done, or a server was told to end",
    FAILED: "some of it failed, or the server refused it",
    USAGE: "wrong usage, or something is missing, such as a file or a sign-in",
    REFUSED: "refused before anything was sent, in conflict or of unknown outcome, whatever else failed",
    INTERRUPTED: "interrupted by Ctrl-C (143: by SIGTERM, 129: by SIGHUP)",
}
"""What a command's exit code says."""


_CLAUSE_END = re.compile("[,;.]| of the user")
"""What the first few words of an operation's summary end with."""
_OPTIONS: Mapping[str, str] = {
    "skip_invalid=True": "--skip-invalid",
    "timeout=…": "--wait SECONDS",
    "store='sqlite:///path'": "SPOTIFY_ADS_STORE=sqlite:///path",
    "must be a UUID, as in": "must be an ID, such as",
}
"""What the package calls an argument, and the command line an option; and words of programmers."""
_OBJECTS_BETWEEN_LOOKS = 50_000
"""Objects that may be made before Python looks for garbage in circles: some megabytes."""
_OF_PYTHON = re.compile("|".join([r"\b(?:path|query|body)\.(?=[a-z])", *map(re.escape, _OPTIONS)]))
_DESCRIPTORS = 65_536
_told_of = set[int]()
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_USAGE_ERRORS = (ConfigurationError, SpreadsheetError, OSError)


def say(*messages: str) -> None:
    """Write a line for people to stderr, or several at once; results go to stdout."""
    progress_line.clear()
    typer.echo("\n".join(map(printable, messages)), err=True)


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
    provide_temporary_folder()
    take_descriptors()
    try:
        # What is imported by now stays until the end, and a batch of rows is no garbage while it is worked on: looking
        # at them again and again costs bulk work a fifth of its time.
        gc.freeze()
        gc.set_threshold(_OBJECTS_BETWEEN_LOOKS)
        code = anyio.run(_until_told_to_end, command)
    except KeyboardInterrupt:
        say("interrupted")
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - every error gets its message or its traceback
        code = _ended_by(first_cause(error))
    except BaseExceptionGroup as group:
        code = _ended_by(first_cause(group))
    raise typer.Exit(code)


def take_descriptors() -> None:
    """Take as many files and connections as the system gives: a server holds two for each request that waits."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not everywhere

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
        with contextlib.suppress(OSError, ValueError):  # macOS gives fewer than its hard limit says, a sandbox none
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def on_loop_problem(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Say once that a server may open no more files; asyncio writes it a thousand times a second, with a traceback."""
    problem = context.get("exception")
    if not isinstance(problem, OSError) or problem.errno not in {errno.EMFILE, errno.ENFILE}:
        loop.default_exception_handler(context)
    elif problem.errno not in _told_of:
        _told_of.add(problem.errno)
        say(f"{problem.strerror}: connections wait until others end; raise the limit of open files (ulimit -n)")


class _LeftAlone(ThreadPoolExecutor):
    """Threads that the loop's end waits for no longer than the program's: some ask the system for a host's address."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 (as its parent takes it)
        del wait
        super().shutdown(wait=False, cancel_futures=cancel_futures)


async def _until_told_to_end(command: Callable[[], Awaitable[int | None]]) -> int:
    """Run a command, which SIGTERM and SIGHUP cancel: the exit code. A second signal ends the process at once."""
    working, cancelled = asyncio.current_task(), False
    asyncio.get_running_loop().set_exception_handler(on_loop_problem)
    asyncio.get_running_loop().set_default_executor(_LeftAlone())

    def end() -> None:
        nonlocal cancelled
        for number in BY_OTHERS:
            signal.signal(number, signal.SIG_DFL)
        # Once, as Ctrl-C does: what the command holds is given back in peace.
        cancelled = working is not None and working.cancel()

    try:
        with on_signals(end, BY_OTHERS):
            code = await command() or DONE
    except asyncio.CancelledError:
        if not cancelled:
            raise
        say(f"ended by {told_to_end[-1].name}: what was changed until then stands, and nothing else will be")
    else:
        if code != INTERRUPTED or not told_to_end:
            return code
    return 128 + told_to_end[-1]


def _ended_by(error: BaseException) -> int:
    """Say what went wrong: the exit code. An error of the program itself is raised as it is."""
    if isinstance(error, OSError) and error.filename is None:
        # Whoever read the output has seen enough, or its disk is full: nothing more is written there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return DONE
    if isinstance(error, KeyboardInterrupt):
        say("interrupted")
        return INTERRUPTED
    if isinstance(error, ConsentNeeded):
        say(str(error))
        return USAGE
    if isinstance(error, (*_USAGE_ERRORS, bulk.BadExpression, bulk.NotAPlan)):
        _tell("error", error)
        return USAGE
    if isinstance(error, InvalidRequest | OutcomeUnknown | bulk.BadChanges | bulk.PlanInUse | bulk.WrongPlan):
        if isinstance(error, bulk.BadChanges):
            in_rows = any(not one.fatal for one in error.problems)
            say(str(error), *(["nothing was changed: mend that, and try again"] if in_rows else []))
        else:
            _tell("in doubt" if isinstance(error, OutcomeUnknown) else "refused", error)
        return REFUSED
    if isinstance(error, SpotifyAdsError):
        _tell("failed", error)
        return FAILED
    raise error


def in_words(error: BaseException) -> str:
    """An error as the command line says it: `plan.csv: No such file or directory`, `could not read one ad: …`.

    Without the system's numbers, an operation's ID and arguments of Python.
    """
    if isinstance(error, SpotifyAdsError):
        return _OF_PYTHON.sub(lambda found: _OPTIONS.get(found[0], ""), _done_in_words(error))
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    if error.filename is None and error.errno in _NO_ROOM:
        return f"the output could not be written to its end ({error.strerror}): make room where it goes to"
    if error.filename is None and error.errno == errno.ENOENT:  # what the module tempfile says
        return f"{error.strerror}: set TMPDIR to a folder that can be written"
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


def _done_in_words(error: SpotifyAdsError) -> str:
    """The error, with what an operation does in place of its ID."""
    if not error.operation:
        return str(error)
    from spotify_ads_async.undocumented import EVERY_OPERATION  # noqa: PLC0415 - errors alone need it

    said, operation = str(error).removeprefix(f"{error.operation}: "), EVERY_OPERATION.get(error.operation)
    what = _CLAUSE_END.split(operation.summary)[0] if operation else error.operation
    what = f"{what[0].lower()}{what[1:]}"
    in_doubt = isinstance(error, OutcomeUnknown)
    return f"whether it could {what} is not known: {said}" if in_doubt else f"could not {what}: {said}"


def _tell(word: str, error: BaseException) -> None:
    """An error with its notes: what became of the rest, and what to do."""
    say(f"{word}: {in_words(error)}")
    for note in getattr(error, "__notes__", ()):
        if not note.startswith(WHILE_WALKING):  # which is for programs
            say(f"  {note}")

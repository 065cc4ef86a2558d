"""Consent: nothing is changed unless somebody at a terminal said so, or an option such as ``--yes`` did."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Annotated, TextIO, TypeAlias

import anyio.to_thread
import typer

from spotify_ads_async.cli.terminal import progress_line, put
from spotify_ads_async.cli.text import printable

__all__ = ["AllowUnusual", "ConsentNeeded", "Yes", "agreed"]

Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
AllowUnusual: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-unusual", help="Take unusual amounts of money: more than 5 times, less than a fifth, below one unit."
    ),
]

_ASKED_AT_MOST = 3
_ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}
_CONTROLLING_TERMINAL = Path("/dev/tty")


class ConsentNeeded(Exception):
    """Something would be changed, and nobody can be asked."""


async def agreed(question: str, *, yes: bool, option: str = "--yes") -> bool:
    """Whether something may be done that changes something.

    Args:
        question: what would be done, as a question: ``change 12 ad sets?``.
        yes: whether the command line said so already; nothing is asked then.
        option: the option that says so.

    Raises:
        ConsentNeeded: standard input is no terminal, or there is none to show the question on. What a pipe holds is no
            consent.
    """
    if yes:
        return True
    if not _is_terminal(sys.stdin):
        raise ConsentNeeded(
            f"nothing was changed: standard input is no terminal, so nobody can be asked “{question}”; {option} does it"
        )
    return await anyio.to_thread.run_sync(partial(_ask, question, option), abandon_on_cancel=True)


def _is_terminal(stream: TextIO | None) -> bool:
    # A program without standard streams has None in their place, and a closed one raises.
    with contextlib.suppress(ValueError):
        return stream is not None and stream.isatty()
    return False


def _ask(question: str, option: str) -> bool:
    with progress_line.held(), _shown_on(question, option) as stream:
        for _ in range(_ASKED_AT_MOST):
            put(stream, f"{printable(question)} [y/N]: ")
            typed = sys.stdin.readline()
            answer = _ANSWERS.get(typed.strip().lower())
            if answer is not None:
                if not typed.endswith("\n"):
                    stream.write("\n")
                return answer
            stream.write("please answer y or n\n")
    return False


@contextlib.contextmanager
def _shown_on(question: str, option: str) -> Generator[TextIO]:
    """A terminal for the question.

    Where diagnostics go, or results do, or the one that the program was started from.
    """
    stream = next((one for one in (sys.stderr, sys.stdout) if _is_terminal(one)), None)
    if stream is not None:
        yield stream
        return
    try:
        terminal = _CONTROLLING_TERMINAL.open("w", encoding="utf-8", errors="replace")
    except OSError:
        raise ConsentNeeded(
            f"nothing was changed: there is no terminal to ask “{question}” on; {option} does it"
        ) from None
    with terminal:
        yield terminal

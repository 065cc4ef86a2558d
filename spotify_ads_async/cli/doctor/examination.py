"""What ``doctor`` goes through: checks that need one another, each with findings that say what to do."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import anyio
import msgspec

from spotify_ads_async.cli.run import in_words
from spotify_ads_async.errors import SpotifyAdsError

__all__ = ["Check", "Examination", "Finding", "Outcome", "examine"]


class Outcome(enum.StrEnum):
    """What became of a check."""

    PROBLEM = "problem"
    NOTE = "note"
    OK = "ok"
    SKIPPED = "skipped"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was found.

    Attributes:
        check: what was looked at.
        outcome: what became of it.
        text: what was found, in words, without any secret.
        remedy: what to do, for a problem or a note.
    """

    check: str
    outcome: Outcome
    text: str
    remedy: str = ""

    @classmethod
    def ok(cls, check: str, text: str) -> Self:
        """All is well."""
        return cls(check, Outcome.OK, text)

    @classmethod
    def note(cls, check: str, text: str, remedy: str) -> Self:
        """Something that may be meant."""
        return cls(check, Outcome.NOTE, text, remedy)

    @classmethod
    def problem(cls, check: str, text: str, remedy: str) -> Self:
        """Something that must be mended."""
        return cls(check, Outcome.PROBLEM, text, remedy)


class Examination:
    """What checks leave for one another: ``facts`` by name, and whether each check found a problem."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.failed: dict[str, bool] = {}


class Check(NamedTuple):
    """One check.

    ``run`` gives its findings. It begins when those in ``needs`` have ended, and is left out where one of them found a
    problem; after ``seconds`` it counts as failed, with ``remedy``.
    """

    name: str
    run: Callable[[Examination], AsyncIterator[Finding]]
    needs: tuple[str, ...] = ()
    seconds: float = 8.0
    remedy: str = "look at what keeps this machine busy, and try again"


async def examine(checks: Sequence[Check], examination: Examination) -> list[Finding]:
    """Go through all checks, side by side where they do not need one another.

    Their findings, in the order of the checks.
    """
    found: Mapping[str, list[Finding]] = {check.name: [] for check in checks}
    ended = {check.name: anyio.Event() for check in checks}

    async def go_through(check: Check) -> None:
        for name in check.needs:
            await ended[name].wait()
        bad = next((name for name in check.needs if examination.failed.get(name)), None)
        mine = found[check.name]
        if bad is not None:
            mine.append(Finding(check.name, Outcome.SKIPPED, f"not looked at, because of the problem with: {bad}"))
        else:
            await _run(check, examination, mine)
        examination.failed[check.name] = bad is not None or any(one.outcome is Outcome.PROBLEM for one in mine)
        ended[check.name].set()

    async with anyio.create_task_group() as tasks:
        for check in checks:
            tasks.start_soon(go_through, check)
    return [one for check in checks for one in found[check.name]]


async def _run(check: Check, examination: Examination, found: list[Finding]) -> None:
    try:
        with anyio.fail_after(check.seconds):
            async for finding in check.run(examination):
                found.append(finding)  # noqa: PERF401 - what was found before a failure counts
    except TimeoutError:
        found.append(Finding.problem(check.name, f"no answer within {check.seconds:.0f} s", check.remedy))
    except SpotifyAdsError as error:
        found.append(Finding.problem(check.name, in_words(error), check.remedy))
    except Exception as error:  # noqa: BLE001 (a doctor who falls over helps nobody: the finding goes into the bug report)
        remedy = "this is a fault of spotify-ads: please report it with the text above"
        found.append(Finding.problem(check.name, f"the check itself failed: {type(error).__name__}: {error}", remedy))

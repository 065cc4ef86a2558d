"""The emulator's wall clock: real time, set apart by a skew, and written the API's way."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["CENTURY_SECONDS", "Clock", "parse", "stamp"]


def stamp(moment: datetime) -> str:
    """``moment`` as the API writes times: ``2026-01-23T04:56:07Z``."""
    # strftime writes years before 1000 with fewer digits.
    return f"{moment.year:04}{moment:-%m-%dT%H:%M:%SZ}"


def parse(text: str) -> datetime:
    """The instant that ``text`` stands for."""
    return datetime.fromisoformat(text)


CENTURY_SECONDS: Final = 100 * 365.25 * 86_400
"""As far as a clock can run ahead or behind: what times must hold goes further by what is added to them."""


class Clock:
    """The time that the emulator believes it is.

    Args:
        start: the time at which it starts, None for the present.

    Attributes:
        skew: seconds by which it runs ahead of real time.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self.skew = 0.0 if start is None else (start - datetime.now(UTC)).total_seconds()
        self._second = 0
        self._text = ""

    def now(self) -> datetime:
        """The present instant, in UTC and whole seconds."""
        return (datetime.now(UTC) + timedelta(seconds=self.skew)).replace(microsecond=0)

    def text(self) -> str:
        """The present instant, as the API writes times."""
        second = int(time.time() + self.skew)
        if second != self._second:
            self._second, self._text = second, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
        return self._text

    def ahead(self, seconds: float) -> datetime:
        """The instant that lies ``seconds`` ahead."""
        return self.now() + timedelta(seconds=seconds)

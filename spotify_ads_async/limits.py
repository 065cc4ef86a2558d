"""The published limits as values.

Source: "Rate Limiting" in the Ads API's introduction, and the v3 pages for the reporting endpoints.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from spotify_ads_async.errors import ConfigurationError

__all__ = ["CAUTIOUS_LIMITS", "PUBLISHED_LIMITS", "Limit", "checked_limits", "parse_limits"]


class Limit(msgspec.Struct, frozen=True):
    """At most ``requests`` in any ``window`` seconds.

    ``name`` is what operations spend: ``client_id``, ``ip``, ``reporting``. The window of ``ip`` belongs to the
    address, every other one to the client ID.

    Raises:
        ConfigurationError: a value is not positive.
    """

    name: str
    requests: int
    window: float

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigurationError("a limit needs a name, for example client_id")
        if self.requests < 1:
            raise ConfigurationError(f"limit {self.name}: requests must be at least 1, not {self.requests}")
        if not (self.window > 0.0 and math.isfinite(self.window)):
            raise ConfigurationError(
                f"limit {self.name}: window must be a positive number of seconds, not {self.window}"
            )

    def divided(self, processes: int) -> Limit:
        """One process's part of this limit, for so many processes that share no store: together they keep the whole.

        Rounded down, so a limit of fewer requests than processes cannot be divided.

        Raises:
            ConfigurationError: ``processes`` is below 1, or nothing would be left for each.
        """
        if not 1 <= processes <= self.requests:
            raise ConfigurationError(
                f"limit {self.name}: {self.requests} requests cannot be divided among {processes} processes"
            )
        return Limit(self.name, requests=self.requests // processes, window=self.window)


PUBLISHED_LIMITS: tuple[Limit, ...] = (
    Limit("client_id", requests=1500, window=30.0),
    Limit("ip", requests=500, window=10.0),
    Limit("reporting", requests=150, window=30.0),
)
"""The limits as the table in the documentation has them."""

CAUTIOUS_LIMITS: tuple[Limit, ...] = (
    Limit("client_id", requests=1500, window=30.0),
    Limit("ip", requests=150, window=10.0),
    Limit("reporting", requests=150, window=30.0),
)
"""The same with the 15 requests per second and IP that the documentation's prose names."""


def parse_limits(text: str) -> tuple[Limit, ...]:
    """Read ``client_id=1500/30,ip=500/10``: name, requests, seconds. ``off`` and ``published`` do too.

    Raises:
        ConfigurationError: the text has another form.
    """
    named = {"off": (), "published": PUBLISHED_LIMITS, "cautious": CAUTIOUS_LIMITS}.get(text.strip())
    if named is not None:
        return named
    limits: list[Limit] = []
    for part in text.split(","):
        name, _, figures = part.strip().partition("=")
        requests, _, window = figures.partition("/")
        try:
            limits.append(Limit(name, requests=int(requests), window=float(window)))
        except ValueError:
            raise ConfigurationError(
                f"limits: cannot read {part.strip()!r}; the form is name=requests/seconds, for example ip=500/10"
            ) from None
    return checked_limits(limits)


def checked_limits(limits: Iterable[Limit]) -> tuple[Limit, ...]:
    """The limits as a tuple.

    Raises:
        ConfigurationError: two limits have one name.
    """
    found = tuple(limits)
    names = [limit.name for limit in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"limits: {', '.join(twice)} is given twice")
    return found

"""What the server's headers say about quota. Pure; headers may be absent, wrong or contradictory.

Sources: ``Retry-After`` in the Ads API's introduction, ``X-RateLimit-*`` on its v3 pages; RFC 9110 for the date form.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

__all__ = ["RateHeaders", "rate_headers", "retry_after"]


class RateHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset`` (seconds left), each None where absent or senseless."""

    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that the server asks to wait: from ``Retry-After`` as seconds or as an HTTP date, None where it names none.

    Zero is a value. ``now`` is the present in UTC; a date in the past means zero.
    """
    text = _value(headers, "Retry-After").strip()
    if not text:
        return None
    seconds = _seconds(text)
    if seconds is not None:
        return seconds
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())


def rate_headers(headers: Mapping[str, str]) -> RateHeaders | None:
    """The three headers, or None where there is none that makes sense."""
    limit = _seconds(_value(headers, "X-RateLimit-Limit"))
    remaining = _seconds(_value(headers, "X-RateLimit-Remaining"))
    reset = _seconds(_value(headers, "X-RateLimit-Reset"))
    if limit is None and remaining is None and reset is None:
        return None
    if limit is not None and remaining is not None and remaining > limit:
        remaining = None
    return RateHeaders(limit=None if limit is None else int(limit), remaining=None if remaining is None else int(remaining), reset=reset)


def _value(headers: Mapping[str, str], name: str) -> str:
    """A header's text; mappings that know no difference of case and plain ones in either spelling will do."""
    return headers.get(name, headers.get(name.lower(), ""))


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0.0 else None

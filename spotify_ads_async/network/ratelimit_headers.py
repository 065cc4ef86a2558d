"""Rate-limit headers: what the server's answers say about quota. Pure; headers may be absent, wrong or contradictory.

Sources: ``Retry-After`` in the Ads API's introduction, ``X-RateLimit-*`` on its v3 pages; RFC 9110.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

__all__ = ["RateHeaders", "http_date", "rate_headers", "retry_after"]

_NUMBER = re.compile(r"[0-9]{1,300}(\.[0-9]{1,300})?", re.ASCII)


class RateHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset`` (seconds left), each None where absent or senseless."""

    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that ``Retry-After`` asks to wait, as a number or as an HTTP date, None where it names none.

    Zero is a value, and so is a time beyond all patience. A date counts from the answer's own ``Date``, for the
    server's clock may be wrong; from ``now``, the present in UTC, where the answer has none. A date in the past means
    zero.
    """
    text = _value(headers, "Retry-After")
    seconds, date = _seconds(text), http_date(text)
    if seconds is not None or date is None:
        return seconds
    return max(0.0, (date - (http_date(_value(headers, "Date")) or now)).total_seconds())


def rate_headers(headers: Mapping[str, str]) -> RateHeaders:
    """The three headers. More that remains than the limit makes no sense."""
    limit = _seconds(_value(headers, "X-RateLimit-Limit"))
    remaining = _seconds(_value(headers, "X-RateLimit-Remaining"))
    sound = remaining is not None and (limit is None or remaining <= limit)
    reset = _seconds(_value(headers, "X-RateLimit-Reset"))
    return RateHeaders(
        limit=None if limit is None else int(limit), remaining=int(remaining or 0) if sound else None, reset=reset
    )


def _value(headers: Mapping[str, str], name: str) -> str:
    """A header's text; mappings that know no difference of case and plain ones in either spelling will do."""
    return headers.get(name, headers.get(name.lower(), "")).strip()


def _seconds(text: str) -> float | None:
    """A number as HTTP writes it: digits, and a fraction at most. No sign, no exponent, no ``nan``."""
    return float(text) if _NUMBER.fullmatch(text) else None


def http_date(text: str) -> datetime | None:
    """A date as HTTP writes it; None for any other text."""
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None

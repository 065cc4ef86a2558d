"""Events that pixels and other integrations receive: made up, the same again for the same integration and hour."""

from __future__ import annotations

import zlib
from datetime import datetime, timedelta

__all__ = ["PIXEL_EVENTS", "events_in_hour", "signal_names"]

PIXEL_EVENTS = {"PAGE_VIEW": "VIEW", "LEAD": "LEAD", "PURCHASE": "PURCHASE", "ADD_TO_CART": "ADDTOCART"}
"""A pixel's event type → the name of the same signal in a dataset."""

_MOST_PER_HOUR = {"PAGE_VIEW": 400, "LEAD": 12, "PURCHASE": 9, "ADD_TO_CART": 40}


def events_in_hour(integration_id: str, event: str, hour: datetime, since: datetime) -> int:
    """How many events of a type an integration received in the hour that begins at ``hour``; none before ``since``."""
    if hour < since.replace(minute=0, second=0):
        return 0
    noise = zlib.crc32(f"{integration_id}/{event}/{hour:%Y%m%d%H}".encode()) % 1000
    daytime = 1.0 - abs(hour.hour - 14) / 16
    return int(_MOST_PER_HOUR[event] * daytime * (0.5 + noise / 2000))


def signal_names() -> list[str]:
    """The signals that a receiving integration shows."""
    return list(PIXEL_EVENTS.values())


def hours(start: datetime, end: datetime) -> list[datetime]:
    """The whole hours from ``start`` up to and without ``end``."""
    first = start.replace(minute=0, second=0, microsecond=0)
    count = max(0, -int((first - end).total_seconds() // 3600))
    return [first + timedelta(hours=number) for number in range(count)]

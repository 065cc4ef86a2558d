"""Times on the command line, and the zone of those that name none."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, TypeAlias
from zoneinfo import ZoneInfo

import typer

from spotify_ads_async.bulk.plan.cells import CellError
from spotify_ads_async.bulk.plan.typed import at_zone
from spotify_ads_async.cli.run import usage_error

__all__ = ["Zone", "in_zone", "moment_of", "zone_of"]

Zone: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--zone",
        metavar="ZONE",
        envvar="SPOTIFY_ADS_ZONE",
        help="The zone of times that name none, such as Europe/Berlin.",
    ),
]

_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})?)?")


def zone_of(name: str | None) -> ZoneInfo | None:
    """The zone of a name, or an error that says how zones are called."""
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, OSError, KeyError):
        return usage_error(f"--zone {name}: there is no such time zone; write one such as Europe/Berlin or UTC")


def moment_of(text: str | datetime) -> datetime:
    """A day, or a time with or without its zone, as ``2031-12-31`` or ``2031-12-31T18:30``."""
    if isinstance(text, datetime):
        return text
    try:
        if _MOMENT.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise typer.BadParameter(f"{text!r} is no time: write 2031-12-31, 2031-12-31T18:30 or 2031-12-31T18:30:00Z")


def in_zone(moment: datetime | None, name: str | None) -> datetime | None:
    """A time in UTC; one that names no zone is one of the stated zone, and without that one of UTC."""
    zone = zone_of(name)
    if moment is None:
        return None
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    try:
        return moment if zone is None else datetime.fromisoformat(at_zone(moment, zone))
    except CellError as problem:
        return usage_error(str(problem))

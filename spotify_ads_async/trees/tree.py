"""Campaigns with everything in them, as they are read: from the server or from a file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import msgspec

from spotify_ads_async.models import Ad, AdSet, Campaign
from spotify_ads_async.types import Answer, in_utc, source_of

__all__ = ["AdSetTree", "CampaignTree", "Rename", "json_of", "moved", "same"]

Rename: TypeAlias = Callable[[str], str]


class AdSetTree(msgspec.Struct, frozen=True, kw_only=True):
    """An ad set with its ads."""

    ad_set: AdSet
    ads: list[Ad]


class CampaignTree(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign with its ad sets and their ads."""

    campaign: Campaign
    ad_sets: list[AdSetTree]


def moved(moment: datetime | None, by: timedelta) -> datetime | None:
    """A moment in UTC, later by ``by``; none stays none."""
    return None if moment is None else in_utc(moment) + by


def same(name: str) -> str:
    """The rename that changes nothing."""
    return name


def json_of(one: Answer) -> dict[str, Any]:
    """The JSON that an answer came from; where it came from none, what its attributes say."""
    source = source_of(one)
    return msgspec.json.decode(source) if source is not None else msgspec.json.decode(msgspec.json.encode(one))

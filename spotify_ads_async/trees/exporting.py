"""Export: a whole ad account, line by line."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any, cast

from spotify_ads_async.errors import InvalidAnswer
from spotify_ads_async.resources import AdAccountResources
from spotify_ads_async.trees.files import FIRST_LINE, KINDS, last_line, line_of
from spotify_ads_async.types import Answer

__all__ = ["exported_lines"]

logger = logging.getLogger("spotify_ads_async")

_ARCHIVED = "ARCHIVED"


async def exported_lines(account: AdAccountResources, *, archived: bool) -> AsyncIterator[tuple[str, bytes]]:
    """The lines of an export, each with its kind; parents come before children."""
    counts = dict.fromkeys(KINDS, 0)
    written: dict[str, bool] = {}
    async for kind, parent, one in _everything(account):
        found = cast("Any", one)
        if not found.id or (kind != "campaign" and not parent):
            raise InvalidAnswer(f"a list leaves out ids of {kind}s, so that nobody knows what belongs to what")
        # A UUID is the same in either case.
        above, below = (parent or "").lower(), found.id.lower()
        if kind != "campaign" and above not in written:
            logger.warning(
                "%s %s is left out: its parent %s was not listed, so it was made meanwhile, or the list lacks it",
                kind,
                found.id,
                parent,
            )
        written[below] = (archived or found.status != _ARCHIVED) and written.get(above, kind == "campaign")
        if written[below]:
            if not any(counts.values()):
                yield "export", FIRST_LINE
            counts[kind] += 1
            yield kind, line_of(kind, one)
    if not any(counts.values()):
        yield "export", FIRST_LINE
    yield "end", last_line(counts)


async def _everything(account: AdAccountResources) -> AsyncIterator[tuple[str, str | None, Answer]]:
    async for campaign in account.campaigns.list():
        yield "campaign", None, campaign
    async for ad_set in account.ad_sets.list():
        yield "ad_set", ad_set.campaign_id, ad_set
    async for ad in account.ads.list():
        yield "ad", ad.ad_set_id, ad

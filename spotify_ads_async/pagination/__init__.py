"""Walking lists: one page, every page, or every item, read ahead and in order.

See ``docs/explanation/walking.md`` for what a walk promises while the list changes under it.
"""

from __future__ import annotations

from spotify_ads_async.pagination.call import READ_AHEAD, ListCall
from spotify_ads_async.pagination.page import Page
from spotify_ads_async.pagination.walk import PageWalk, Walk

__all__ = ["READ_AHEAD", "ListCall", "Page", "PageWalk", "Walk"]

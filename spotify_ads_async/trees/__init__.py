"""Campaigns with everything in them: cloned under new names and dates, written to a file, and made from one.

Everything is made as drafts, which deliver nothing, and is checked as a whole (publishCampaignDraft, VALIDATE). It goes
live when it is published, and not before: paused, until what drafts cannot hold is set and what is there was compared
with what was wanted. Where making the drafts fails, those that were made are deleted, or named if they cannot be.
"""

from __future__ import annotations

from spotify_ads_async.trees.comparing import Difference
from spotify_ads_async.trees.drafts import DraftTree, Unheld
from spotify_ads_async.trees.files import parse
from spotify_ads_async.trees.making import Made
from spotify_ads_async.trees.plans import LeftOut
from spotify_ads_async.trees.tree import AdSetTree, CampaignTree, Rename, moved
from spotify_ads_async.trees.trees import Trees

__all__ = [
    "AdSetTree",
    "CampaignTree",
    "Difference",
    "DraftTree",
    "LeftOut",
    "Made",
    "Rename",
    "Trees",
    "Unheld",
    "moved",
    "parse",
]

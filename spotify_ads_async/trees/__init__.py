"""Campaigns with everything in them: cloned under new names and dates, written to a file, and made from one.

Everything is made as drafts, which deliver nothing, and is checked as a whole (publishCampaignDraft, VALIDATE). It goes live
when it is published, and not before. Where making the drafts fails, those that were made are deleted, or named if they cannot be.
"""

from __future__ import annotations

from spotify_ads_async.trees.bodies import AdSetTree, CampaignTree, Rename, moved
from spotify_ads_async.trees.files import parse
from spotify_ads_async.trees.making import Made
from spotify_ads_async.trees.trees import DraftTree, Trees

__all__ = ["AdSetTree", "CampaignTree", "DraftTree", "Made", "Rename", "Trees", "moved", "parse"]

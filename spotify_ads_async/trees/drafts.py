"""What was made of a tree."""

from __future__ import annotations

from typing import Any

import msgspec

from spotify_ads_async.models import DraftValidationError
from spotify_ads_async.trees.comparing import Difference
from spotify_ads_async.trees.plans import LeftOut

__all__ = ["DraftTree", "Unheld"]


class Unheld(msgspec.Struct, frozen=True, kw_only=True):
    """What the draft of an ad set or ad cannot hold, and so lacks.

    It comes when this package publishes the copy, and not otherwise.

    Attributes:
        kind: ad_set or ad.
        name: its name.
        draft_id: its draft.
        values: the attributes with the values that are wanted: ``delivery``, and an ad's own ``start_time`` and
            ``end_time``.
    """

    kind: str
    name: str
    draft_id: str
    values: dict[str, Any]


class DraftTree(msgspec.Struct, frozen=True, kw_only=True):
    """What was made: a campaign's draft with its ad sets and ads.

    Attributes:
        campaign_id: the draft of the campaign; published, it keeps its id.
        ids: from the id of each original to the id of its draft.
        errors: what keeps the draft from going live, empty where nothing does.
        published: whether it is live. Where it is and there are ``differences``, its campaign is paused.
        differences: what is not as it was wanted, empty where all is: of what is live, or else of what the drafts'
            answers tell.
        unheld: what the drafts cannot hold, where they were not published; the campaign's draft is paused then.
        left_out: what the copy does not have, such as what is archived.
        notes: what else cannot be vouched for, in sentences for people.
    """

    campaign_id: str
    ids: dict[str, str]
    errors: list[DraftValidationError]
    published: bool
    differences: list[Difference] = []
    unheld: list[Unheld] = []
    left_out: list[LeftOut] = []
    notes: list[str] = []

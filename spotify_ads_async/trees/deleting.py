"""Deleting drafts: the answer to a deletion is empty, so that only a look tells whether the draft is gone."""

from __future__ import annotations

from collections.abc import Awaitable

from spotify_ads_async.errors import InvalidAnswer, NotFound, OutcomeUnknown, RequestRejected, SpotifyAdsError
from spotify_ads_async.resources import AdAccountResources
from spotify_ads_async.types import Answer

__all__ = ["delete_campaign_draft", "is_there", "require_gone"]

_ANSWERED = "the server answered that the draft is deleted, and"


async def is_there(reading: Awaitable[Answer]) -> bool:
    """Whether what is read by its id is there. A status that says it is deleted stands in no document, and may come."""
    try:
        return str(getattr(await reading, "status", None)) != "DELETED"
    except NotFound:
        return False
    except RequestRejected as refused:
        if refused.status == 400:  # as ids that are not there are refused elsewhere
            return False
        raise


async def require_gone(reading: Awaitable[Answer]) -> None:
    """Take the deletion of a draft for done only where reading the draft afterwards finds none.

    Raises:
        InvalidAnswer: the draft is still there.
        OutcomeUnknown: whether it is there could not be read.
    """
    try:
        if not await is_there(reading):
            return
    except SpotifyAdsError as problem:
        said = f"{_ANSWERED} whether it is gone could not be read ({problem}): look at the drafts"
        raise OutcomeUnknown(said, cause=problem) from None
    raise InvalidAnswer(f"{_ANSWERED} it is still there: look again, and delete it again if it stays")


async def delete_campaign_draft(account: AdAccountResources, draft_id: str) -> None:
    """Delete a campaign's draft with everything in it, and look that it is gone.

    Raises:
        InvalidAnswer: it is still there.
        OutcomeUnknown: whether it is there is not known.
        SpotifyAdsError: what else a call raised.
    """
    await account.drafts.campaigns.delete(draft_id)
    await require_gone(account.drafts.campaigns.get(draft_id))

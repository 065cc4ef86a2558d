"""Making the drafts of a tree, and taking them back where that fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import msgspec

from spotify_ads_async.errors import InvalidAnswer, OutcomeUnknown, SpotifyAdsError
from spotify_ads_async.resources import AdAccountResources
from spotify_ads_async.trees.bodies import AdSetBodies, Bodies

__all__ = ["Made", "Maker", "OnMade", "is_there"]

# Deleting what was made must not hold up a Ctrl-C for ever.
_CLEANUP_SECONDS = 30.0


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A draft that was made.

    Attributes:
        kind: campaign, ad_set or ad.
        name: the draft's name.
        original_id: of what it is a copy.
        draft_id: the draft; published, it keeps its id.
    """

    kind: str
    name: str
    original_id: str
    draft_id: str


OnMade = Callable[[Made], object]


async def is_there(account: AdAccountResources, draft_id: str) -> bool:
    """Whether there is a draft of a campaign. Reading or deleting one that is not there is refused with a 400, as other mistakes are."""
    return bool((await account.drafts.campaigns.list(campaign_ids=[draft_id])).items)


class Maker:
    """Makes drafts one by one, and keeps which draft is whose.

    Args:
        account: where.
        on_made: told of every draft.
    """

    def __init__(self, account: AdAccountResources, on_made: OnMade | None) -> None:
        self._account = account
        self._on_made = on_made
        self.ids: dict[str, str] = {}

    async def campaign(self, parts: Bodies, *, key: str | None = None, begun: Callable[[str], Awaitable[None]] | None = None) -> str:
        """Make a campaign's draft with everything in it; its id.

        Args:
            parts: what to make.
            key: the idempotency key of the campaign's own draft.
            begun: told the id of the campaign's draft, before anything is made in it.

        Raises:
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """
        drafts = self._account.drafts.campaigns
        try:
            made = await drafts.create(parts.body, idempotency_key=key)
        except OutcomeUnknown as unknown:
            unknown.add_note(f"a draft of a campaign named {parts.body.name!r} may have been made: look through the account's drafts")
            raise
        draft_id = self._took("campaign", parts.original_id, made.id, parts.body.name)
        async with _TakingBack(drafts.delete, "the draft of the campaign", lambda: draft_id):
            if begun is not None:
                await begun(draft_id)
            for one in parts.ad_sets:
                await self._ad_set(one, draft_id)
        return draft_id

    async def ad_set(self, parts: AdSetBodies, campaign_id: str) -> None:
        """Make an ad set's draft with its ads, in a campaign.

        Raises:
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """
        async with _TakingBack(self._account.drafts.ad_sets.delete, "the draft of the ad set", lambda: self.ids.get(parts.original_id)):
            try:
                await self._ad_set(parts, campaign_id)
            except OutcomeUnknown as unknown:
                if parts.original_id not in self.ids:
                    unknown.add_note(f"a draft of an ad set named {parts.body.name!r} may be in campaign {campaign_id}: look there")
                raise

    async def _ad_set(self, parts: AdSetBodies, campaign_id: str) -> None:
        body = msgspec.structs.replace(parts.body, campaign_id=campaign_id)
        made = await self._account.drafts.ad_sets.create(body)
        draft_id = self._took("ad_set", parts.original_id, made.id, body.name)
        for original_id, ad in parts.ads:
            one = await self._account.drafts.ads.create(msgspec.structs.replace(ad, ad_set_id=draft_id))
            self._took("ad", original_id, one.id, ad.name)

    def _took(self, kind: str, original_id: str, draft_id: str | None, name: object) -> str:
        if draft_id is None:
            raise InvalidAnswer(f"the answer names no draft of the {kind}", may_have_taken_effect=True)
        self.ids[original_id] = draft_id
        if self._on_made is not None:
            self._on_made(Made(kind=kind, name=str(name), original_id=original_id, draft_id=draft_id))
        return draft_id


class _TakingBack:
    """Deletes a draft, and with it what is in it, where the block fails; the error gets a note of what became of it."""

    def __init__(self, delete: Callable[[str], Awaitable[None]], noun: str, made: Callable[[], str | None]) -> None:
        self._delete = delete
        self._noun = noun
        self._made = made

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        draft_id = self._made()
        if error is None or draft_id is None:
            return
        with anyio.move_on_after(_CLEANUP_SECONDS, shield=True) as waiting:
            try:
                await self._delete(draft_id)
            except SpotifyAdsError as problem:
                error.add_note(f"{self._noun} could not be deleted again and is still there, with id {draft_id}: {problem}")
                return
        if waiting.cancelled_caught:
            error.add_note(f"{self._noun} may still be there, with id {draft_id}: deleting it took longer than {_CLEANUP_SECONDS:.0f} s")
        else:
            error.add_note(f"{self._noun}, {draft_id}, was deleted again with what was in it: nothing is left")

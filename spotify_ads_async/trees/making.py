"""Making the drafts of a tree, and taking them back where that fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec

from spotify_ads_async.core.session import Session
from spotify_ads_async.errors import InvalidAnswer, OutcomeUnknown, SpotifyAdsError
from spotify_ads_async.models import CampaignDraft, CampaignDraftUpdate
from spotify_ads_async.operation import Operation
from spotify_ads_async.operations import CREATE_AD_DRAFT, CREATE_AD_SET_DRAFT, CREATE_CAMPAIGN_DRAFT
from spotify_ads_async.resources import AdAccountResources
from spotify_ads_async.trees.comparing import Difference, differences_in_draft
from spotify_ads_async.trees.deleting import delete_campaign_draft, require_gone
from spotify_ads_async.trees.plans import AdSetPlan, CampaignPlan, PartPlan
from spotify_ads_async.trees.reading import Reader
from spotify_ads_async.trees.tree import json_of
from spotify_ads_async.types import Answer

__all__ = ["Begun", "Made", "Maker", "OnMade", "delete_ad_set_draft", "is_listed"]

# Deleting what was made must not hold up a Ctrl-C for ever.
_CLEANUP_SECONDS = 30.0
_BOOKKEEPING = frozenset(CampaignDraft.__struct_fields__) - frozenset(CampaignDraftUpdate.__struct_fields__)
"""What the server writes into a draft of its own accord."""


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
Begun = Callable[[str], Awaitable[None]]


async def is_listed(account: AdAccountResources, draft_id: str) -> bool:
    """Whether there is a draft of a campaign.

    Reading or deleting one that is not there is refused with a 400, as other mistakes are.
    """
    return bool((await account.drafts.campaigns.list(campaign_ids=[draft_id])).items)


async def delete_ad_set_draft(account: AdAccountResources, draft_id: str, campaign_id: str) -> None:
    """Delete an ad set's draft, and that of its live campaign, which the first one made, where nothing is left in it.

    A campaign's draft that says something else than the campaign is somebody's work, and stays; so does one with a key
    that is newer than this version.

    Args:
        account: with ``keep_json``.
        draft_id: of the ad set.
        campaign_id: of the campaign that it is in.
    """
    await account.drafts.ad_sets.delete(draft_id)
    await require_gone(account.drafts.ad_sets.get(draft_id))
    drafts = (await account.drafts.campaigns.list(campaign_ids=[campaign_id])).items
    if not drafts or (await account.drafts.ad_sets.list(campaign_ids=[campaign_id])).items:
        return
    said, live = json_of(drafts[0]), json_of(await account.campaigns.get(campaign_id))
    # Drafts of what is live are ACTIVE_RESTRICTED, and lack what a draft cannot hold.
    if all(
        name in _BOOKKEEPING or value in (None, live.get(name), "ACTIVE_RESTRICTED") for name, value in said.items()
    ):
        await delete_campaign_draft(account, campaign_id)


class Maker:
    """Makes drafts one by one, and keeps which draft is whose, and what of it is not as it was wanted.

    Args:
        session: what makes the calls.
        ad_account_id: where.
        on_made: told of every draft.
    """

    def __init__(self, session: Session, ad_account_id: str, on_made: OnMade | None) -> None:
        # Plans are held to the rules when they are made; what a newer API gave is for the API to judge.
        self._session = session.with_options(msgspec.structs.replace(session.options, validate=False, keep_json=True))
        self._path = {"ad_account_id": ad_account_id}
        self._account = Reader(session, ad_account_id).account
        self._on_made = on_made
        self.ids: dict[str, str] = {}
        self.differences: list[Difference] = []
        self.took_back = False
        """Whether what was made is deleted again."""

    async def campaign(
        self,
        plan: CampaignPlan,
        *,
        status: str,
        key: str | None = None,
        begun: Begun | None = None,
    ) -> str:
        """Make a campaign's draft with everything in it; its id.

        Args:
            plan: what to make.
            status: of the draft: what the campaign is at once when it is published.
            key: the idempotency key of the campaign's own draft.
            begun: told the id of the campaign's draft, before anything is made in it.

        Raises:
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """
        try:
            made = await self._create(CREATE_CAMPAIGN_DRAFT, {**plan.part.body, "status": status}, key)
        except OutcomeUnknown as unknown:
            unknown.add_note(
                f"a draft of a campaign named {plan.part.name!r} may have been made: look through the account's drafts"
            )
            raise
        draft_id = _id_of("campaign", made)

        async def delete(draft_id: str) -> None:
            await delete_campaign_draft(self._account, draft_id)
            self.took_back = True

        async with _TakingBack(delete, "the draft of the campaign", lambda: draft_id):
            self._took(plan.part, draft_id, made)
            if begun is not None:
                await begun(draft_id)
            for one in plan.ad_sets:
                await self._ad_set(one, draft_id)
        return draft_id

    async def ad_set(
        self, plan: AdSetPlan, campaign_id: str, *, key: str | None = None, begun: Begun | None = None
    ) -> str:
        """Make an ad set's draft with its ads, in a campaign; its id.

        Args:
            plan: what to make.
            campaign_id: where.
            key: the idempotency key of the ad set's own draft.
            begun: told the id of the ad set's draft, before anything is made in it.

        Raises:
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """

        async def delete(draft_id: str) -> None:
            await delete_ad_set_draft(self._account, draft_id, campaign_id)
            self.took_back = True

        original_id = plan.part.original_id
        async with _TakingBack(delete, "the draft of the ad set", lambda: self.ids.get(original_id)):
            try:
                return await self._ad_set(plan, campaign_id, key, begun)
            except OutcomeUnknown as unknown:
                if original_id not in self.ids:
                    unknown.add_note(
                        f"a draft of an ad set named {plan.part.name!r} may be in campaign {campaign_id}: look there"
                    )
                raise

    async def _ad_set(
        self, plan: AdSetPlan, campaign_id: str, key: str | None = None, begun: Begun | None = None
    ) -> str:
        made = await self._create(CREATE_AD_SET_DRAFT, {**plan.part.body, "campaign_id": campaign_id}, key)
        draft_id = self._took(plan.part, _id_of("ad set", made), made)
        if begun is not None:
            await begun(draft_id)
        for ad in plan.ads:
            one = await self._create(CREATE_AD_DRAFT, {**ad.body, "ad_set_id": draft_id})
            self._took(ad, _id_of("ad", one), one)
        return draft_id

    async def _create(self, operation: Operation[Any], body: dict[str, Any], key: str | None = None) -> Any:  # noqa: ANN401 - a draft
        return await self._session.call(operation, path=self._path, body=body, idempotency_key=key)

    def _took(self, part: PartPlan, draft_id: str, made: Answer) -> str:
        self.ids[part.original_id] = draft_id
        self.differences += differences_in_draft(part, made, draft_id)
        if self._on_made is not None:
            self._on_made(Made(kind=part.kind, name=part.name, original_id=part.original_id, draft_id=draft_id))
        return draft_id


def _id_of(noun: str, draft: Any) -> str:  # noqa: ANN401 - a draft
    if not draft.id:
        raise InvalidAnswer(f"the answer names no draft of the {noun}", may_have_taken_effect=True)
    return str(draft.id)


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
                error.add_note(
                    f"{self._noun} could not be deleted again and is still there, with id {draft_id}: {problem}"
                )
                return
        if waiting.cancelled_caught:
            error.add_note(
                f"{self._noun} may still be there, with id {draft_id}: deleting it took longer than"
                f" {_CLEANUP_SECONDS:.0f} s"
            )
        else:
            error.add_note(f"{self._noun}, {draft_id}, was deleted again with what was in it: nothing is left")

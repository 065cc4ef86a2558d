"""Copies: their drafts made by plans, and published; with a receipt, from where an earlier run ended."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import msgspec

from spotify_ads_async.core.session import Session
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.locks import taken_off_loop
from spotify_ads_async.trees.copies import AdSetCopy, CampaignCopy, Copy
from spotify_ads_async.trees.drafts import DraftTree, Unheld
from spotify_ads_async.trees.going_live import GoingLive, Published
from spotify_ads_async.trees.making import Maker, OnMade
from spotify_ads_async.trees.plans import AdSetPlan, CampaignPlan, LeftOut
from spotify_ads_async.trees.products import hold_ad_set, hold_campaigns
from spotify_ads_async.trees.receipts import Event, Receipt

__all__ = ["Copier"]

OnDone: TypeAlias = Callable[[DraftTree], object]


class Copier:
    """Makes what plans say, in one ad account.

    Args:
        session: what makes the calls.
        ad_account_id: where.
        on_made: told of every draft.
    """

    def __init__(self, session: Session, ad_account_id: str, on_made: OnMade | None) -> None:
        self._session = session
        self._ad_account_id = ad_account_id
        self._going_live = GoingLive(session, ad_account_id)
        self._on_made = on_made

    async def ad_set(
        self, plan: AdSetPlan, campaign_id: str, left_out: list[LeftOut], receipt: Path | None, *, publish: bool
    ) -> DraftTree:
        """Make an ad set within a campaign; the other arguments are those of :meth:`campaigns`.

        Raises:
            InvalidRequest: it cannot be made, or the receipt has it already; nothing was sent.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """

        async def hold() -> None:
            await hold_ad_set(self._session, self._ad_account_id, plan.parts(), campaign_id)

        copy = AdSetCopy(
            self._session, self._ad_account_id, self._going_live, plan, campaign_id=campaign_id, left_out=left_out
        )
        return _only(await self._all([copy], receipt, hold, publish=publish), receipt)

    async def campaign(self, plan: CampaignPlan | LeftOut, receipt: Path | None, *, publish: bool) -> DraftTree:
        """Make one campaign; arguments are those of :meth:`campaigns`.

        Raises:
            InvalidRequest: it cannot be made, or the receipt has it already; nothing was sent.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """
        if isinstance(plan, LeftOut):
            raise InvalidRequest(
                f"campaign {plan.original_id} ({plan.name}) is archived, and a copy would run again: nothing was sent",
                path="status",
                rule="not archived",
            )
        return _only(await self.campaigns([plan], receipt, publish=publish), receipt)

    async def campaigns(
        self,
        plans: Sequence[CampaignPlan | LeftOut],
        receipt: Path | None,
        *,
        publish: bool,
        on_done: OnDone | None = None,
    ) -> list[DraftTree]:
        """Make campaigns one by one; those that the receipt has already are left out.

        Args:
            plans: what shall be made; what is left out is not.
            receipt: the file that keeps what is done, or None.
            publish: let each go live if nothing is wrong.
            on_done: told of every campaign that is whole.

        Raises:
            ConfigurationError: another copy works with the receipt.
            InvalidRequest: something cannot be made, or the receipt is of other plans; nothing was sent.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """
        wanted = [plan for plan in plans if isinstance(plan, CampaignPlan)]
        copies = [CampaignCopy(self._session, self._ad_account_id, self._going_live, plan) for plan in wanted]
        return await self._all(
            copies,
            receipt,
            lambda: hold_campaigns(self._session, [plan.parts() for plan in wanted]),
            publish=publish,
            on_done=on_done,
        )

    async def _all(
        self,
        wanted: Sequence[Copy],
        receipt: Path | None,
        hold: Callable[[], Awaitable[None]],
        *,
        publish: bool,
        on_done: OnDone | None = None,
    ) -> list[DraftTree]:
        """Make what is wanted once ``hold`` found nothing wrong with it."""
        if receipt is None:
            await hold()
            return await self._each(wanted, None, publish=publish, on_done=on_done)
        opening = Receipt.opened(receipt, self._ad_account_id)
        kept = await taken_off_loop(opening.__enter__, lambda _: opening.__exit__(None, None, None))
        try:
            _check_unchanged(wanted, kept, receipt)
            await hold()
            return await self._each(wanted, kept, publish=publish, on_done=on_done)
        finally:
            opening.__exit__(None, None, None)

    async def _each(
        self, wanted: Sequence[Copy], kept: Receipt | None, *, publish: bool, on_done: OnDone | None
    ) -> list[DraftTree]:
        done: list[DraftTree] = []
        for copy in wanted:
            try:
                made = await self._one(copy, kept, publish=publish)
            except Exception as error:
                if len(wanted) > 1:
                    ids = ", ".join(one.campaign_id for one in done) or "none"
                    error.add_note(f"{len(done)} of {len(wanted)} campaigns are done: {ids}")
                raise
            if made is not None:
                done.append(made)
                if on_done is not None:
                    on_done(made)
        return done

    async def _one(self, copy: Copy, kept: Receipt | None, *, publish: bool) -> DraftTree | None:
        """Make one copy, or find that it is made: then None."""
        maker = Maker(self._session, self._ad_account_id, self._on_made)

        async def ending(draft_id: str) -> Published:
            return await (copy.publish(draft_id, maker.ids) if publish else copy.check(draft_id, maker.differences))

        if kept is None:
            draft_id = await copy.make(maker, key=None, begun=None)
            return await self._finished(copy, draft_id, maker.ids, ending(draft_id))
        event = kept.of(copy.plan.part.original_id)
        if event is not None and event.whole:
            return await (self._publish_earlier if publish else self._check_earlier)(copy, event, kept)
        if event is not None and event.draft_id:
            await self._delete_half_made(copy, event.draft_id)
            event = None
        if event is None:
            event = Event(
                ad_account_id=self._ad_account_id,
                original_id=copy.plan.part.original_id,
                key=str(uuid.uuid4()),
                digest=copy.plan.digest(),
            )
            await kept.keep(event)

        async def begun(draft_id: str) -> None:
            await kept.keep(msgspec.structs.replace(event, draft_id=draft_id))

        try:
            draft_id = await copy.make(maker, key=event.key, begun=begun)
        except BaseException:
            if maker.took_back:  # the server remembers what it made under the key, and that is gone
                anew = msgspec.structs.replace(event, key=str(uuid.uuid4()))
                with anyio.CancelScope(shield=True):
                    await kept.keep(anew)
            raise
        whole = msgspec.structs.replace(event, draft_id=draft_id, ids=maker.ids, whole=True, found=maker.differences)
        # Before it is published: what may be live is never made twice.
        await kept.keep(whole)
        return await self._recorded(copy, whole, kept, ending(draft_id))

    async def _delete_half_made(self, copy: Copy, draft_id: str) -> None:
        # What is live may have a draft of the same id, in which somebody is at work.
        if await copy.is_live(draft_id):
            noun = copy.plan.part.noun
            raise InvalidRequest(
                f"{noun} {copy.plan.part.name} was half made when an earlier run ended, and somebody published it"
                f" since: {noun} {draft_id} is live and may lack parts; archive it, take its lines out of the"
                " receipt, and run it again",
                path="receipt",
                rule="a draft that nobody published",
            )
        if await copy.is_draft(draft_id):
            await copy.delete(draft_id)

    async def _recorded(
        self, copy: Copy, whole: Event, kept: Receipt, ending: Coroutine[Any, Any, Published]
    ) -> DraftTree:
        made = await self._finished(copy, whole.draft_id, whole.ids, ending)
        if made.published:
            live = msgspec.structs.replace(whole, published=True, differs=bool(made.differences))
            await kept.keep(live)
        elif not made.errors and not made.differences:
            await kept.keep(msgspec.structs.replace(whole, valid=True))
        return made

    async def _check_earlier(self, copy: Copy, event: Event, kept: Receipt) -> DraftTree | None:
        """Say again what is wrong with drafts that an earlier run made, None where nothing is, or they are live."""
        if event.valid or event.published or await copy.is_live(event.draft_id):
            return None
        if not await copy.is_draft(event.draft_id):
            return None
        return await self._recorded(copy, event, kept, copy.check(event.draft_id, event.found))

    async def _publish_earlier(self, copy: Copy, event: Event, kept: Receipt) -> DraftTree | None:
        """Publish what an earlier run made; where that went live and ended early, go on from there.

        Where it went live and was not as it was wanted, compare again.
        """
        if event.published and not event.differs:
            return None
        draft_id, ids = event.draft_id, event.ids
        # What is live may have a draft of the same id, in which somebody is at work.
        if await copy.is_live(draft_id):
            ending = copy.compared if event.differs else copy.finish
            return await self._recorded(copy, event, kept, ending(draft_id, ids))
        if await copy.is_draft(draft_id):
            return await self._recorded(copy, event, kept, copy.publish(draft_id, ids))
        raise InvalidRequest(
            f"the draft {draft_id} of {copy.plan.part.noun} {copy.plan.part.name} is neither a draft any more nor"
            " live: somebody deleted it; take its lines out of the receipt to make it anew",
            path="receipt",
            rule="drafts that are there",
        )

    async def _finished(
        self, copy: Copy, draft_id: str, ids: dict[str, str], ending: Coroutine[Any, Any, Published]
    ) -> DraftTree:
        """Validate drafts that are complete, or publish them; what is there in the end."""
        campaign_id, parts = copy.campaign_id(draft_id), copy.plan.parts()
        try:
            done = await ending
        except BaseException as error:
            error.add_note(
                f"the draft of campaign {campaign_id} is complete and stays, unless it went live: look at it, and"
                " validate and publish it, or delete it"
            )
            raise
        unheld = [
            Unheld(kind=part.kind, name=part.name, draft_id=ids[part.original_id], values=part.unheld)
            for part in parts
            if part.unheld and not done.live
        ]
        notes = [f"{part.noun} {part.name}: {note}" for part in parts for note in part.notes]
        return DraftTree(
            campaign_id=campaign_id,
            ids=ids,
            errors=done.errors,
            published=done.live,
            differences=done.differences,
            unheld=unheld,
            left_out=copy.left_out,
            notes=[*notes, *done.notes],
        )


def _only(done: list[DraftTree], receipt: Path | None) -> DraftTree:
    if not done:
        raise InvalidRequest(
            f"the receipt {receipt} has this copy already, whole: nothing was sent; name another receipt to make"
            " another copy",
            path="receipt",
            rule="of a copy that is not whole",
        )
    return done[0]


def _check_unchanged(wanted: Sequence[Copy], kept: Receipt, path: Path) -> None:
    """Refuse to go on with what was begun from other lines, or with other arguments."""
    changed = [
        copy.plan.part.name
        for copy in wanted
        if (event := kept.of(copy.plan.part.original_id)) is not None and event.digest != copy.plan.digest()
    ]
    if changed:
        shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} others" if len(changed) > 3 else "")
        raise InvalidRequest(
            f"the receipt {path} is of other lines or options: {shown}. Import the same file with the same names, start"
            " and rates, or name another receipt to make everything once more; nothing was sent",
            path="receipt",
            rule="of the same file and options",
        )

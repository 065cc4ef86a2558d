"""The campaign trees of one ad account."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread
import msgspec

from spotify_ads_async.core.files import whole_file_off_loop
from spotify_ads_async.core.session import Session
from spotify_ads_async.errors import InvalidRequest, SpotifyAdsError
from spotify_ads_async.models import CampaignStatus, DraftValidationError, PublishAction
from spotify_ads_async.resources import AdAccountResources
from spotify_ads_async.trees.comparing import Difference
from spotify_ads_async.trees.files import KINDS, line_of, parse, read_file
from spotify_ads_async.trees.going_live import GoingLive, Published
from spotify_ads_async.trees.making import Maker, OnMade, is_there
from spotify_ads_async.trees.plans import AdSetPlan, CampaignPlan, LeftOut, PartPlan, Planner, copy_name, shift
from spotify_ads_async.trees.products import hold_ad_set, hold_campaigns
from spotify_ads_async.trees.rates import Rates, read_rates
from spotify_ads_async.trees.reading import Reader
from spotify_ads_async.trees.receipts import Event, Receipt
from spotify_ads_async.trees.tree import CampaignTree, Rename, same
from spotify_ads_async.types import Answer

__all__ = ["DraftTree", "Trees", "Unheld"]

_ARCHIVED = "ARCHIVED"


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
        differences: what is live and not as it was wanted, empty where all is.
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


class Trees:
    """Campaigns with everything in them, of one ad account."""

    def __init__(self, session: Session, ad_account_id: str) -> None:
        self._session = session
        self._account = AdAccountResources(session, ad_account_id)
        self._ad_account_id = ad_account_id
        self._reader = Reader(session, ad_account_id)
        self._going_live = GoingLive(session, ad_account_id)

    # ---- reading

    async def read(self, campaign_id: str, *, archived: bool = False) -> CampaignTree:
        """A campaign with its ad sets and ads; those that are archived only if asked for."""
        return await self._reader.read(campaign_id, archived=archived)

    # ---- cloning

    async def clone_campaign(
        self,
        campaign_id: str,
        *,
        name: str | None = None,
        rename: Rename | None = None,
        start: datetime | None = None,
        publish: bool = False,
        on_made: OnMade | None = None,
        ignore: Collection[str] = (),
    ) -> DraftTree:
        """Make a campaign anew, with its ad sets and ads.

        What is paused stays paused: the campaign is published paused, what drafts cannot hold is set, what is there is
        compared with what was wanted, and only then does it run, if the original does.

        Args:
            campaign_id: the campaign to clone.
            name: the new campaign's name; the old one with " (copy)" if left out.
            rename: from the old name of an ad set or ad to its new one; the same if left out.
            start: when the first ad set shall start; all dates move alike, those of ads too. They stay if left out.
            publish: go live if nothing is wrong.
            on_made: told of every draft as it is made.
            ignore: keys, such as ones that a newer API gave, which are left out of the copy and of the comparison.

        Raises:
            InvalidRequest: something in it cannot be made; nothing was sent.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """
        tree = await self._reader.read(campaign_id, archived=True)
        planner = Planner(rename or same, start=start, ignore=ignore)
        return await self._create(
            planner.campaign(tree, name or copy_name(tree.campaign.name or "")), publish=publish, on_made=on_made
        )

    async def clone_ad_set(
        self,
        ad_set_id: str,
        *,
        name: str | None = None,
        rename: Rename | None = None,
        start: datetime | None = None,
        publish: bool = False,
        on_made: OnMade | None = None,
        ignore: Collection[str] = (),
    ) -> DraftTree:
        """Make an ad set anew, with its ads, in the same campaign; arguments are those of :meth:`clone_campaign`.

        Publishing publishes whatever else is in the campaign's draft. Where a draft cannot hold that something is off,
        or an ad's own flight, the ad set is published only into a campaign that is paused.

        Raises:
            InvalidRequest: something in it cannot be made; nothing was sent.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """
        ad_set = await self._reader.ad_set(ad_set_id)
        (tree,) = await self._reader.ad_sets([ad_set], archived=True)
        left_out: list[LeftOut] = []
        planner = Planner(rename or same, ignore=ignore)
        plan = planner.ad_set(tree, shift([tree], start), left_out, name=name or copy_name(ad_set.name or ""))
        campaign_id = ad_set.campaign_id or ""
        await hold_ad_set(self._session, self._ad_account_id, plan.parts(), campaign_id)
        alone = not await is_there(self._account, campaign_id)
        maker = Maker(self._session, self._ad_account_id, on_made)
        await maker.ad_set(plan, campaign_id, alone=alone)
        return await self._finished(
            campaign_id,
            maker.ids,
            plan.parts(),
            left_out,
            self._publishing_ad_set(plan, campaign_id, maker.ids) if publish else None,
        )

    async def create(
        self,
        tree: CampaignTree,
        *,
        rename: Rename | None = None,
        start: datetime | None = None,
        publish: bool = False,
        on_made: OnMade | None = None,
        ignore: Collection[str] = (),
    ) -> DraftTree:
        """Make the drafts of a tree; arguments are those of :meth:`clone_campaign`.

        Its amounts are in the account's currency.
        Keys that are newer than this version are carried where a part still has the JSON that it was read from.

        Raises:
            InvalidRequest: something in it cannot be made; nothing was sent.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """
        planner = Planner(rename or same, start=start, ignore=ignore)
        return await self._create(planner.campaign(tree, tree.campaign.name or ""), publish=publish, on_made=on_made)

    async def _create(self, plan: CampaignPlan | LeftOut, *, publish: bool, on_made: OnMade | None) -> DraftTree:
        if isinstance(plan, LeftOut):
            raise InvalidRequest(
                f"campaign {plan.original_id} ({plan.name}) is archived, and a copy would run again: nothing was sent",
                path="status",
                rule="not archived",
            )
        await hold_campaigns(self._session, [plan.parts()])
        maker = Maker(self._session, self._ad_account_id, on_made)
        draft_id = await maker.campaign(plan, status=_status(plan, publish=publish))
        return await self._finished(
            draft_id, maker.ids, plan.parts(), plan.left_out, self._publishing(plan, draft_id, maker.ids, publish)
        )

    # ---- checking and publishing

    def _publishing(
        self,
        plan: CampaignPlan,
        campaign_id: str,
        ids: Mapping[str, str],
        publish: bool,  # noqa: FBT001 - handed on
    ) -> Callable[[], Awaitable[Published]] | None:
        return (lambda: self._going_live.campaign(plan, campaign_id, ids)) if publish else None

    def _publishing_ad_set(
        self, plan: AdSetPlan, campaign_id: str, ids: Mapping[str, str]
    ) -> Callable[[], Awaitable[Published]]:
        return lambda: self._going_live.ad_set(plan, campaign_id, ids)

    async def _finished(
        self,
        campaign_id: str,
        ids: dict[str, str],
        parts: list[PartPlan],
        left_out: list[LeftOut],
        publish: Callable[[], Awaitable[Published]] | None,
    ) -> DraftTree:
        """Validate drafts that are complete, or publish them; what is there in the end."""
        try:
            done = Published(errors=await self.validate(campaign_id), notes=[]) if publish is None else await publish()
        except SpotifyAdsError as error:
            error.add_note(
                f"the draft of campaign {campaign_id} is complete and stays, unless it went live: then the campaign is"
                " paused; look at it, and validate and publish it, or delete it"
            )
            raise
        unheld = [
            Unheld(kind=part.kind, name=part.name, draft_id=ids[part.original_id], values=part.unheld)
            for part in parts
            if part.unheld and not done.live
        ]
        notes = [f"{part.kind.replace('_', ' ')} {part.name}: {note}" for part in parts for note in part.notes]
        return DraftTree(
            campaign_id=campaign_id,
            ids=ids,
            errors=done.errors,
            published=done.live,
            differences=done.differences,
            unheld=unheld,
            left_out=left_out,
            notes=[*notes, *done.notes],
        )

    async def version(self, campaign_id: str) -> int:
        """The version of a campaign's draft.

        It rises with every change of anything in it (``draft_hierarchy_version``).
        """
        return (await self._going_live.draft(campaign_id))[1]

    async def validate(self, campaign_id: str, *, version: int | None = None) -> list[DraftValidationError]:
        """What keeps a campaign's draft from going live, empty where nothing does; the version is read if left out."""
        return await self._act(campaign_id, PublishAction.VALIDATE, version)

    async def publish(self, campaign_id: str, *, version: int | None = None) -> list[DraftValidationError]:
        """Make a campaign's draft live as it is, at this version or at the one that it has now.

        The errors are empty where it is.
        What the draft of a copy could not hold (:attr:`DraftTree.unheld`) is not set by this.
        """
        return await self._act(campaign_id, PublishAction.PUBLISH, version)

    async def _act(self, campaign_id: str, action: PublishAction, version: int | None) -> list[DraftValidationError]:
        known = await self.version(campaign_id) if version is None else version
        return (await self._going_live.act(campaign_id, action, known)).validation_errors or []

    # ---- files

    async def export(
        self, file: str | os.PathLike[str], *, archived: bool = False, on_line: Callable[[], object] | None = None
    ) -> dict[str, int]:
        """Write every campaign, ad set and ad of the account as JSON Lines, parents before children; how many of each.

        Each line is an object with ``kind`` (campaign, ad_set or ad) and the attributes that the API answers, those too
        that are newer than this version: ``newer`` names them. The file is there when it is whole: until then its name
        ends in ``.part``.
        """
        counts = dict.fromkeys(KINDS, 0)
        async with whole_file_off_loop(Path(file)) as place, await anyio.open_file(place, "wb") as out:
            async for kind, line in self.lines(archived=archived):
                await out.write(line)
                counts[kind] += 1
                if on_line is not None:
                    on_line()
        return counts

    async def lines(self, *, archived: bool = False) -> AsyncIterator[tuple[str, bytes]]:
        """The lines of :meth:`export` one by one, each with its kind.

        Only what is archived is left out, with what is in it.
        """
        written: set[str | None] = set()
        async for kind, parent, one in self._everything():
            found = cast("Any", one)
            # A parent that is not in the file is archived, or was made while this reads.
            if (archived or found.status != _ARCHIVED) and (kind == "campaign" or parent in written):
                written.add(found.id)
                yield kind, line_of(kind, one)

    async def _everything(self) -> AsyncIterator[tuple[str, str | None, Answer]]:
        account = self._reader.account
        async for campaign in account.campaigns.list():
            yield "campaign", None, campaign
        async for ad_set in account.ad_sets.list():
            yield "ad_set", ad_set.campaign_id, ad_set
        async for ad in account.ads.list():
            yield "ad", ad.ad_set_id, ad

    async def load(
        self,
        file: str | os.PathLike[str],
        *,
        receipt: str | os.PathLike[str] | None = None,
        rename: Rename | None = None,
        start: datetime | None = None,
        publish: bool = False,
        on_made: OnMade | None = None,
        on_done: Callable[[DraftTree], object] | None = None,
        rates: Mapping[str, Decimal | str | int] | None = None,
        ignore: Collection[str] = (),
    ) -> list[DraftTree]:
        """Make what an exported file holds, campaign by campaign; arguments are those of :meth:`clone_campaign`.

        Assets and audiences keep their ids, so they must be there in this ad account. What is archived is left out. An
        error ends it: campaigns that are done stay as drafts, or live.

        Args:
            file: as :meth:`export` writes it.
            receipt: a file that keeps what is done, step by step; one import at a time works with it. With the receipt
                of an import that ended early, the next one leaves out what is whole (or publishes it, if asked), and
                makes anew what was half made, whose drafts it deletes first.
            rename: from the old name of a campaign, ad set or ad to its new one; the same if left out.
            start: when the first ad set of each campaign shall start; all dates in it move alike.
            publish: let each campaign go live if nothing is wrong.
            on_made: told of every draft as it is made.
            on_done: told of every campaign that is whole.
            rates: for budgets in other currencies: units of the account's currency for one of theirs, as ``{"JPY":
                "0.0067"}``.
            ignore: keys that may be unknown; they are left out of the copies and of the comparison.

        Returns:
            The campaigns that this import made.

        Raises:
            ConfigurationError: another import works with the receipt.
            InvalidRequest: a line cannot be read or made, holds a key that is not known, or a budget in another
                currency; its parent is not in the file; or the receipt is of another file, or of other arguments.
                Nothing was sent but a read of the ad account.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts, and how many campaigns are
                done.
        """
        stated = read_rates(rates or {})
        trees = parse(await anyio.to_thread.run_sync(read_file, Path(file)), ignore=ignore)
        planner = Planner(rename or same, start=start, rates=await self._rates(trees, stated), ignore=ignore)
        plans = [planner.campaign(tree, (rename or same)(tree.campaign.name or "")) for tree in trees]
        if receipt is None:
            return await self._load(plans, None, publish=publish, on_made=on_made, on_done=on_done)
        opening = Receipt.opened(Path(receipt), self._ad_account_id)
        kept = await anyio.to_thread.run_sync(opening.__enter__)
        try:
            _check_unchanged(plans, kept, Path(receipt))
            return await self._load(plans, kept, publish=publish, on_made=on_made, on_done=on_done)
        finally:
            opening.__exit__(None, None, None)

    async def _rates(self, trees: list[CampaignTree], stated: Mapping[str, Decimal]) -> Rates | None:
        """The ad account is asked for its currency where the file holds any amount."""
        if not any(tree.ad_sets for tree in trees):
            return None
        return Rates(((await self._account.get()).currency_code or "").upper(), stated)

    async def _load(
        self,
        plans: list[CampaignPlan | LeftOut],
        kept: Receipt | None,
        *,
        publish: bool,
        on_made: OnMade | None,
        on_done: Callable[[DraftTree], object] | None,
    ) -> list[DraftTree]:
        done: list[DraftTree] = []
        wanted = [plan for plan in plans if isinstance(plan, CampaignPlan)]
        await hold_campaigns(self._session, [plan.parts() for plan in wanted])
        for plan in wanted:
            try:
                made = await self._load_one(plan, kept, publish=publish, on_made=on_made)
            except Exception as error:
                error.add_note(
                    f"{len(done)} of {len(wanted)} campaigns are done:"
                    f" {', '.join(one.campaign_id for one in done) or 'none'}"
                )
                raise
            if made is not None:
                done.append(made)
                if on_done is not None:
                    on_done(made)
        return done

    async def _load_one(
        self, plan: CampaignPlan, kept: Receipt | None, *, publish: bool, on_made: OnMade | None
    ) -> DraftTree | None:
        """Make one campaign, or find that it is made: then None."""
        maker = Maker(self._session, self._ad_account_id, on_made)
        status = _status(plan, publish=publish)
        if kept is None:
            draft_id = await maker.campaign(plan, status=status)
            publishing = self._publishing(plan, draft_id, maker.ids, publish)
            return await self._finished(draft_id, maker.ids, plan.parts(), plan.left_out, publishing)
        event = kept.of(plan.part.original_id)
        if event is not None and event.whole:
            return await self._publish_earlier(plan, event, kept) if publish and not event.published else None
        if event is not None and event.draft_id:
            await self._delete_half_made(plan, event.draft_id)
            event = None
        if event is None:
            event = Event(
                ad_account_id=self._ad_account_id,
                original_id=plan.part.original_id,
                key=str(uuid.uuid4()),
                digest=plan.digest(),
            )
            await anyio.to_thread.run_sync(kept.write, event)

        async def begun(draft_id: str) -> None:
            await anyio.to_thread.run_sync(kept.write, msgspec.structs.replace(event, draft_id=draft_id))

        draft_id = await maker.campaign(plan, status=status, key=event.key, begun=begun)
        whole = msgspec.structs.replace(event, draft_id=draft_id, ids=maker.ids, whole=True)
        # Before it is published: what may be live is never made twice.
        await anyio.to_thread.run_sync(kept.write, whole)
        return await self._recorded(plan, whole, kept, self._publishing(plan, draft_id, maker.ids, publish))

    async def _delete_half_made(self, plan: CampaignPlan, draft_id: str) -> None:
        if await is_there(self._account, draft_id):
            await self._account.drafts.campaigns.delete(draft_id)
        elif await self._going_live.is_live(draft_id):
            raise InvalidRequest(
                f"campaign {plan.part.name} was half made when an earlier import ended, and somebody published it"
                f" since: campaign {draft_id} is live and may lack parts; archive it, take its lines out of the"
                " receipt, and import again",
                path="receipt",
                rule="a draft that nobody published",
            )

    async def _recorded(
        self, plan: CampaignPlan, whole: Event, kept: Receipt, publish: Callable[[], Awaitable[Published]] | None
    ) -> DraftTree:
        made = await self._finished(whole.draft_id, whole.ids, plan.parts(), plan.left_out, publish)
        if made.published:
            await anyio.to_thread.run_sync(kept.write, msgspec.structs.replace(whole, published=True))
        return made

    async def _publish_earlier(self, plan: CampaignPlan, event: Event, kept: Receipt) -> DraftTree:
        """Publish what an earlier import made; where that went live and ended early, go on from there."""
        campaign_id, ids = event.draft_id, event.ids
        if await is_there(self._account, campaign_id):
            return await self._recorded(plan, event, kept, self._publishing(plan, campaign_id, ids, publish=True))
        if await self._going_live.is_live(campaign_id):
            return await self._recorded(
                plan, event, kept, lambda: self._going_live.finish(plan, campaign_id, ids, Published(notes=[]))
            )
        raise InvalidRequest(
            f"the draft {campaign_id} of campaign {plan.part.name} is neither a draft any more nor live: somebody"
            " deleted it; take its lines out of the receipt to make it anew",
            path="receipt",
            rule="drafts that are there",
        )


def _status(plan: CampaignPlan, *, publish: bool) -> str:
    """The status of a campaign's draft: what it is at once when it is published, by whomever."""
    return CampaignStatus.PAUSED if publish or plan.unheld() or not plan.runs else CampaignStatus.ACTIVE


def _check_unchanged(plans: list[CampaignPlan | LeftOut], kept: Receipt, path: Path) -> None:
    """Refuse to go on with what was begun from other lines, or with other arguments."""
    changed = [
        plan.part.name
        for plan in plans
        if isinstance(plan, CampaignPlan)
        and (event := kept.of(plan.part.original_id)) is not None
        and event.digest != plan.digest()
    ]
    if changed:
        shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} others" if len(changed) > 3 else "")
        raise InvalidRequest(
            f"the receipt {path} is of other lines or options: {shown}. Import the same file with the same names, start"
            " and rates, or name another receipt to make everything once more; nothing was sent",
            path="receipt",
            rule="of the same file and options",
        )

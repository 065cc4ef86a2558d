"""The campaign trees of one ad account."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread
import msgspec

from spotify_ads_async.core.session import Session
from spotify_ads_async.errors import InvalidAnswer, RequestRejected, SpotifyAdsError
from spotify_ads_async.models import Ad, AdSet, CampaignDraftPublish, DraftValidationError, PublishAction
from spotify_ads_async.resources import AdAccountResources
from spotify_ads_async.trees.bodies import AdSetTree, Bodies, CampaignTree, Rename, ad_set_bodies, bodies, same, shift
from spotify_ads_async.trees.files import KINDS, Event, Receipt, line_of, parse
from spotify_ads_async.trees.making import Maker, OnMade, is_there
from spotify_ads_async.trees.products import hold_ad_set, hold_campaigns
from spotify_ads_async.types import Answer, decode_hook

__all__ = ["DraftTree", "Trees"]

_ARCHIVED = "ARCHIVED"
_PARENTS = 50


class DraftTree(msgspec.Struct, frozen=True, kw_only=True):
    """What was made: a campaign's draft with its ad sets and ads.

    Attributes:
        campaign_id: the draft of the campaign; published, it keeps its id.
        ids: from the id of each original to the id of its draft.
        errors: what keeps the draft from going live, empty where nothing does.
        published: whether it is live.
    """

    campaign_id: str
    ids: dict[str, str]
    errors: list[DraftValidationError]
    published: bool


class Trees:
    """Campaigns with everything in them, of one ad account."""

    def __init__(self, session: Session, ad_account_id: str) -> None:
        self._session = session
        self._account = AdAccountResources(session, ad_account_id)
        self._ad_account_id = ad_account_id

    # ---- reading

    async def read(self, campaign_id: str, *, archived: bool = False) -> CampaignTree:
        """A campaign with its ad sets and ads; those that are archived only if asked for."""
        campaign = await self._account.campaigns.get(campaign_id)
        ad_sets = [one async for one in self._account.ad_sets.list(campaign_ids=[campaign_id]) if archived or one.status != _ARCHIVED]
        return CampaignTree(campaign=campaign, ad_sets=await self._with_ads(ad_sets, archived=archived))

    async def _with_ads(self, ad_sets: Sequence[AdSet], *, archived: bool) -> list[AdSetTree]:
        ads: dict[str, list[Ad]] = {}
        ids = [one.id for one in ad_sets if one.id is not None]
        for start in range(0, len(ids), _PARENTS):
            async for ad in self._account.ads.list(ad_set_ids=ids[start : start + _PARENTS]):
                if archived or ad.status != _ARCHIVED:
                    ads.setdefault(ad.ad_set_id or "", []).append(ad)
        return [AdSetTree(ad_set=one, ads=ads.get(one.id or "", [])) for one in ad_sets]

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
    ) -> DraftTree:
        """Make a campaign anew, with its ad sets and ads.

        Args:
            campaign_id: the campaign to clone.
            name: the new campaign's name; the old one with " (copy)" if left out.
            rename: from the old name of an ad set or ad to its new one; the same if left out.
            start: when the first ad set shall start; all dates move alike. They stay if left out.
            publish: go live if nothing is wrong.
            on_made: told of every draft as it is made.

        Raises:
            InvalidRequest: something in it cannot be made; nothing was sent.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """
        tree = await self.read(campaign_id)
        campaign = msgspec.structs.replace(tree.campaign, name=name or f"{tree.campaign.name} (copy)")
        copy = msgspec.structs.replace(tree, campaign=campaign)
        return await self.create(copy, rename=rename, start=start, publish=publish, on_made=on_made)

    async def clone_ad_set(
        self,
        ad_set_id: str,
        *,
        name: str | None = None,
        rename: Rename | None = None,
        start: datetime | None = None,
        publish: bool = False,
        on_made: OnMade | None = None,
    ) -> DraftTree:
        """Make an ad set anew, with its ads, in the same campaign; arguments are those of :meth:`clone_campaign`.

        Publishing publishes whatever else is in the campaign's draft.

        Raises:
            InvalidRequest: something in it cannot be made; nothing was sent.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """
        ad_set = await self._account.ad_sets.get(ad_set_id)
        (tree,) = await self._with_ads([ad_set], archived=False)
        parts = ad_set_bodies(tree, rename or same, shift([tree], start), name=name or f"{ad_set.name} (copy)")
        await hold_ad_set(self._session, self._ad_account_id, parts, ad_set.campaign_id or "")
        maker = Maker(self._account, on_made)
        await maker.ad_set(parts, ad_set.campaign_id or "")
        return await self._finished(ad_set.campaign_id or "", maker.ids, publish=publish)

    async def create(
        self,
        tree: CampaignTree,
        *,
        rename: Rename | None = None,
        start: datetime | None = None,
        publish: bool = False,
        on_made: OnMade | None = None,
    ) -> DraftTree:
        """Make the drafts of a tree; arguments are those of :meth:`clone_campaign`.

        Raises:
            InvalidRequest: something in it cannot be made; nothing was sent.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """
        parts = bodies(tree, rename or same, shift(tree.ad_sets, start))
        await hold_campaigns(self._session, [parts])
        maker = Maker(self._account, on_made)
        draft_id = await maker.campaign(parts)
        return await self._finished(draft_id, maker.ids, publish=publish)

    # ---- checking and publishing

    async def _finished(self, campaign_id: str, ids: dict[str, str], *, publish: bool) -> DraftTree:
        try:
            errors = await self.validate(campaign_id)
            if publish and not errors:
                errors = await self.publish(campaign_id)
        except SpotifyAdsError as error:
            live = " unless it went live" if error.may_have_taken_effect else ""
            error.add_note(f"the draft of campaign {campaign_id} is complete and stays{live}: validate and publish it, or delete it")
            raise
        return DraftTree(campaign_id=campaign_id, ids=ids, errors=errors, published=publish and not errors)

    async def version(self, campaign_id: str) -> int:
        """The version of a campaign's draft: it rises with every change of anything in it (``draft_hierarchy_version``)."""
        draft = await self._account.drafts.campaigns.get(campaign_id)
        if draft.draft_hierarchy_version is None:
            raise InvalidAnswer("the draft has no version", operation="getCampaignDraft")
        return draft.draft_hierarchy_version

    async def validate(self, campaign_id: str, *, version: int | None = None) -> list[DraftValidationError]:
        """What keeps a campaign's draft from going live, empty where nothing does; the version is read if left out."""
        return await self._act(campaign_id, PublishAction.VALIDATE, version)

    async def publish(self, campaign_id: str, *, version: int | None = None) -> list[DraftValidationError]:
        """Make a campaign's draft live, at this version or at the one that it has now; the errors are empty where it is."""
        return await self._act(campaign_id, PublishAction.PUBLISH, version)

    async def _act(self, campaign_id: str, action: PublishAction, version: int | None) -> list[DraftValidationError]:
        known = await self.version(campaign_id) if version is None else version
        body = CampaignDraftPublish(action=action, draft_hierarchy_version=known)
        try:
            return (await self._account.drafts.campaigns.publish(campaign_id, body)).validation_errors or []
        except RequestRejected as refused:
            # What is wrong with a draft comes with a 400.
            found = refused.details.get("validation_errors")
            if not found:
                raise
            return msgspec.convert(found, list[DraftValidationError], dec_hook=decode_hook)

    # ---- files

    async def export(
        self, file: str | os.PathLike[str], *, archived: bool = False, on_line: Callable[[], object] | None = None
    ) -> dict[str, int]:
        """Write every campaign, ad set and ad of the account as JSON Lines, parents before children; how many of each.

        Each line is an object with ``kind`` (campaign, ad_set or ad) and the attributes that the API answers. The file is there
        when it is whole: until then its name ends in ``.part``.
        """
        counts = dict.fromkeys(KINDS, 0)
        path = Path(file)
        part = path.with_name(f"{path.name}.part")
        try:
            async with await anyio.open_file(part, "wb") as out:
                async for kind, line in self.lines(archived=archived):
                    await out.write(line)
                    counts[kind] += 1
                    if on_line is not None:
                        on_line()
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        part.replace(path)
        return counts

    async def lines(self, *, archived: bool = False) -> AsyncIterator[tuple[str, bytes]]:
        """The lines of :meth:`export` one by one, each with its kind; only what is archived is left out, with what is in it."""
        written: set[str | None] = set()
        async for kind, parent, one in self._everything():
            found = cast("Any", one)
            # A parent that is not in the file is archived, or was made while this reads.
            if (archived or found.status != _ARCHIVED) and (kind == "campaign" or parent in written):
                written.add(found.id)
                yield kind, line_of(kind, one)

    async def _everything(self) -> AsyncIterator[tuple[str, str | None, Answer]]:
        async for campaign in self._account.campaigns.list():
            yield "campaign", None, campaign
        async for ad_set in self._account.ad_sets.list():
            yield "ad_set", ad_set.campaign_id, ad_set
        async for ad in self._account.ads.list():
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
    ) -> list[DraftTree]:
        """Make what an exported file holds, campaign by campaign; arguments are those of :meth:`clone_campaign`.

        Assets and audiences keep their ids, so they must be there in this ad account. An error ends it: campaigns that are
        done stay as drafts, or live.

        Args:
            file: as :meth:`export` writes it.
            receipt: a file that keeps what is done, step by step. With the receipt of an import that ended early, the next one
                leaves out what is whole (or publishes it, if asked), and makes anew what was half made, whose drafts it deletes first.
            rename: from the old name of a campaign, ad set or ad to its new one; the same if left out.
            start: when the first ad set of each campaign shall start; all dates in it move alike.
            publish: let each campaign go live if nothing is wrong.
            on_made: told of every draft as it is made.
            on_done: told of every campaign that is whole.

        Returns:
            The campaigns that this import made.

        Raises:
            InvalidRequest: a line cannot be read or made, or its parent is not in the file; nothing was sent.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts, and how many campaigns are done.
        """
        trees = parse(await anyio.to_thread.run_sync(Path(file).read_bytes))
        name = rename or same
        planned: list[Bodies] = []
        for tree in trees:
            campaign = msgspec.structs.replace(tree.campaign, name=name(tree.campaign.name or ""))
            planned.append(bodies(msgspec.structs.replace(tree, campaign=campaign), name, shift(tree.ad_sets, start)))
        await hold_campaigns(self._session, planned)
        kept = None if receipt is None else await anyio.to_thread.run_sync(Receipt, Path(receipt), self._ad_account_id)
        done: list[DraftTree] = []
        for parts in planned:
            try:
                made = await self._load_one(parts, kept, publish=publish, on_made=on_made)
            except SpotifyAdsError as error:
                error.add_note(f"{len(done)} of {len(trees)} campaigns are done: {', '.join(one.campaign_id for one in done) or 'none'}")
                raise
            if made is not None:
                done.append(made)
                if on_done is not None:
                    on_done(made)
        return done

    async def _load_one(self, parts: Bodies, kept: Receipt | None, *, publish: bool, on_made: OnMade | None) -> DraftTree | None:
        """Make one campaign, or find that it is made: then None."""
        maker = Maker(self._account, on_made)
        if kept is None:
            return await self._finished(await maker.campaign(parts), maker.ids, publish=publish)
        event = kept.of(parts.original_id)
        if event is not None and event.whole:
            return await self._publish_earlier(event, kept) if publish and not event.published else None
        if event is not None and event.draft_id:
            if await is_there(self._account, event.draft_id):
                await self._account.drafts.campaigns.delete(event.draft_id)
            event = None
        if event is None:
            event = Event(ad_account_id=self._ad_account_id, original_id=parts.original_id, key=str(uuid.uuid4()))
            await anyio.to_thread.run_sync(kept.write, event)

        async def begun(draft_id: str) -> None:
            await anyio.to_thread.run_sync(kept.write, msgspec.structs.replace(event, draft_id=draft_id))

        draft_id = await maker.campaign(parts, key=event.key, begun=begun)
        whole = msgspec.structs.replace(event, draft_id=draft_id, whole=True)
        # Before it is published: what may be live is never made twice.
        await anyio.to_thread.run_sync(kept.write, whole)
        return await self._recorded(whole, kept, maker.ids, publish=publish)

    async def _recorded(self, whole: Event, kept: Receipt, ids: dict[str, str], *, publish: bool) -> DraftTree:
        made = await self._finished(whole.draft_id, ids, publish=publish)
        if made.published:
            await anyio.to_thread.run_sync(kept.write, msgspec.structs.replace(whole, published=True))
        return made

    async def _publish_earlier(self, event: Event, kept: Receipt) -> DraftTree | None:
        """Publish what an earlier import made; None where its draft is gone: it is live, or somebody deleted it."""
        if not await is_there(self._account, event.draft_id):
            return None
        return await self._recorded(event, kept, {event.original_id: event.draft_id}, publish=True)

"""Campaigns with everything in them: cloned under new names and dates, written to a file, and made from one.

Everything is made as drafts, which deliver nothing, and is checked as a whole (publishCampaignDraft, VALIDATE). It goes live
when it is published, and not before. Where making the drafts fails, those that were made are deleted.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import anyio
import anyio.to_thread
import msgspec

from spotify_ads_async.errors import InvalidAnswer, InvalidRequest, RequestRejected, SpotifyAdsError
from spotify_ads_async.models import (
    Ad,
    AdCreate,
    AdDraftCreate,
    AdSet,
    AdSetCreate,
    AdSetDraftCreate,
    Campaign,
    CampaignCreate,
    CampaignDraftCreate,
    CampaignDraftPublish,
    DraftValidationError,
    PublishAction,
)
from spotify_ads_async.resources import AdAccountResources
from spotify_ads_async.session import Session
from spotify_ads_async.types import Answer, OpenEnum, Request, decode_hook

__all__ = ["AdSetTree", "CampaignTree", "DraftTree", "Rename", "Trees", "moved"]

RequestT = TypeVar("RequestT", bound=Request)
Rename: TypeAlias = Callable[[str], str]

_ARCHIVED = "ARCHIVED"
_PARENTS = 50
_KINDS: Mapping[str, type[Answer]] = {"campaign": Campaign, "ad_set": AdSet, "ad": Ad}


class AdSetTree(msgspec.Struct, frozen=True, kw_only=True):
    """An ad set with its ads."""

    ad_set: AdSet
    ads: list[Ad]


class CampaignTree(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign with its ad sets and their ads."""

    campaign: Campaign
    ad_sets: list[AdSetTree]


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


def moved(moment: datetime | None, by: timedelta) -> datetime | None:
    """A moment later by ``by``; none stays none."""
    return None if moment is None else moment + by


class Trees:
    """Campaigns with everything in them, of one ad account."""

    def __init__(self, session: Session, ad_account_id: str) -> None:
        self._account = AdAccountResources(session, ad_account_id)

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
    ) -> DraftTree:
        """Make a campaign anew, with its ad sets and ads.

        Args:
            campaign_id: the campaign to clone.
            name: the new campaign's name; the old one with " (copy)" if left out.
            rename: from the old name of an ad set or ad to its new one; the same if left out.
            start: when the first ad set shall start; all dates move alike. They stay if left out.
            publish: go live if nothing is wrong.

        Raises:
            SpotifyAdsError: what a call raised; drafts that were made are deleted.
        """
        tree = await self.read(campaign_id)
        campaign = msgspec.structs.replace(tree.campaign, name=name or f"{tree.campaign.name} (copy)")
        return await self.create(msgspec.structs.replace(tree, campaign=campaign), rename=rename, start=start, publish=publish)

    async def clone_ad_set(
        self, ad_set_id: str, *, name: str | None = None, rename: Rename | None = None, start: datetime | None = None, publish: bool = False
    ) -> DraftTree:
        """Make an ad set anew, with its ads, in the same campaign; arguments are those of :meth:`clone_campaign`.

        Publishing publishes whatever else is in the campaign's draft.

        Raises:
            SpotifyAdsError: what a call raised; the draft of the ad set is deleted.
        """
        ad_set = await self._account.ad_sets.get(ad_set_id)
        (tree,) = await self._with_ads([msgspec.structs.replace(ad_set, name=name or f"{ad_set.name} (copy)")], archived=False)
        ids: dict[str, str] = {}
        by = _shift([tree], start)
        try:
            await self._make_ad_set(tree, ad_set.campaign_id or "", ids, rename or _same, by, name_kept=True)
        except BaseException:
            if ad_set_id in ids:
                with anyio.CancelScope(shield=True):
                    await self._account.drafts.ad_sets.delete(ids[ad_set_id])
            raise
        return await self._finished(ad_set.campaign_id or "", ids, publish=publish)

    async def create(
        self, tree: CampaignTree, *, rename: Rename | None = None, start: datetime | None = None, publish: bool = False
    ) -> DraftTree:
        """Make the drafts of a tree; arguments are those of :meth:`clone_campaign`.

        Raises:
            SpotifyAdsError: what a call raised; drafts that were made are deleted.
        """
        by = _shift(tree.ad_sets, start)
        draft = await self._account.drafts.campaigns.create(_draft(tree.campaign, CampaignCreate, CampaignDraftCreate))
        if draft.id is None:
            raise InvalidAnswer("the answer names no draft", operation="createCampaignDraft")
        ids = {tree.campaign.id or "": draft.id}
        try:
            for one in tree.ad_sets:
                await self._make_ad_set(one, draft.id, ids, rename or _same, by)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._account.drafts.campaigns.delete(draft.id)
            raise
        return await self._finished(draft.id, ids, publish=publish)

    async def _make_ad_set(
        self, tree: AdSetTree, campaign_id: str, ids: dict[str, str], rename: Rename, by: timedelta, *, name_kept: bool = False
    ) -> None:
        ad_set = tree.ad_set
        name = ad_set.name if name_kept else rename(ad_set.name or "")
        changed = msgspec.structs.replace(
            ad_set, name=name, campaign_id=campaign_id, start_time=moved(ad_set.start_time, by), end_time=moved(ad_set.end_time, by)
        )
        draft = await self._account.drafts.ad_sets.create(_draft(changed, AdSetCreate, AdSetDraftCreate))
        ids[ad_set.id or ""] = draft_id = draft.id or ""
        for ad in tree.ads:
            copy = msgspec.structs.replace(ad, name=rename(ad.name or ""), ad_set_id=draft_id)
            made = await self._account.drafts.ads.create(_draft(copy, AdCreate, AdDraftCreate))
            ids[ad.id or ""] = made.id or ""

    # ---- checking and publishing

    async def _finished(self, campaign_id: str, ids: dict[str, str], *, publish: bool) -> DraftTree:
        errors = await self.validate(campaign_id)
        if publish and not errors:
            errors = await self.publish(campaign_id)
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

    async def export(self, file: str | os.PathLike[str], *, archived: bool = False) -> dict[str, int]:
        """Write every campaign, ad set and ad of the account as JSON Lines, parents before children; how many of each.

        Each line is an object with ``kind`` (campaign, ad_set or ad) and the attributes that the API answers.
        """
        counts = dict.fromkeys(_KINDS, 0)
        async with await anyio.open_file(file, "wb") as out:
            async for kind, one in self._everything():
                if archived or cast("Any", one).status != _ARCHIVED:
                    await out.write(msgspec.json.encode({"kind": kind, **msgspec.to_builtins(one, builtin_types=(datetime,))}) + b"\n")
                    counts[kind] += 1
        return counts

    async def _everything(self) -> AsyncIterator[tuple[str, Answer]]:
        async for campaign in self._account.campaigns.list():
            yield "campaign", campaign
        async for ad_set in self._account.ad_sets.list():
            yield "ad_set", ad_set
        async for ad in self._account.ads.list():
            yield "ad", ad

    async def load(
        self,
        file: str | os.PathLike[str],
        *,
        rename: Rename | None = None,
        start: datetime | None = None,
        publish: bool = False,
    ) -> list[DraftTree]:
        """Make what an exported file holds, campaign by campaign; arguments are those of :meth:`clone_campaign`.

        Assets and audiences keep their ids, so they must be there in this ad account. An error ends it: campaigns that are
        done stay as drafts.

        Raises:
            InvalidRequest: a line cannot be read, or its parent is not in the file; nothing was sent.
            SpotifyAdsError: what a call raised; its note says how many campaigns are done.
        """
        trees = parse(await anyio.to_thread.run_sync(Path(file).read_bytes))
        done: list[DraftTree] = []
        for tree in trees:
            campaign = msgspec.structs.replace(tree.campaign, name=(rename or _same)(tree.campaign.name or ""))
            try:
                done.append(
                    await self.create(msgspec.structs.replace(tree, campaign=campaign), rename=rename, start=start, publish=publish)
                )
            except SpotifyAdsError as error:
                error.add_note(f"{len(done)} of {len(trees)} campaigns are done: {', '.join(one.campaign_id for one in done) or 'none'}")
                raise
        return done


def parse(content: bytes) -> list[CampaignTree]:
    """The trees in an exported file. Pure.

    Raises:
        InvalidRequest: a line cannot be read, or its parent does not come before it.
    """
    campaigns: dict[str, CampaignTree] = {}
    ad_sets: dict[str, AdSetTree] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        one = _parsed(number, line)
        if isinstance(one, Campaign):
            campaigns[one.id or str(number)] = CampaignTree(campaign=one, ad_sets=[])
        elif isinstance(one, AdSet):
            tree = ad_sets[one.id or str(number)] = AdSetTree(ad_set=one, ads=[])
            _parent(campaigns, one.campaign_id, number).ad_sets.append(tree)
        else:
            _parent(ad_sets, one.ad_set_id, number).ads.append(one)
    return list(campaigns.values())


TreeT = TypeVar("TreeT")


def _parent(found: Mapping[str, TreeT], identifier: str | None, number: int) -> TreeT:
    parent = found.get(identifier or "")
    if parent is None:
        raise _unreadable(number, f"its parent {identifier} does not come before it")
    return parent


def _parsed(number: int, line: bytes) -> Campaign | AdSet | Ad:
    try:
        facts = msgspec.json.decode(line, type=dict[str, Any])
        kind = _KINDS[facts.pop("kind")]
        return msgspec.convert(facts, kind, dec_hook=decode_hook)  # type: ignore[return-value]  # one of the three
    except KeyError:
        raise _unreadable(number, f"kind must be one of {', '.join(_KINDS)}") from None
    except msgspec.DecodeError as problem:
        raise _unreadable(number, str(problem)) from None


def _unreadable(number: int, what: str) -> InvalidRequest:
    return InvalidRequest(f"line {number}: {what}", path=f"line {number}", rule="as export writes it")


def _same(name: str) -> str:
    return name


def _shift(ad_sets: Iterable[AdSetTree], start: datetime | None) -> timedelta:
    """By how much dates move so that the first ad set starts at ``start``."""
    starts = [one.ad_set.start_time for one in ad_sets if one.ad_set.start_time is not None]
    if start is None or not starts:
        return timedelta(0)
    return (start.replace(tzinfo=UTC) if start.tzinfo is None else start.astimezone(UTC)) - min(starts)


def _draft(answer: Answer, live: type[Request], draft: type[RequestT]) -> RequestT:
    """What was answered, as the request of a draft: without what only answers have."""
    # Nested parts know how to become those of live requests; drafts have the same, with fewer that must be there.
    names = [name for name in draft.__struct_fields__ if name in live.__struct_fields__ or name in {"delivery_goal", "objective"}]
    given = {name: getattr(answer, name, None) for name in names}
    parts = {name: _sent(value) for name, value in given.items() if value is not None and not _only_answered(value)}
    return msgspec.convert(parts, draft, dec_hook=decode_hook)


def _sent(value: object) -> object:
    if isinstance(value, list):
        return [_sent(one) for one in cast("list[object]", value)]
    if isinstance(value, Answer):
        value = cast("Any", value).as_request()
    return msgspec.to_builtins(value, builtin_types=(datetime,))


def _only_answered(value: object) -> bool:
    return isinstance(value, OpenEnum) and value.value in type(value).answer_only

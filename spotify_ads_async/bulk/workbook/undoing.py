"""Taking a workbook's plan back: its changes, and what is new, which is deleted or archived."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import anyio
import msgspec

from spotify_ads_async.bulk.entities import ADS
from spotify_ads_async.bulk.records import WrongPlan
from spotify_ads_async.bulk.run.draft_kinds import drafts_within
from spotify_ads_async.bulk.store.draft_tables import CampaignState, DraftCampaign
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import now_text
from spotify_ads_async.bulk.undo import plan_undo
from spotify_ads_async.bulk.workbook.elsewhere import Elsewhere, live_of_others, look_elsewhere
from spotify_ads_async.bulk.workbook.kinds import NEW_KINDS
from spotify_ads_async.bulk.workbook.records import NewItem, NewState
from spotify_ads_async.bulk.workbook.store import WorkbookPlan, write_plan
from spotify_ads_async.client import AdsClient
from spotify_ads_async.core.tasks import some_at_once
from spotify_ads_async.errors import AuthenticationError, RequestRejected, SpotifyAdsError
from spotify_ads_async.locks import taken_off_loop
from spotify_ads_async.trees.deleting import require_gone

__all__ = ["plan_workbook_undo", "remove"]

_SHOWN = 5
_STAYS = "it stays; --force takes that back, too"
_LOOK = "look at it with spotify-ads drafts list, and delete it if it is this plan's"


async def plan_workbook_undo(ads: AdsClient, done: Path, path: Path, *, force: bool, archive: bool) -> None:
    """Make the plan that takes back what the plan of a workbook did: its changes, and what is new.

    Args:
        ads: the client.
        done: the plan to take back.
        path: the plan to make.
        force: overwrite what somebody changed since.
        archive: archive what is new and published by now; it stays otherwise.

    Raises:
        WrongPlan: ``done`` is for another address, or has requests whose outcome is not settled.
        FileExistsError: there is a file at ``path``, or where a part of it would be.
        SpotifyAdsError: the present state cannot be read.
    """
    with await taken_off_loop(lambda: WorkbookPlan.open(done), WorkbookPlan.close) as plan:
        header, parts = plan.header, plan.parts()
        if header.base_url != ads.base_url:
            raise WrongPlan(f"the plan was made for {header.base_url}, and calls would go to {ads.base_url}")
        found = await _look_elsewhere(ads, Journal(plan), header.ad_account_id, archive=archive)
        there = [one for one in await taken_off_loop(plan.items) if one.is_there]
        fate = "this is taken back, too" if force else _STAYS
        remarks = [
            f"{one.plural[:-1]} {one.name}: {said}: {fate}" for one in there if (said := _of_others([one], found))
        ]
    undo = msgspec.structs.replace(
        header,
        source=f"undo of {done}",
        undo_of=str(done),
        archive=archive,
        created_at=now_text(),
        remarks="\n".join(remarks),
        guessed=False,
    )
    made: list[tuple[str, Path]] = []
    try:
        for plural, part in reversed(parts):
            inverse = path.with_name(f"{path.name}.{plural.replace(' ', '-')}")
            await plan_undo(ads, part, inverse, force=force)
            made.append((plural, inverse))
        await taken_off_loop(lambda: write_plan(path, undo, made), lambda _: path.unlink(missing_ok=True))
    except BaseException:
        for _, inverse in made:
            inverse.unlink(missing_ok=True)
        raise


async def _look_elsewhere(
    ads: AdsClient, journal: Journal[WorkbookPlan], ad_account_id: str, *, archive: bool
) -> Elsewhere:
    """Write down what others made of the drafts, and look into what is live where that is to be archived."""
    items, campaigns = await journal.read(lambda plan: (plan.items(), plan.campaigns()))
    found = await look_elsewhere(ads, ad_account_id, items, campaigns)

    def write(plan: WorkbookPlan) -> None:
        plan.settle(found.items)
        for campaign in found.campaigns:
            plan.conclude(campaign)

    await journal.write(write)
    if not archive:
        return found
    live = await live_of_others(ads, ad_account_id, await journal.read(lambda plan: plan.items()))
    return msgspec.structs.replace(found, added={**found.added, **live})


def _of_others(items: Sequence[NewItem], found: Elsewhere) -> str:
    """What others did that would be lost with something; nothing if they did nothing."""
    said = [
        f"changed {', '.join(fields[:_SHOWN])} of {item.name}"
        for item in items
        if (fields := found.edited.get(item.draft_id))
    ]
    if added := [name for item in items for name in found.added.get(item.draft_id, ())]:
        said.append(f"put {len(added)} of their own into it ({', '.join(added[:_SHOWN])})")
    return f"somebody {' and '.join(said)}" if said else ""


async def remove(
    ads: AdsClient, path: Path, *, archive: bool, force: bool, tell: Callable[[NewItem, str], Awaitable[None]]
) -> int:
    """Take back what is new in the plan of a workbook.

    Args:
        ads: the client.
        path: the plan.
        archive: archive campaigns that were published, and turn off ad sets and ads that were published in live
            campaigns.
        force: take back, too, what somebody changed as a draft, or put something into.
        tell: told of each new thing, and of what became of it; of one that may be there still as of one that failed.

    Returns:
        How many stay, since they are published.

    Raises:
        SpotifyAdsError: a request failed.
    """
    with await taken_off_loop(lambda: WorkbookPlan.open(path), WorkbookPlan.close) as plan:
        removal = _Removal(ads, Journal(plan), archive=archive, force=force, tell=tell)
        return await removal.run(plan.header.ad_account_id)


class _Removal:
    def __init__(
        self,
        ads: AdsClient,
        journal: Journal[WorkbookPlan],
        *,
        archive: bool,
        force: bool,
        tell: Callable[[NewItem, str], Awaitable[None]],
    ) -> None:
        self._ads = ads
        self._journal = journal
        self._archive = archive
        self._force = force
        self._tell = tell
        self._left = 0

    async def run(self, ad_account_id: str) -> int:
        self._account = {"ad_account_id": ad_account_id}
        self._found = await _look_elsewhere(self._ads, self._journal, ad_account_id, archive=self._archive)
        self._items = [one for one in await self._journal.read(lambda plan: plan.items()) if one.is_there]
        await some_at_once(self._remove, await self._journal.read(lambda plan: plan.campaigns()))
        await self._tell_lost(ad_account_id)
        return self._left

    async def _tell_lost(self, ad_account_id: str) -> None:
        """Tell of drafts that a run may have made when it was killed, before it could write down their ids.

        Their names were free when the plan was made. They stay, for somebody else may have made them since.
        """
        items = await self._journal.read(lambda plan: plan.items())
        known = {one.draft_id for one in items}
        for plural, kind in NEW_KINDS.items():
            lost = [one for one in items if one.plural == plural and one.parent is None and not one.draft_id]
            if not lost:
                continue
            parents = sorted({one.parent_id for one in lost}) if kind.parent else None
            drafts = await drafts_within(self._ads, ad_account_id, kind.draft, parents)
            there = {
                (one.name, str(getattr(one, kind.parent_field)) if kind.parent else ""): str(one.id)
                for one in drafts
                if str(one.id) not in known
            }
            for item in lost:
                if draft := there.get((item.name, item.parent_id)):
                    reason = (
                        f"a draft of this name is there ({draft}), made when the run was ended, or by somebody else"
                    )
                    await self._tell(msgspec.structs.replace(item, state=NewState.FAILED), f"{reason}: {_LOOK}")

    async def _remove(self, campaign: DraftCampaign) -> None:
        items = [one for one in self._items if one.campaign == campaign.id]
        published = campaign.state is CampaignState.PUBLISHED
        if published and not self._archive:
            self._left += len(items)
            for item in items:
                await self._tell(item, "is published, and stays: --archive archives it")
            return
        said = "" if self._force else _of_others(items, self._found)
        reason = f"{said}: {_STAYS}" if said else ""
        if not reason:
            try:
                for item in _outermost(items, campaign):
                    await _take_back(self._ads, self._account, item, published=published)
            except AuthenticationError:
                raise
            except SpotifyAdsError as problem:
                reason = str(problem)
        state = NewState.FAILED if reason else NewState.ARCHIVED if published else NewState.DELETED
        ended = [msgspec.structs.replace(one, state=state) for one in items]
        if not reason:
            await self._conclude(msgspec.structs.replace(campaign, state=CampaignState.DELETED), ended)
        for item in ended:
            await self._tell(item, reason or state.value)

    async def _conclude(self, campaign: DraftCampaign, items: Sequence[NewItem]) -> None:
        def write(plan: WorkbookPlan) -> None:
            plan.settle(items)
            plan.conclude(campaign)

        with anyio.CancelScope(shield=True):
            await self._journal.write(write)


def _outermost(items: Sequence[NewItem], campaign: DraftCampaign) -> list[NewItem]:
    """The campaign itself, with which everything in it goes; its parts where it was there before."""
    return [one for one in items if str(one.number) == campaign.id] or list(reversed(items))


async def _take_back(ads: AdsClient, account: dict[str, str], item: NewItem, *, published: bool) -> None:
    kind = NEW_KINDS[item.plural]
    if published:
        archives = kind.entity.archives and item.plural != ADS.plural
        change = {"status": "ARCHIVED"} if archives else {"delivery": "OFF"}
        path = {**account, kind.entity.id_column: item.draft_id}
        try:
            await ads.call(kind.entity.update, path=path, body=change)
        except RequestRejected:
            if (await ads.call(kind.entity.get, path=path)).status != "ARCHIVED":  # else it was archived before
                raise
        return
    try:
        await ads.call(kind.draft.delete, path={**account, kind.draft.draft_path: item.draft_id})
    except SpotifyAdsError as problem:
        # One that is gone already is refused as other mistakes are.
        if problem.status not in {400, 404}:
            raise
    await require_gone(ads.call(kind.draft.get, path={**account, kind.draft.draft_path: item.draft_id}))

"""The campaign trees of one ad account."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import anyio
import anyio.to_thread

from spotify_ads_async.core.files import whole_file_off_loop
from spotify_ads_async.core.session import Session
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.models import DraftValidationError, PublishAction
from spotify_ads_async.resources import AdAccountResources
from spotify_ads_async.trees.copying import Copier
from spotify_ads_async.trees.deleting import delete_campaign_draft
from spotify_ads_async.trees.drafts import DraftTree
from spotify_ads_async.trees.exporting import exported_lines
from spotify_ads_async.trees.files import KINDS, parse, read_file, tells_its_end
from spotify_ads_async.trees.going_live import GoingLive
from spotify_ads_async.trees.making import OnMade
from spotify_ads_async.trees.plans import LeftOut, Planner, copy_name, shift
from spotify_ads_async.trees.rates import Rates, read_rates
from spotify_ads_async.trees.reading import Reader
from spotify_ads_async.trees.tree import CampaignTree, Rename, same

__all__ = ["Trees"]

logger = logging.getLogger("spotify_ads_async")

_ARCHIVED = "ARCHIVED"


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
        receipt: str | os.PathLike[str] | None = None,
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
            receipt: a file that keeps what is done, step by step: after a crash, the same call with it goes on, and
                makes nothing twice.

        Raises:
            InvalidRequest: something in it cannot be made; nothing was sent.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """
        tree = await self._reader.read(campaign_id, archived=True)
        planner = Planner(rename or same, start=start, ignore=ignore)
        plan = planner.campaign(tree, name or copy_name(tree.campaign.name or ""))
        return await Copier(self._session, self._ad_account_id, on_made).campaign(plan, _path(receipt), publish=publish)

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
        receipt: str | os.PathLike[str] | None = None,
    ) -> DraftTree:
        """Make an ad set anew, with its ads, in the same campaign; arguments are those of :meth:`clone_campaign`.

        Publishing publishes whatever else is in the campaign's draft. Where a draft cannot hold that something is off,
        or an ad's own flight, the ad set is published only into a campaign that is paused.

        Raises:
            InvalidRequest: something in it cannot be made; nothing was sent.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts.
        """
        ad_set = await self._reader.ad_set(ad_set_id)
        if str(ad_set.status) == _ARCHIVED:
            raise InvalidRequest(
                f"ad set {ad_set.id} ({ad_set.name}) is archived, and a copy would run again: nothing was sent",
                path="status",
                rule="not archived",
            )
        (tree,) = await self._reader.ad_sets([ad_set], archived=True)
        left_out: list[LeftOut] = []
        planner = Planner(rename or same, ignore=ignore)
        plan = planner.ad_set(tree, shift([tree], start), left_out, name=name or copy_name(ad_set.name or ""))
        copier = Copier(self._session, self._ad_account_id, on_made)
        return await copier.ad_set(plan, ad_set.campaign_id or "", left_out, _path(receipt), publish=publish)

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
        plan = planner.campaign(tree, tree.campaign.name or "")
        return await Copier(self._session, self._ad_account_id, on_made).campaign(plan, None, publish=publish)

    # ---- checking, publishing and deleting

    async def version(self, campaign_id: str) -> int:
        """The version of a campaign's draft.

        It rises with every change of anything in it (``draft_hierarchy_version``).
        """
        return (await self._going_live.draft(campaign_id))[1]

    async def validate(self, campaign_id: str, *, version: int | None = None) -> list[DraftValidationError]:
        """What keeps a campaign's draft from going live, empty where nothing does; the version is read if left out."""
        return await self._going_live.errors(campaign_id, PublishAction.VALIDATE, version)

    async def publish(self, campaign_id: str, *, version: int | None = None) -> list[DraftValidationError]:
        """Make a campaign's draft live as it is, at this version or at the one that it has now.

        The errors are empty where it is.
        What the draft of a copy could not hold (:attr:`DraftTree.unheld`) is not set by this.
        """
        return await self._going_live.errors(campaign_id, PublishAction.PUBLISH, version)

    async def delete(self, campaign_id: str) -> None:
        """Delete a campaign's draft with everything in it, and look that it is gone: the answer does not say so.

        What is live stays as it is.

        Raises:
            InvalidAnswer: the server answered that the draft is deleted, and it is still there.
            OutcomeUnknown: whether it is still there is not known.
            SpotifyAdsError: what else a call raised.
        """
        await delete_campaign_draft(self._account, campaign_id)

    # ---- files

    async def export(
        self, file: str | os.PathLike[str], *, archived: bool = False, on_line: Callable[[], object] | None = None
    ) -> dict[str, int]:
        """Write every campaign, ad set and ad of the account as JSON Lines, parents before children; how many of each.

        Each line is an object with ``kind`` (campaign, ad_set or ad) and the attributes that the API answers, those too
        that are newer than this version: ``newer`` names them. The first line, of the kind ``export``, promises a last
        one, of the kind ``end``, which counts those between: :meth:`load` refuses a file that was cut. The file is
        there when it is whole: until then its name ends in ``.part``.
        """
        counts = dict.fromkeys(KINDS, 0)
        async with whole_file_off_loop(Path(file)) as place, await anyio.open_file(place, "wb") as out:
            async for kind, line in self.lines(archived=archived):
                await out.write(line)
                if kind in counts:
                    counts[kind] += 1
                    if on_line is not None:
                        on_line()
        return counts

    async def lines(self, *, archived: bool = False) -> AsyncIterator[tuple[str, bytes]]:
        """The lines of :meth:`export` one by one, each with its kind.

        Only what is archived is left out, with what is in it. The first line is of the kind ``export`` and the last one
        of the kind ``end``.
        """
        async for line in exported_lines(self._reader.account, archived=archived):
            yield line

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
            The campaigns that this import made or published, and those of earlier ones that cannot go live.

        Raises:
            ConfigurationError: another import works with the receipt.
            InvalidRequest: a line cannot be read or made, holds a key that is not known, or a budget in another
                currency; its parent is not in the file; or the receipt is of another file, or of other arguments.
                Nothing was sent but a read of the ad account.
            SpotifyAdsError: what a call raised; its notes say what became of the drafts, and how many campaigns are
                done.
        """
        stated = read_rates(rates or {})
        content = await anyio.to_thread.run_sync(read_file, Path(file))
        trees = parse(content, ignore=ignore)
        if not tells_its_end(content):
            logger.warning("%s does not say where it ends: whether lines were cut off cannot be told", file)
        planner = Planner(rename or same, start=start, rates=await self._rates(trees, stated), ignore=ignore)
        plans = [planner.campaign(tree, (rename or same)(tree.campaign.name or "")) for tree in trees]
        return await Copier(self._session, self._ad_account_id, on_made).campaigns(
            plans, _path(receipt), publish=publish, on_done=on_done
        )

    async def _rates(self, trees: list[CampaignTree], stated: Mapping[str, Decimal]) -> Rates | None:
        """The ad account is asked for its currency where the file holds any amount."""
        if not any(tree.ad_sets for tree in trees):
            return None
        return Rates(((await self._account.get()).currency_code or "").upper(), stated)


def _path(file: str | os.PathLike[str] | None) -> Path | None:
    return None if file is None else Path(file)

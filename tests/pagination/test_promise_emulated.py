"""The promise once more, with nothing made up.

Real calls over loopback to an emulator in which others create and archive.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from spotify_ads_async import AdsClient, Governor
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.models import (
    CampaignCreate,
    CampaignObjective,
    CampaignSortField,
    CampaignStatus,
    CampaignUpdate,
    SortDirection,
)
from spotify_ads_async.pagination import Walk

ALIVE = [CampaignStatus.ACTIVE, CampaignStatus.PAUSED]


class Emulated(RuleBasedStateMachine):
    """One walk over an account's living campaigns."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.yielded: list[str] = []
        self.alive: list[str] = []
        self.throughout: set[str] = set()

    @initialize(
        count=st.integers(0, 40),
        limit=st.integers(4, 12),
        read_ahead=st.sampled_from([0, 1, 4, 16]),
        field=st.sampled_from([None, CampaignSortField.CREATED_AT, CampaignSortField.ID]),
        direction=st.sampled_from(SortDirection),
    )
    def begin(
        self, count: int, limit: int, read_ahead: int, field: CampaignSortField | None, direction: SortDirection
    ) -> None:
        async def begin() -> Walk[object]:
            self.server = await Emulator(ad_sets=0, campaigns=count, limits=None, latency=(0.0, 0.002)).__aenter__()
            self.ads = AdsClient("token", base_url=self.server.base_url, governor=Governor(()))
            self.account = self.ads.ad_account(self.server.ad_account_id)
            self.alive = [campaign.id or "" async for campaign in self.account.campaigns.list()]
            self.throughout = set(self.alive)
            order = {} if field is None else {"sort_field": field, "sort_direction": direction}
            return self.account.campaigns.list(statuses=ALIVE, limit=limit, **order).reading_ahead(read_ahead).walk()

        self.walk = self.runner.run(begin())

    @rule(count=st.integers(1, 25))
    def rows_are_taken(self, count: int) -> None:
        async def take() -> None:
            for _ in range(count):
                row = await anext(self.walk, None)
                if row is not None:
                    self.yielded.append(row.id)

        self.runner.run(take())

    @rule(count=st.sampled_from([1, 1, 2, 5, 15]), rows=st.integers(0, 10))
    def somebody_creates_while_rows_are_taken(self, count: int, rows: int) -> None:
        async def create() -> None:
            body = CampaignCreate(name="Made meanwhile", objective=CampaignObjective.REACH)
            made = await asyncio.gather(*(self.account.campaigns.create(body) for _ in range(count)))
            self.alive += [campaign.id or "" for campaign in made]

        self.meanwhile(create(), rows)

    @precondition(lambda self: self.alive)
    @rule(places=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=12), rows=st.integers(0, 10))
    def somebody_archives_while_rows_are_taken(self, places: list[float], rows: int) -> None:
        gone = list({self.alive[int(place * len(self.alive))] for place in places})
        self.archive(gone, rows)

    @precondition(lambda self: self.yielded)
    @rule()
    def the_consumer_archives_what_it_got(self) -> None:
        self.archive([row for row in self.alive if row in self.yielded], 0)

    def archive(self, gone: list[str], rows: int) -> None:
        self.alive = [row for row in self.alive if row not in gone]
        self.throughout -= set(gone)

        async def archive() -> None:
            body = CampaignUpdate(status=CampaignStatus.ARCHIVED)
            await asyncio.gather(*(self.account.campaigns.update(row, body) for row in gone))

        self.meanwhile(archive(), rows)

    def meanwhile(self, change: object, rows: int) -> None:
        async def both() -> None:
            task = asyncio.ensure_future(change)  # type: ignore[call-overload]
            for _ in range(rows):
                row = await anext(self.walk, None)
                if row is not None:
                    self.yielded.append(row.id)
            await task

        self.runner.run(both())

    def teardown(self) -> None:
        async def finish() -> None:
            async for row in self.walk:
                self.yielded.append(row.id)
            await self.ads.aclose()
            await self.server.__aexit__(None, None, None)

        try:
            if hasattr(self, "walk"):
                self.runner.run(finish())
                times = Counter(self.yielded)
                assert not [row for row, count in times.items() if count > 1], "yielded twice"
                assert self.throughout <= times.keys(), "lost"
        finally:
            self.runner.close()


TestEmulated = Emulated.TestCase
TestEmulated.settings = settings(max_examples=8, stateful_step_count=20)

"""Reports against the emulator: the fewest requests, the right rows in the right order, and its own arithmetic."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import groupby
from typing import Any
from uuid import UUID

import pytest
from support.calls import ACCOUNT, client
from support.effort import left_to_soak
from support.raw_server import Behaviour, RawServer, answer

from spotify_ads_async import (
    UNSET,
    AdAccount,
    AdsClient,
    ConfigurationError,
    InvalidAnswer,
    InvalidRequest,
    NotEnoughData,
    RequestRejected,
    ServerError,
    WalkIncomplete,
)
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.models import InsightDimension, ReportEntityType, ReportField, ReportFieldType, ReportGranularity
from spotify_ads_async.reports import HIDDEN, AggregateReportCall, AtLeast, ReportRow, TotalsCall

AD_SET, CAMPAIGN = ReportEntityType.AD_SET, ReportEntityType.CAMPAIGN
DAY, HOUR, LIFETIME = ReportGranularity.DAY, ReportGranularity.HOUR, ReportGranularity.LIFETIME
IMPRESSIONS, CLICKS, SPEND, LEADS, REACH, CTR, REVENUE = map(
    ReportFieldType, ("IMPRESSIONS", "CLICKS", "SPEND", "LEADS", "REACH", "CTR", "REVENUE")
)
ONE_DAY = timedelta(days=1)


def today() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with Emulator(ad_sets=120, ads=180, latency=0.0, limits=None, processing=0.0) as running:
        yield running


@pytest.fixture
async def account(server: Emulator) -> AsyncIterator[AdAccount]:
    async with client(server.base_url) as ads:
        yield ads.ad_account(server.ad_account_id)


def true_counts(server: Emulator, start: datetime, end: datetime) -> dict[str, dict[str, int]]:
    """The emulator's own arithmetic, beside its API.

    What each ad set delivered from ``start`` to the end of ``end``.
    """
    store = server.store.account(server.ad_account_id)
    return {
        row["id"]: store.delivery.counts([ad for ad in store.ads if ad["ad_set_id"] == row["id"]], start, end + ONE_DAY)
        for row in store.ad_sets
    }


@pytest.mark.parametrize("days", [100, left_to_soak(400)])
async def test_many_days_of_120_ad_sets_take_the_fewest_requests_and_add_up(
    server: Emulator, account: AdAccount, days: int
) -> None:
    ids = [ad_set.id or "" async for ad_set in account.ad_sets.list()]
    start, end = today() - (days - 1) * ONE_DAY, today()
    server.reset_statistics()
    rows = account.reports.aggregate(
        entity_type=AD_SET,
        entity_ids=ids,
        fields=[IMPRESSIONS, SPEND],
        granularity=DAY,
        report_start=start.date(),
        report_end=end.date(),
    )
    impressions, spend, seen = dict.fromkeys(ids, 0), dict.fromkeys(ids, Decimal(0)), []
    async for row in rows:
        assert row.entity_id is not None
        assert isinstance(row.impressions, int)
        assert row.spend is not None
        impressions[row.entity_id] += row.impressions
        spend[row.entity_id] += row.spend
        seen.append((row.entity_id, row.start_time))
    # Reports of 50 ad sets and 90 days, 50 rows a page: the last of each is full.
    assert server.statistics().operations == {"getAggregateReport": 120 * days // 50}
    assert server.statistics().refused == 0
    assert seen == [(one, start + number * ONE_DAY) for one in ids for number in range(days)]
    true = true_counts(server, start, end)
    assert impressions == {one: counts["IMPRESSIONS"] for one, counts in true.items()}
    assert spend == {one: Decimal(counts["SPEND_CENTS"]) / 100 for one, counts in true.items()}
    assert sum(impressions.values()) > 0


async def test_without_ids_every_entity_comes_whole_though_the_range_is_divided(
    server: Emulator, account: AdAccount
) -> None:
    start, end = today() - 129 * ONE_DAY, today()
    wish = account.reports.aggregate(
        entity_type=CAMPAIGN, fields=[CLICKS], granularity=DAY, report_start=start, report_end=end
    )
    rows = await wish.collect()
    days = [start + number * ONE_DAY for number in range(130)]
    entities = [
        (entity, [row.start_time for row in group]) for entity, group in groupby(rows, lambda row: row.entity_id)
    ]
    assert [one for one, _ in entities] == list(server.store.account(server.ad_account_id).campaigns.rows)
    assert all(times == days for _, times in entities)
    assert [row async for row in wish] == rows


async def test_a_date_at_the_end_of_hours_is_a_whole_day(account: AdAccount) -> None:
    for end, last in ((today() - ONE_DAY, 23), (today(), datetime.now(UTC).hour)):
        rows = await account.reports.aggregate(
            entity_type=ReportEntityType.AD_ACCOUNT,
            fields=[CLICKS],
            granularity=HOUR,
            report_start=end.date(),
            report_end=end.date(),
        ).collect()
        assert [row.start_time for row in rows] == [end + timedelta(hours=hour) for hour in range(last + 1)]


async def test_hours_and_lifetimes_are_reports_too(account: AdAccount) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    ids = [ad_set.id or "" async for ad_set in account.ad_sets.list()][:60]
    hours = account.reports.aggregate(
        entity_type=AD_SET,
        entity_ids=ids[:3],
        fields=[IMPRESSIONS],
        granularity=HOUR,
        report_start=hour - 30 * ONE_DAY / 24,
        report_end=hour,
    )
    assert [row.entity_id for row in await hours.collect()] == [one for one in ids[:3] for _ in range(31)]
    lifetimes = await account.reports.aggregate(entity_type=AD_SET, entity_ids=ids, fields=[IMPRESSIONS]).collect()
    assert [row.entity_id for row in lifetimes] == ids


async def test_one_request_can_still_be_awaited_for_a_page(account: AdAccount) -> None:
    page = await account.reports.aggregate(entity_type=CAMPAIGN, fields=[IMPRESSIONS], limit=2)
    assert len(page.items) == 2
    assert page.continuation_token
    more = await account.reports.aggregate(continuation_token=page.continuation_token)
    assert more.items[0].entity_id not in {row.entity_id for row in page.items}


async def test_what_no_division_makes_legal_is_refused_before_anything_is_spent(
    server: Emulator, account: AdAccount
) -> None:
    month_ago = today() - 30 * ONE_DAY
    wishes = [
        account.reports.aggregate(entity_type=AD_SET, fields=[CLICKS], granularity=DAY, report_start=month_ago),
        account.reports.aggregate(
            entity_type=AD_SET, fields=[CLICKS], granularity=HOUR, report_start=month_ago, report_end=today()
        ),
        account.reports.aggregate(
            entity_type=AD_SET, fields=[CLICKS], granularity=DAY, report_start=today(), report_end=today(), limit=0
        ),
        account.reports.totals(entity_type=AD_SET, entity_ids=list("abcd"), granularity=HOUR, fields=[CLICKS]),
    ]
    for wish in wishes:
        with pytest.raises(InvalidRequest):
            await wish.collect()
    assert server.statistics().requests == 0


@pytest.mark.parametrize("granularity", [DAY, HOUR])
async def test_days_and_hours_name_their_entities_50_at_a_time(
    server: Emulator, account: AdAccount, granularity: ReportGranularity
) -> None:
    ids = [ad_set.id or "" async for ad_set in account.ad_sets.list()]
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    end = today() if granularity == DAY else hour
    wish = account.reports.aggregate(
        entity_type=AD_SET, fields=[CLICKS], granularity=granularity, report_start=end, report_end=end
    )
    server.reset_statistics()
    assert [row.entity_id for row in await wish.collect()] == ids
    # The emulator refuses, as the API does, what names no entities or more than 50.
    assert server.statistics().operations == {"getAdSetsByAdAccountId": 3, "getAggregateReport": 3}
    with pytest.raises(InvalidRequest, match=f"is required with granularity {granularity}: iterate over the report"):
        await wish


async def test_an_account_is_named_by_nothing(server: Emulator, account: AdAccount) -> None:
    kind = ReportEntityType.AD_ACCOUNT
    server.reset_statistics()
    rows = await account.reports.aggregate(
        entity_type=kind, fields=[CLICKS], granularity=DAY, report_start=today() - 99 * ONE_DAY, report_end=today()
    ).collect()
    assert [row.start_time for row in rows] == [today() - number * ONE_DAY for number in range(99, -1, -1)]
    assert server.statistics().operations.keys() == {"getAggregateReport"}


async def test_a_report_on_no_entities_has_no_rows() -> None:
    async with Emulator(ad_sets=0, campaigns=0, latency=0.0, limits=None) as server, client(server.base_url) as ads:
        wish = ads.ad_account(server.ad_account_id).reports.aggregate(
            entity_type=CAMPAIGN, fields=[CLICKS], granularity=DAY, report_start=today(), report_end=today()
        )
        assert await wish.collect() == []
        assert server.statistics().operations == {"getCampaigns": 1}


async def test_a_listed_entity_without_an_id_does_not_drop_out() -> None:
    listed = answer(200, {"campaigns": [{"id": ACCOUNT}, {"name": "Autumn"}], "paging": {"total_results": 2}})
    nothing_more = answer(200, {"campaigns": [], "paging": {"total_results": 2}})
    async with RawServer(script=[listed], otherwise=nothing_more) as server, client(server.base_url) as ads:
        wish = ads.ad_account(ACCOUNT).reports.aggregate(
            entity_type=CAMPAIGN, fields=[CLICKS], granularity=DAY, report_start=today(), report_end=today()
        )
        with pytest.raises(InvalidAnswer, match="a list leaves out ids"):
            await wish.collect()


async def test_ids_that_differ_in_case_are_one(account: AdAccount) -> None:
    ids = [ad_set.id or "" async for ad_set in account.ad_sets.list()][:3]
    asked = [ids[2].upper(), ids[0], ids[2], ids[1].upper(), ids[0].upper()]
    rows = await account.reports.aggregate(entity_type=AD_SET, entity_ids=asked, fields=[IMPRESSIONS]).collect()
    assert [row.entity_id for row in rows] == [ids[2], ids[0], ids[1]]
    both = [ids[0], ids[0].upper()]
    (total,) = await account.reports.totals(
        entity_type=AD_SET, entity_ids=both, granularity=LIFETIME, fields=[IMPRESSIONS]
    ).collect()
    assert total.impressions == rows[1].impressions


def hourly(account: AdAccount, **options: Any) -> AggregateReportCall:  # noqa: ANN401 - as aggregate takes them
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    fields = options.pop("fields", [IMPRESSIONS, REVENUE])
    call: AggregateReportCall = account.reports.aggregate(
        entity_type=CAMPAIGN, fields=fields, granularity=HOUR, report_start=hour, report_end=hour, **options
    )
    return call


async def test_a_metric_that_a_report_fails_with_is_named_or_dropped(server: Emulator, account: AdAccount) -> None:
    fault = server.add_fault(
        "error", status=502, operation="getAggregateReport", query={"granularity": "HOUR", "fields": "REVENUE"}
    )
    with pytest.raises(ServerError, match=r"REVENUE by the hour may be to blame: .* \(HTTP 502") as caught:
        await hourly(account).collect()
    assert caught.value.status == 502
    hits = fault.hits
    wish = hourly(account, on_failed_metric="drop")
    rows = await wish.collect()
    assert [list(row.values()) for row in rows] == [[IMPRESSIONS]] * len(rows)
    assert rows
    assert list(wish.failed_metrics) == [REVENUE]
    assert wish.failed_metrics[REVENUE].status == 502
    await wish.collect()
    # It is dropped from the first request that failed on.
    assert fault.hits - hits <= 4
    with pytest.raises(ServerError):
        await hourly(account, on_failed_metric="drop", fields=[REVENUE]).collect()
    with pytest.raises(ConfigurationError, match="'raise', 'drop' or a list of metrics, not 'skip'"):
        hourly(account, on_failed_metric="skip")


async def test_the_caller_may_name_what_is_dropped(server: Emulator, account: AdAccount) -> None:
    server.add_fault("error", status=500, operation="getAggregateReport", query={"fields": "LEADS"})
    wish = account.reports.aggregate(entity_type=CAMPAIGN, fields=[LEADS, CLICKS], on_failed_metric=[LEADS, SPEND])
    assert all(row.clicks is not None and row.get(LEADS) is None for row in await wish.collect())
    assert list(wish.failed_metrics) == [LEADS]
    with pytest.raises(ServerError) as caught:
        await account.reports.aggregate(entity_type=CAMPAIGN, fields=[LEADS, CLICKS], on_failed_metric="drop").collect()
    assert "may be to blame" not in str(caught.value)


def test_no_ids_are_not_all_ids() -> None:
    account = AdsClient("a-token").ad_account("ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a")
    with pytest.raises(InvalidRequest, match="entity_ids=\\[\\] would be no filter"):
        account.reports.aggregate(entity_type=AD_SET, entity_ids=[], fields=[CLICKS])
    with pytest.raises(InvalidRequest, match="statuses=\\[\\] would be no filter"):
        account.reports.aggregate(entity_type=AD_SET, statuses=[], fields=[CLICKS])


async def test_totals_of_a_range_begin_and_end_with_days_in_utc(server: Emulator, account: AdAccount) -> None:
    ids = [ad_set.id or "" async for ad_set in account.ad_sets.list()][:5]

    def total(start: datetime, end: datetime) -> TotalsCall:
        return account.reports.totals(
            entity_type=AD_SET,
            entity_ids=ids,
            granularity=LIFETIME,
            fields=[IMPRESSIONS],
            report_start=start,
            report_end=end,
        )

    start, end = today() - 20 * ONE_DAY, today() - ONE_DAY
    (row,) = await total(start, end).collect()
    true = true_counts(server, start, end)
    assert row.get(IMPRESSIONS) == sum(true[one]["IMPRESSIONS"] for one in ids) > 0
    elsewhere = timezone(timedelta(hours=1))  # the API would report from the day before to the day before
    with pytest.raises(InvalidRequest, match="report_start must be a midnight in UTC with granularity LIFETIME"):
        await total(start.replace(tzinfo=elsewhere), end.replace(tzinfo=elsewhere)).collect()


async def test_totals_of_any_range_and_number_of_ids_add_up(server: Emulator, account: AdAccount) -> None:
    ids = [ad_set.id or "" async for ad_set in account.ad_sets.list()]
    start, end = today() - 199 * ONE_DAY, today()
    server.reset_statistics()
    wish = account.reports.totals(
        entity_type=AD_SET,
        entity_ids=ids,
        granularity=DAY,
        fields=[IMPRESSIONS, CLICKS, SPEND],
        report_start=start,
        report_end=end,
    )
    rows = await wish.collect()
    assert server.statistics().operations == {"getAggregatedTotals": 9}
    assert [row.start_time for row in rows] == [start + number * ONE_DAY for number in range(200)]
    true = true_counts(server, start, end).values()
    assert sum(row.get(IMPRESSIONS) for row in rows) == sum(counts["IMPRESSIONS"] for counts in true)
    assert sum(row.get("CLICKS") for row in rows) == sum(counts["CLICKS"] for counts in true)
    aggregate = account.reports.aggregate(
        entity_type=ReportEntityType.AD_ACCOUNT, granularity=DAY, fields=[SPEND], report_start=start, report_end=end
    )
    assert [row.spend for row in rows] == pytest.approx([row.spend async for row in aggregate])


async def test_listeners_are_counted_once_within_50_ids_and_not_at_all_beyond(account: AdAccount) -> None:
    ids = [ad_set.id or "" async for ad_set in account.ad_sets.list()]
    (row,) = await account.reports.totals(
        entity_type=AD_SET, entity_ids=ids[:50], granularity=LIFETIME, fields=[REACH]
    ).collect()
    assert isinstance(row.reach, int)
    with pytest.raises(InvalidRequest, match="REACH of more than 50 entities"):
        await account.reports.totals(
            entity_type=AD_SET, entity_ids=ids[:51], granularity=LIFETIME, fields=[REACH]
        ).collect()


async def test_a_lack_of_data_is_an_outcome_of_its_own(server: Emulator, account: AdAccount) -> None:
    true = true_counts(server, today() - 400 * ONE_DAY, today())
    rich = [one for one, counts in true.items() if counts["IMPRESSIONS"] >= 1000][:3]
    poor = [one for one, counts in true.items() if counts["IMPRESSIONS"] < 1000][:2]
    wish = account.reports.insights(
        insight_dimension=InsightDimension.GENDER, fields=[IMPRESSIONS], entity_ids=[rich[0], *poor, *rich[1:]]
    )
    rows = [row async for row in wish]
    assert list(dict.fromkeys(row.id for row in rows)) == rich
    assert list(wish.not_enough_data) == poor
    assert all(
        isinstance(problem, NotEnoughData) and problem.status == 422 for problem in wish.not_enough_data.values()
    )
    assert {row.insight_value for row in await wish.collect()} == {"MALE", "FEMALE", "NON_BINARY"}
    with pytest.raises(NotEnoughData):
        await account.reports.insights(
            insight_dimension=InsightDimension.GENDER, fields=[IMPRESSIONS], entity_ids=poor[:1]
        ).collect()


async def test_totals_of_many_are_not_known_without_each_of_their_groups() -> None:
    one = answer(200, {"rows": [{"stats": [{"field_type": "IMPRESSIONS", "field_value": 7}]}]})
    async with (
        RawServer(script=[one, one], otherwise=answer(200, {"rows": []})) as server,
        client(server.base_url) as ads,
    ):
        wish = ads.ad_account(ACCOUNT).reports.totals(
            entity_type=AD_SET,
            entity_ids=[str(UUID(int=number)) for number in range(120)],
            granularity=LIFETIME,
            fields=[IMPRESSIONS],
        )
        with pytest.raises(InvalidAnswer, match="came for 2 of 3 groups of entities"):
            await wish.collect()


async def test_totals_of_many_whose_sum_is_beyond_64_bits_are_no_answer() -> None:
    most = {"stats": [{"field_type": "IMPRESSIONS", "field_value": 2**63 - 1}]}
    async with RawServer(otherwise=answer(200, {"rows": [most]})) as server, client(server.base_url) as ads:
        ids = [str(UUID(int=number)) for number in range(51)]
        reports = ads.ad_account(ACCOUNT).reports
        for some in (ids[:50], ids):
            wish = reports.totals(entity_type=AD_SET, entity_ids=some, granularity=LIFETIME, fields=[IMPRESSIONS])
            if some == ids:
                with pytest.raises(InvalidAnswer, match="the sum of 2 groups of entities: IMPRESSIONS is 18446744073"):
                    await wish.collect()
            else:
                assert [row.impressions for row in await wish.collect()] == [2**63 - 1]


async def test_what_totals_and_insights_repeat_comes_once_and_hidden_parts_are_counted() -> None:
    def told(rows: list[dict[str, object]]) -> Behaviour:
        return answer(200, {"rows": rows + rows})

    def part(value: int, **facts: object) -> dict[str, object]:
        return {"stats": [{"field_type": "IMPRESSIONS", "field_value": value}], **facts}

    ids = [str(UUID(int=number)) for number in range(120)]
    async with (
        RawServer(script=[told([part(5000)]), told([part(-5)]), told([part(2000)])]) as server,
        client(server.base_url) as ads,
    ):
        reports = ads.ad_account(ACCOUNT).reports
        wish = reports.totals(entity_type=AD_SET, entity_ids=ids, granularity=LIFETIME, fields=[IMPRESSIONS])
        (total,) = await wish.reading_ahead(0).collect()
        assert total.impressions == AtLeast(7000, 1)
        assert total.hidden == ("IMPRESSIONS",)
        for some in (ids[:1], ids[:2]):
            server.script.extend(
                told([part(7, id=one, insight_value=value) for value in ("MALE", "FEMALE")]) for one in some
            )
            rows = await reports.insights(
                insight_dimension=InsightDimension.GENDER, fields=[IMPRESSIONS], entity_ids=some
            ).collect()
            assert [row.insight_value for row in rows] == ["MALE", "FEMALE"] * len(some)
        # Cities may be namesakes, with the same figures or with others.
        for some in (ids[:1], ids[:2]):
            cities = [[part(value, id=one, insight_value="Portland") for value in (-5, -5, 7)] for one in some]
            server.script.extend(answer(200, {"rows": rows}) for rows in cities)
            found = reports.insights(insight_dimension=InsightDimension.CITY, fields=[IMPRESSIONS], entity_ids=some)
            assert len(await found.collect()) == 3 * len(some)


@pytest.mark.parametrize("names", [{}, {"id": str(UUID(int=7))}])
async def test_insights_of_several_entities_that_no_row_tells_apart_are_refused(
    names: dict[str, str],
) -> None:
    """As of a cache that answers about one entity, whichever was asked for."""
    ids = [str(UUID(int=number)) for number in range(3)]
    row = {"insight_value": "MALE", "stats": [{"field_type": "IMPRESSIONS", "field_value": 7}], **names}
    async with RawServer(otherwise=answer(200, {"rows": [row]})) as server, client(server.base_url) as ads:
        of = ads.ad_account(ACCOUNT).reports.insights
        for kind in (AD_SET, ReportEntityType.CAMPAIGN):
            with pytest.raises(InvalidAnswer, match="asked for"):
                await of(
                    insight_dimension=InsightDimension.GENDER,
                    fields=[IMPRESSIONS],
                    entity_ids=ids,
                    entity_ids_type=kind,
                ).collect()


async def test_a_day_that_lies_in_two_windows_of_totals_comes_once() -> None:
    first = today() - 99 * ONE_DAY
    amid = (first + 89 * ONE_DAY).replace(hour=7).isoformat()
    told = answer(200, {"rows": [{"start_time": amid, "stats": [{"field_type": "IMPRESSIONS", "field_value": 7}]}]})
    async with RawServer(script=[told, told]) as server, client(server.base_url) as ads:
        wish = ads.ad_account(ACCOUNT).reports.totals(
            entity_type=AD_SET,
            entity_ids=[ONE],
            granularity=DAY,
            fields=[IMPRESSIONS],
            report_start=first,
            report_end=today(),
        )
        assert [row.impressions for row in await wish.collect()] == [7]


def row_of(identifier: str, time: datetime, **facts: object) -> dict[str, object]:
    stats = [{"field_type": "CLICKS", "field_value": 70}]
    row = {"entity_type": "CAMPAIGN", "entity_id": identifier, "start_time": time.isoformat(), "stats": stats}
    return {name: value for name, value in (row | facts).items() if value is not None}


def told_of(identifier: str, time: datetime, **facts: object) -> Behaviour:
    return answer(200, {"rows": [row_of(identifier, time)], **facts})


ONE, OTHER = str(UUID(int=1)), str(UUID(int=2))
FIRST = today() - 2 * ONE_DAY


async def test_a_row_that_came_before_a_position_comes_not_again() -> None:
    pages = [
        answer(200, {"rows": [row_of(ONE, FIRST)], "continuation_token": "next"}),
        answer(200, {"rows": [row_of(ONE, FIRST), row_of(OTHER, FIRST)]}),
    ]
    async with RawServer(script=[*pages, *pages]) as server, client(server.base_url) as ads:
        report = ads.ad_account(ACCOUNT).reports.aggregate(entity_type=CAMPAIGN, fields=[CLICKS]).reading_ahead(0)
        async with report.walk() as walk:
            assert (await anext(walk)).entity_id == ONE
            position = walk.position
        server.script[:] = pages
        async with report.starting_at(position).walk() as walk:
            assert walk.position == position
            assert [row.entity_id async for row in walk] == [OTHER]
        # A report that is made again may begin with another row: the place is somewhere else then.
        server.script[:] = [answer(200, {"rows": [row_of(OTHER, FIRST), row_of(ONE, FIRST)]})]
        with pytest.raises(WalkIncomplete, match="other rows before the place"):
            await report.starting_at(position).collect()


async def test_insights_go_on_from_a_position() -> None:
    """Their rows have no ids."""
    stats = [{"field_type": "IMPRESSIONS", "field_value": 7}]
    told = answer(200, {"rows": [{"insight_value": part, "stats": stats} for part in "ABC"]})
    async with RawServer(script=[told, told]) as server, client(server.base_url) as ads:
        reports = ads.ad_account(ACCOUNT).reports
        report = reports.insights(insight_dimension=InsightDimension.GENRE, fields=[IMPRESSIONS], entity_ids=[ONE])
        async with report.walk() as walk:
            assert (await anext(walk)).insight_value == "A"
            position = walk.position
        assert [row.insight_value for row in await report.starting_at(position).collect()] == ["B", "C"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"entity_id": OTHER}, f"a row of {OTHER}"),
        ({"entity_id": None}, "a row that does not name its CAMPAIGN"),
        ({"entity_type": "AD"}, f"a row of the AD {ONE}"),
        ({"start_time": None}, "a row that does not name its DAY"),
        ({"start_time": (FIRST - ONE_DAY).isoformat()}, "a row of"),
        ({"start_time": (today() + ONE_DAY).isoformat()}, "a row of"),
        ({"start_time": (FIRST + timedelta(hours=12)).isoformat()}, "amid the DAY of others"),
        ({"end_time": today().isoformat()}, "a row from"),
        ({"stats": [{"field_value": 3}]}, "a value whose metric it does not name"),
        ({"stats": [{"field_type": "clicks", "field_value": 3}]}, 'a value of "clicks"'),
        ({"report_start": (FIRST + ONE_DAY).isoformat()}, "one whose start is"),
        ({"report_end": (today() - ONE_DAY).isoformat()}, "one whose end is"),
        ({"granularity": "LIFETIME"}, "one by LIFETIME and not by DAY"),
    ],
)
async def test_what_nobody_asked_for_is_no_answer(change: Mapping[str, object], why: str) -> None:
    about = {name: change[name] for name in change.keys() & {"report_start", "report_end", "granularity"}}
    rows = [row_of(ONE, FIRST), *([] if about else [row_of(ONE, FIRST, **change)])]
    async with RawServer(otherwise=answer(200, {"rows": rows, **about})) as server, client(server.base_url) as ads:
        wish = ads.ad_account(ACCOUNT).reports.aggregate(
            entity_type=CAMPAIGN,
            fields=[CLICKS],
            entity_ids=[ONE],
            granularity=DAY,
            report_start=FIRST,
            report_end=today(),
        )
        with pytest.raises(InvalidAnswer, match=f"{why}.*, which was not asked for"):
            await wish.collect()
        with pytest.raises(InvalidAnswer, match=f"{why}.*, which was not asked for"):
            await wish


@pytest.mark.parametrize("days", [10, 120])
async def test_an_account_s_report_has_no_row_of_another_account(days: int) -> None:
    rows = [row_of(OTHER, today(), entity_type="AD_ACCOUNT")]
    async with RawServer(otherwise=answer(200, {"rows": rows})) as server, client(server.base_url) as ads:
        wish = ads.ad_account(ACCOUNT).reports.aggregate(
            entity_type=ReportEntityType.AD_ACCOUNT,
            fields=[CLICKS],
            granularity=DAY,
            report_start=today() - days * ONE_DAY,
            report_end=today(),
        )
        with pytest.raises(InvalidAnswer, match=f"a row of {OTHER}, which was not asked for"):
            await wish.collect()


async def test_a_page_that_says_nothing_of_rows_is_no_end() -> None:
    first = answer(200, {"rows": [row_of(ONE, FIRST)], "continuation_token": "more"})
    last = answer(200, {"continuation_token": ""})
    async with RawServer(script=[first], otherwise=last) as server, client(server.base_url) as ads:
        wish = ads.ad_account(ACCOUNT).reports.aggregate(entity_type=CAMPAIGN, fields=[CLICKS])
        with pytest.raises(InvalidAnswer, match="comes without rows and without a granularity"):
            await wish.collect()


async def test_days_may_begin_at_the_accounts_own_midnight_and_ids_of_parents_name_no_rows() -> None:
    async with RawServer() as server, client(server.base_url) as ads:
        reports = ads.ad_account(ACCOUNT).reports
        early = FIRST - timedelta(hours=8)
        # Summer time ends meanwhile, and the end is told as the end of its day.
        rows = [row_of(ONE.upper(), early, end_time=(early + timedelta(hours=25)).isoformat())]
        rows.append(row_of(ONE, early + timedelta(hours=25)))
        about = {"report_start": early.isoformat(), "report_end": (today() + timedelta(hours=17)).isoformat()}
        server.otherwise = answer(200, {"rows": rows, **about})
        days = reports.aggregate(
            entity_type=CAMPAIGN,
            fields=[CLICKS],
            entity_ids=[ONE],
            granularity=DAY,
            report_start=FIRST,
            report_end=today(),
        )
        assert len(await days.collect()) == 2
        server.otherwise = answer(200, {"rows": [row_of(OTHER, today(), entity_type="AD_SET")]})
        below = reports.aggregate(
            entity_type=AD_SET, fields=[CLICKS], granularity=LIFETIME, entity_ids=[ONE], entity_ids_type=CAMPAIGN
        )
        assert len(await below.collect()) == 1
        for by in (LIFETIME, UNSET):
            with pytest.raises(InvalidRequest, match="takes no range: ask by DAY or HOUR"):
                reports.aggregate(entity_type=CAMPAIGN, fields=[CLICKS], granularity=by, report_end=FIRST)
        server.otherwise = answer(200, {"insight": "AGE", "rows": []})
        with pytest.raises(InvalidAnswer, match="one by AGE and not by GENDER"):
            await reports.insights(
                insight_dimension=InsightDimension.GENDER, fields=[CLICKS], entity_ids=[ONE]
            ).collect()


async def test_what_the_server_remarks_on_a_report_is_kept_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    told = told_of(str(UUID(int=1)), today(), warnings=["yesterday is incomplete"])
    async with RawServer(otherwise=told) as server, client(server.base_url) as ads:
        wish = ads.ad_account(ACCOUNT).reports.aggregate(
            entity_type=CAMPAIGN,
            entity_ids=[str(UUID(int=1))],
            fields=[CLICKS],
            granularity=DAY,
            report_start=today(),
            report_end=today(),
        )
        for _ in range(2):
            await wish.collect()
        assert list(wish.warnings) == ["yesterday is incomplete"]
    assert [record.getMessage() for record in caplog.records].count(
        "the server says of a report: yesterday is incomplete"
    ) == 1


async def test_reports_at_the_ends_of_time(account: AdAccount) -> None:
    (campaign, *_) = [one.id or "" async for one in account.campaigns.list()]

    async def days(first: datetime) -> list[ReportRow]:
        return await account.reports.aggregate(
            entity_type=CAMPAIGN,
            entity_ids=[campaign],
            fields=[CLICKS],
            granularity=DAY,
            report_start=first,
            report_end=first,
        ).collect()

    assert [row.start_time for row in await days(datetime(1, 1, 1, tzinfo=UTC))] == [datetime(1, 1, 1, tzinfo=UTC)]
    with pytest.raises(RequestRejected, match="leaves the calendar"):
        await days(datetime(9999, 12, 31, tzinfo=UTC))


async def extend(rows: list[ReportRow], walk: AsyncIterable[ReportRow]) -> None:
    async for row in walk:
        rows.append(row)  # noqa: PERF401 - the rows before an error count


async def test_a_report_goes_on_after_an_error_where_it_stood(server: Emulator, account: AdAccount) -> None:
    start = today() - 99 * ONE_DAY
    wish = account.reports.aggregate(
        entity_type=CAMPAIGN, fields=[CLICKS], granularity=DAY, report_start=start, report_end=today()
    )
    whole = await wish.collect()
    server.add_fault("error", operation="getAggregateReport", skip=7, times=1, status=400)
    rows: list[ReportRow] = []
    async with wish.walk() as walk:
        with pytest.raises(RequestRejected, match="a fault that was asked for"):
            await extend(rows, walk)
        await extend(rows, walk)
    assert rows == whole


def test_zero_hidden_and_absent_are_three_things() -> None:
    def field(metric: ReportFieldType, value: str | None) -> ReportField:
        return ReportField(field_type=metric, field_value=None if value is None else Decimal(value))

    row = ReportRow(
        stats=[field(LEADS, "-5"), field(CLICKS, "0"), field(SPEND, "-5"), field(CTR, "0.25"), field(REACH, None)]
    )
    assert row.get(LEADS) is HIDDEN
    assert row.clicks == 0
    assert row.spend == Decimal(-5)
    assert row.get("CTR") == Decimal("0.25")
    assert row.reach is None
    assert row.impressions is None
    assert row.values() == {LEADS: HIDDEN, CLICKS: 0, SPEND: Decimal(-5), CTR: Decimal("0.25")}
    assert repr(HIDDEN) == "HIDDEN"


def test_spend_keeps_every_digit() -> None:
    newer = ReportFieldType("ADDED_LATER")
    row = ReportRow(
        stats=[
            ReportField(field_type=SPEND, field_value=Decimal("17.482913")),
            ReportField(field_type=newer, field_value=Decimal(7)),
        ]
    )
    assert row.spend == Decimal("17.482913")
    assert isinstance(row.get(newer), Decimal)


async def test_a_walk_left_early_asks_for_little(server: Emulator, account: AdAccount) -> None:
    server.reset_statistics()
    wish = account.reports.aggregate(
        entity_type=AD_SET,
        fields=[CLICKS],
        granularity=DAY,
        report_start=today() - 29 * ONE_DAY,
        report_end=today(),
        entity_ids=UNSET,
    )
    async with wish.reading_ahead(1).walk() as walk:
        await anext(walk)
    # Three pages of ad sets, the days of the first 50 of them, and what is read ahead.
    assert server.statistics().requests <= 3 + 30 + 2

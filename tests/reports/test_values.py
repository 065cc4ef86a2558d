"""What a report's values are, in every form that they come in: rows, sums, tables, files and charts tell the same."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree as ET

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.calls import ACCOUNT, client
from support.effort import examples
from support.raw_server import RawServer, answer
from typer.testing import CliRunner, Result

from spotify_ads_async import InvalidAnswer, InvalidRequest, WalkIncomplete
from spotify_ads_async.models import ReportEntityType, ReportField, ReportFieldType, ReportGranularity
from spotify_ads_async.reports import HIDDEN, AggregateReportCall, AtLeast, ReportRow, total_of
from spotify_ads_async.reports.chart import text
from spotify_ads_async.reports.series import over_time
from spotify_ads_cli.app import app

Stats: TypeAlias = dict[str, str]
"""Metric → its value as JSON, which a number of Python's might change."""

ENTITIES = ["d1f5ad71-4a32-4d25-a3e2-8e5f0f25a6a1", "d1f5ad71-4a32-4d25-a3e2-8e5f0f25a6a2"]
START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = [START + timedelta(days=number) for number in range(3)]
COUNTS, MONEY, SHARES = ("IMPRESSIONS", "LEADS"), ("SPEND", "REVENUE"), ("REACH", "CTR")
METRICS = (*COUNTS, *MONEY, *SHARES)


def stamped(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def row(stats: Stats, entity: str = ENTITIES[0], day: datetime = START) -> str:
    values = ", ".join(f'{{"field_type": "{name}", "field_value": {value}}}' for name, value in stats.items())
    times = f'"start_time": "{stamped(day)}", "end_time": "{stamped(day + timedelta(days=1))}"'
    return (
        f'{{"entity_type": "CAMPAIGN", "entity_id": "{entity}", "entity_name": "Autumn", {times}, "stats": [{values}]}}'
    )


def report(*rows: str) -> bytes:
    return f'{{"rows": [{", ".join(rows)}]}}'.encode()


class Served:
    """A server in a thread of its own, for a command that has the main one."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.server = RawServer()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        self._ready.wait()

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        async with self.server:
            self._ready.set()
            await self._end.wait()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self.loop.close()

    def tell(self, content: bytes) -> None:
        self.server.received.clear()
        self.server.otherwise = answer(200, content)

    def read(self, use: Callable[[AggregateReportCall], Any], *metrics: str) -> Any:  # noqa: ANN401 - what `use` makes
        async def reading() -> object:
            async with client(self.server.base_url) as ads:
                return await use(wish(ads, metrics or METRICS))

        return asyncio.run(reading())

    def command(self, *arguments: str, expect: int = 0) -> Result:
        environment = {
            "SPOTIFY_ADS_BASE_URL": self.server.base_url,
            "SPOTIFY_ADS_ACCESS_TOKEN": "a-token",
            "SPOTIFY_ADS_AD_ACCOUNT_ID": ACCOUNT,
            "SPOTIFY_ADS_LIMITS": "off",
            "SPOTIFY_ADS_STORE": "memory",
        }
        span = ["--from", "2026-03-01", "--to", "2026-03-03"]
        ids = [part for entity in ENTITIES for part in ("--id", entity)]
        ended = CliRunner(env=environment).invoke(app, ["report", "campaigns", *ids, *span, *arguments])
        assert ended.exit_code == expect, ended.output
        return ended


def wish(ads: Any, metrics: tuple[str, ...]) -> AggregateReportCall:  # noqa: ANN401 - a client
    call: AggregateReportCall = ads.ad_account(ACCOUNT).reports.aggregate(
        entity_type=ReportEntityType.CAMPAIGN,
        entity_ids=ENTITIES,
        fields=[ReportFieldType(name) for name in metrics],
        granularity=ReportGranularity.DAY,
        report_start=DAYS[0],
        report_end=DAYS[-1],
    )
    return call


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    running = Served()
    yield running
    running.close()


ODD = [
    ("IMPRESSIONS", '"Infinity"', "no number"),
    ("SPEND", '"NaN"', "no number"),
    ("CTR", '"sNaN"', "no number"),
    ("IMPRESSIONS", "1E+30000", "more than 64 bits hold"),
    ("IMPRESSIONS", "1e999999999", "more than 64 bits hold"),
    ("SPEND", "1e999999999", "more than any amount"),
    ("CTR", "1e999999999", "more than any rate"),
    ("IMPRESSIONS", "9223372036854775808", "more than 64 bits hold"),
    ("IMPRESSIONS", "1.5", "no whole number"),
    ("LEADS", "-5.5", "no whole number"),
    ("LEADS", "-10", "negative, as no count is"),
    ("REVENUE", "1e-999999999", "finer than any amount"),
    ("REVENUE", "100000000000000000000", "more than any amount"),
    ("ADDED_LATER", "12345678901234567890", "more than any rate"),
]


@pytest.mark.parametrize(("metric", "value", "what"), ODD)
def test_a_value_that_no_form_could_hold_is_no_answer(served: Served, metric: str, value: str, what: str) -> None:
    served.tell(report(row({metric: value})))
    for use in (AggregateReportCall.collect, AggregateReportCall.to_arrow):
        with pytest.raises(InvalidAnswer, match=f"{metric} is .*, which is {what}.*leave the metric out"):
            served.read(use)


def test_such_a_value_is_a_message_on_the_command_line(served: Served) -> None:
    served.tell(report(row({"IMPRESSIONS": "1.5"})))
    for output in ("csv", "json", "table", "parquet"):
        ended = served.command("--metrics", "impressions", "-o", output, expect=1)
        assert "IMPRESSIONS is 1.5, which is no whole number" in ended.stderr


def test_one_metric_twice_in_a_row_is_no_answer(served: Served) -> None:
    twice = row({"IMPRESSIONS": "1"}).replace(
        '"stats": [', '"stats": [{"field_type": "IMPRESSIONS", "field_value": 2}, '
    )
    served.tell(report(twice))
    with pytest.raises(InvalidAnswer, match="IMPRESSIONS is both 2 and 1 in one row"):
        served.read(AggregateReportCall.collect)


def test_times_without_an_offset_are_in_utc(served: Served) -> None:
    served.tell(report(row({"IMPRESSIONS": "1"}).replace("00Z", "00"), row({"IMPRESSIONS": "2"}, day=DAYS[1])))
    rows = served.read(AggregateReportCall.collect)
    assert [one.start_time for one in rows] == DAYS[:2]


@pytest.mark.parametrize("form", [(), ("--chart",), ("-o", "svg")], ids=" ".join)
def test_a_day_of_another_time_zone_does_not_go_by_the_name_of_the_day_before(
    served: Served, form: tuple[str, ...]
) -> None:
    served.tell(report(row({"LEADS": "7"}, day=START - timedelta(hours=1))))
    told = served.command("--metrics", "leads", *form).stdout
    assert "2026-02-28" in told
    assert told.count("2026-02-28") == told.count("2026-02-28T23:00:00Z")


def test_rows_that_repeat_come_once_and_rows_that_contradict_are_an_error(served: Served) -> None:
    first, other = row({"IMPRESSIONS": "7"}), row({"IMPRESSIONS": "8"}, day=DAYS[1])
    again = first.replace(ENTITIES[0], ENTITIES[0].upper())
    served.tell(report(first, other, again))
    assert [one.impressions for one in served.read(AggregateReportCall.collect)] == [7, 8]
    # Days begin an hour later once a year: no day has two rows for that.
    late = first.replace("T00:00", "T01:00")
    assert late != first
    served.tell(report(other, late, first))
    assert [one.impressions for one in served.read(AggregateReportCall.collect)] == [7, 8]
    for contradiction in (first, late):
        served.tell(report(first, contradiction.replace("7}", "9}")))
        with pytest.raises(WalkIncomplete, match=rf"two rows of {ENTITIES[0]} .* with different values"):
            served.read(AggregateReportCall.collect)


@pytest.mark.parametrize("metric", ["REVENUE", "LEADS", "CTR", "AVERAGE_ORDER_VALUE", "ADDED_LATER", "IMPRESSIONS"])
def test_minus_five_is_hidden_in_every_metric_but_spend(metric: str) -> None:
    hidden = ReportField(field_type=ReportFieldType(metric), field_value=Decimal("-5.0"))
    found = ReportRow(stats=[hidden, ReportField(field_type=ReportFieldType.SPEND, field_value=Decimal(-5))])
    assert found.get(metric) is HIDDEN
    assert found.spend == Decimal(-5)
    assert found.hidden == (metric,)


def test_a_rate_in_a_table_has_no_currency(served: Served) -> None:
    told = report(row({"SPEND": "1.5", "CTR": "0.0125", "FREQUENCY": "2.5"}))
    served.tell(told.removesuffix(b"}") + b', "currency_code": "EUR"}')
    cells = served.command("--metrics", "spend,ctr,frequency").stdout.splitlines()[1].split()
    assert cells[2:6] == ["1.50", "EUR", "0.0125", "2.50"]


def test_what_does_not_add_up_has_no_sum() -> None:
    rows = [ReportRow(stats=[ReportField(field_type=ReportFieldType.REACH, field_value=Decimal(5))])]
    for metric in ("REACH", "LISTENERS", "FREQUENCY", "CTR", "E_CPCL", "COST_PER_LEAD", "ADDED_LATER"):
        with pytest.raises(InvalidRequest, match=f"{metric} does not add up"):
            total_of(rows, metric)


def test_hidden_parts_of_a_sum_are_counted_and_shown(served: Served, tmp_path: Path) -> None:
    values = ["400", "-5", "504", "-5", "-5", "0"]
    rows = [
        row({"LEADS": value}, entity, day) for value, (entity, day) in zip(values, product(ENTITIES, DAYS), strict=True)
    ]
    served.tell(report(*rows))
    total = total_of(served.read(AggregateReportCall.collect), "LEADS")
    assert total == AtLeast(904, 3)
    assert str(total) == "at least 904, 3 hidden"
    assert "leads: at least 904, 3 hidden" in served.command("--chart", "--metrics", "leads").stdout
    served.command("--chart", str(tmp_path / "out.svg"), "--metrics", "leads")
    assert ">leads: at least 904, 3 hidden<" in (tmp_path / "out.svg").read_text()
    ended = served.command("--metrics", "leads", "-o", "csv")
    assert ended.stderr == "hidden by the API for privacy, as counts of 1 to 4 are: 3 of leads; no sum holds them\n"
    cells = [(one["leads"], one["hidden"]) for one in csv.DictReader(io.StringIO(ended.stdout))]
    assert cells == [(value, "") if value != "-5" else ("", "leads") for value in values]
    assert served.command("--metrics", "leads").stdout.count(" hidden") == 3
    for condition in ("leads<450", "leads!=400"):
        fewer = served.command("--where", condition, "--metrics", "leads")
        assert "3 rows are left out: the API hides or omits leads, so nobody knows" in fewer.stderr
    # A condition that fails decides, whatever is hidden.
    assert "left out" not in served.command("--where", "leads<450", "--where", "name~nobody").stderr
    served.tell(report(*(one.replace('"Autumn"', "null") for one in rows)))
    assert "6 rows are left out: the API hides or omits entity name" in served.command("--where", "name~x").stderr


@pytest.mark.parametrize("begins", [5, -9])
def test_a_chart_keeps_to_the_days_of_the_account(begins: int) -> None:
    """Its days begin at another hour than those that were asked for: a gap is a day without rows, and nothing else."""
    starts = [DAYS[0] + timedelta(days=number, hours=begins + (number > 4)) for number in range(8)]
    rows = [ReportRow(start_time=start) for start in starts if start != starts[2]]
    step = timedelta(days=1)
    found, _ = over_time(rows, [], (DAYS[0], DAYS[0] + 7 * step), step)
    assert len(found) == 8
    assert set(starts) - set(found) <= {starts[2]}


def test_completion_is_of_the_rows_that_tell_both_of_its_parts() -> None:
    """A day of which one is hidden has none, which is said: an empty column could as well be zero."""
    stats = [
        (0, {"IMPRESSIONS": 100, "COMPLETES": 90}),
        (0, {"IMPRESSIONS": 900}),
        (0, {"COMPLETES": 7}),
        (1, {"IMPRESSIONS": 50, "COMPLETES": 0}),
        (2, {"IMPRESSIONS": 800, "COMPLETES": 80}),
        (2, {"IMPRESSIONS": 50, "COMPLETES": -5}),
    ]
    rows = [
        ReportRow(
            start_time=DAYS[0] + timedelta(days=day),
            stats=[
                ReportField(field_type=ReportFieldType(metric), field_value=Decimal(value))
                for metric, value in one.items()
            ],
        )
        for day, one in stats
    ]
    metrics = [ReportFieldType.IMPRESSIONS, ReportFieldType.COMPLETES]
    times, every = over_time(rows, metrics, None, timedelta(days=1))
    assert every == [("impressions", [1000.0, 50.0, 850.0]), ("completion, %: 1 hidden", [90.0, 0.0, None])]
    assert "0 └──\n" in text(times, every, 80)


def test_a_chart_of_what_does_not_add_up_is_refused_before_anything_is_asked(served: Served) -> None:
    served.tell(report())
    ended = served.command("--chart", "--metrics", "spend,reach,ctr", expect=2)
    assert "reach, ctr of several campaigns cannot be added up" in " ".join(ended.stderr.replace("│", " ").split())
    assert not served.server.received


def test_a_day_without_rows_is_a_gap_in_the_chart(served: Served, tmp_path: Path) -> None:
    served.tell(report(row({"IMPRESSIONS": "3"}), row({"IMPRESSIONS": "4"}, day=DAYS[2])))
    file = tmp_path / "out.svg"
    served.command("--chart", str(file), "--width", "98", "--metrics", "impressions")
    assert len(points(file)["impressions"]) == 2


def points(file: Path) -> dict[str, list[list[tuple[float, float]]]]:
    """Series → its lines, in the drawing's own units; a line without neighbours has its one point twice."""
    found: dict[str, list[list[tuple[float, float]]]] = {}
    for element in ET.fromstring(file.read_text()):  # noqa: S314 - our own file
        kind = element.tag.rpartition("}")[2]
        if (
            kind == "text"
            and element.get("x") == "80"
            and element.get("font-size") is None
            and not (element.text or "")[:4].isdigit()
        ):
            found[name := str(element.text).partition(":")[0]] = []
        elif kind == "polyline":
            pairs = [tuple(map(float, pair.split(","))) for pair in str(element.get("points")).split()]
            found[name].append([(x, y) for x, y in pairs])
    return found


counts = st.integers(0, 2**63 - 1).map(str) | st.integers(0, 9).map(str) | st.just("-5") | st.just("12E3")
amounts = st.decimals(0, Decimal("9E14"), places=6).map(str) | st.sampled_from(
    ["-5", "0.30000000000000004", "983.084134", "1E+3", "-5.00"]
)
shares = st.floats(0, 1e6).map(repr) | st.just("-5")
kinds = {**dict.fromkeys(COUNTS, counts), **dict.fromkeys(MONEY, amounts), "REACH": counts, "CTR": shares}
grids = st.lists(
    st.fixed_dictionaries({}, optional={name: kind | st.just("null") for name, kind in kinds.items()}),
    min_size=6,
    max_size=6,
)


def told(stats: Stats, metric: str) -> Decimal | None:
    """A value that is told, by an arithmetic of its own."""
    text = stats.get(metric, "null")
    hidden = text != "null" and metric != "SPEND" and Decimal(text) == -5
    return None if text == "null" or hidden else Decimal(text)


def hides(stats: Stats) -> list[str]:
    return [
        name for name in METRICS if name != "SPEND" and stats.get(name, "null") != "null" and Decimal(stats[name]) == -5
    ]


@example(grid=[{"SPEND": "0.30000000000000004"}, {"SPEND": "292350174636.986240"}, {}, {}, {}, {}])
@example(grid=[{"SPEND": "-5"}, {"REVENUE": "-12.5"}, {}, {}, {}, {"REVENUE": "1E-7"}])
@example(
    grid=[
        {"REVENUE": "-5", "IMPRESSIONS": "9223372036854775807"},
        {},
        {"SPEND": "0.30000000000000004"},
        {"CTR": "-5"},
        {},
        {},
    ]
)
@given(grid=grids)
@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_form_of_a_report_tells_the_same(served: Served, tmp_path: Path, grid: list[Stats]) -> None:
    places = list(product(ENTITIES, DAYS))
    served.tell(report(*(row(stats, *place) for stats, place in zip(grid, places, strict=True))))

    rows: list[ReportRow] = served.read(AggregateReportCall.collect)
    assert [(one.entity_id, one.start_time) for one in rows] == places
    for one, stats in zip(rows, grid, strict=True):
        for metric in METRICS:
            value = one.get(metric)
            assert (HIDDEN if metric in hides(stats) else told(stats, metric)) == value
            assert metric in {*MONEY, "CTR"} or value is None or value is HIDDEN or isinstance(value, int)

    for metric in (*COUNTS, *MONEY):
        with localcontext(prec=80):  # sums of decimals round to 28 digits otherwise
            total = sum((told(stats, metric) or Decimal(0) for stats in grid), Decimal(0))
        hidden = sum(metric in hides(stats) for stats in grid)
        there = hidden or any(told(stats, metric) is not None for stats in grid)
        assert total_of(rows, metric) == (None if not there else AtLeast(total, hidden) if hidden else total)

    frame: pl.DataFrame = served.read(AggregateReportCall.to_polars)
    table = served.read(AggregateReportCall.to_arrow)
    parquet = pq.read_table(io.BytesIO(served.command("--metrics", ",".join(METRICS), "-o", "parquet").stdout_bytes))
    lines = list(csv.DictReader(io.StringIO(served.command("--metrics", ",".join(METRICS), "-o", "csv").stdout)))
    objects = [
        json.loads(line) for line in served.command("--metrics", ",".join(METRICS), "-o", "jsonl").stdout.splitlines()
    ]
    for metric in METRICS:
        name, expected = metric.lower(), [told(stats, metric) for stats in grid]
        plain: list[Any] = [None if value is None else float(value) if metric == "CTR" else value for value in expected]
        assert frame[name].to_list() == table[name].to_pylist() == parquet[name].to_pylist() == plain
        assert [Decimal(line[name]) if line[name] else None for line in lines] == expected
        assert [None if one[name] is None else Decimal(one[name]) for one in objects] == expected
    flags = [[name.lower() for name in hides(stats)] for stats in grid]
    assert [sorted(names) for names in table["hidden"].to_pylist()] == [sorted(names) for names in flags]
    assert [sorted(one["hidden"]) for one in objects] == [sorted(names) for names in flags]
    assert [line["hidden"].split(", ") if line["hidden"] else [] for line in lines] == flags

    _same_chart(served, tmp_path / "out.svg", grid)


def _same_chart(served: Served, file: Path, grid: list[Stats]) -> None:
    served.command("--chart", str(file), "--width", "98", "--metrics", ",".join((*COUNTS, *MONEY)))
    drawn = points(file)
    for metric in (*COUNTS, *MONEY):
        heights: list[float | None] = []
        for place in range(len(DAYS)):
            values = [told(stats, metric) for stats in grid[place :: len(DAYS)]]
            known = [value for value in values if value is not None]
            hidden = any(metric in hides(stats) for stats in grid[place :: len(DAYS)])
            total = float(sum(known, Decimal(0)))
            heights.append(None if not known or (hidden and not total) else total)
        largest = max([0.0, *(height for height in heights if height is not None)]) or 1.0
        bottom_up = {round(x): y for line in drawn[metric.lower()] for x, y in line}
        xs = [80 + place * 440 for place in range(len(DAYS))]
        assert bottom_up.keys() == {x for x, height in zip(xs, heights, strict=True) if height is not None}
        bottoms = {
            round(bottom_up[x] + height / largest * 134)
            for x, height in zip(xs, heights, strict=True)
            if height is not None
        }
        # Every height stands on the same ground, within the drawing's tenths.
        assert len(bottoms) <= 1 or max(bottoms) - min(bottoms) <= 1

"""``spotify-ads report`` and ``upload`` as users start them."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree as ET

import pytest
from support.emulator_process import RunningEmulator
from support.raw_server import answer
from support.server_thread import server_in_a_thread

from spotify_ads_async.reports.chart import Series, svg, text

TIMES = [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=number) for number in range(60)]


class Command(Protocol):
    """Runs ``spotify-ads`` to the exit code that is expected."""

    def __call__(self, *arguments: str, expect: int = 0, server: str = "") -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def command(warm_programs: Path, emulator: RunningEmulator) -> Command:
    environment = {**os.environ, **emulator.environment, "COLUMNS": "80"}

    def run(*arguments: str, expect: int = 0, server: str = "") -> subprocess.CompletedProcess[str]:
        program = [str(warm_programs / "spotify-ads"), *arguments]
        found = {**environment, "SPOTIFY_ADS_BASE_URL": server or emulator.base_url}
        ended = subprocess.run(program, env=found, capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == expect, ended.stderr
        return ended

    return run


def test_rows_of_any_range(command: Command) -> None:
    ended = command("report", "campaigns", "--from", "2026-01-01", "--to", "2026-04-30", "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(ended.stdout)))
    assert len(rows) == 6 * 120
    assert list(rows[0]) == [
        "entity_id",
        "entity_name",
        "start_time",
        "spend",
        "impressions",
        "clicks",
        "reach",
        "hidden",
    ]
    assert ended.stderr == ""
    limited = command("report", "campaigns", "--limit", "2", "--metrics", "clicks").stderr
    assert limited.startswith("in these 2 rows, as limited: clicks ")


def test_rows_as_json_lines(command: Command) -> None:
    ended = command("report", "account", "--by", "lifetime", "--metrics", "spend,impressions", "-o", "jsonl")
    (row,) = [json.loads(line) for line in ended.stdout.splitlines()]
    assert isinstance(row["impressions"], int)
    assert isinstance(row["spend"], str)


def test_a_chart_here_or_in_a_file(command: Command, tmp_path: Path) -> None:
    drawn = command("report", "account", "--chart").stdout
    assert {"spend", "impressions", "completion, %"} <= set(drawn.splitlines())
    assert "█" in drawn
    assert max(map(len, drawn.splitlines())) <= 80
    file = tmp_path / "out.svg"
    command("report", "account", str(file), "--chart")
    wide = command("report", "account", "-o", "svg", "--width", "200").stdout
    drawings = [ET.fromstring(one) for one in (file.read_text(), wide)]  # noqa: S314 - our own
    narrow = command("report", "account", "--chart", "--width", "40").stdout
    lines = "{http://www.w3.org/2000/svg}polyline"
    assert [(len(one.findall(lines)) >= 3, one.get("width")) for one in drawings] == [(True, "800"), (True, "2000")]
    assert max(map(len, narrow.splitlines()[2:])) <= 40
    assert "--fields is for rows" in command("report", "-o", "svg", "--fields", "name", expect=2).stderr


def test_rows_are_chosen_by_conditions_and_show_the_fields_that_are_asked_for(command: Command) -> None:
    first = (datetime.now(UTC) - timedelta(days=20)).date().isoformat()
    span = ("report", "ad-sets", "--from", first, "-o", "csv")
    every = list(csv.DictReader(io.StringIO(command(*span, "--metrics", "spend,clicks").stdout)))
    chosen = command(
        *span, "--where", "name~coffee", "--where", "clicks>2", "--fields", "name,spend", "--limit", "5"
    ).stdout
    wanted = [row for row in every if "coffee" in row["entity_name"] and row["clicks"] and int(row["clicks"]) > 2][:5]
    assert len(wanted) == 5
    assert list(csv.DictReader(io.StringIO(chosen))) == [
        {"entity_name": row["entity_name"], "spend": row["spend"]} for row in wanted
    ]
    for option, given in (("--where", "spnd>1"), ("--fields", "spnd")):
        assert "did you mean spend?" in command(*span, option, given, expect=2).stderr


def test_what_the_server_leaves_out_is_said(command: Command, emulator: RunningEmulator) -> None:
    now = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    told = (["SPEND"], ["SPEND", "COMPLETES"], [])
    rows = [
        {
            "entity_type": "AD_ACCOUNT",
            "start_time": f"{now - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}",
            "stats": [{"field_type": metric, "field_value": 10} for metric in metrics],
        }
        for days, metrics in enumerate(told)
    ]
    # The report, and the account's name and currency.
    body = {"granularity": "DAY", "rows": rows, "id": emulator.ad_account_id, "name": "A"}
    with server_in_a_thread(answer(200, body)) as server:
        for arguments in (["-o", "csv", "--metrics", "spend,impressions,completes"], ["--chart"]):
            said = command("report", "account", *arguments, server=server.base_url).stderr
            assert "no row has impressions: the server told nothing of it, which is not zero" in said
            assert "absent, which is not zero: spend in 1, completes in 2 of 3 rows; no sum holds it" in said


def test_a_day_by_the_hour_is_whole(command: Command) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    for arguments, hours in (
        (["--to", f"{yesterday}"], 24),
        (["--from", f"{yesterday}"], 24 + datetime.now(UTC).hour + 1),
    ):
        ended = command("report", "account", "--by", "hour", *arguments, "-o", "csv")
        times = [row["start_time"] for row in csv.DictReader(io.StringIO(ended.stdout))]
        assert times[:24] == [f"{yesterday}T{hour:02}:00:00Z" for hour in range(24)]
        # The present hour may pass while this runs.
        assert len(times) - hours in {0, 1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--by", "lifetime", "--from", "2026-01-01"], "--by lifetime is over all time: leave out --from and --to"),
        (["--by", "lifetime", "--to", "2026-01-01"], "--by lifetime is over all time: leave out --from and --to"),
        (["--from", "2026-01-02", "--to", "2026-01-01"], "--from 2026-01-02 lies after --to 2026-01-01"),
        (["--to", "0001-01-05"], "--to 0001-01-05 is at the end of all dates: name the first day with --from"),
        (["--by", "hour", "--from", "9999-12-31"], "lies after the present"),
    ],
)
def test_a_range_that_is_none_is_wrong_usage(command: Command, arguments: list[str], said: str) -> None:
    ended = command("report", *arguments, expect=2)
    assert said in " ".join(ended.stderr.replace("│", " ").split())


def test_a_metric_that_a_report_fails_with_can_be_left_out_by_an_option(
    command: Command, emulator: RunningEmulator
) -> None:
    query = {"granularity": "HOUR", "fields": "REVENUE"}
    fault = {"kind": "error", "status": 502, "operations": ["getAggregateReport"], "query": query}
    faults = emulator.environment["SPOTIFY_ADS_BASE_URL"].removesuffix("/ads/v3") + "/_emulator/faults"

    def ask(method: str, body: bytes | None = None) -> None:
        request = urllib.request.Request(faults, body, {"Content-Type": "application/json"}, method=method)  # noqa: S310 - the emulator
        urllib.request.urlopen(request).close()  # noqa: S310 - the same

    ask("POST", json.dumps(fault).encode())
    try:
        arguments = ("report", "account", "--by", "hour", "--metrics", "impressions,revenue", "-o", "jsonl")
        assert "REVENUE by the hour may be to blame" in command(*arguments, expect=1).stderr
        ended = command(*arguments, "--on-failed-metric", "drop", expect=1)
        rows = [json.loads(line) for line in ended.stdout.splitlines()]
        assert len(rows) == 24
        assert {row["revenue"] for row in rows} == {None}
        assert all(isinstance(row["impressions"], int) for row in rows)
        assert "revenue is missing: getAggregateReport: " in ended.stderr
    finally:
        ask("DELETE")


def test_an_entity_that_has_no_rows_is_named(command: Command, tmp_path: Path) -> None:
    nobody = "00000000-0000-4000-8000-00000000000A"
    rows = csv.DictReader(io.StringIO(command("report", "campaigns", "--by", "lifetime", "-o", "csv").stdout))
    one = next(rows)["entity_id"].upper()
    for form in (["--by", "lifetime"], ["--by", "day"], ["--chart", str(tmp_path / "out.svg")]):
        ended = command("report", "campaigns", *form, "--id", nobody, "--id", one)
        assert f"no rows came of {nobody}: " in ended.stderr
        assert one not in ended.stderr
    assert command("report", "campaigns", "--by", "lifetime", "--id", one).stderr == ""


def test_wrong_usage_says_what_is_right(command: Command) -> None:
    assert "spend" in command("report", "--metrics", "spent", expect=2).stderr
    assert "--chart FILE.svg" in command("report", "account", "out.svg", expect=2).stderr
    assert "csv is for rows" in command("report", "account", "--chart", "--output", "csv", expect=2).stderr


def test_media_and_lists_are_uploaded(command: Command, tmp_path: Path) -> None:
    spot, people = tmp_path / "spot.mp3", tmp_path / "people.txt"
    spot.write_bytes(b"ID3\x04" + bytes(5000))
    people.write_text("\n".join(f"listener{number}@example.com" for number in range(500)))
    (row,) = [json.loads(line) for line in command("upload", str(spot), "-o", "jsonl").stdout.splitlines()]
    assert (row["status"], row["size"]) == ("READY", 5004)
    (row,) = [
        json.loads(line) for line in command("upload", "--audience", str(people), "-o", "jsonl").stdout.splitlines()
    ]
    assert (row["status"], row["identifiers"]) == ("LIVE", 500)
    for upload in (["upload"], ["assets", "create"]):
        assert "is named twice" in command(*upload, str(spot), str(tmp_path / "." / "spot.mp3"), expect=2).stderr
    assert command("upload", str(people), expect=3).stderr.startswith(
        "refused: could not upload an asset's media in one piece: people.txt"
    )


def test_charts_fit_any_width_and_keep_gaps() -> None:
    every = [
        Series("spend", [float(number % 7) for number in range(60)]),
        Series("a < b & c", [None, 1.0, *([None] * 58)]),
        Series("none", []),
    ]
    for width in (10, 40, 200):
        assert max(map(len, text(TIMES, every, width).splitlines())) <= max(width, 24)
    root = ET.fromstring(svg(TIMES, every, "Autumn <1>"))  # noqa: S314 - our own file
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(str(line.get("points")).split()) for line in lines] == [60, 2]
    assert text([], [Series("nothing", [])], 80)


def test_hours_are_those_of_the_zone(command: Command) -> None:
    day = (datetime.now(UTC) - timedelta(days=3)).date().isoformat()
    arguments = ("report", "account", "--by", "hour", "--from", day, "--to", day, "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(command(*arguments, "--zone", "Asia/Tokyo").stdout)))
    assert len(rows) == 24
    assert (rows[0]["start_time"], rows[-1]["start_time"]) == (f"{day}T00:00:00+09:00", f"{day}T23:00:00+09:00")
    assert "whole hours" in command(*arguments, "--zone", "Asia/Kolkata", expect=2).stderr
    daily = command("report", "account", "--zone", "Asia/Tokyo", "--limit", "2", "-o", "csv")
    assert "days are those of UTC" in daily.stderr
    assert len(daily.stdout.splitlines()) == 3

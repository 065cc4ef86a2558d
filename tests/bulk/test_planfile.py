"""The plan's file: what it takes, what it refuses, and what survives."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from spotify_ads_async import bulk
from spotify_ads_async.bulk.plan.sources import Change
from spotify_ads_async.bulk.store.plan_file import now_text

HEADER = bulk.Header(entity="ad sets", ad_account_id="a", base_url="http://127.0.0.1", source="changes.csv", created_at=now_text())
ONE = "00000000-0000-4000-8000-000000000001"


def test_the_header_comes_back(tmp_path: Path) -> None:
    with bulk.PlanFile.create(tmp_path / "a.plan", HEADER):
        pass
    with bulk.PlanFile.open(tmp_path / "a.plan") as plan:
        assert plan.header == HEADER
        assert not plan.header.ready
        plan.mark_ready()
        assert plan.header.ready


@pytest.mark.parametrize("content", [b"", b"ad_set_id,name\n", b"x" * 5000])
def test_other_files_are_no_plans(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.plan"
    path.write_bytes(content)
    with pytest.raises(bulk.NotAPlan):
        bulk.PlanFile.open(path)
    assert path.read_bytes() == content
    assert not bulk.is_plan(path)


def test_databases_of_others_are_no_plans(tmp_path: Path) -> None:
    path = tmp_path / "a.plan"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (x)")
    connection.close()
    with pytest.raises(bulk.NotAPlan, match="is no plan"):
        bulk.PlanFile.open(path)


def test_plans_of_a_later_format_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.plan"
    bulk.PlanFile.create(path, HEADER).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(bulk.NotAPlan, match="has format 99"):
        bulk.PlanFile.open(path)


def test_there_must_be_a_plan(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no plan"):
        bulk.PlanFile.open(tmp_path / "a.plan")
    assert list(tmp_path.iterdir()) == []


def test_a_transaction_is_whole_or_nothing(tmp_path: Path) -> None:
    with bulk.PlanFile.create(tmp_path / "a.plan", HEADER) as plan:
        change = Change(line=2, entity_id=ONE, values={"name": "Renamed"})

        def half_done() -> None:
            with plan.transaction():
                plan.add_change(change)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            half_done()
        assert list(plan.rows()) == []
        with plan.transaction():
            plan.add_change(change)
        assert [row.change for row in plan.rows()] == [{"name": "Renamed"}]


def test_an_unfinished_plan_is_not_carried_out(tmp_path: Path) -> None:
    with bulk.PlanFile.create(tmp_path / "a.plan", HEADER) as plan:
        assert plan.outcomes()[bulk.RowOutcome.WAITING] == 0
        assert not plan.begun()
        assert plan.left_over() == 0

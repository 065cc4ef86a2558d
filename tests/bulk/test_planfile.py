"""The plan's file: what it takes, what it refuses, and what survives."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import json
import os
import sqlite3
import stat
import sys
import tempfile
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest

from spotify_ads_async import bulk
from spotify_ads_async.bulk.plan.effects import NOTHING
from spotify_ads_async.bulk.plan.planner import new_plan
from spotify_ads_async.bulk.plan.problems import Problem
from spotify_ads_async.bulk.plan.sources import Change
from spotify_ads_async.bulk.store.journal import Journal
from spotify_ads_async.bulk.store.plan_file import now_text
from spotify_ads_async.bulk.store.planning_rows import Decided
from spotify_ads_async.bulk.workbook.store import write_plan

from .conftest import QUICK, World, outcomes_of, rows_of

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

HEADER = bulk.Header(
    entity="ad sets", ad_account_id="a", base_url="http://127.0.0.1", source="changes.csv", created_at=now_text()
)
ONE = "00000000-0000-4000-8000-000000000001"


def test_rows_too_many_for_memory_wait_in_a_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {ONE: "first", ONE[:-1] + "2": "x" * (1 << 25), ONE[:-1] + "3": "last"}
    changes = [Change(line=line, entity_id=one, values={"name": names[one]}) for line, one in enumerate(names, 2)]
    with bulk.PlanFile.create(tmp_path / "a.plan", HEADER) as plan:
        assert [plan.planning.add_change(change) for change in changes] == [None, None, None]
        # In the order of the file, whatever that of their entities is.
        found = plan.planning.take((one, names[one]) for one in reversed(names))
        assert [row.change["name"] == name for row, name in found] == [True] * 3
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with bulk.PlanFile.create(tmp_path / "b.plan", HEADER) as plan:
        plan.planning.add_change(changes[0])
        with pytest.raises(bulk.PlanDamaged, match="set TMPDIR"):
            plan.planning.add_change(changes[1])
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: io.BufferedRandom(_FullDisk(tmp_path / "full", "w+")))
    plan = bulk.PlanFile.create(tmp_path / "c.plan", HEADER)
    assert [plan.planning.add_change(change) for change in changes] == [None, None, None]
    with pytest.raises(bulk.PlanDamaged, match=r"no place .* set TMPDIR"):
        list(plan.planning.take(names.items()))
    plan.discard()
    assert not plan.path.exists()


class _FullDisk(io.FileIO):
    """A disk that is full after 32 MiB."""

    def write(self, data: ReadableBuffer, /) -> int:
        if self.tell() > 1 << 25:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("work", ["read", "write", "become ready"])
async def test_a_cancelled_task_waits_for_a_thread_that_works_on_its_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    """To close SQLite's file under a thread ends the process."""
    begun, free = threading.Event(), threading.Event()

    def hold(plan: bulk.PlanFile) -> None:
        begun.set()
        free.wait()
        assert not plan.begun(), "the file is open"

    async def use() -> None:
        async with new_plan(tmp_path / "a.plan", HEADER) as plan:
            if work == "become ready":
                monkeypatch.setattr(bulk.PlanFile, "mark_ready", hold)
            else:
                await getattr(Journal(plan), work)(hold)

    await _cancel_while_a_thread_works(use(), begun, free)
    assert not await anyio.Path(tmp_path, "a.plan").exists()


async def _cancel_while_a_thread_works(
    work: Coroutine[Any, Any, object], begun: threading.Event, free: threading.Event
) -> None:
    """Cancel a task whose thread has begun: it ends when the thread is free."""
    task = asyncio.create_task(work)
    try:
        await asyncio.to_thread(begun.wait)
        task.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not task.done()
    finally:
        free.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_task_leaves_no_plan_of_a_workbook(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    done, undo = world.folder / "done.plan", world.folder / "undo.plan"
    header = bulk.WorkbookHeader(ad_account_id="a", base_url=world.ads.base_url, source="", created_at="")
    write_plan(done, header, [])
    begun, free = threading.Event(), threading.Event()
    monkeypatch.setattr(bulk.WorkbookPlan, "add_items", lambda *_: begun.set() or free.wait())
    await _cancel_while_a_thread_works(bulk.plan_undo(world.ads, done, undo), begun, free)
    assert not undo.exists()


async def test_a_cancelled_task_leaves_neither_a_plan_nor_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bulk.PlanFile.create(tmp_path / "made.plan", HEADER)
    monkeypatch.setattr(bulk.PlanFile, "create", lambda *_: loop.call_soon_threadsafe(task.cancel) and made)
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(new_plan(made.path, HEADER).__aenter__())
    await asyncio.wait([task])
    assert task.cancelled()
    assert not made.path.exists()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        made.header  # noqa: B018 - it asks the file


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
    assert not bulk.is_workbook_plan(path)


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
        row = plan.planning.number(Change(line=2, entity_id=ONE, values={"name": "Renamed"}))
        decided = Decided(row=row, effect=NOTHING)

        def half_done() -> None:
            with plan.transaction():
                plan.planning.decide([decided])
                raise RuntimeError

        with pytest.raises(RuntimeError):
            half_done()
        assert list(plan.rows()) == []
        with plan.transaction():
            plan.planning.decide([decided])
        assert [row.change for row in plan.rows()] == [{"name": "Renamed"}]


def test_an_unfinished_plan_is_not_carried_out(tmp_path: Path) -> None:
    with bulk.PlanFile.create(tmp_path / "a.plan", HEADER) as plan:
        assert plan.outcomes()[bulk.RowOutcome.WAITING] == 0
        assert not plan.begun()
        assert plan.left_over() == 0


FORMER = """
CREATE TABLE header (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE row (number INTEGER PRIMARY KEY, line INTEGER NOT NULL, entity_id TEXT NOT NULL, change TEXT NOT NULL,
  verdict TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '', field TEXT NOT NULL DEFAULT '', before TEXT, after TEXT, elsewhere TEXT, base TEXT);
CREATE UNIQUE INDEX row_by_entity ON row (entity_id) WHERE verdict <> 'refused';
CREATE TABLE step (row INTEGER NOT NULL, position INTEGER NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL,
  sent INTEGER NOT NULL DEFAULT 0, sent_at REAL, status INTEGER, trace_id TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '', found TEXT,
  passing INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (row, position)) WITHOUT ROWID;
CREATE INDEX step_by_state ON step (state, row, position);
"""
DRAFTS = """
CREATE TABLE campaign (id TEXT PRIMARY KEY, draft_id TEXT NOT NULL DEFAULT '', state TEXT NOT NULL,
  version INTEGER) WITHOUT ROWID;
CREATE TABLE draft (row INTEGER PRIMARY KEY, campaign_id TEXT NOT NULL, parent_id TEXT NOT NULL,
  draft_id TEXT NOT NULL DEFAULT '');
CREATE INDEX draft_by_campaign ON draft (campaign_id);
CREATE VIEW fate AS SELECT number, 'done' AS fate FROM row;
CREATE VIEW request AS SELECT step.row, position, entity_id, body, before, state,
  sent FROM step JOIN row ON number = step.row;
"""


def former_plan(path: Path, version: int, base_url: str, ad_account_id: str, row: dict[str, str]) -> Path:
    """A plan as the version before left it: one row that is done."""
    header = {
        "entity": "ad sets",
        "ad_account_id": ad_account_id,
        "base_url": base_url,
        "source": "changes.csv",
        "created_at": now_text(),
        "undo_of": "",
        "ready": "true",
        "drafts": "false",
    }
    body = json.dumps({"name": row["after"]})
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(FORMER + (DRAFTS if version == 2 else ""))
        connection.executemany("INSERT INTO header VALUES (?, ?)", header.items())
        before = json.dumps({"name": row["before"]})
        connection.execute(
            "INSERT INTO row VALUES (1, 2, ?, ?, 'planned', '', '', ?, ?, '{}', NULL)", (row["id"], body, before, body)
        )
        connection.execute("INSERT INTO step VALUES (1, 0, ?, 'done', 1, 0.0, NULL, '', '', ?, 0)", (body, body))
        connection.executescript(f"PRAGMA application_id=1396785744; PRAGMA user_version={version};")
        connection.commit()
    return path


@pytest.mark.parametrize("version", [1, 2])
async def test_a_plan_of_the_version_before_is_shown_and_undone_and_not_carried_out(world: World, version: int) -> None:
    one = world.ad_sets[0]
    row = {"id": one["id"], "before": "As it was", "after": one["name"]}
    plan = former_plan(world.folder / "former.plan", version, world.server.base_url, world.server.ad_account_id, row)
    (shown,) = rows_of(plan)
    assert (shown.outcome, shown.before, shown.applied) == ("done", {"name": "As it was"}, {"name": one["name"]})
    with pytest.raises(bulk.WrongPlan, match="the version before"):
        await world.resume(plan)
    undo = world.folder / "undo.plan"
    await bulk.plan_undo(world.ads, plan, undo)
    await world.apply(undo)
    assert world.account.ad_sets.get(one["id"])["name"] == "As it was"


@pytest.mark.parametrize("version", [3, 4])
async def test_a_plan_of_the_format_before_is_carried_on_with(world: World, version: int) -> None:
    plan = await world.plan(world.names(2))
    await world.apply(plan, msgspec.structs.replace(QUICK, draft=True))
    connection = sqlite3.connect(plan)
    connection.executescript(f"ALTER TABLE draft DROP COLUMN filled; PRAGMA user_version={version};")
    if version == 3:
        connection.executescript("ALTER TABLE campaign DROP COLUMN made_at; DROP TABLE around;")
    connection.close()
    await world.resume(plan, msgspec.structs.replace(QUICK, publish=True))
    assert outcomes_of(plan) == {"done": 2}


def test_only_the_owner_may_read_a_plan(tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        with bulk.PlanFile.create(tmp_path / "a.plan", HEADER) as plan:
            plan.planning.add_refused(Problem(file="", line=1, reason="x"))
            assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {0o600}
    finally:
        os.umask(former)


async def test_a_flipped_byte_is_found_before_it_is_sent(world: World) -> None:
    plan = await world.plan(world.names(3))
    content = plan.read_bytes()
    one = world.ad_sets[1]
    before = one["name"]
    wanted = f"Renamed {before}".encode()
    places = [place for place in range(len(content)) if content.startswith(wanted, place)]
    assert places
    found = 0
    for number, place in enumerate(places):
        damaged = bytearray(content)
        damaged[place] ^= 1
        other = world.folder / f"{number}.plan"
        other.write_bytes(bytes(damaged))
        try:
            await world.apply(other)
        except bulk.PlanDamaged:
            found += 1
        # What is not sent, such as the row as it was read, may differ: what arrives is as it was planned, or nothing.
        assert world.account.ad_sets.get(one["id"])["name"] in {before, f"Renamed {before}"}
        world.account.ad_sets.put(one)
    assert found >= 2


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.95])
async def test_a_truncated_plan_is_said_to_be_damaged(world: World, share: float) -> None:
    plan = await world.plan(world.names(60))
    content = plan.read_bytes()
    plan.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(bulk.NotAPlan):
        await world.apply(plan)
    assert "updateAdSet" not in world.server.statistics().operations


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_no_plan_and_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.plan"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path = Path("/dev/zero")
    assert not bulk.is_plan(path)
    assert not bulk.is_workbook_plan(path)
    with pytest.raises(bulk.NotAPlan, match="it is no file"):
        bulk.PlanFile.open(path)


def test_a_place_that_takes_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(bulk.PlanDamaged, match="no plan can be written"):
        bulk.PlanFile.create(tmp_path / "nowhere" / "a.plan", HEADER)
    with pytest.raises(FileExistsError, match="never overwritten"):
        bulk.PlanFile.create(tmp_path, HEADER)


async def test_a_full_disk_ends_in_one_sentence(world: World) -> None:
    plan = await world.plan(world.names(30))
    with bulk.PlanFile.open(plan) as file:
        connection = file._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(bulk.PlanDamaged, match="the disk is full"):
            await Journal(file).write(lambda one: one.refuse(1, "x" * 10_000_000))


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be moved")
async def test_a_plan_that_is_moved_while_it_is_worked_on_is_written_no_more(world: World, tmp_path: Path) -> None:
    plan = await world.plan(world.names(3))
    with bulk.PlanFile.open(plan) as file:
        await Journal(file).write(lambda one: one.refuse(1, "known"))
        plan.rename(tmp_path / "moved.plan")
        with pytest.raises(bulk.PlanDamaged, match="put it back under that name"):
            await Journal(file).write(lambda one: one.refuse(2, "lost"))
    (tmp_path / "moved.plan").rename(plan)
    with bulk.PlanFile.open(plan) as file:
        assert [row.reason for row in file.rows()] == ["known", "", ""]


@pytest.mark.skipif(sys.platform == "win32", reason="a limit on the size of files stands for the disk")
@pytest.mark.parametrize("kind", ["changes", "workbook"])
async def test_a_disk_that_fills_while_a_plan_is_made_ends_in_one_sentence(tmp_path: Path, kind: str) -> None:
    import resource  # noqa: PLC0415 - not on Windows

    path, before = tmp_path / "a.plan", resource.getrlimit(resource.RLIMIT_FSIZE)
    refusals: list[str] = []
    while not path.exists():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096 * len(refusals), before[1]))
        try:
            if kind == "workbook":
                write_plan(path, bulk.WorkbookHeader(ad_account_id="a", base_url="", source="", created_at=""), [])
            else:
                async with new_plan(path, HEADER):
                    pass
        except bulk.PlanDamaged as problem:
            refusals.append(str(problem))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert len(refusals) < 100
    assert len(refusals) > 2
    assert all("written" in refusal for refusal in refusals)

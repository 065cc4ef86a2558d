"""Processes as they are: forked, with many threads that wait, paused by another's refusal, beside a bulk job."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path

import anyio.to_thread
import pytest
from support import calls
from support.raw_server import RawServer, answer
from support.virtual_store import fullest

from spotify_ads_async import QuotaTimeout, StoreUnavailable
from spotify_ads_async.events import RequestSent
from spotify_ads_async.governor import Admitted, Governor, Limit
from spotify_ads_async.governor.shared import lift_pauses, open_store
from spotify_ads_async.network.connections import leave_to_send

WINDOW = 2.0
LIMITS = [Limit("client_id", requests=90, window=3 * WINDOW), Limit("ip", requests=30, window=WINDOW)]
NAMES = frozenset({"client_id", "ip"})


def governor(store: str) -> Governor:
    return Governor(LIMITS, store=store, on_store_failure="pause")


async def send(through: Governor, log: Path, requests: int, at_once: int = 15) -> None:
    """Send so many requests, and write down when."""
    left = iter(range(requests))

    async def one() -> None:
        for _ in left:
            async with through.admit(NAMES):
                with log.open("a") as file:
                    file.write(f"{time.monotonic()}\n")
                await asyncio.sleep(0.02)

    await asyncio.gather(*(one() for _ in range(at_once)))


def forked(work: Callable[[], Coroutine[object, object, None]]) -> int:
    """A child that does the work with what it was copied with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
    if child == 0:
        try:
            asyncio.run(work())
        finally:
            os._exit(0)
    return child


async def ended(children: list[int]) -> None:
    for child in children:
        with anyio.fail_after(60.0):
            await anyio.to_thread.run_sync(os.waitpid, child, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("busy", [True, False], ids=["while it works", "while it rests"])
async def test_forked_processes_spend_nothing_of_their_parents(store: str, tmp_path: Path, *, busy: bool) -> None:
    log = tmp_path / "log"
    through = governor(store)
    async with asyncio.timeout(60.0):
        work = asyncio.create_task(send(through, log, 40, at_once=25 if busy else 3))
        await asyncio.sleep(0.1)
        children = [forked(lambda: send(through, log, 10)) for _ in range(3)]
        await work
        await through.aclose()
        await ended(children)
    moments = [float(line) for line in log.read_text().split()]
    assert len(moments) == 40 + 3 * 10
    assert fullest(moments, WINDOW) <= 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
async def test_what_a_forked_child_spends_is_known_after_its_parent_has_left_the_store(store: str) -> None:
    """SQLite deletes the log with what it takes for the last connection, and a fork inherits what it knows of them."""
    through = Governor([Limit("ip", requests=20, window=60.0)], store=store)

    async def spend(requests: int) -> None:
        for _ in range(requests):
            async with through.admit({"ip"}):
                pass

    async def as_a_child() -> None:
        await spend(1)
        os.write(begun_by_child, b".")
        os.read(closed, 1)
        await spend(5)
        await through.aclose()

    await spend(1)
    (begun, begun_by_child), (closed, closed_by_parent) = os.pipe(), os.pipe()
    child = forked(as_a_child)
    await anyio.to_thread.run_sync(os.read, begun, 1)
    await through.aclose()
    os.write(closed_by_parent, b".")
    await ended([child])
    kept = open_store(store, timeout=30.0)
    assert kept is not None
    assert [len(window.dues) for window in await kept.look()] == [7]
    await kept.aclose()
    for end in (begun, begun_by_child, closed, closed_by_parent):
        os.close(end)


async def test_a_request_whose_process_was_stopped_while_it_connected_asks_for_leave_again(store: str) -> None:
    stopped_for, admitted = 0.0, list[object]()

    def stop(event: object) -> None:
        nonlocal stopped_for
        stopped_for = 60.0 if isinstance(event, RequestSent) and not stopped_for else stopped_for

    with_gaps = Governor(LIMITS, store=store, clock=lambda: time.monotonic() + stopped_for)
    with_gaps.subscribe(lambda event: admitted.append(event) if isinstance(event, Admitted) else None)
    async with (
        RawServer(otherwise=answer(200, calls.READ.answer)) as server,
        with_gaps,
        calls.client(server.base_url, governor=with_gaps) as ads,
    ):
        ads.subscribe(stop)
        for leaves in (2, 3):
            await calls.READ.by(ads)
            assert (len(admitted), len(server.received)) == (leaves, leaves - 1)
    assert [window.in_flight for window in with_gaps.snapshot().windows] == [0, 0]


async def test_a_void_grant_stays_void_where_the_store_hears_of_it_before_the_connection_is_there(store: str) -> None:
    stopped_for, admitted = 0.0, list[object]()
    with_gaps = Governor(LIMITS, store=store, clock=lambda: time.monotonic() + stopped_for)
    with_gaps.subscribe(lambda event: admitted.append(event) if isinstance(event, Admitted) else None)
    scope = with_gaps.scope(origin="https://api.example")
    async with with_gaps, scope.admit(NAMES):
        leave = leave_to_send.get()
        stopped_for = 60.0
        async with scope.admit(NAMES):
            assert leave is not None
            again = leave.renewal()
            assert again is not None
            await again
    assert len(admitted) == 3


async def test_eighty_threads_that_wait_are_all_served(store: str) -> None:
    served: list[int] = []
    loop = asyncio.get_running_loop()
    async with Governor([Limit("ip", requests=50, window=0.5)], store=store, on_store_failure="pause") as through:

        async def one(number: int) -> None:
            async with through.admit({"ip"}):
                served.append(number)

        def thread(number: int) -> None:
            asyncio.run_coroutine_threadsafe(one(number), loop).result(60.0)

        # More than there are worker threads: a store that needed one of them would wait for ever.
        await asyncio.gather(*(anyio.to_thread.run_sync(thread, number) for number in range(80)))
    assert sorted(served) == list(range(80))


async def test_a_pause_is_lifted_by_hand_for_every_process(store: str) -> None:
    opened = open_store(store, timeout=30.0)
    assert opened is not None
    async with governor(store) as first, governor(store) as second, asyncio.timeout(120.0):
        async with second.admit(NAMES), first.admit(NAMES) as admission:
            admission.answered(status=429, headers={"Retry-After": "100"})
        while not all(window.state.paused > window.now for window in await opened.look()):  # noqa: ASYNC110 (the store has no event)
            await asyncio.sleep(0.02)
        held = asyncio.create_task(admitted(second))
        await asyncio.sleep(0.2)
        assert not held.done()
        assert {one.key.partition("|")[0] for one in await lift_pauses(opened, await opened.look())} == {
            "client_id",
            "ip",
        }
        await held
        assert await first.lift() >= 0
        await admitted(first)
    await opened.aclose()


async def admitted(through: Governor) -> None:
    async with through.admit(NAMES):
        pass


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_bytes(b"no database at all" * 100), "damaged"),
        (lambda path: path.mkdir(), "cannot be used"),
    ],
)
async def test_a_file_that_is_no_quota_file_is_named_with_what_to_do(tmp_path: Path, spoil: object, says: str) -> None:
    path = tmp_path / "quota.db"
    spoil(path)  # type: ignore[operator]
    async with Governor(LIMITS, store=f"sqlite://{path}") as through:
        with pytest.raises(StoreUnavailable, match=says) as failure:
            await admitted(through)
    assert str(path) in str(failure.value)


async def test_a_file_with_values_of_another_type_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "quota.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE windows_1 (key TEXT PRIMARY KEY, used_at INTEGER NOT NULL)")
        other.execute("INSERT INTO windows_1 VALUES ('ip', 'never')")
        async with Governor(LIMITS, store=f"sqlite://{path}") as through:
            await admitted(through)
            other.execute("UPDATE kept SET state = 'text'")
            with pytest.raises(StoreUnavailable, match=r"damaged .*: delete it, and send nothing for a minute"):
                await admitted(through)


async def test_a_window_longer_than_a_file_is_kept_unused_is_not_forgotten(tmp_path: Path) -> None:
    path, week = tmp_path / "quota.db", [Limit("ip", requests=1, window=7 * 24 * 3600.0)]
    async with Governor(week, store=f"sqlite://{path}") as first:
        await admitted(first)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE kept SET used_at = used_at - 25 * 3600 * 1000000")
    async with Governor(week, store=f"sqlite://{path}") as second:
        with pytest.raises(QuotaTimeout):
            await second.admit({"ip"}, max_wait=0.0).__aenter__()


async def test_a_file_whose_columns_stand_in_another_order_is_used(tmp_path: Path) -> None:
    path = tmp_path / "quota.db"
    with contextlib.closing(sqlite3.connect(path)) as older:
        older.execute("CREATE TABLE kept (key TEXT PRIMARY KEY, state BLOB NOT NULL, used_at INTEGER NOT NULL)")
    for _ in range(2):
        async with Governor(LIMITS, store=f"sqlite://{path}") as through:
            await admitted(through)


async def test_a_file_of_an_older_version_is_left_alone_and_waited_out(tmp_path: Path) -> None:
    path = tmp_path / "quota.db"
    with sqlite3.connect(path) as older:
        older.execute("CREATE TABLE windows_1 (key TEXT PRIMARY KEY, used_at INTEGER NOT NULL, pool BLOB NOT NULL)")
        older.execute(
            "INSERT INTO windows_1 VALUES ('ip|1||here', ?, ?)",
            (time.monotonic_ns() // 1000, b"\xc1 nobody can read this"),
        )
    older.close()
    store, began = f"sqlite://{path}", time.monotonic()
    async with Governor([Limit("ip", requests=5, window=100.0)], store=store, on_store_failure="pause") as through:
        with pytest.raises(QuotaTimeout) as refused:
            await through.admit({"ip"}, max_wait=1.0).enter()
    assert 90.0 < refused.value.predicted_wait < 130.0
    async with Governor([Limit("ip", requests=5, window=0.5)], store=store, on_store_failure="pause") as through:
        await through.admit({"ip"}).enter()
    assert time.monotonic() - began >= 0.5


def test_many_processes_with_many_governors_each_on_one_file(tmp_path: Path) -> None:
    program = (
        "import asyncio, json, sys, time\n"
        "from spotify_ads_async.governor import Governor, Limit\n"
        "async def main():\n"
        "    limits = [Limit('client_id', requests=1000, window=1.0)]\n"
        "    made = [Governor(limits, store=sys.argv[1], client_id=f'c{n}') for n in range(20)]\n"
        "    async def one(governor):\n"
        "        for _ in range(5):\n"
        "            async with governor.admit({'client_id'}): pass\n"
        "    await asyncio.gather(*(one(governor) for governor in made))\n"
        "    await asyncio.gather(*(governor.aclose() for governor in made))\n"
        "    print(json.dumps('done'))\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", program, f"sqlite://{tmp_path}/quota.db"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    for process in running:
        output, errors = process.communicate(timeout=60)
        assert json.loads(output or b"null") == "done", errors.decode()

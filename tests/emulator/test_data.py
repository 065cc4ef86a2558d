from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import aiohttp
import anyio
import msgspec
import pytest
from support.emulated import Api, Apis, Json

from spotify_ads_async.emulator import Emulator
from spotify_ads_async.emulator.domain.database import Database
from spotify_ads_async.emulator.domain.store import Store

BUSINESS, ACCOUNT, CAMPAIGN = (f"0000000{number}-0000-4000-8000-000000000000" for number in (1, 2, 3))
CAMPAIGN_BODY = {"name": "New", "objective": "REACH"}
CONTENT = {
    "businesses": [{"id": BUSINESS, "name": "From a file"}],
    "ad_accounts": [{"id": ACCOUNT, "business_id": BUSINESS, "name": "Account", "country_code": "SE"}],
    "campaigns": [{"id": CAMPAIGN, "ad_account_id": ACCOUNT, "name": "Autumn"}],
    "ad_sets": [
        {
            "ad_account_id": ACCOUNT,
            "campaign_id": CAMPAIGN,
            "name": "Evening",
            "start_time": "2030-01-01T00:00:00Z",
            "budget": {"micro_amount": 5_000_000, "type": "DAILY"},
            "asset_format": "AUDIO",
            "bid_strategy": "AUTOBID",
            "targets": {"placements": ["MUSIC"]},
            "status": "PENDING_APPROVAL",
        }
    ],
    "pixels": [{"business_id": BUSINESS, "name": "Shop", "domain": "https://example.com"}],
}


def written(path: Path, content: Json) -> Path:
    path.write_bytes(msgspec.json.encode(content))
    return path


async def test_a_file_gives_the_data_to_begin_with(apis: Apis, tmp_path: Path) -> None:
    api = await apis.start(data=written(tmp_path / "data.json", CONTENT))
    assert (api.server.ad_account_id, api.server.business_id) == (ACCOUNT, BUSINESS)
    ad_set = await api.first("ad_sets", campaign_ids=CAMPAIGN)
    assert (ad_set["status"], ad_set["budget"]["currency"], ad_set["pacing"]) == (
        "PENDING_APPROVAL",
        "SEK",
        "PACING_EVEN",
    )
    assert (await api.get(f"{api.business}/datasets"))["datasets"][0]["pixel"]["name"] == "Shop"


async def test_what_is_exported_can_be_loaded_again(apis: Apis, tmp_path: Path) -> None:
    api = await apis.start(seed=5)
    status, content, _ = await api.send("GET", f"{api.server.origin}/_emulator/data")
    assert status == 200
    again = await apis.start(data=written(tmp_path / "data.json", content))
    assert await again.get(f"{api.account}/ad_sets") == await api.get(f"{api.account}/ad_sets")
    assert await again.get(f"{api.account}/ads") == await api.get(f"{api.account}/ads")
    assert (await again.send("GET", f"{again.server.origin}/_emulator/data"))[1] == content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"campaigns": [{"ad_account_id": ACCOUNT, "name": "x"}]}, r"campaigns\[0\]: name"),
        ({"campaigns": [{"name": "Autumn"}]}, r"campaigns\[0\]: ad_account_id is missing"),
        ({"ad_sets": [CONTENT["ad_sets"][0] | {"campaign_id": ACCOUNT}]}, r"ad_sets\[0\]: Campaign .* was not found"),
        ({"ad_sats": []}, "nothing is called ad_sats"),
        ({"ad_accounts": [], "campaigns": [], "ad_sets": []}, "at least one"),
        ({"campaigns": 3}, "Expected `array`"),
    ],
)
def test_a_file_with_a_mistake_is_refused_with_its_place(tmp_path: Path, change: Json, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Emulator(data=written(tmp_path / "data.json", CONTENT | change))


@pytest.mark.parametrize("content", [b'{"campaigns": "\xff"}', b'{"campaigns": [{"a": "\xff"}]}', b"[" * 100_000])
def test_a_file_that_is_no_json_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"data\.json: "):
        Emulator(data=path)


async def test_a_database_keeps_everything_from_run_to_run(apis: Apis, tmp_path: Path) -> None:
    path = tmp_path / "emulator.sqlite"
    api = await apis.start(database=path, ad_sets=60)
    ad_set = await api.first("ad_sets")
    await api.expect(200, "PATCH", f"{api.account}/ad_sets/{ad_set['id']}", json={"name": "Kept"})
    made = await api.expect(200, "POST", f"{api.account}/campaigns", json={"name": "New", "objective": "REACH"})
    draft = await api.expect(200, "POST", f"{api.account}/campaigns/{made['id']}/drafts")
    await api.expect(204, "DELETE", f"{api.account}/drafts/campaigns/{draft['id']}")
    before = await api.get(f"{api.account}/ad_sets"), await api.get(f"{api.account}/change_history")
    await apis.close()
    again = await apis.start(database=path, ad_sets=5, seed=9)
    assert again.account == api.account
    assert (await again.get(f"{api.account}/ad_sets"), await again.get(f"{api.account}/change_history")) == before
    assert (await again.get(f"{api.account}/campaigns/{made['id']}"))["name"] == "New"
    assert (await again.get(f"{api.account}/drafts/campaigns"))["campaign_drafts"] == []


async def test_stopping_in_a_cancelled_scope_keeps_what_was_changed_and_leaves_no_connection(tmp_path: Path) -> None:
    path = tmp_path / "emulator.sqlite"
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer any"}) as http:
        with anyio.CancelScope() as scope:
            async with Emulator(database=path) as emulator:
                campaigns = f"{emulator.base_url}/ad_accounts/{emulator.ad_account_id}/campaigns"
                async with http.post(campaigns, json=CAMPAIGN_BODY) as answered:
                    made = (await answered.json())["id"]
                scope.cancel()
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.get(campaigns)
        async with Emulator(database=path) as again:
            kept = f"{again.base_url}/ad_accounts/{again.ad_account_id}/campaigns/{made}"
            async with http.get(kept) as answered:
                assert answered.status == 200


async def created(api: Api) -> set[str]:
    """The ids of a few campaigns, made after different numbers of refusals: each spends an identifier."""
    made: set[str] = set()
    for _ in range(6):
        await api.expect(400, "POST", f"{api.account}/campaigns", json={})
        made |= {
            (await api.expect(200, "POST", f"{api.account}/campaigns", json=CAMPAIGN_BODY))["id"] for _ in range(3)
        }
    return made


async def test_identifiers_of_an_earlier_run_are_not_given_again(apis: Apis, tmp_path: Path) -> None:
    path = tmp_path / "emulator.sqlite"
    first = await apis.start(database=path)
    made = await created(first)
    _, content, _ = await first.send("GET", f"{first.server.origin}/_emulator/data")
    await apis.close()
    file = written(tmp_path / "data.json", content)
    runs = [await apis.start(**options) for options in ({"database": path}, {"data": file}, {"data": file})]
    second, third, again = [await created(api) for api in runs]
    assert len(made) == len(second) == 18
    assert made.isdisjoint(second | third)
    assert third == again
    assert (await runs[0].get(f"{first.account}/campaigns"))["paging"]["total_results"] == 3 + 18 + 18


class Held:
    """A path that the first thread which opens it waits for."""

    def __init__(self, path: Path) -> None:
        self.path, self.begun, self.free = path, threading.Event(), threading.Event()

    def __fspath__(self) -> str:
        if threading.current_thread() is not threading.main_thread() and not self.begun.is_set():
            self.begun.set()
            self.free.wait()
        return str(self.path)


async def test_what_is_being_written_at_the_end_is_written_before_what_came_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spotify_ads_async.emulator.domain.database._FLUSH_SECONDS", 0.0)
    held, listeners = Held(tmp_path / "emulator.sqlite"), list[Callable[[str, str, Json], None]]()
    database = Database(cast("Path", held))
    database.follow(cast("Store", SimpleNamespace(listeners=listeners)))
    database.start()
    listeners[0]("businesses", BUSINESS, {"name": "early"})
    await asyncio.to_thread(held.begun.wait)
    listeners[0]("businesses", BUSINESS, {"name": "late"})
    stopping = asyncio.create_task(database.stop())
    early, _ = await asyncio.wait([stopping], timeout=0.1)
    held.free.set()
    assert not early, "one thread writes at a time"
    await stopping
    with contextlib.closing(sqlite3.connect(held.path)) as connection:
        assert connection.execute("SELECT content FROM store").fetchall() == [(b'{"name":"late"}',)]


async def until(condition: Callable[[], bool]) -> None:
    """What a thread does for which no event can be had."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (as above)
            await asyncio.sleep(0)


@pytest.fixture
def following(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Database, Callable[[str], None]]:
    """A database in which nothing can be written at first, and what tells it of a name that has changed."""
    monkeypatch.setattr("spotify_ads_async.emulator.domain.database._FLUSH_SECONDS", 0.0)
    listeners = list[Callable[[str, str, Json], None]]()
    database = Database(tmp_path / "emulator.sqlite")
    database.follow(cast("Store", SimpleNamespace(listeners=listeners)))
    with contextlib.closing(sqlite3.connect(tmp_path / "emulator.sqlite")) as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON store BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    return database, lambda name: listeners[0]("businesses", name, {"name": name})


async def test_what_could_not_be_written_for_a_while_is_said_and_written_later(
    tmp_path: Path, following: tuple[Database, Callable[[str], None]], caplog: pytest.LogCaptureFixture
) -> None:
    database, change = following
    database.start()
    change("early")
    await until(lambda: "cannot be written (disk full)" in caplog.text)
    change("late")
    with contextlib.closing(sqlite3.connect(tmp_path / "emulator.sqlite")) as connection:
        connection.execute("DROP TRIGGER full")
        await until(lambda: len(connection.execute("SELECT id FROM store").fetchall()) == 2)
    await database.stop()
    assert caplog.text.count("cannot be written") == 1


async def test_what_cannot_be_written_at_the_end_is_an_error(
    tmp_path: Path, following: tuple[Database, Callable[[str], None]]
) -> None:
    database, change = following
    database.start()
    change("early")
    change("late")
    with pytest.raises(OSError, match=r"emulator\.sqlite cannot be written \(disk full\): 2 rows"):
        await database.stop()
    assert Database(tmp_path / "emulator.sqlite"), "its lock was given back"


async def test_two_emulators_at_once_do_not_use_one_file(tmp_path: Path) -> None:
    path, link = tmp_path / "emulator.sqlite", tmp_path / "link.sqlite"
    emulator = Emulator(database=path)
    link.symlink_to(path)

    def refused() -> None:
        for one in (path, link):
            with pytest.raises(ValueError, match=f"another emulator uses .*{one.name}"):
                Emulator(database=one)

    refused()
    for _ in range(2):
        async with emulator:
            refused()
        async with Emulator(database=link):
            pass
    assert {entry.name for entry in os.scandir(tmp_path)} == {path.name, link.name}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_leaves_the_database_to_its_parent(tmp_path: Path) -> None:
    database = Database(tmp_path / "emulator.sqlite")
    child = os.fork()
    if child == 0:
        del database
        os._exit(0)
    assert os.waitpid(child, 0) == (child, 0)
    with pytest.raises(ValueError, match="another emulator"):
        Database(tmp_path / "emulator.sqlite")
    del database


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE store (x)",
        "CREATE TABLE another (x)",
        "CREATE TABLE store AS SELECT 1 AS position, 'campaigns' AS owner, 'x' AS id, '{\"id\": \"x\"}' AS content",
        "CREATE TABLE store AS SELECT 1 AS position, 'businesses' AS owner, 'x' AS id, '[' AS content",
        "CREATE TABLE store AS SELECT 1 AS position, 'businesses' AS owner, 'x' AS id, '[]' AS content",
    ],
)
def test_a_database_of_something_else_is_refused_as_it_is(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "emulator.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"emulator\.sqlite is no database of an emulator"):
        Emulator(database=path)
    assert path.read_bytes() == before


async def test_signed_urls_of_an_earlier_run_lead_nowhere(apis: Apis, tmp_path: Path) -> None:
    path = tmp_path / "emulator.sqlite"
    api = await apis.start(database=path)
    place = await api.expect(200, "POST", f"{api.account}/audiences/upload_url")
    origin = api.server.origin
    await apis.close()
    again = await apis.start(database=path)
    async with (
        aiohttp.ClientSession() as client,
        client.put(place["upload_url"].replace(origin, again.server.origin), data=b"x") as answer,
    ):
        assert answer.status == 404


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "emulator.sqlite"
    path.write_text("not a database, and long enough to be looked at")
    with pytest.raises(ValueError, match="no database"):
        Emulator(database=path)


def test_each_ad_set_is_made_in_few_steps() -> None:
    """So that a hundred thousand of them are there in about a second."""

    def steps(ad_sets: int) -> int:
        counted = itertools.count()

        def count(*_: object) -> None:
            next(counted)

        sys.setprofile(count)
        server = Emulator(ad_sets=ad_sets)
        sys.setprofile(None)
        assert len(server.store.accounts[server.ad_account_id].ad_sets) == ad_sets
        return next(counted)

    assert steps(2000) - steps(1000) < 50 * 1000

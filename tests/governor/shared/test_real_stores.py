"""SQLite files and real servers.

What one process spends counts for all, across ends, restarts, flushes and failovers.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.free_ports import CLOSED_PORT, free_port
from support.redis_servers import Cluster, Program, Server
from support.redis_servers import server as running_server
from support.virtual_store import fullest, held, returning

from spotify_ads_async import ConfigurationError, StoreUnavailable
from spotify_ads_async.governor import Governor, Limit
from spotify_ads_async.governor.shared import open_store
from spotify_ads_async.governor.shared.store import KeptWindow
from spotify_ads_async.sqlite_file import SqliteFile

WINDOW = 1.0
LIMITS = [Limit("client_id", requests=60, window=3 * WINDOW), Limit("ip", requests=20, window=WINDOW)]
NAMES = frozenset({"client_id", "ip"})
LONG = [Limit("client_id", requests=60, window=1000.0), Limit("ip", requests=20, window=1000.0)]
"""In which nothing comes back while a test runs."""


def governor(store: str, limits: Sequence[Limit] = LIMITS) -> Governor:
    """One that waits for a store that is slow, or away."""
    return Governor(limits, store=store, on_store_failure="pause")


async def spend(store_governor: Governor, count: int, arrivals: list[float] | None = None) -> None:
    async def one() -> None:
        async with store_governor.admit(NAMES):
            if arrivals is not None:
                arrivals.append(time.monotonic())

    await asyncio.gather(*(one() for _ in range(count)))


async def test_two_governors_share_the_windows(store: str) -> None:
    arrivals: list[float] = []
    async with governor(store) as first, governor(store) as second:
        await asyncio.gather(spend(first, 25, arrivals), spend(second, 25, arrivals))
        assert first.exchanges < 25
    assert len(arrivals) == 50
    assert fullest(arrivals, WINDOW) <= 20


async def test_a_fresh_process_does_not_forget_the_last_window(store: str) -> None:
    program = (
        "import asyncio, sys\n"
        "from spotify_ads_async.governor import Governor, Limit\n"
        "async def main():\n"
        f"    limits = [Limit('ip', requests=20, window={WINDOW})]\n"
        "    async with Governor(limits, store=sys.argv[1], on_store_failure='pause') as governor:\n"
        "        for _ in range(20):\n"
        "            async with governor.admit({'ip'}): pass\n"
        "asyncio.run(main())\n"
    )
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program, store], check=True)
    async with governor(store, LIMITS[1:]) as fresh, fresh.admit({"ip"}):
        pass
    await until_given_back(store)


async def test_a_killed_process_gives_back_after_its_lease_and_a_window(store: str) -> None:
    program = (
        "import asyncio, sys\n"
        "from spotify_ads_async.governor import Governor, Limit\n"
        "async def main():\n"
        f"    limits = [Limit('ip', requests=20, window={WINDOW})]\n"
        "    governor = Governor(limits, store=sys.argv[1], on_store_failure='pause')\n"
        "    for _ in range(20):\n"
        "        await governor.admit({'ip'}).__aenter__()\n"
        "    print('all taken', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, store], stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220 (brief)
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "all taken\n"
        killed_at = time.monotonic()
        process.send_signal(signal.SIGKILL)
    async with governor(store, LIMITS[1:]) as alive, alive.admit({"ip"}):
        waited = time.monotonic() - killed_at
    assert waited > WINDOW


async def test_looking_shows_who_holds_what(store: str) -> None:
    async with governor(store, LONG) as first, first.admit(NAMES):
        views = {view.key.partition("|")[0]: view for view in await look(store)}
        assert views["ip"].state.capacity == 20
        assert next(iter(views["ip"].state.owners.values())).label.endswith(f":{os.getpid()}")
        assert held(views["ip"]) >= 1
    assert [returning(view) for view in await until_given_back(store)] == [1, 1]


async def look(store: str) -> list[KeptWindow]:
    opened = open_store(store, timeout=60.0)
    assert opened is not None
    try:
        return await opened.look()
    finally:
        await opened.aclose()


async def until_given_back(store: str) -> list[KeptWindow]:
    """What is kept when nobody holds anything: at once, or after a lease where the store was too slow for a goodbye."""
    async with asyncio.timeout(60.0):
        while True:
            views = await look(store)
            if not any(held(view) or view.state.owners for view in views):
                return views
            await asyncio.sleep(0.1)


async def test_the_file_is_the_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "quota.db"
    async with governor(f"sqlite://{path}") as only:
        await spend(only, 1)
        files = list(path.parent.iterdir())
        assert files
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def delete_in(folder: Path, pattern: str) -> None:
    for file in folder.glob(pattern):
        file.unlink()


@pytest.mark.parametrize("deleted", ["*", "*-*"], ids=["all of it", "its log alone"])
async def test_a_deleted_file_makes_everybody_wait_one_window(tmp_path: Path, deleted: str) -> None:
    path = tmp_path / "quota.db"
    arrivals: list[float] = []
    async with governor(f"sqlite://{path}") as witness, governor(f"sqlite://{path}") as other:
        await spend(witness, 20, arrivals)
        delete_in(tmp_path, deleted)
        await spend(witness, 1, arrivals)
        await spend(other, 19, arrivals)
    assert fullest(arrivals, WINDOW) <= 20


@pytest.mark.parametrize("deleted", ["*-wal", "*-shm"])
async def test_a_file_whose_log_or_locks_were_deleted_is_opened_anew(tmp_path: Path, deleted: str) -> None:
    file = SqliteFile(tmp_path / "quota.db", lambda new: new.execute("CREATE TABLE IF NOT EXISTS kept (key TEXT)"))
    first = await file.run(lambda connection: connection)
    assert await file.run(lambda connection: connection) is first
    delete_in(tmp_path, deleted)
    assert await file.run(lambda connection: connection) is not first, "another process would have new ones"
    await file.aclose()


@pytest.mark.parametrize("url", ["sqlite:////dev/null/quota.db"])
async def test_a_file_that_cannot_be_used_is_an_error_that_says_so(url: str) -> None:
    async with Governor(LIMITS, store=url) as broken:
        with pytest.raises(
            StoreUnavailable, match=r"^the quota file /dev/null/quota.db cannot be used: [A-Z][a-z ]+: name"
        ):
            await spend(broken, 1)


async def test_every_key_has_a_lifetime_and_is_small(server: Server) -> None:
    limits = [Limit("client_id", requests=1500, window=30.0)]
    async with governor(server.url, limits) as only:
        for _ in range(8):
            await asyncio.gather(*(one(only) for _ in range(100)))
            await asyncio.sleep(0.01)
    with server.client() as client:
        keys = client.keys("*")
        assert len(keys) == 4  # tokens, the rest of the window, the index and the namespace's memory
        assert all(client.pttl(key) > 0 for key in keys)
        assert all(key.startswith("{spotify-ads}:") for key in keys)
        assert sum(client.memory_usage(key, samples=0) for key in keys) < 120 * 1024


async def one(only: Governor) -> None:
    async with only.admit({"client_id"}):
        pass


async def test_flushed_scripts_are_sent_again(server: Server) -> None:
    async with governor(server.url) as only:
        with server.client() as client:
            for _ in range(5):
                await spend(only, 12)
                client.script_flush()


async def test_flushed_data_makes_everybody_wait_one_window(server: Server) -> None:
    arrivals: list[float] = []
    async with governor(server.url) as first, governor(server.url) as second:
        await spend(first, 20, arrivals)
        with server.client() as client:
            client.flushall()
        await asyncio.gather(spend(first, 5, arrivals), spend(second, 15, arrivals))
    assert len(arrivals) == 40
    assert fullest(arrivals, WINDOW) <= 20


@pytest.mark.parametrize("keeps_data", [True, False], ids=["with its data", "without its data"])
async def test_a_restart_exceeds_nothing(one_program: Program, *, keeps_data: bool) -> None:
    options = ("--appendonly", "yes", "--appendfsync", "always") if keeps_data else ()
    arrivals: list[float] = []
    with running_server(one_program, *options) as server:
        async with governor(server.url) as first, governor(server.url) as second:
            await spend(first, 15, arrivals)
            await spend(second, 5, arrivals)
            waiting = asyncio.gather(spend(first, 10, arrivals), spend(second, 10, arrivals))
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            await asyncio.wait_for(waiting, 60.0)
    assert len(arrivals) == 40
    assert fullest(arrivals, WINDOW) <= 20


async def test_a_cluster_keeps_the_windows(cluster: Cluster) -> None:
    url = f"{cluster.url}?namespace=kept"
    arrivals: list[float] = []
    async with governor(url) as first, governor(url) as second:
        await asyncio.gather(spend(first, 25, arrivals), spend(second, 25, arrivals))
    assert fullest(arrivals, WINDOW) <= 20


async def test_a_cluster_node_that_fails_over_exceeds_nothing(cluster: Cluster) -> None:
    arrivals: list[float] = []
    async with governor(cluster.url) as first, governor(cluster.url) as second:
        await spend(first, 15, arrivals)
        await spend(second, 5, arrivals)
        await asyncio.to_thread(cluster.fail_over, "{spotify-ads}:2:windows")
        await asyncio.wait_for(asyncio.gather(spend(first, 10, arrivals), spend(second, 10, arrivals)), 60.0)
    assert len(arrivals) == 40
    assert fullest(arrivals, WINDOW) <= 20


async def test_a_sentinel_names_the_server(server: Server, tmp_path: Path) -> None:
    port = free_port()
    settings = tmp_path / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor ads 127.0.0.1 {server.port} 1\n"
    )
    command = [server.program.path, settings, "--sentinel"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as sentinel:  # noqa: ASYNC220 (brief)
        try:
            async with governor(f"redis+sentinel://127.0.0.1:{port}/ads") as only:
                await asyncio.wait_for(spend(only, 3), 60.0)
            with server.client() as client:
                assert client.exists("{spotify-ads}:2:windows")
        finally:
            sentinel.terminate()


async def test_a_server_that_is_not_there_fails_with_its_address_and_without_the_password() -> None:
    url = f"redis://someone:hidden@127.0.0.1:{CLOSED_PORT}"
    async with Governor(LIMITS, store=url) as lonely:
        with pytest.raises(StoreUnavailable, match="cannot be reached") as failure:
            await spend(lonely, 1)
    assert "hidden" not in str(failure.value)
    assert "127.0.0.1" in str(failure.value)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgres://host/db", "store is memory"),
        ("sqlite://quota.db", "three slashes"),
        ("sqlite://", "three slashes"),
        ("sqlite:///tmp/a#b/quota.db", "%23"),
        ("redis+sentinel://127.0.0.1:26379", "names the service"),
        ("redis://host:port", "host:port"),
        ("redis://host?namespace={x}", "namespace"),
    ],
)
def test_a_url_that_cannot_be_read_is_refused_when_the_governor_is_made(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Governor(LIMITS, store=url)


def test_without_the_package_redis_the_error_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['redis'] = None\n"
        "from spotify_ads_async.governor import Governor\n"
        "try: Governor(store='redis://host')\n"
        "except Exception as problem: print(type(problem).__name__, problem)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("ConfigurationError")
    assert "spotify-ads-async[redis]" in ended.stdout


@pytest.mark.parametrize("policy", ["hope", "share"])
def test_a_policy_that_makes_no_sense_is_refused_with_what_to_do(policy: str) -> None:
    with pytest.raises(ConfigurationError, match="divided"):
        Governor(LIMITS, store="sqlite:///quota.db", on_store_failure=policy)  # type: ignore[arg-type]


def test_a_governor_that_nobody_closes_leaves_no_task_and_gives_back(store: str) -> None:
    async def careless() -> None:
        await spend(governor(store), 3)

    asyncio.run(careless())
    asyncio.run(until_given_back(store))


def test_one_governor_serves_one_event_loop_after_the_other(store: str) -> None:
    kept = governor(store, LONG)
    for _ in range(2):
        asyncio.run(spend(kept, 3))
    assert [returning(view) for view in asyncio.run(until_given_back(store))] == [6, 6]

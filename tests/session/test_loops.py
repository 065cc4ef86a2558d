"""One client and the event loops, threads and processes around it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import copy
import functools
import gc
import multiprocessing
import os
import pickle
import resource
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import anyio
import pytest
from support import calls
from support.calls import client
from support.raw_server import RawServer, answer, stall
from support.server_thread import server_in_a_thread

from spotify_ads_async import (
    AdsClient,
    ConfigurationError,
    ConnectionFailed,
    Governor,
    Limit,
    QuotaTimeout,
    TransportOptions,
)
from spotify_ads_async.governor.admission import Admission
from spotify_ads_async.loops import LoopAway, on_loop
from spotify_ads_async.network.connections import open_http


@pytest.fixture
def server() -> Iterator[RawServer]:
    with server_in_a_thread() as running:
        yield running


def open_sockets() -> set[str]:
    """Which sockets this process has open."""
    found: set[str] = set()
    for name in Path("/proc/self/fd").iterdir():
        try:
            target = str(name.readlink())
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def nothing_left_open(before: set[str]) -> bool:
    """Whether no socket is open that was not before.

    The server, whose sockets are counted as well, sees an end a little later.
    """
    return soon(lambda: not open_sockets() - before)


def soon(holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold that another thread has to do."""
    give_up_at = time.monotonic() + 60.0
    while not holds():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.001)
    return True


def other_files() -> int:
    """How many files that are no sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir())) - len(open_sockets())


def asyncio_runner(call: Callable[[], object]) -> None:
    with asyncio.Runner() as runner:
        runner.run(call())  # type: ignore[arg-type]


def uvloop_run(call: Callable[[], object]) -> None:
    uvloop = pytest.importorskip("uvloop", reason="it does not run on this system")
    uvloop.run(call())


def by_hand(call: Callable[[], object]) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(call())  # type: ignore[arg-type]
    loop.close()


RUNNERS = {
    "asyncio.run": lambda call: asyncio.run(call()),
    "asyncio.Runner": asyncio_runner,
    "anyio.run": anyio.run,
    "uvloop.run": uvloop_run,
}


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
@pytest.mark.parametrize("name", RUNNERS)
def test_a_client_serves_one_loop_after_another_and_leaves_nothing_behind(server: RawServer, name: str) -> None:
    before = open_sockets()
    ads = client(server.base_url, governor=Governor([Limit("ip", 5, 0.05), Limit("client_id", 5, 0.05)]))

    async def several() -> None:
        await asyncio.gather(*(calls.READ.by(ads) for _ in range(12)))

    for _ in range(3):
        RUNNERS[name](several)
        gc.collect()
        assert nothing_left_open(before), "the loop's end is the connections' end"
    assert len(server.received) == 36
    asyncio.run(ads.aclose())


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_a_loop_that_is_closed_by_hand_takes_its_connections_with_it(server: RawServer) -> None:
    before = open_sockets()
    ads = client(server.base_url)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # asyncio's own, about a loop that was not run to its end
        for _ in range(2):
            by_hand(lambda: calls.READ.by(ads))
            gc.collect()
        files = other_files()
        by_hand(lambda: calls.READ.by(ads))
        gc.collect()
        assert soon(lambda: other_files() <= files), "what looks for names keeps files open too"
        asyncio.run(ads.aclose())
        gc.collect()
    assert len(server.received) == 3
    assert nothing_left_open(before)


def test_two_loops_at_once_are_told_what_to_do(server: RawServer) -> None:
    ads = client(server.base_url)
    in_use, over = threading.Event(), threading.Event()

    async def use() -> None:
        await calls.READ.by(ads)
        in_use.set()
        await asyncio.to_thread(over.wait)
        await calls.READ.by(ads)

    thread = threading.Thread(target=lambda: asyncio.run(use()))
    thread.start()
    in_use.wait()
    with pytest.raises(
        ConfigurationError, match=r"another event loop.*make a client for each loop.*run_coroutine_threadsafe"
    ):
        asyncio.run(calls.READ.by(ads))
    over.set()
    thread.join()
    asyncio.run(calls.READ.by(ads))
    assert len(server.received) == 3


def test_a_loop_that_goes_on_in_another_thread_has_its_client(server: RawServer) -> None:
    ads, loop = client(server.base_url), asyncio.new_event_loop()
    with concurrent.futures.ThreadPoolExecutor(1) as elsewhere, contextlib.closing(loop):
        loop.run_until_complete(calls.READ.by(ads))
        elsewhere.submit(loop.run_until_complete, calls.READ.by(ads)).result()
        loop.run_until_complete(ads.aclose())
    assert server.connections == 1


@pytest.mark.parametrize("closed", [True, False])
def test_a_loop_that_ended_is_asked_for_nothing(closed: bool, recwarn: pytest.WarningsRecorder) -> None:  # noqa: FBT001
    async def nothing() -> None:
        raise AssertionError

    loop = asyncio.new_event_loop()
    if closed:
        loop.close()
    with pytest.raises(LoopAway):
        asyncio.run(on_loop(loop, nothing))
    loop.close()
    gc.collect()
    assert not [one for one in recwarn if "on_loop" in str(one.message)]  # others' may come too


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_closing_from_another_loop_closes_the_connections(server: RawServer) -> None:
    before = open_sockets()
    ads = client(server.base_url)
    in_use, over = threading.Event(), threading.Event()

    async def use() -> None:
        await calls.READ.by(ads)
        in_use.set()
        await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(use()))
    thread.start()
    in_use.wait()
    with_connection = len(open_sockets() - before)
    asyncio.run(ads.aclose())
    assert len(open_sockets() - before) < with_connection
    over.set()
    thread.join()
    with pytest.raises(ConfigurationError, match="closed"):
        asyncio.run(calls.READ.by(ads))


def test_what_was_under_way_on_a_loop_that_was_closed_does_not_keep_its_tokens() -> None:
    governor = Governor([Limit("ip", requests=1, window=0.01)], counted_within=0.0)
    under_way = governor.admit({"ip"})
    loop = asyncio.new_event_loop()
    loop.run_until_complete(under_way.__aenter__())
    loop.close()

    async def leave() -> None:
        async with asyncio.timeout(60.0), governor.admit({"ip"}):
            under_way.answered(status=200)
            assert governor.snapshot().windows[0].in_flight == 1

    asyncio.run(leave())


def test_what_a_loop_that_stands_still_has_under_way_is_made_again_when_it_goes_on(
    server: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Another loop had the client meanwhile, which ended the connections."""
    server.script = [stall]
    ads = client(server.base_url, timeout=None, transport=TransportOptions(read_timeout=1000.0))

    async def under_way() -> asyncio.Task[object]:
        task = asyncio.create_task(calls.READ.by(ads))
        assert await asyncio.to_thread(soon, lambda: bool(server.received))
        return task

    with asyncio.Runner() as first:
        task = first.run(under_way())
        asyncio.run(calls.READ.by(ads))
        first.run(asyncio.wait_for(task, 60.0))
        first.run(ads.aclose())
    gc.collect()
    assert len(server.received) == 3
    assert "Unclosed" not in caplog.text


def test_a_loop_that_is_closed_while_it_waits_for_an_address_leaves_no_session_open(
    server: RawServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def never(*_: object, **__: object) -> list[object]:
        await asyncio.Event().wait()
        return []

    async def ask() -> list[asyncio.Task[object]]:
        tasks = [asyncio.create_task(calls.READ.by(ads)) for _ in range(2)]
        for _ in range(20):  # until the second waits for the address that the first asks for
            await asyncio.sleep(0)
        return tasks

    ads = client(server.base_url.replace("127.0.0.1", "localhost"))
    loop = asyncio.new_event_loop()
    with monkeypatch.context() as silent:
        silent.setattr(aiohttp.DefaultResolver, "resolve", never)
        tasks = loop.run_until_complete(ask())
    loop.close()
    asyncio.run(calls.READ.by(ads))
    asyncio.run(ads.aclose())
    del tasks
    gc.collect()
    assert "Unclosed" not in caplog.text


@pytest.mark.parametrize("connections", [1, 2], ids=["waits for a connection of others", "connects"])
def test_a_request_that_has_not_left_when_its_loop_stands_still_asks_for_leave_again(
    server: RawServer, connections: int
) -> None:
    stood_for = 0.0
    governor = Governor([Limit("ip", requests=2, window=1000.0)], clock=lambda: time.monotonic() + stood_for)
    one, other = (
        client(server.base_url, governor=governor, max_wait=0.0, transport=TransportOptions(connections=connections))
        for _ in range(2)
    )

    async def begin() -> list[asyncio.Task[object]]:
        tasks = [asyncio.create_task(calls.READ.by(one)) for _ in range(2)]
        await asyncio.sleep(0)
        return tasks

    with asyncio.Runner() as first, asyncio.Runner() as second:
        tasks = first.run(begin())
        with pytest.raises(QuotaTimeout):
            second.run(calls.READ.by(other))
        stood_for = 2000.0
        for _ in range(2):
            second.run(calls.READ.by(other))
        for task in tasks:
            with pytest.raises(QuotaTimeout):
                first.run(asyncio.wait_for(task, 60.0))
        assert len(server.received) == 2
        second.run(other.aclose())
        first.run(one.aclose())


def test_a_request_that_was_admitted_by_hand_asks_for_leave_again_as_well(server: RawServer) -> None:
    stood_for = 0.0
    governor = Governor([Limit("ip", requests=2, window=1000.0)], clock=lambda: time.monotonic() + stood_for)

    async def send() -> None:
        async with open_http(TransportOptions()) as http, governor.admit({"ip"}, max_wait=0.0):
            await http.get(server.base_url)

    async def begin() -> asyncio.Task[None]:
        await send()  # from now on it goes the short way
        task = asyncio.create_task(send())
        await asyncio.sleep(0)
        return task

    with asyncio.Runner() as first, asyncio.Runner() as second:
        task = first.run(begin())
        with pytest.raises(QuotaTimeout):
            second.run(send())
        stood_for = 2000.0
        for _ in range(2):
            second.run(send())
        with pytest.raises(QuotaTimeout):
            first.run(asyncio.wait_for(task, 60.0))
    assert len(server.received) == 3


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_a_loop_that_goes_on_leaves_the_governor_to_the_one_that_took_over(store: str, tmp_path: Path) -> None:
    address = "memory" if store == "memory" else f"sqlite:///{tmp_path}/quota.db"
    governor = Governor([Limit("ip", requests=1, window=1000.0)], store=address)

    async def waiting() -> asyncio.Task[Admission]:
        task = asyncio.create_task(governor.admit({"ip"}).__aenter__())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return task

    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(governor.admit({"ip"}).__aenter__())
        early = first.run(waiting())
        late = second.run(waiting())
        with pytest.raises(ConfigurationError, match="another event loop took over"):
            first.run(asyncio.wait_for(early, 60.0))
        for _ in range(20):
            first.run(asyncio.sleep(0.001))
        assert not late.done()
        late.cancel()
        second.run(governor.aclose())


def test_another_thread_closes_what_others_wait_for() -> None:
    """In a loop that says so where another thread puts its hands on it."""

    async def use() -> None:
        governor = Governor([Limit("ip", requests=1, window=1000.0)])
        admit = functools.partial(governor.admit, {"ip"})
        await admit().__aenter__()
        waiting = asyncio.create_task(admit().__aenter__())
        await asyncio.sleep(0)
        assert await asyncio.to_thread(asyncio.run, governor.lift()) == 0
        await asyncio.to_thread(asyncio.run, governor.aclose())
        with pytest.raises(ConfigurationError, match="closed while the request waited"):
            await waiting

    asyncio.run(use(), debug=True)


async def test_two_threads_that_use_a_governor_first_at_once_share_its_window() -> None:
    other: list[Admission] = []

    def clock() -> float:
        if armed:
            armed.clear()
            other.append(governor.admit({"ip"}, max_wait=0.0))  # as another thread may, while the window is made
        return time.monotonic()

    governor = Governor([Limit("ip", requests=1, window=1000.0)], clock=clock)
    armed = ["once"]
    async with governor.admit({"ip"}):
        with pytest.raises(QuotaTimeout):
            await other[0].enter()


def test_a_client_that_is_forgotten_closes_with_its_loop(server: RawServer) -> None:
    async def use() -> None:
        await calls.READ.by(client(server.base_url))

    asyncio.run(use())
    gc.collect()
    assert len(server.received) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_has_connections_of_its_own(server: RawServer) -> None:
    """In the parent the connection stays open through the fork.

    Through the child's calls and through the child's end as well.
    """
    ads = client(server.base_url)

    def child(channel: multiprocessing.connection.Connection) -> None:
        asyncio.run(calls.READ.by(ads))
        asyncio.run(ads.aclose())
        channel.send("done")

    async def parent() -> None:
        await calls.READ.by(ads)
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        process = context.Process(target=child, args=(theirs,))
        process.start()
        assert await asyncio.to_thread(ours.poll, 60)
        process.join()
        assert process.exitcode == 0
        await calls.READ.by(ads)

    asyncio.run(parent())
    asyncio.run(ads.aclose())
    assert len(server.received) == 3
    assert server.connections == 2, "the parent's connection outlived its child, and the child did not use it"


def job(base_url: str) -> str:
    async def call() -> str:
        async with AdsClient("a-token", base_url=base_url, governor=Governor([])) as ads:
            return (await calls.READ.by(ads)).id

    return asyncio.run(call())


@pytest.mark.parametrize("method", sorted({"fork", "spawn"} & set(multiprocessing.get_all_start_methods())))
def test_process_pools_make_their_calls(server: RawServer, method: str) -> None:
    async def use_before() -> None:
        async with client(server.base_url) as ads:
            await calls.READ.by(ads)

    asyncio.run(use_before())
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        assert set(pool.map(job, [server.base_url] * 4)) == {calls.THING}


def test_many_threads_each_with_a_client_share_credentials(server: RawServer) -> None:
    def use() -> None:
        async def several() -> None:
            async with client(server.base_url) as ads:
                await asyncio.gather(*(calls.READ.by(ads) for _ in range(5)))

        asyncio.run(several())

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        for one in [threads.submit(use) for _ in range(16)]:
            one.result()
    assert len(server.received) == 80


def test_a_client_is_not_pickled_or_copied_and_says_why() -> None:
    ads = client("http://127.0.0.1:1/ads/v3")
    for refuse in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            refuse(ads)


def test_ipython_like_use_of_one_loop_bit_by_bit(server: RawServer) -> None:
    loop = asyncio.new_event_loop()
    ads = client(server.base_url)
    for _ in range(3):
        loop.run_until_complete(calls.READ.by(ads))
    loop.run_until_complete(ads.aclose())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert server.connections == 1


PROGRAM = """
import asyncio, sys
from spotify_ads_async import AdsClient, Governor
from support import calls

ads = AdsClient("a-token", base_url=sys.argv[1], governor=Governor([]))
asyncio.run(calls.READ.by(ads))
asyncio.run(calls.READ.by(ads))
"""


def test_a_program_that_never_closes_ends_without_a_word(server: RawServer) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(PROGRAM), server.base_url],
        env={**os.environ, "PYTHONPATH": "tests"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""


def test_a_process_without_another_file_says_so_and_goes_on_when_it_has_some(server: RawServer) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def without_and_with() -> None:
        async with client(server.base_url) as ads:
            next_file = os.dup(0)
            os.close(next_file)
            resource.setrlimit(resource.RLIMIT_NOFILE, (next_file, limit[1]))
            try:
                with pytest.raises(ConnectionFailed, match="ulimit -n"):
                    await ads.ad_account(calls.THING).get()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            await ads.ad_account(calls.THING).get()

    asyncio.run(without_and_with())


def test_a_shared_quota_at_the_end_of_the_interpreter_is_refused_in_words(tmp_path: Path) -> None:
    program = f"""
        import asyncio, atexit
        from spotify_ads_async import AdsClient, Governor, StoreUnavailable

        governor = Governor(store="sqlite:///{tmp_path}/quota.db")

        async def call():
            async with AdsClient("token", governor=governor, base_url="http://127.0.0.1:9/ads/v3") as ads:
                try:
                    await ads.businesses.list()
                except StoreUnavailable as refused:
                    print("after interpreter shutdown" in str(refused))

        atexit.register(lambda: asyncio.run(call()))
        """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False
    )
    assert (ended.stdout, "Traceback" in ended.stderr) == ("True\n", False)


async def test_a_client_whose_closing_is_cancelled_leaves_nothing_behind(
    server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPOTIFY_ADS_BASE_URL", server.base_url)
    monkeypatch.setenv("SPOTIFY_ADS_ACCESS_TOKEN", "a-token")
    monkeypatch.setenv("SPOTIFY_ADS_STORE", f"sqlite:///{tmp_path / 'quota.db'}")
    server.otherwise = answer(200, calls.READ.answer)
    before, sockets = asyncio.all_tasks(), open_sockets()
    with anyio.CancelScope() as scope:
        async with AdsClient.from_env() as ads:
            await calls.READ.by(ads)
            scope.cancel()  # from here on every await of the closing ends in a cancellation
    async with asyncio.timeout(30):
        while asyncio.all_tasks() != before or names_of_threads("file quota.db"):  # noqa: ASYNC110 (what ends by itself tells nobody)
            await asyncio.sleep(0.01)
    assert open_sockets() == sockets
    with pytest.raises(ConfigurationError, match="closed"):
        await calls.READ.by(ads)


def names_of_threads(beginning: str) -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith(beginning)]

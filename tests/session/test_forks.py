"""Whole clients over forks, threads and loops, before a judge that counts windows under an exact log.

None is exceeded, nothing hangs.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import warnings
from pathlib import Path

import pytest
from support import calls
from support.calls import client
from support.raw_server import RawServer, answer
from support.server_thread import server_in_a_thread

from spotify_ads_async import Governor, Limit
from spotify_ads_async.emulator import Emulator

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")

PROGRAM = """
import asyncio, multiprocessing, os, sys, threading
from spotify_ads_async import AdsClient

account, calls = sys.argv[1], int(sys.argv[2])
ads = AdsClient.from_env()

async def several(of):
    await asyncio.gather(*(of.ad_account(account).ad_sets.list(limit=1) for _ in range(calls)))

def with_a_client_of_its_own():
    async def use():
        async with AdsClient.from_env() as own:
            await several(own)
    asyncio.run(use())

def as_a_child():
    asyncio.run(several(ads))
    asyncio.run(ads.aclose())

async def fork_amid_requests():
    under_way = asyncio.ensure_future(several(ads))
    await asyncio.sleep(0.05)
    child = os.fork()
    if child == 0:
        as_a_child()
        os._exit(0)
    await under_way
    return child

asyncio.run(several(ads))
fork = multiprocessing.get_context("fork")
children = [fork.Process(target=as_a_child) for _ in range(2)]
for child in children:
    child.start()
amid = asyncio.run(fork_amid_requests())
threads = [threading.Thread(target=with_a_client_of_its_own) for _ in range(2)]
for thread in threads:
    thread.start()
asyncio.run(several(ads))
for one in (*children, *threads):
    one.join()
assert [child.exitcode for child in children] == [0, 0]
assert os.waitpid(amid, 0)[1] == 0
asyncio.run(ads.aclose())
"""
LOAD = 8
"""How many times the program makes its calls: three times in the parent, in three children, in two threads."""


async def judged(limits: list[Limit], calls_each: int, folder: Path, algorithm: str) -> None:
    async with Emulator(ad_sets=20, latency=(0.005, 0.05), limits=limits, algorithm=algorithm) as server:  # type: ignore[arg-type]
        specification = ",".join(f"{limit.name}={limit.requests}/{limit.window:g}" for limit in limits)
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM, server.ad_account_id, str(calls_each),
            env={
                **os.environ, "SPOTIFY_ADS_BASE_URL": server.base_url, "SPOTIFY_ADS_ACCESS_TOKEN": "x",
                "SPOTIFY_ADS_CLIENT_ID": "an-app",
                "SPOTIFY_ADS_STORE": f"sqlite:///{folder / 'quota.db'}", "SPOTIFY_ADS_LIMITS": specification,
            },
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(240.0):
            _, errors = await program.communicate()
        assert program.returncode == 0, errors.decode()
        counted = server.statistics()
        assert counted.refused == 0
        assert counted.requests == LOAD * calls_each


async def test_no_window_is_exceeded_by_children_threads_and_loops(tmp_path: Path) -> None:
    await judged([Limit("client_id", 60, 0.6), Limit("ip", 30, 0.3)], 25, tmp_path, "log")


@pytest.mark.soak
@pytest.mark.parametrize("algorithm", ["log", "fixed", "bucket"])
async def test_no_window_is_exceeded_by_children_threads_and_loops_for_longer(tmp_path: Path, algorithm: str) -> None:
    await judged([Limit("client_id", 300, 6.0), Limit("ip", 100, 2.0)], 150, tmp_path, algorithm)


ASLEEP = """
import asyncio, sys
from spotify_ads_async import AdsClient

async def main(account, calls):
    async with AdsClient.from_env() as ads:
        await ads.ad_account(account).ad_sets.list(limit=1)
        print("begun", flush=True)
        await asyncio.gather(*(ads.ad_account(account).ad_sets.list(limit=1) for _ in range(calls)))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_a_process_that_slept_with_tokens_out_exceeds_no_window(tmp_path: Path, store: str) -> None:
    """Stopped amid its requests for several windows, as when a machine sleeps, and woken again, three times."""
    limits = [Limit("client_id", 60, 0.6), Limit("ip", 30, 0.3)]
    async with Emulator(ad_sets=20, latency=(0.005, 0.05), limits=limits, algorithm="log") as server:
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ASLEEP, server.ad_account_id, "120",
            env={
                **os.environ, "SPOTIFY_ADS_BASE_URL": server.base_url, "SPOTIFY_ADS_ACCESS_TOKEN": "x",
                "SPOTIFY_ADS_STORE": "memory" if store == "memory" else f"sqlite:///{tmp_path / 'quota.db'}",
                "SPOTIFY_ADS_LIMITS": "client_id=60/0.6,ip=30/0.3",
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert program.stdout is not None
        assert await program.stdout.readline() == b"begun\n"
        for awake, asleep in ((0.1, 0.5), (0.2, 1.0), (0.1, 0.2)):
            await asyncio.sleep(awake)
            program.send_signal(signal.SIGSTOP)
            await asyncio.sleep(asleep)
            program.send_signal(signal.SIGCONT)
        async with asyncio.timeout(60.0):
            _, errors = await program.communicate()
        assert program.returncode == 0, errors.decode()
        assert server.statistics().refused == 0


def test_a_forked_child_whose_windows_are_in_memory_is_told_once() -> None:
    with server_in_a_thread() as server:
        ads = client(server.base_url, governor=Governor([Limit("ip", 100, 1.0)]))
        asyncio.run(calls.READ.by(ads))
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()

        def child() -> None:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                asyncio.run(calls.READ.by(ads))
                asyncio.run(calls.READ.by(ads))
            theirs.send([str(warning.message) for warning in told if warning.category is RuntimeWarning])

        process = context.Process(target=child)
        process.start()
        (told,) = ours.recv()
        process.join()
        assert "SPOTIFY_ADS_STORE=sqlite" in told
        asyncio.run(ads.aclose())


OUT_OF_FILES = """
import asyncio, os, resource, sys
from spotify_ads_async import AdsClient, Governor, Limit

account, base_url = sys.argv[1:]
ads = AdsClient("a-token", base_url=base_url, governor=Governor([]))
governor = Governor([Limit("ip", requests=3, window=1000.0)])

def windows_of_a_child():
    files = []
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
    try:
        while True:
            files.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        child = os.fork()
    if child == 0:
        os._exit(governor.snapshot().windows[0].in_flight)
    for file in files:
        os.close(file)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

async def main():
    async with ads, governor.admit({"ip"}):
        await ads.ad_account(account).ad_sets.list(limit=1)
        print(windows_of_a_child(), "of the parent's requests are under way in its child")
        await ads.ad_account(account).ad_sets.list(limit=1)

asyncio.run(main())
"""


FIRST_CALL = """
import asyncio, os, sys, threading
from spotify_ads_async import Governor
from support.calls import READ, client

ads = client(sys.argv[1], governor=Governor([], store=sys.argv[2]))
ads.ad_account("an-account").ad_sets  # a group's models are loaded when it is first named
forked, import_is_under_way = threading.Event(), threading.Event()

def wait_amid_an_import(event, arguments):
    if event == "exec" and "anyio" in arguments[0].co_filename and threading.current_thread() is thread:
        import_is_under_way.set()
        forked.wait()

def call():
    asyncio.run(READ.by(ads))
    import_is_under_way.set()

thread = threading.Thread(target=call)
sys.addaudithook(wait_amid_an_import)
thread.start()
import_is_under_way.wait()
child = os.fork()
if child == 0:
    forked.set()
    asyncio.run(READ.by(ads))
    os._exit(0)
forked.set()
thread.join()
print(child, flush=True)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_a_child_forked_amid_the_first_call_of_another_thread_finds_all_it_needs(
    tmp_path: Path, store: str
) -> None:
    """What is imported in another thread just then would be waited for in the child without end."""
    where = f"sqlite:///{tmp_path / 'quota.db'}" if store == "sqlite" else store
    async with RawServer(otherwise=answer(200, calls.READ.answer)) as api:
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "ignore", "-c", FIRST_CALL, api.base_url, where,
            env={**os.environ, "PYTHONPATH": "tests"}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert program.stdout is not None
        child = int(await program.stdout.readline())
        try:
            async with asyncio.timeout(60):
                assert await program.wait() == 0
        except TimeoutError:
            os.kill(child, signal.SIGKILL)
            pytest.fail("the child waits without end")
        finally:
            await program.wait()


async def test_a_child_of_a_parent_that_may_open_no_more_files_begins_anew_as_well() -> None:
    async with Emulator(ad_sets=1) as server:
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "ignore::DeprecationWarning", "-c", OUT_OF_FILES,
            server.ad_account_id, server.base_url,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(60.0):
            said, _ = await program.communicate()
        assert said.decode() == "0 of the parent's requests are under way in its child\n"
        assert program.returncode == 0

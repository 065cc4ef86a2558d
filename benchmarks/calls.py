"""One governed, typed call against bare aiohttp with untyped msgspec, and httpx with pydantic.

On asyncio's loop and on uvloop's.
Run: ``python -m benchmarks calls [--calls 320] [--base-url URL --ad-account ID]``. The server is a process of its own
that answers the same ad set to everybody; ``--base-url`` names another one, such as the emulator's (``spotify-ads
emulate --limits off --latency 0``). The peers know no limits: the server must have none. Its token is in
``SPOTIFY_ADS_ACCESS_TOKEN``.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import multiprocessing
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
import httpx
import msgspec
import uvloop
from aiohttp.resolver import AsyncResolver, ThreadedResolver
from yarl import URL

from benchmarks import charts
from benchmarks._harness import Comparison, Report, compare_async, show, summed_up
from benchmarks._pydantic_peer import model_of
from benchmarks._same_answer import ACCOUNT_ID, AD_SET_IDS, CONCURRENT, cpu_per_call, serve
from spotify_ads_async import AdsClient, Governor, Limit
from spotify_ads_async.models import AdSet, AdSetPage

BARE = "aiohttp + msgspec, bare"
CAREFUL = "aiohttp + msgspec, careful"
"""Typed, with a status check and time limits, and an address made from the ID: what one writes for production."""
OURS = "spotify-ads-async"
HTTPX = "httpx + pydantic"
AT_MOST = 1.15
ROUNDS = 60
"""So many that the load of a shared machine, which changes from minute to minute, weighs on all alike."""
LOOKUPS = 200
LOOPS: Mapping[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}

Call = Callable[[], Awaitable[object]]


class Target(NamedTuple):
    """Where calls go: the ad sets of one account of one server."""

    base_url: str
    ad_account_id: str
    ad_set_ids: Sequence[str]
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What bare clients send."""
        return {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}


async def clients(target: Target, stack: AsyncExitStack) -> dict[str, Call]:
    """One way to make a call for each client, open until the stack closes.

    Every call is about another ad set, as in life.
    """
    ids = itertools.cycle(target.ad_set_ids)
    # Windows so wide that nothing waits, and so narrow that they are used up, and tokens come back, while it runs.
    governor = Governor([Limit("client_id", requests=12_000, window=0.3), Limit("ip", requests=4_000, window=0.1)])
    ads = await stack.enter_async_context(AdsClient(target.token, base_url=target.base_url, governor=governor))
    bare = await stack.enter_async_context(aiohttp.ClientSession())
    limits = aiohttp.ClientTimeout(total=30.0, connect=10.0)
    careful = await stack.enter_async_context(
        aiohttp.ClientSession(headers=target.headers, timeout=limits, raise_for_status=True)
    )
    bounds = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    other = await stack.enter_async_context(httpx.AsyncClient(limits=bounds, trust_env=False))
    ad_sets = ads.ad_account(target.ad_account_id).ad_sets
    decoder, typed_decoder = msgspec.json.Decoder(), msgspec.json.Decoder(AdSet)
    model = model_of(AdSet)
    address = f"{target.base_url}/ad_accounts/{target.ad_account_id}/ad_sets"

    headers, addresses = target.headers, itertools.cycle([URL(f"{address}/{one}") for one in target.ad_set_ids])

    async def bare_call() -> object:
        async with bare.get(next(addresses), headers=headers) as answer:
            return decoder.decode(await answer.read())

    async def careful_call() -> object:
        async with careful.get(f"{address}/{next(ids)}", allow_redirects=False) as answer:
            return typed_decoder.decode(await answer.read())

    async def httpx_call() -> object:
        answer = await other.get(f"{address}/{next(ids)}", headers=target.headers)
        return model.model_validate_json(answer.content)

    return {BARE: bare_call, CAREFUL: careful_call, OURS: lambda: ad_sets.get(next(ids)), HTTPX: httpx_call}


def on_both_loops(target: Target, calls: int) -> dict[str, list[float]]:
    """Microseconds of CPU of a call, round by round, all clients and loops taking turns."""
    costs: dict[str, list[float]] = {}
    with asyncio.Runner(loop_factory=LOOPS["asyncio"]) as plain, asyncio.Runner(loop_factory=LOOPS["uvloop"]) as fast:
        runners = {"asyncio": plain, "uvloop": fast}
        stacks = {name: AsyncExitStack() for name in runners}
        cases = [
            (f"{client} on {name}", runner, call)
            for name, runner in runners.items()
            for client, call in runner.run(clients(target, stacks[name])).items()
        ]
        for number in range(ROUNDS + 1):
            for name, runner, call in cases if number % 2 else reversed(cases):
                # The slow peer makes fewer calls, so that a round stays short enough for the load of the machine to be
                # the same.
                cost = runner.run(cpu_per_call(call, calls // 8 if HTTPX in name else calls))
                if number:  # the first round opens connections
                    costs.setdefault(name, []).append(cost)
        for name, runner in runners.items():
            runner.run(stacks[name].aclose())
    return costs


async def lookups() -> Comparison:
    """CPU of looking ``localhost`` up.

    By aiodns, which the extra ``speed`` brings, against the threads that aiohttp has without it.
    """

    async def measured(resolver: aiohttp.abc.AbstractResolver) -> float:
        began = time.process_time()
        for _ in range(LOOKUPS):
            await resolver.resolve("localhost", 443)
        return (time.process_time() - began) / LOOKUPS * 1e6

    threads, aiodns = ThreadedResolver(), AsyncResolver()
    try:
        return await compare_async(
            {"threads": lambda: measured(threads), "aiodns": lambda: measured(aiodns)}, base="threads", rounds=5
        )
    finally:
        await aiodns.close()


@contextmanager
def own_server() -> Iterator[Target]:
    """A server of our own, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield Target(f"http://127.0.0.1:{ours.recv()}/ads/v3", ACCOUNT_ID, AD_SET_IDS, "a-token")
    finally:
        process.terminate()
        process.join()


async def named_server(base_url: str, ad_account_id: str) -> Target:
    """A server that somebody named, with the ad sets of its first page."""
    if (urlsplit(base_url).hostname or "").endswith("spotify.com"):
        raise SystemExit("the peers of this measurement know no limits: point it at a server of your own")
    target = Target(base_url.rstrip("/"), ad_account_id, (), os.environ.get("SPOTIFY_ADS_ACCESS_TOKEN", "token"))
    address = f"{target.base_url}/ad_accounts/{ad_account_id}/ad_sets"
    async with aiohttp.ClientSession(headers=target.headers) as client, client.get(address) as answer:
        answer.raise_for_status()
        page = msgspec.json.decode(await answer.read(), type=AdSetPage)
    return target._replace(ad_set_ids=[row.id for row in page.ad_sets or [] if row.id])


def report(costs: Mapping[str, Sequence[float]], calls: int, found_lookups: Comparison) -> Report:
    """Print and chart."""
    bare, ours = f"{BARE} on asyncio", f"{OURS} on asyncio"
    unit = "microseconds of CPU"
    figures = {
        "against_bare": summed_up(costs, bare, unit),
        "against_ours": summed_up(costs, ours, unit),
        "against_bare_on_uvloop": summed_up(
            {name: cost for name, cost in costs.items() if "uvloop" in name}, f"{BARE} on uvloop", unit
        ),
    }
    for comparison in figures.values():
        show(f"one call, {CONCURRENT} at a time", comparison)
    show("one lookup of localhost", found_lookups)
    print(f"goal: {OURS} at most {AT_MOST} times {BARE}")
    medians: dict[str, float] = figures["against_bare"]["medians"]  # pyright: ignore[reportAssignmentType]
    title, goal = f"One call, {CONCURRENT} at a time", medians[bare] * AT_MOST
    chart = charts.bars(
        title, medians, unit=f"{unit} of the client, less is better", goal=goal, goal_says="goal: at most"
    )
    facts = {"concurrent": CONCURRENT, "calls_a_round": calls, "goal": AT_MOST}
    return Report({**facts, **figures, "lookup": found_lookups}, {"calls": chart})


def main() -> Report | None:
    """Read the command line and measure; what another server gives is printed and not kept."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--calls", type=int, default=320, help="calls of each client in each round")
    parser.add_argument("--base-url", help="a server without limits")
    parser.add_argument("--ad-account", default=ACCOUNT_ID)
    chosen = parser.parse_args()
    found_lookups = asyncio.run(lookups())
    if chosen.base_url:
        report(
            on_both_loops(asyncio.run(named_server(chosen.base_url, chosen.ad_account)), chosen.calls),
            chosen.calls,
            found_lookups,
        )
        return None
    with own_server() as target:
        return report(on_both_loops(target, chosen.calls), chosen.calls, found_lookups)


if __name__ == "__main__":
    main()

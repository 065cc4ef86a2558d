"""What a governor shows, whose windows it shares, and what it warns of."""

from __future__ import annotations

import asyncio
import gc
import warnings

import pytest
from support.virtual_time import VirtualTimeLoop, run_virtually

from spotify_ads_async import AdsClient
from spotify_ads_async.errors import ConfigurationError, QuotaTimeout
from spotify_ads_async.events import Event
from spotify_ads_async.governor import (
    PUBLISHED_LIMITS,
    Admitted,
    Governor,
    Limit,
    LimitTightened,
    Paused,
    RhythmChanged,
    Waiting,
    WaitRefused,
)

IP = (Limit("ip", requests=2, window=10.0),)


def test_a_snapshot_shows_where_the_tokens_are() -> None:
    async def program(loop: VirtualTimeLoop) -> None:
        governor = Governor(
            [Limit("client_id", requests=9, window=30.0), Limit("ip", requests=3, window=10.0)], clock=loop.time
        )
        scope = governor.scope(origin="https://api.example", client_id="ann")
        async with scope.admit({"client_id", "ip"}):
            await asyncio.sleep(1.0)
        holding = scope.admit({"client_id", "ip"})
        await holding.__aenter__()
        await asyncio.sleep(4.0)
        windows = {window.limit: window for window in governor.snapshot().windows}
        ip = windows["ip"]
        assert (ip.capacity, ip.available, ip.in_flight, ip.returning, ip.waiting) == (3, 1, 1, 1, 0)
        assert ip.next_return == pytest.approx(6.0, abs=0.01)
        assert ip.owner == "this address at https://api.example"
        assert windows["client_id"].owner == "ann at https://api.example"
        assert windows["client_id"].available == 7
        holding.answered(status=429, headers={"Retry-After": "5"})
        ip = next(window for window in governor.snapshot().windows if window.limit == "ip")
        assert ip.paused_for == pytest.approx(5.0)
        assert ip.pause_cause is not None
        assert "ann" in ip.pause_cause

    run_virtually(program)


def test_events_tell_what_happens() -> None:
    async def program(loop: VirtualTimeLoop) -> list[Event]:
        heard: list[Event] = []
        governor = Governor(IP, clock=loop.time)
        unsubscribe = governor.subscribe(heard.append)
        for _ in range(4):
            async with governor.admit({"ip"}):
                pass
        with pytest.raises(QuotaTimeout):
            async with governor.admit({"ip"}, max_wait=0.0):
                pass
        await asyncio.sleep(30.0)
        async with governor.admit({"ip"}) as admission:
            admission.answered(status=429, headers={"Retry-After": "2"})
        unsubscribe()
        async with governor.admit({"ip"}):
            pass
        return heard

    heard = run_virtually(program)
    assert {type(event) for event in heard} == {Waiting, Admitted, WaitRefused, LimitTightened, RhythmChanged, Paused}
    admitted = next(event for event in heard if isinstance(event, Admitted))
    assert admitted.waited == pytest.approx(10.0, abs=0.01)
    paused = next(event for event in heard if isinstance(event, Paused))
    assert paused.seconds == pytest.approx(2.0)


def test_windows_belong_to_an_origin_and_a_client_or_an_address() -> None:
    async def program(loop: VirtualTimeLoop) -> None:
        governor = Governor(
            [Limit("client_id", requests=1, window=30.0), Limit("ip", requests=2, window=10.0)], clock=loop.time
        )
        both = frozenset({"client_id", "ip"})

        async def send(origin: str, client_id: str) -> None:
            async with governor.scope(origin=origin, client_id=client_id).admit(both, max_wait=0.0):
                pass

        await send("https://api.example", "ann")
        with pytest.raises(QuotaTimeout) as refused:
            await send("https://api.example", "ann")
        assert refused.value.limit == "client_id"
        await send("https://api.example", "ben")
        with pytest.raises(QuotaTimeout) as refused:
            await send("https://api.example", "cleo")
        assert refused.value.limit == "ip"
        await send("http://127.0.0.1:8080", "ann")

    run_virtually(program)


def test_limits_without_a_window_are_ignored() -> None:
    async def program(loop: VirtualTimeLoop) -> None:
        governor = Governor([], clock=loop.time)
        for _ in range(100):
            async with governor.admit({"client_id", "reporting"}, max_wait=0.0) as admission:
                admission.answered(status=429, headers={"Retry-After": "3"})

    run_virtually(program)


def test_an_admission_is_for_one_request() -> None:
    async def program(loop: VirtualTimeLoop) -> None:
        governor = Governor(IP, clock=loop.time)
        async with governor.admit({"ip"}) as admission:
            with pytest.raises(RuntimeError):
                await admission.__aenter__()
        admission.answered(status=429)
        admission.not_sent()
        assert governor.snapshot().windows[0].returning == 1

    run_virtually(program)


def test_a_second_client_with_a_governor_of_its_own_for_an_api_is_warned_of() -> None:
    first = AdsClient("token", base_url="https://one.example")
    with pytest.warns(RuntimeWarning, match="second client"):
        AdsClient("token", base_url="https://one.example")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AdsClient("token", base_url="https://two.example")
    assert first.governor.limits == PUBLISHED_LIMITS


def test_a_client_that_is_gone_or_closed_needs_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AdsClient("token", base_url="https://gone.example")
        gc.collect()
        second = AdsClient("token", base_url="https://gone.example")
        asyncio.run(second.aclose())
        AdsClient("token", base_url="https://gone.example")


@pytest.mark.parametrize("wrong", [{"pace": "slow"}, {"store": "tape"}, {"limits": [*IP, *IP]}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        Governor(**wrong)  # type: ignore[arg-type]

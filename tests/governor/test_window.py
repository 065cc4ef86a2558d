"""One window, to the token and to the moment: what is there, what is left to whom, and when to look again."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from support.virtual_time import VirtualTimeLoop, run_virtually

from spotify_ads_async.governor import Limit
from spotify_ads_async.governor.window import Window, may_take, reserve, take

TICK = 1e-6


def window(requests: int = 100, *, now: float = 0.0, smooth: bool = False, shared: bool = False) -> Window:
    limit = Limit("ip", requests=requests, window=10.0)
    return Window(limit, owner="", key="", smooth=smooth, now=now, clock_resolution=0.0, shared=shared)


def within(program: Callable[[], None]) -> Callable[[], None]:
    """A pacer needs a loop."""

    def run() -> None:
        async def on(_: VirtualTimeLoop) -> None:
            program()

        run_virtually(on)

    run.__name__ = program.__name__
    return run


def spend(one: Window, count: int, now: float = 0.0, *, interactive: bool = True) -> None:
    for _ in range(count):
        take([one], now, interactive)


def test_of_a_new_window_nothing_is_known() -> None:
    one = window(smooth=True, now=5.0)
    assert (one.reserved_told, one.pause_length, one.pause_cause, one.demand) == (0, 0.0, "", 0)
    assert (one.refused_in_a_row, one.refused_at_departure, one.remaining_heard_at_departure) == (0, 0, 0)
    limit = Limit("ip", requests=1, window=10.0)
    coarse = Window(limit, owner="", key="", smooth=False, now=0.0, clock_resolution=0.5, shared=False)
    assert coarse.cycle == pytest.approx(10.502)


def test_a_token_is_out_until_a_cycle_after_its_answer_and_answers_may_come_by_turns() -> None:
    one = window(3)
    assert one.cycle == pytest.approx(10.002)
    assert one.there_at(3) == -math.inf
    spend(one, 3)
    assert (one.available, one.out, one.in_flight) == (0, 3, 3)
    assert one.there_at(1) == math.inf
    one.settle(5.0)
    one.settle(4.0)
    assert (one.out, one.in_flight) == (3, 1)
    assert [one.there_at(tokens) for tokens in (0, 1, 2, 3)] == pytest.approx([-math.inf, 14.002, 15.002, math.inf])
    assert one.opens_at == pytest.approx(14.002)
    one.settle(6.0)
    for back, at in ((1, 14.002), (2, 15.002), (3, 16.002)):
        one.refresh(at - TICK)
        assert one.available == back - 1
        one.refresh(at + TICK)
        assert one.available == back
        assert one.opens_at == -math.inf
    spend(one, 3)
    for _ in range(2):
        one.settle(0.0)
    one.refresh(one.cycle)
    assert one.available == 2, "both are back at this very moment"


def test_of_a_store_s_window_the_store_says_when_it_opens() -> None:
    one = window(1, shared=True)
    spend(one, 1)
    one.settle(0.0)
    assert one.opens_at == -math.inf
    one.outlook.heard_at, one.outlook.opens = 2.0, 3_000_000
    assert one.opens_at == 5.0
    one.outlook.free, one.outlook.due = 0, [(7_000_000, 1)]
    assert one.opens_at == 9.0
    one.pause(11.0, 0.0, "", asked_until=11.0)
    assert one.opens_at == 11.0


def test_the_later_of_two_pauses_wins_and_is_as_long_as_both() -> None:
    one = window()
    assert one.pause(3.0, 1.0, "first", asked_until=9.0)
    assert not one.pause(3.0, 1.5, "the same", asked_until=4.0)
    assert (one.paused_until, one.asked_until, one.pause_length, one.pause_cause) == (3.0, 9.0, 2.0, "first")
    assert one.pause(4.0, 2.0, "longer", asked_until=10.0)
    assert (one.paused_until, one.asked_until, one.pause_length, one.pause_cause) == (4.0, 10.0, 3.0, "longer")
    assert not may_take([one], 4.0 - TICK, interactive=True)
    assert one.lets_through(4.0, interactive=True)
    assert may_take([one], 4.0, interactive=True)
    assert (one.paused_until, one.asked_until, one.pause_cause) == (-math.inf, -math.inf, "")
    assert one.pause(6.0, 5.0, "another", asked_until=6.0)
    assert one.pause_length == 1.0, "it is no part of the pauses before"
    assert one.pause(8.0, 6.0, "at its end", asked_until=8.0)
    assert one.pause_length == 2.0


def test_a_pause_is_lifted_once_and_nothing_is_left_of_it() -> None:
    assert not window().lift()
    one = window()
    one.pause(3.0, 0.0, "a refusal", asked_until=9.0)
    one.foreign.refused(0, 0.0, 3.0, news=True)
    one.refused_in_a_row = 2
    one.reckon_reserved()
    assert one.reserved > 0
    assert one.lift()
    assert not one.lift()
    assert (one.paused_until, one.asked_until, one.pause_cause, one.pause_length) == (-math.inf, -math.inf, "", 0.0)
    assert (one.reserved, one.guarded, one.refused_in_a_row) == (0, False, 0)
    one.waiting_interactive = 40
    assert may_take([one], 3.1, interactive=True)
    assert one.rhythm is None, "who waited need not leave one after the other"


@within
def test_those_who_waited_for_a_pause_leave_spread_over_what_follows() -> None:
    one = window()
    one.waiting_interactive = 40
    one.pause(3.0, 1.0, "", asked_until=3.0)
    assert one.next_grant(interactive=True, now=2.0) == 3.0
    assert may_take([one], 3.0, interactive=True)
    assert one.rhythm is not None
    assert one.rhythm.requests == 40
    assert one.rhythm.interval == pytest.approx(0.01)
    spend(one, 3, 3.0)
    assert not one.lets_through(3.0, interactive=True)
    assert one.next_grant(interactive=True, now=3.0) == pytest.approx(3.01)
    one.refresh(3.4 - TICK)
    assert one.guarded
    one.refresh(3.4)
    assert (one.rhythm, one.pause_length, one.guarded) == (None, 0.0, False)


@within
def test_what_is_spread_after_a_pause_ends_when_that_does_however_late_it_began() -> None:
    one = window()
    one.waiting_interactive = 2
    one.pause(3.0, 1.0, "", asked_until=3.0)
    assert may_take([one], 3.3, interactive=True)
    take([one], 3.3, interactive=True)
    assert one.next_grant(interactive=True, now=3.3) == pytest.approx(3.4)
    one.available = 0
    one.settle(-5.0)
    assert one.next_grant(interactive=True, now=3.3) == pytest.approx(5.002)
    one.pause(7.0, 3.3, "", asked_until=7.0)
    assert one.next_grant(interactive=True, now=3.3) == 7.0


@pytest.mark.parametrize(("waiting", "looked_at", "spread"), [(1, 3.0, True), (0, 3.0, False), (2, 3.4, False)])
def test_whoever_waited_alone_is_spread_too_and_nobody_afterwards(
    waiting: int, looked_at: float, *, spread: bool
) -> None:
    one = window()
    one.waiting_bulk = waiting
    one.pause(3.0, 1.0, "", asked_until=3.0)
    one.refresh(looked_at)
    assert (one.rhythm is not None, one.guarded) == (spread, spread)


@within
def test_what_is_spaced_catches_up_with_a_pause_and_no_more() -> None:
    one = window(smooth=True)
    assert one.rhythm is not None
    assert (one.held_back, one.reserved, one.rhythm.requests) == (1, 1, 99)
    one.waiting_interactive, one.waiting_bulk = 30, 10
    one.pause(3.0, 1.0, "", asked_until=3.0)
    one.refresh(3.0)
    assert one.rhythm.requests == int(2.0 / (10.0 / 99)), "as many as would have left in the pause"
    one.pause(8.0, 4.0, "", asked_until=8.0)
    one.waiting_interactive = 3
    one.refresh(8.1)
    assert one.rhythm.requests == 13, "no more than wait"


@within
def test_a_rhythm_is_spaced_anew_where_others_take_two_per_cent_more() -> None:
    one = window(52, smooth=True)
    for active, requests in ((1, 51), (2, 25), (200, 1), (1, 51)):
        one.outlook.active = active
        one.reckon_reserved()
        assert one.pacer is not None
        assert one.pacer.requests == requests
    before = one.pacer
    for others, requests in ((1, 51), (2, 51), (3, 49), (50, 2), (51, 1)):
        one.foreign.tokens = others
        one.reckon_reserved()
        assert (one.reserved, one.pacer.requests, one.pacer is before) == (others, requests, requests == 51)


@pytest.mark.parametrize(
    ("requests", "smooth", "held_back"), [(1, True, 0), (2, True, 1), (500, True, 2), (501, True, 3), (500, False, 0)]
)
def test_what_is_spaced_leaves_a_few_tokens_unused(requests: int, held_back: int, *, smooth: bool) -> None:
    one = window(requests, smooth=smooth)
    assert one.held_back == held_back
    assert one.pacer is None or one.pacer.requests == max(1, min(requests - held_back, requests * 99 // 100))


def test_what_was_told_of_others_is_no_more_than_is_left_to_them() -> None:
    one = window()
    one.reserved_told = 50
    for tokens, told in ((60, 50), (40, 40), (45, 40), (1, 1), (0, 0)):
        one.foreign.tokens = tokens
        one.reckon_reserved()
        assert (one.reserved, one.reserved_told, one.guarded) == (tokens, told, tokens > 0)


def test_what_is_left_to_others_shrinks_with_time_and_in_a_pause_to_what_it_is_at_its_end() -> None:
    one = window()
    one.foreign.remaining(10, 0, 0, 0.0)
    one.reckon_reserved()
    assert one.reserved == 91
    one.refresh(5.0)
    assert one.reserved == one.foreign.expected(5.0) < 91
    one.pause(9.0, 5.0, "", asked_until=9.0)
    one.refresh(5.0)
    assert one.reserved == one.foreign.expected(9.0) > 0
    one.refresh(10.01)
    assert (one.reserved, one.guarded) == (0, False)


@pytest.mark.parametrize(
    ("capacity", "wanted", "most", "kept"),
    [
        (500, 0, 499, 1),
        (501, 0, 500, 2),
        (500, 30, 499, 30),
        (500, 400, 499, 125),
        (500, 400, 60, 60),
        (3, 9, 2, 1),
        (1, 9, 0, 0),
        (4, 9, -1, 0),
    ],
)
def test_bulk_leaves_what_interactive_requests_want_and_a_quarter_at_most(
    capacity: int, wanted: int, most: int, kept: int
) -> None:
    assert reserve(capacity, wanted, most=most) == kept


def test_what_interactive_requests_want_is_known_after_two_windows() -> None:
    one = window(1000, now=5.0)
    assert (one.wanted(5.0), one.reserve(5.0)) == (0, 2)
    spend(one, 4, 6.0)
    # While it is unknown how many come it is two per cent.
    assert one.wanted(9.0) == 21
    assert one.demand == 0
    assert one.wanted(15.0) == 21, "those of the first window tell how many, and not yet whether they go on"
    assert one.demand == 4
    spend(one, 2, 16.0)
    # Two of four are out, and half of the window has passed: of the others half come yet, and some for chance.
    assert one.wanted(20.0) == 21
    spend(one, 4, 21.0)
    one.wanted(25.0)
    assert one.demand == 6
    assert one.wanted(25.0) == 0 + 4 + 1
    spend(one, 2, 26.0)
    assert one.wanted(30.0) == 6 - (2 + 3) + 4 + 1
    one.waiting_interactive = 14
    assert one.wanted(30.0) == 16 - (2 + 3) + 6 + 1
    one.waiting_interactive = 0
    spend(one, 6, 31.0)
    assert one.wanted(45.0) == 0 + 3 + 1, "eight in two windows are four in one"
    assert one.wanted(55.0) == 0 + 0, "then none came for a window"
    spend(one, 1, 56.0)
    assert one.wanted(66.0) == 21, "so it is unknown again"


def test_one_request_in_each_window_is_known_too() -> None:
    one = window(1000)
    for now in (1.0, 11.0):
        spend(one, 1, now)
        one.wanted(now + 9.0)
    assert one.wanted(20.0) == 0 + 2 + 1


def test_a_turn_of_bulk_comes_after_four_or_after_a_window() -> None:
    one = window(4, now=1.0)
    one.overtaken += 3
    assert not one.turn_of_bulk(99.0), "nobody waits"
    one.overtaken = 4
    assert one.turn_of_bulk(1.0)
    spend(one, 1, 3.0, interactive=False)
    assert (one.overtaken, one.bulk_left_at) == (0, 3.0)
    one.waiting_bulk = 1
    assert not one.turn_of_bulk(13.0)
    assert one.turn_of_bulk(13.0 + TICK)


def test_how_many_tokens_must_be_there_for_whom() -> None:
    def needed(one: Window) -> tuple[int, int]:
        return one.needed(interactive=True, now=0.0), one.needed(interactive=False, now=0.0)

    assert [needed(window(requests)) for requests in (1, 2, 4, 500)] == [(1, 1), (1, 2), (1, 2), (1, 2)]
    one = window()
    one.foreign.tokens = 40
    one.reckon_reserved()
    assert needed(one) == (41, 42)
    one.overtaken = 4
    assert needed(one) == (41, 41)
    one.overtaken, one.waiting_bulk = 0, 1
    assert [one.needed(interactive=False, now=now) for now in (10.0, 10.1)] == [42, 41]
    assert window(1).reserve(0.0) == 0, "it has one token, for everybody"
    of_a_store = window(shared=True)
    of_a_store.foreign.tokens, of_a_store.outlook.reserve = 40, 7
    of_a_store.reckon_reserved()
    assert needed(of_a_store) == (1, 1)
    assert of_a_store.reserve(0.0) == 7


def test_those_who_may_take_need_a_token_of_every_window() -> None:
    full, empty = window(), window(2)
    spend(empty, 2)
    assert not may_take([full, empty], 0.0, interactive=True)
    assert not may_take([empty, full], 0.0, interactive=True)
    empty.settle(0.0)
    assert not may_take([full, empty], 10.0, interactive=True)
    assert may_take([full, empty], 10.01, interactive=True)
    assert not may_take([full, empty], 10.01, interactive=False), "the last one is left"
    take([full, empty], 10.01, interactive=True)
    assert (full.available, empty.available) == (99, 0)


def test_it_is_looked_again_when_a_token_is_there_or_less_may_be_left_to_others() -> None:
    one = window(2)
    assert one.next_grant(interactive=True, now=1.0) == 1.0
    spend(one, 2)
    assert one.next_grant(interactive=True, now=1.0) == math.inf
    assert one.next_grant(interactive=False, now=1.0) == pytest.approx(1.1)
    one.settle(0.0)
    assert one.next_grant(interactive=True, now=1.0) == pytest.approx(10.002)
    one.pause(20.0, 1.0, "", asked_until=20.0)
    assert one.next_grant(interactive=True, now=1.0) == 20.0
    assert one.next_grant(interactive=False, now=1.0) == 20.0
    one.lift()
    one.foreign.tokens = 1
    one.reckon_reserved()
    assert one.next_grant(interactive=True, now=1.0) == pytest.approx(1.1)


@within
def test_it_is_looked_again_when_the_rhythm_allows_it() -> None:
    one = window(smooth=True)
    assert one.next_grant(interactive=True, now=1.0) == 1.0
    assert one.lets_through(1.0, interactive=True)
    spend(one, 1, 1.0)
    assert not one.lets_through(1.0, interactive=True)
    assert one.next_grant(interactive=True, now=1.0) == pytest.approx(1.0 + 10.0 / 99)
    one.available = 1
    assert one.next_grant(interactive=True, now=1.0) == math.inf, "what is held back is left to nobody else"

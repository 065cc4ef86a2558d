"""What others are believed to spend of a window of 100 tokens, each out for ten seconds: to the token."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spotify_ads_async.governor.foreign_usage import ForeignUsage
from spotify_ads_async.network.ratelimit_headers import RateHeaders, http_date, rate_headers, retry_after

TICK = 0.001


def usage(capacity: int = 100) -> ForeignUsage:
    return ForeignUsage(capacity, 10.0)


def test_a_first_refusal_is_believed_until_its_pause_is_over() -> None:
    known = usage()
    assert (known.tokens, known.expected(0.0)) == (0, 0)
    # Of sixty that are out, the refused one counts for nothing: 41 are others', and one is left unused on top.
    known.refused(60, 0.0, 3.0, news=True)
    assert known.tokens == 42
    assert [known.expected(at) for at in (1.5, 2.0, 2.9, 3.0, 9.0)] == [37, 30, 5, 0, 0]
    known.ease(1.5)
    assert known.tokens == 37
    known.ease(3.0)
    assert known.tokens == 0


def test_what_is_refused_again_and_again_is_believed_for_longer_and_never_less() -> None:
    known = usage()
    for number, windows in enumerate((0, 4, 20, 40, 40)):
        now = 10.0 * number
        known.refused(60, now, now + 1.0, news=True)
        end = now + max(10.0 * windows, 1.0)
        assert known.expected(end - TICK) >= 1
        assert known.expected(end) == 0
    assert known.tokens == 42, "a refusal of a cycle ago is not counted any more"
    known.refused(60, 49.9, 50.0, news=True)
    assert known.tokens == 43, "one within the cycle is"


def test_a_second_refusal_teaches_if_it_comes_within_two_cycles_of_what_is_left_of_the_first() -> None:
    for seconds, until in ((22.99, 62.99), (23.0, 24.0)):
        known = usage()
        known.refused(60, 0.0, 3.0, news=True)
        known.refused(60, seconds, seconds + 1.0, news=True)
        assert known.expected(until - TICK) >= 1
        assert known.expected(until) == 0


def test_one_that_was_under_way_teaches_how_much_and_not_how_often() -> None:
    known = usage()
    known.refused(60, 0.0, 3.0, news=False)
    assert known.expected(3.0) == 0
    known.refused(60, 1.0, 4.0, news=True)
    assert known.expected(4.0) == 0, "it is the first one that teaches"
    known.refused(60, 5.0, 6.0, news=True)
    assert known.expected(44.9) == 1, "and this is the second"
    known = usage()
    known.refused(20, 0.0, 3.0, news=True)
    known.refused(60, 1.0, 3.0, news=False)
    assert known.tokens == 79, "what was believed before is not forgotten"
    assert known.expected(3.0) == 0


@pytest.mark.parametrize(
    ("ours", "others"), [(0, 99), (1, 99), (2, 99), (3, 99), (4, 98), (101, 1), (102, 0), (500, 0)]
)
def test_at_least_one_token_is_ours_and_never_more_than_there_are(ours: int, others: int) -> None:
    known = usage()
    known.refused(ours, 0.0, 1.0, news=True)
    assert known.tokens == others


@pytest.mark.parametrize(
    ("remaining", "ours", "since", "others"),
    [(50, 50, 0, 0), (60, 50, 0, 0), (50, 50, 3, 3), (30, 50, 0, 21), (30, 50, 5, 26), (49, 50, 0, 2), (0, 0, 0, 99)],
)
def test_what_remains_says_what_others_took(remaining: int, ours: int, since: int, others: int) -> None:
    known = usage()
    known.remaining(remaining, ours, since, 5.0)
    assert known.tokens == others
    assert known.expected(15.0) == 0
    assert known.expected(14.999) == (1 if others else 0)


def test_a_token_is_left_unused_for_forty_cycles_after_others_were_seen() -> None:
    for now, others in ((399.9, 1), (400.0, 0)):
        refused, told = usage(), usage()
        refused.refused(99, 0.0, 0.0, news=True)
        told.remaining(0, 50, 0, 0.0)
        for known in (refused, told):
            known.remaining(50, 50, 0, now)
            assert known.tokens == others


def test_a_refused_token_counts_as_ours_again_when_it_is_back() -> None:
    for now, others in ((9.9, 1), (10.0, 0)):
        known = usage()
        known.refused(99, 0.0, 0.0, news=True)
        # Of 51 that are out the server took 50 until then: where 49 remain, somebody else took one, which is news.
        known.remaining(49, 51, 0, now)
        known.remaining(50, 50, 0, 405.0)
        assert known.tokens == others


def test_the_larger_of_two_beliefs_counts() -> None:
    known = usage()
    known.refused(57, 0.0, 20.0, news=True)
    known.remaining(12, 45, 0, 0.0)
    assert known.tokens == 45
    known.remaining(5, 44, 0, 0.0)
    assert known.tokens == 52


@pytest.mark.parametrize(("capacity", "unused"), [(1, 0), (2, 1), (100, 1), (101, 2), (1500, 15)])
def test_a_hundredth_of_the_tokens_is_left_unused(capacity: int, unused: int) -> None:
    known = usage(capacity)
    known.refused(capacity + 1, 0.0, 1.0, news=True)
    assert known.tokens == unused


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = "Sun, 01 Mar 2026 12:00:07 GMT"


def test_a_date_counts_from_the_answers_own() -> None:
    assert retry_after({"Retry-After": LATER, "Date": "Sun, 01 Mar 2026 12:00:05 GMT"}, NOW) == 2.0
    assert retry_after({"retry-after": LATER, "date": "Sun, 01 Mar 2026 12:00:09 GMT"}, NOW) == 0.0
    assert retry_after({"Retry-After": LATER, "Date": "lately"}, NOW - timedelta(seconds=1)) == 8.0
    assert retry_after({"Retry-After": "3", "Date": LATER}, NOW) == 3.0
    assert retry_after({"Retry-After": "soon", "Date": LATER}, NOW) is None
    assert retry_after({}, NOW) is None
    assert http_date("Sun, 01 Mar 2026 12:00:07 -0000") == NOW + timedelta(seconds=7)
    assert http_date("Sun, 01 Mar 2026 14:00:07 +0200") == NOW + timedelta(seconds=7)


@pytest.mark.parametrize(
    ("limit", "remaining", "reset", "seen"),
    [
        ("100", "7", "3.5", RateHeaders(limit=100, remaining=7, reset=3.5)),
        ("100", "100", "", RateHeaders(limit=100, remaining=100)),
        ("100", "101", "", RateHeaders(limit=100)),
        ("", "101", "", RateHeaders(remaining=101)),
        ("1e3", "-1", "+2", RateHeaders()),
        ("0", "0", "0", RateHeaders(limit=0, remaining=0, reset=0.0)),
    ],
)
def test_what_the_three_headers_say(limit: str, remaining: str, reset: str, seen: RateHeaders) -> None:
    headers = {"X-RateLimit-Limit": limit, "X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset}
    assert rate_headers(headers) == seen
    assert rate_headers({name.lower(): f" {text} " for name, text in headers.items()}) == seen

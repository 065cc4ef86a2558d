"""The reserve and the shares in one window: no token may be kept for somebody who may not take it."""

from __future__ import annotations

import random

import pytest

from spotify_ads_async.governor.shared.ledger import Surroundings, exchange
from spotify_ads_async.governor.shared.store import Claim, Exchange, Owner, State, WindowReport


def _claimed(
    kept: dict[str, State], owner: str, count: int, *, held: int, wanted: int, bulk: bool, limit: int = 100
) -> int:
    told = Owner(label=owner, usable=limit, held=held, waiting=count, bulk=count * bulk, interactive=wanted)
    window = WindowReport(key="ip|10||here", capacity=limit, cycle=10_000_000, owner=told)
    claims = [Claim([0], held + 1, count, bulk)]
    message = Exchange(owner=owner, lease=6_000_000, horizon=0, windows=[window], claims=claims)
    return len(exchange(kept, message, Surroundings(1_000_000_000, "run")).grants[0])


def test_what_the_reserve_keeps_from_bulk_is_kept_from_nobody_else() -> None:
    kept: dict[str, State] = {}
    assert _claimed(kept, "calls", 60, held=0, wanted=40, bulk=False) == 60
    assert _claimed(kept, "bulk", 30, held=0, wanted=0, bulk=True) == 15, "the rest is the reserve"
    assert _claimed(kept, "calls", 30, held=60, wanted=40, bulk=False) == 25, "and all of it can be used"


def test_the_smallest_limit_that_is_kept_counts_for_all() -> None:
    kept: dict[str, State] = {}
    assert _claimed(kept, "cautious", 60, held=0, wanted=0, bulk=False, limit=30) == 30
    assert _claimed(kept, "bold", 60, held=0, wanted=0, bulk=False) == 0


@pytest.mark.parametrize(("callers", "bulks"), [(4, 0), (0, 4), (3, 1), (4, 4)])
def test_each_process_has_its_part_also_in_bursts(callers: int, bulks: int) -> None:
    """All want more than there is and ask as processes do: five times a second, or shortly before tokens are due."""
    rng, now, cycle, capacity = random.Random(1), 1_000_000_000, 10_000_000, 500  # noqa: S311 (load, no secrets)
    names = [*(f"calls{number}" for number in range(callers)), *(f"bulk{number}" for number in range(bulks))]
    back_at: dict[str, dict[int, int]] = {name: {} for name in names}
    asks_at = {name: now + 500_000 * name.startswith("bulk") for name in names}
    granted, first = dict.fromkeys(names, 0), 0
    kept: dict[str, State] = {}
    while now < 1_060_000_000:
        name = min(names, key=asks_at.__getitem__)
        now, bulk, first = asks_at[name], name.startswith("bulk"), first + 400
        tokens = [(number, max(0, at - now)) for number, at in back_at[name].items()]
        out = back_at[name] = {number: at for number, at in back_at[name].items() if at > now}
        told = Owner(usable=capacity, held=len(out), waiting=400, bulk=400 * bulk, interactive=400 * (not bulk))
        window = WindowReport(key="ip|10||here", capacity=capacity, cycle=cycle, owner=told, tokens=tokens)
        claims = [Claim([0], first, 400, bulk)]
        message = Exchange(owner=name, lease=6_000_000, horizon=200_000, windows=[window], claims=claims)
        reply = exchange(kept, message, Surroundings(now, "run"))
        for number, delay in enumerate(reply.grants[0], first):
            out[number] = now + delay + rng.randint(20_000, 120_000) + cycle
        granted[name] += len(reply.grants[0]) if now > 1_020_000_000 else 0
        heard = reply.windows[0]
        due = heard.due[0][0] - 200_000 if heard.due and heard.free == 0 else 0
        asks_at[name] = now + min(2_000_000, max(200_000, due) + rng.randint(0, 3_000))
    assert sum(granted.values()) >= 0.99 * 4 * capacity, granted
    for kind in ("calls", "bulk"):
        ours = [count for name, count in granted.items() if name.startswith(kind)]
        assert max(ours, default=0) <= (1.4 if 0 in {callers, bulks} else 2.0) * min(ours, default=0), granted
    bulk_part = sum(granted[name] for name in names if name.startswith("bulk")) / sum(granted.values())
    assert bulk_part >= 0.2 or not bulks, granted

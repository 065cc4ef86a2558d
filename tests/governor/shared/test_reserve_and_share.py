"""The reserve and the shares in one window: no token may be kept for somebody who may not take it."""

from __future__ import annotations

import contextlib
import sqlite3

from spotify_ads_async.governor.shared.ledger import SCHEMA, Surroundings, exchange
from spotify_ads_async.governor.shared.store import Claim, Exchange, Owner, WindowReport


def _claimed(connection: sqlite3.Connection, owner: str, count: int, *, held: int, wanted: int, bulk: bool) -> int:
    told = Owner(label=owner, held=held, waiting=count, bulk=count * bulk, interactive=wanted)
    window = WindowReport(key="ip|10||here", capacity=100, cycle=10_000_000, owner=told)
    claims = [Claim([0], held + 1, count, bulk)]
    message = Exchange(owner=owner, lease=6_000_000, horizon=0, windows=[window], claims=claims)
    return len(exchange(connection, message, Surroundings(1_000_000_000, "run")).grants[0])


def test_what_the_reserve_keeps_from_bulk_is_kept_from_nobody_else() -> None:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(SCHEMA)
        assert _claimed(connection, "calls", 60, held=0, wanted=40, bulk=False) == 60
        assert _claimed(connection, "bulk", 30, held=0, wanted=0, bulk=True) == 15, "the rest is the reserve"
        assert _claimed(connection, "calls", 30, held=60, wanted=40, bulk=False) == 25, "and all of it can be used"


def test_bulk_has_its_turn_beside_another_process_with_endless_interactive_demand() -> None:
    now, step, cycle = 1_000_000_000, 100_000, 10_000_000
    back_at: dict[str, dict[int, int]] = {"calls": {}, "bulk": {}}
    granted = {"calls": 0, "bulk": 0}
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(SCHEMA)
        for number in range(0, 1000 * 600, 1000):
            now += step
            for name in ("calls", "bulk"):
                bulk = name == "bulk"
                tokens = [(one, max(0, at - now)) for one, at in back_at[name].items()]
                back_at[name] = out = {one: at for one, at in back_at[name].items() if at > now}
                told = Owner(held=len(out), waiting=400, bulk=400 * bulk, interactive=400 * (not bulk))
                window = WindowReport(key="ip|10||here", capacity=100, cycle=cycle, owner=told, tokens=tokens)
                claims = [Claim([0], number, 400, bulk)]
                message = Exchange(owner=name, lease=6_000_000, horizon=3 * step, windows=[window], claims=claims)
                delays = exchange(connection, message, Surroundings(now, "run")).grants[0]
                # Each request leaves when it may, and takes no time.
                out |= {one: now + delay + cycle for one, delay in enumerate(delays, number)}
                granted[name] += len(delays)
    assert sum(granted.values()) >= 590, granted
    assert 0.1 <= granted["bulk"] / sum(granted.values()) <= 0.3, granted

"""The reserve and the shares in one window: no token may be kept for somebody who may not take it."""

from __future__ import annotations

import contextlib
import sqlite3

from spotify_ads_async.governor.shared.ledger import SCHEMA, Surroundings, exchange
from spotify_ads_async.governor.shared.store import Claim, Exchange, Owner, WindowReport


def _claimed(connection: sqlite3.Connection, owner: str, count: int, *, held: int, wanted: int, bulk: bool) -> int:
    told = Owner(label=owner, held=held, in_flight=held, waiting=count, interactive=wanted)
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

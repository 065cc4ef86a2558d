"""A walk remembers which rows it has yielded, and nothing else."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pagination.list_server import ROWS, Listing, ListServer, Paging, rows

from spotify_ads_async.pagination import ListCall
from spotify_ads_async.pagination.seen import SeenIds


@given(st.lists(st.text() | st.uuids().map(str)))
def test_seen_ids_are_a_set(ids: list[str]) -> None:
    seen, known = SeenIds(), set[str]()
    for one in ids:
        assert (one in seen) == (one in known)
        assert seen.add(one) == (one not in known)
        known.add(one)
        assert len(seen) == len(known)


def test_seen_ids_take_few_bytes_each() -> None:
    gc.collect()
    tracemalloc.start()
    try:
        seen = SeenIds()
        empty, _ = tracemalloc.get_traced_memory()
        for number in range(50_000):
            assert seen.add(f"row {number}")
        full, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (full - empty) / 50_000 < 12, "more than its hash, some room, and its part of a thousand shelves"
    assert not any(f"row {number}" in seen for number in range(50_000, 60_000))


async def test_a_long_walk_holds_no_rows() -> None:
    def answer(query: Mapping[str, Any]) -> Listing:
        return Listing(
            rows=rows(min(50, 10_000 - query["offset"]), query["offset"]), paging=Paging(total_results=10_000)
        )

    server = ListServer(answer, keep=False)
    gc.collect()
    tracemalloc.start()
    try:
        count = 0
        async for _ in ListCall(server, ROWS):
            count += 1
            if count == 1000:
                early, _ = tracemalloc.get_traced_memory()
        late, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 10_000
    assert late - early < 10 * count + 200_000

"""Decoding a page of 50 ad sets.

Typed structs against untyped msgspec, the standard library, and pydantic models of the same shape.
Run: ``python -m benchmarks decoding [FILE]``. Without a file, the page is the emulator's; a file holds a page as your
account answers it, such as ``curl -H "Authorization: Bearer …" …/ad_accounts/…/ad_sets > page.json``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import aiohttp
import msgspec

from benchmarks import charts
from benchmarks._harness import Report, compare, show
from benchmarks._pydantic_peer import model_of
from spotify_ads_async.core import wire
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.models import AdSetPage
from spotify_ads_async.operations import GET_AD_SETS_BY_AD_ACCOUNT_ID

UNTYPED = "untyped msgspec"
OURS = "spotify-ads-async structs"
PYDANTIC = "pydantic models"
AT_MOST = 1.2
AT_LEAST = 4.0
ROWS = 50
TIMES = 200


async def emulated_page() -> bytes:
    """A page of 50 ad sets, as the emulator answers it."""
    async with Emulator(ad_sets=ROWS, latency=0.0) as server, aiohttp.ClientSession() as client:
        address = f"{server.base_url}/ad_accounts/{server.ad_account_id}/ad_sets?limit={ROWS}"
        async with client.get(address, headers={"Authorization": "Bearer benchmark"}) as answer:
            return await answer.read()


def typed(page: bytes) -> AdSetPage:
    """Decode as every call of the package does."""
    return wire.answer(GET_AD_SETS_BY_AD_ACCOUNT_ID, status=200, content_type="application/json", body=page)


def main() -> Report | None:
    """Compare, after making sure that both typed sides read the same.

    What a page of yours gives is printed and not kept.
    """
    page = Path(sys.argv[1]).read_bytes() if len(sys.argv) > 1 else asyncio.run(emulated_page())
    model = model_of(AdSetPage)
    rows = typed(page).ad_sets or []
    peers: object = model.model_validate_json(page).model_dump(mode="json")["ad_sets"]
    ours = [model_of(type(row)).model_validate(msgspec.to_builtins(row)).model_dump(mode="json") for row in rows]
    assert ours == peers, "structs and pydantic models read different things"
    decoder = msgspec.json.Decoder()
    cases = {
        UNTYPED: lambda: decoder.decode(page),
        OURS: lambda: typed(page),
        PYDANTIC: lambda: model.model_validate_json(page),
        "json.loads": lambda: json.loads(page),
    }
    found = compare(cases, base=UNTYPED, times=TIMES)
    against = compare({OURS: cases[OURS], PYDANTIC: cases[PYDANTIC]}, base=OURS, times=TIMES)
    show(f"{len(rows)} ad sets, {len(page):,} bytes", found)
    show("the same", against)
    print(f"goals: at most {AT_MOST} times {UNTYPED}; {PYDANTIC} at least {AT_LEAST} times {OURS}")
    if len(sys.argv) > 1:
        return None
    medians: dict[str, float] = found["medians"]  # pyright: ignore[reportAssignmentType]
    title = f"Decoding a page of {len(rows)} ad sets ({len(page):,} bytes)"
    unit = "microseconds of CPU, less is better"
    chart = charts.bars(title, medians, unit=unit, goal=medians[UNTYPED] * AT_MOST, goal_says="goal: at most")
    figures = {"rows": len(rows), "bytes": len(page), "goals": {"to_untyped": AT_MOST, "pydantic_to_ours": AT_LEAST}}
    return Report({**figures, "against_untyped": found, "against_pydantic": against}, {"decoding": chart})


if __name__ == "__main__":
    main()

"""A wait for quota is said on a terminal, in a line that names the window."""

from __future__ import annotations

import anyio
import anyio.lowlevel

from spotify_ads_async import Governor, Limit
from spotify_ads_async.cli.progress import waiting_text


async def test_who_waits_is_told_for_how_long_and_for_what() -> None:
    governor = Governor([Limit("client_id", 1, 30.0), Limit("ip", 5, 10.0)], pace="burst")
    async with governor:
        assert waiting_text(governor.snapshot()) is None
        async with governor.admit({"client_id", "ip"}):
            pass
        assert waiting_text(governor.snapshot()) is None, "nobody waits"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(governor.admit({"client_id", "ip"}).enter)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            assert waiting_text(governor.snapshot()) in {
                f"waiting {seconds} s for quota: client_id window" for seconds in (30, 31)
            }
            tasks.cancel_scope.cancel()


def test_a_governor_says_what_it_keeps() -> None:
    assert repr(Governor([Limit("client_id", 1, 30.0)])) == "<Governor: client_id 1/30 s; kept in memory>"

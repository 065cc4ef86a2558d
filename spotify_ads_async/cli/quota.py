"""``spotify-ads quota``."""

from __future__ import annotations

from spotify_ads_async.cli.connect import environment
from spotify_ads_async.cli.options import OutputForm
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.run import run, say
from spotify_ads_async.governor.stores import open_store

__all__ = ["quota"]

_COLUMNS = (
    "limit",
    "origin",
    "identity",
    "window",
    "capacity",
    "free",
    "held",
    "returning",
    "next_return",
    "waiting",
    "paused_for",
    "processes",
)
_TIMEOUT = 5.0


def quota(*, output: OutputForm = Output.TABLE) -> None:
    """Show how full each window is that the processes of this machine, or of all, share. It spends nothing."""
    run(lambda: _quota(output))


async def _quota(output: Output) -> None:
    settings = environment()
    store = open_store(settings.store, timeout=_TIMEOUT)
    with Rows(output, _COLUMNS) as rows:
        if store is None:
            say("the windows are kept in memory, so no process knows of another: SPOTIFY_ADS_STORE says where to keep them")
            return
        try:
            pools = await store.look()
        finally:
            await store.aclose()
        for pool in pools:
            rows.write(
                {
                    **{name: getattr(pool, name) for name in _COLUMNS[:-1]},
                    "next_return": None if pool.next_return is None else round(pool.next_return, 3),
                    "paused_for": round(pool.paused_for, 3),
                    "processes": len(pool.holders),
                }
            )
    if not pools:
        say("no window has been used yet")

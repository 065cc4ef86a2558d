"""``spotify-ads quota``: the shared windows, and which process holds what."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import anyio
import msgspec
import typer

from spotify_ads_async.cli.connect import environment
from spotify_ads_async.cli.options import OutputForm
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.run import run, say
from spotify_ads_async.cli.terminal import console
from spotify_ads_async.governor.stores import Store, open_store
from spotify_ads_async.governor.stores.messages import PoolView

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
    "withheld",
    "next_return",
    "waiting",
    "paused_for",
    "pause_cause",
    "processes",
)
_HOLDER_COLUMNS = ("process", "limit", "identity", "held", "in_flight", "waiting", "lease_ends_in")
_TIMEOUT_SECONDS = 5.0


def quota(
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it again and again, until interrupted.")] = False,
    every: Annotated[float, typer.Option("--every", metavar="SECONDS", min=0.1, help="How often --watch looks.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --output json; with --watch one line each time.")] = False,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show how full each window is that processes share: who holds what, the line, pauses. It spends nothing."""
    run(lambda: _quota(Output.JSON if as_json else output, every if watch else None))


async def _quota(output: Output, every: float | None) -> None:
    store = open_store(environment().store.reveal(), timeout=_TIMEOUT_SECONDS)
    if store is None:
        _show([], output)
        say("the windows are kept in memory, so no process knows of another: SPOTIFY_ADS_STORE says where to keep them")
        return
    try:
        await _look(store, output, every)
    finally:
        with anyio.CancelScope(shield=True):
            await store.aclose()


async def _look(store: Store, output: Output, every: float | None) -> None:
    while True:
        pools = await store.look()
        if every is None:
            _show(pools, output)
            if not pools:
                say("no window has been used yet")
            return
        if output is Output.TABLE:
            if sys.stdout.isatty():
                console().clear()
            _show(pools, output)
        else:
            _show(pools, Output.JSONL if output is Output.JSON else output)
        sys.stdout.flush()
        await anyio.sleep(every)


def _show(pools: Sequence[PoolView], output: Output) -> None:
    with Rows(output, _COLUMNS) as rows:
        for pool in pools:
            rows.write(_row(pool))
    holders = [(pool, holder) for pool in pools for holder in pool.holders]
    if output is Output.TABLE and holders:
        sys.stdout.write("\n")
        with Rows(output, _HOLDER_COLUMNS) as rows:
            for pool, holder in holders:
                row = {"process": holder.label, "limit": pool.limit, "identity": pool.identity, **msgspec.to_builtins(holder)}
                rows.write({**row, "lease_ends_in": round(holder.lease_ends_in, 1)})


def _row(pool: PoolView) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(pool)
    row["next_return"] = None if pool.next_return is None else round(pool.next_return, 3)
    row["paused_for"] = round(pool.paused_for, 3)
    row["processes"] = len(pool.holders)
    return row

"""``spotify-ads quota``: the shared windows, which process holds what, and an end to pauses."""

from __future__ import annotations

import enum
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import anyio
import msgspec
import typer

from spotify_ads_async.cli.connect import environment
from spotify_ads_async.cli.options import OutputForm
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.run import USAGE, run, say
from spotify_ads_async.cli.terminal import console
from spotify_ads_async.governor.shared import Store, WindowView, lift_pauses, open_store

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
    "pause_cause",
    "closed_for",
    "processes",
)
_HOLDER_COLUMNS = ("process", "limit", "identity", "held", "in_flight", "waiting", "heard_ago")
_TIMEOUT_SECONDS = 5.0


class Action(enum.Enum):
    """What ``quota`` does besides showing."""

    LIFT = "lift"


def quota(
    *,
    action: Annotated[
        Action | None, typer.Argument(help="End pauses that the server asked for, before their time.", metavar="[lift]")
    ] = None,
    limit: Annotated[str | None, typer.Option("--limit", metavar="NAME", help="Lift the pauses of this limit only.")] = None,
    identity: Annotated[
        str | None, typer.Option("--identity", metavar="ID", help="Lift the pauses of this client ID or address only.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Lift the pauses of every client ID that shares the windows.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it again and again, until interrupted.")] = False,
    every: Annotated[float, typer.Option("--every", metavar="SECONDS", min=0.1, help="How often --watch looks.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --output json; with --watch one line each time.")] = False,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show how full each window is that processes share: who holds what, the queue, pauses. It spends nothing."""
    form = Output.JSON if as_json else output

    async def lift(store: Store) -> int | None:
        return await _lift(store, limit, identity, everybody=everybody)

    async def look(store: Store) -> int | None:
        await _look(store, form, every if watch else None)
        return None

    run(lambda: _with_store(lift) if action is Action.LIFT else _with_store(look, empty=form))


async def _with_store(work: Callable[[Store], Awaitable[int | None]], *, empty: Output | None = None) -> int | None:
    store = open_store(environment().store, timeout=_TIMEOUT_SECONDS)
    if store is None:
        if empty is not None:
            _show([], empty)
        say("the windows are kept in memory, so no process knows of another: SPOTIFY_ADS_STORE says where to keep them")
        return None
    try:
        return await work(store)
    finally:
        with anyio.CancelScope(shield=True):
            await store.aclose()


async def _lift(store: Store, limit: str | None, identity: str | None, *, everybody: bool) -> int | None:
    paused = [one for one in await store.look() if one.paused_for > 0.0]
    clients = sorted({one.identity for one in paused if one.limit != "ip"})
    if len(clients) > 1 and not (everybody or limit or identity):
        say(f"several client IDs are paused ({', '.join(clients)}): say which with --identity, or --all")
        return USAGE
    lifted = await lift_pauses(store, limit=limit, identity=identity)
    for one in lifted:
        say(f"{one.limit} of {one.identity}: no longer paused; {one.paused_for:.0f} s were left ({one.pause_cause})")
    if not lifted:
        say("nothing is paused")
    return None


async def _look(store: Store, output: Output, every: float | None) -> None:
    while True:
        windows = await store.look()
        if every is None:
            _show(windows, output)
            if not windows:
                say("no window has been used yet")
            return
        if output is Output.TABLE:
            if sys.stdout.isatty():
                console().clear()
            _show(windows, output)
        else:
            _show(windows, Output.JSONL if output is Output.JSON else output)
        sys.stdout.flush()
        await anyio.sleep(every)


def _show(windows: Sequence[WindowView], output: Output) -> None:
    with Rows(output, _COLUMNS) as rows:
        for window in windows:
            rows.write(_row(window))
    holders = [(window, holder) for window in windows for holder in window.holders]
    if output is Output.TABLE and holders:
        sys.stdout.write("\n")
        with Rows(output, _HOLDER_COLUMNS) as rows:
            for window, holder in holders:
                row = {"process": holder.label, "limit": window.limit, "identity": window.identity, **msgspec.to_builtins(holder)}
                rows.write({**row, "heard_ago": round(holder.heard_ago, 1)})


def _row(window: WindowView) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(window)
    for name in ("next_return", "paused_for", "closed_for"):
        row[name] = None if row[name] is None else round(row[name], 3)
    row["processes"] = len(window.holders)
    return row

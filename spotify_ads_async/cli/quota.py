"""``spotify-ads quota``: the shared windows, which process holds what, and an end to pauses."""

from __future__ import annotations

import bisect
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Literal, TypeAlias

import anyio
import msgspec
import typer
from yarl import URL

from spotify_ads_async.cli.connect import environment, signed_in
from spotify_ads_async.cli.options import OutputForm
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.run import USAGE, run, say
from spotify_ads_async.cli.terminal import console
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.governor.shared import KeptWindow, Store, lift_pauses, open_store
from spotify_ads_async.settings import Settings

__all__ = ["quota"]

_COLUMNS = (
    *("limit", "origin", "identity", "window", "capacity", "free", "held"),
    *("returning", "next_return", "waiting", "paused_for", "pause_cause", "closed_for", "processes"),
)
_FIRST = ("limit", "identity", "free", "capacity", "window", "waiting", "paused_for")
_LAST = ("held", "returning", "next_return", "closed_for", "processes", "pause_cause")
"""What people look for in a table, and what goes where there is no room."""
_HOLDER_COLUMNS = ("process", "limit", "identity", "held", "in_flight", "waiting", "heard_ago")
_TIMEOUT_SECONDS = 5.0


Action: TypeAlias = Literal["lift"]
"""What ``quota`` does besides showing."""


def quota(
    *,
    action: Annotated[
        Action | None, typer.Argument(help="End pauses that the server asked for, before their time.", metavar="[lift]")
    ] = None,
    limit: Annotated[
        str | None, typer.Option("--limit", metavar="NAME", help="Lift the pauses of this limit only.")
    ] = None,
    identity: Annotated[
        str | None, typer.Option("--identity", metavar="ID", help="Lift the pauses of this client ID or address only.")
    ] = None,
    everybody: Annotated[
        bool,
        typer.Option("--all", help="Every client ID's windows, not only the present profile's; or all their pauses."),
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it again and again, until interrupted.")] = False,
    every: Annotated[float, typer.Option("--every", metavar="SECONDS", min=0.1, help="How often --watch looks.")] = 1.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="The same as --output json; with --watch one line each time.")
    ] = False,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show how full each window is that processes share: who holds what, the queue, pauses. It spends nothing."""
    form = Output.JSON if as_json else output

    async def lift(store: Store, _settings: Settings) -> int | None:
        return await _lift(store, limit, identity, everybody=everybody)

    async def look(store: Store, settings: Settings) -> int | None:
        await _look(store, form, every if watch else None, None if everybody else await _owner(settings))
        return None

    run(lambda: _with_store(lift) if action == "lift" else _with_store(look, empty=form))


async def _with_store(
    work: Callable[[Store, Settings], Awaitable[int | None]], *, empty: Output | None = None
) -> int | None:
    settings = await environment()
    store = open_store(settings.store, timeout=_TIMEOUT_SECONDS)
    if store is None:
        if empty is not None:
            _show([], empty)
        say("the windows are kept in memory, so no process knows of another: SPOTIFY_ADS_STORE says where to keep them")
        return None
    try:
        return await work(store, settings)
    finally:
        with anyio.CancelScope(shield=True):
            await store.aclose()


async def _owner(settings: Settings) -> tuple[str, str] | None:
    """The API's origin and the client ID that commands spend the quota of, None where nobody is signed in."""
    try:
        return str(URL(settings.base_url).origin()), (await signed_in(settings)).client_id or "default"
    except (ConfigurationError, ValueError):  # or an address that is none
        return None


def _is_of(window: KeptWindow, owner: tuple[str, str]) -> bool:
    """Whether a window is one that a client ID spends: its own, and that of the address."""
    limit, _, origin, identity = window.key.split("|", 3)
    return origin == owner[0] and (limit == "ip" or identity == owner[1])


async def _lift(store: Store, limit: str | None, identity: str | None, *, everybody: bool) -> int | None:
    found = [(one, _row(one)) for one in await store.look()]
    clients = sorted({row["identity"] for _, row in found if row["paused_for"] > 0.0 and row["limit"] != "ip"})
    if len(clients) > 1 and not (everybody or limit or identity):
        say(f"several client IDs are paused ({', '.join(clients)}): say which with --identity, or --all")
        return USAGE
    named = [one for one, row in found if limit in {None, row["limit"]} and identity in {None, row["identity"]}]
    lifted = await lift_pauses(store, named)
    for row in map(_row, lifted):
        say(
            f"{row['limit']} of {row['identity']}: no longer paused; {row['paused_for']:.0f} s were left"
            f" ({row['pause_cause']})"
        )
    if not lifted:
        say("nothing is paused")
    return None


async def _look(store: Store, output: Output, every: float | None, owner: tuple[str, str] | None) -> None:
    while True:
        found = await store.look()
        windows = [one for one in found if owner is None or _is_of(one, owner)]
        if every is None:
            _show(windows, output)
            if left_out := len(found) - len(windows):
                say(f"{left_out} windows of other client IDs or servers: --all shows them")
            return
        if output is Output.TABLE:
            if sys.stdout.isatty():
                console().clear()
            _show(windows, output)
        else:
            _show(windows, Output.JSONL if output is Output.JSON else output)
        sys.stdout.flush()
        await anyio.sleep(every)


def _show(windows: Sequence[KeptWindow], output: Output) -> None:
    if not windows:
        say("no window has been used yet")
    found = [_row(one) for one in windows]
    several = len({row["origin"] for row in found}) > 1
    table = ("origin", *_FIRST, *_LAST) if several else (*_FIRST, *_LAST)
    with Rows(output, table if output is Output.TABLE else _COLUMNS) as rows:
        for row in found:
            rows.write(row)
    for row in found:
        if output is Output.TABLE and row["paused_for"]:
            say(
                f"{row['limit']} of {row['identity']}: paused for {row['paused_for']:.0f} s more ({row['pause_cause']})"
            )
    holders = [(window, holder) for window in windows for holder in window.state.owners.values()]
    if output is Output.TABLE and holders:
        sys.stdout.write("\n")
        with Rows(output, _HOLDER_COLUMNS) as rows:
            for window, holder in holders:
                limit, _, _, identity = window.key.split("|", 3)
                row = {"process": holder.label, "limit": limit, "identity": identity, **msgspec.to_builtins(holder)}
                rows.write({**row, "heard_ago": round((window.now - holder.heard) / 1e6, 1)})


def _row(window: KeptWindow) -> dict[str, Any]:
    """One window as people see it.

    Of what is held, the store hears when the requests are over; the rest comes back with time.
    """
    state, now, dues = window.state, window.now, window.dues
    limit, length, origin, identity = window.key.split("|", 3)
    returning = bisect.bisect_right(dues, now + state.cycle)
    return {
        "limit": limit,
        "origin": origin,
        "identity": identity,
        "window": float(length),
        "capacity": state.capacity,
        "free": max(0, state.capacity - len(dues)),
        "held": len(dues) - returning,
        "returning": returning,
        "next_return": round((dues[0] - now) / 1e6, 3) if returning else None,
        "waiting": sum(holder.waiting for holder in state.owners.values()),
        "paused_for": round(max(0, state.paused - now) / 1e6, 3),
        "pause_cause": state.cause,
        "closed_for": round(max(0, state.closed - now) / 1e6, 3),
        "processes": len(state.owners),
    }

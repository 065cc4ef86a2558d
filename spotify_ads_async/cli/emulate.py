"""``spotify-ads emulate``: the emulator as a process of its own."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from spotify_ads_async.cli.run import in_words, on_loop_problem, take_descriptors
from spotify_ads_async.cli.signals import on_signals
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.emulator.domain.database import NotKept
from spotify_ads_async.emulator.domain.patching import PatchMode
from spotify_ads_async.emulator.server.faults import parse_faults
from spotify_ads_async.emulator.server.latency import Latency
from spotify_ads_async.emulator.server.quota import Algorithm
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.limits import parse_limits
from spotify_ads_async.network.addresses import is_loopback

__all__ = ["emulate"]


_AllowedHosts = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="Answer to this name too. Addresses and names without a dot need none. Again for more."
    ),
]
_Data = Annotated[
    Path | None, typer.Option(help="A JSON file to begin with, instead of made-up data.", exists=True, dir_okay=False)
]
_Database = Annotated[
    Path | None, typer.Option(help="A SQLite file that keeps the data from run to run.", dir_okay=False)
]


def emulate(
    *,
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 in a container opens it to the container's network.")
    ] = "127.0.0.1",
    allow_host: _AllowedHosts = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8090,
    ad_sets: Annotated[int, typer.Option(min=0, help="How many ad sets there are to begin with.")] = 2000,
    limits: Annotated[str, typer.Option(help="published, cautious, off, or NAME=REQUESTS/SECONDS,…")] = "published",
    algorithm: Annotated[Algorithm, typer.Option(help="How the windows count.")] = "log",
    latency: Annotated[
        str, typer.Option(help="Seconds: 0.05, 0.02-0.12, lognormal:MEDIAN,SIGMA or exponential:SHORTEST,MEAN.")
    ] = "0.02-0.12",
    faults: Annotated[
        str, typer.Option(help="What goes wrong, as KIND=SHARE,…; for example reset=0.01,error=0.02:500.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Where data, latencies and faults come from.")] = 0,
    clock_skew: Annotated[float, typer.Option(min=-3e9, max=3e9, help="Seconds by which its clock runs ahead.")] = 0.0,
    strict_tokens: Annotated[
        bool, typer.Option("--strict-tokens", help="Take only access tokens that the emulator issued.")
    ] = False,
    rotate_refresh_tokens: Annotated[
        bool, typer.Option("--rotate-refresh-tokens", help="A refresh replaces the refresh token.")
    ] = False,
    patch: Annotated[
        PatchMode, typer.Option(help="What a change makes of objects inside an entity.")
    ] = PatchMode.MERGE,
    data: _Data = None,
    database: _Database = None,
) -> None:
    """Serve an Ads API on loopback until interrupted; the first line printed is its base URL."""
    try:
        server = Emulator(
            ad_sets=ad_sets,
            limits=parse_limits(limits),
            algorithm=algorithm,
            latency=Latency.of(latency),
            faults=parse_faults(faults),
            seed=seed,
            host=host,
            allowed_hosts=allow_host or (),
            port=port,
            any_token=not strict_tokens,
            rotate_refresh_tokens=rotate_refresh_tokens,
            patch=patch,
            data=data,
            database=database,
        )
    except (ValueError, ConfigurationError, OSError) as error:
        raise typer.BadParameter(in_words(error)) from None
    server.clock.skew += clock_skew
    take_descriptors()
    _run(server, host, port)


def _run(server: Emulator, host: str, port: int) -> None:
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(_serve(server, host))
    except NotKept as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        free = "; --port 0 takes a free one" if error.errno == errno.EADDRINUSE else ""
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
        typer.echo(f"cannot listen on {host}:{port}: {reason}{free}", err=True)
        raise typer.Exit(2) from None


async def _serve(server: Emulator, host: str) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(on_loop_problem)
    with on_signals(ended.set):
        async with server:
            typer.echo(server.base_url)
            typer.echo(f"ad account {server.ad_account_id}")
            if not is_loopback(host):
                typer.echo(
                    f"listening on {host}: whoever reaches this machine can read and change what is emulated; nothing"
                    " in it is real",
                    err=True,
                )
            typer.echo(f"web page {server.origin}/ · token endpoint {server.token_url} · Ctrl-C ends it", err=True)
            await ended.wait()

"""``spotify-ads proxy``: the quota proxy as a process of its own."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from spotify_ads_async.cli.connect import environment, signed_in, signed_in_if_ever
from spotify_ads_async.cli.run import run, say, usage_error
from spotify_ads_async.cli.signals import on_interrupt
from spotify_ads_async.governor import Governor
from spotify_ads_async.private_files import read_small_file
from spotify_ads_async.proxy import QuotaProxy
from spotify_ads_async.types import Secret

__all__ = ["proxy"]

_LONGEST_KEY = 64 * 1024


def proxy(
    *,
    host: Annotated[
        str, typer.Option(help="The address to listen on; beyond this machine it needs --key-file.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8791,
    key_file: Annotated[
        Path | None,
        typer.Option(
            help="A file with the key that programs must send as X-Quota-Proxy-Key.", exists=True, dir_okay=False
        ),
    ] = None,
    longest_wait: Annotated[
        float, typer.Option(min=0.0, help="Seconds that a request waits for quota at most.")
    ] = 60.0,
    sign: Annotated[
        bool | None,
        typer.Option(
            help="Sign requests that bring no authorization with your sign-in, or answer them with 401.",
            show_default="where there is one",
        ),
    ] = None,
) -> None:
    """Share the quota with programs in any language; the first line printed is the base URL to give them."""
    key = None if key_file is None else _key_in(key_file)

    async def serve() -> None:
        settings = await environment()
        # Programs that name no client ID spend its windows, also where it signs nothing.
        own = await (signed_in if sign else signed_in_if_ever)(settings)
        credentials = None if sign is False else own
        client_id = (own.client_id if own else None) or "default"
        async with Governor(settings.limits, store=settings.store, client_id=client_id) as governor:
            server = QuotaProxy(
                governor,
                upstream=settings.base_url,
                transport=msgspec.structs.replace(settings.transport, connections=1_000),
                credentials=credentials,
                host=host,
                port=port,
                key=key,
                longest_wait=longest_wait,
            )
            signing = (
                "signs what brings no authorization"
                if credentials
                else "passes on the authorization that programs bring"
            )
            await _serve(server, f"{host}:{port}", f"for {settings.base_url}, {signing}")

    run(serve)


def _key_in(file: Path) -> Secret:
    try:
        key = read_small_file(file, _LONGEST_KEY).decode().strip()
    except (OSError, UnicodeDecodeError):
        usage_error(f"--key-file {file}: the file cannot be read as text")
    return Secret(key) if key else usage_error(f"--key-file {file}: the file is empty")


async def _serve(server: QuotaProxy, address: str, about: str) -> None:
    """Serve until a signal says that it is enough."""
    ended = asyncio.Event()
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(server)
        except OSError as error:
            usage_error(f"cannot listen on {address}: {error.strerror or error}")
        typer.echo(server.base_url)
        say(f"{about} · windows at {server.origin}/-/ · Ctrl-C ends it")
        async with on_interrupt(ended.set):
            await ended.wait()

"""``spotify-ads proxy``: the quota proxy as a process of its own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from spotify_ads_async.auth.credentials import Credentials
from spotify_ads_async.cli.connect import environment, signed_in
from spotify_ads_async.cli.run import run, say, usage_error
from spotify_ads_async.cli.signals import on_interrupt
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.governor import Governor
from spotify_ads_async.private_files import read_small_file
from spotify_ads_async.proxy import QuotaProxy
from spotify_ads_async.settings import Settings
from spotify_ads_async.types import Secret

__all__ = ["proxy"]

_DESCRIPTORS = 65_536
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
    try:
        key = None if key_file is None else Secret(read_small_file(key_file, _LONGEST_KEY).decode().strip())
    except (OSError, UnicodeDecodeError):
        usage_error(f"--key-file {key_file}: the file cannot be read as text")
    if key is not None and not key.reveal():
        usage_error(f"--key-file {key_file}: the file is empty")

    async def serve() -> None:
        _take_descriptors()
        settings = await environment()
        ended = asyncio.Event()
        async with Governor(settings.limits, store=settings.store) as governor:
            credentials = await _credentials(settings, sign=sign)
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
            try:
                await server.__aenter__()
            except OSError as error:
                usage_error(f"cannot listen on {host}:{port}: {error.strerror or error}")
            try:
                typer.echo(server.base_url)
                signing = (
                    "signs what brings no authorization"
                    if credentials
                    else "passes on the authorization that programs bring"
                )
                say(f"for {settings.base_url}, {signing} · windows at {server.origin}/-/ · Ctrl-C ends it")
                async with on_interrupt(ended.set):
                    await ended.wait()
            finally:
                await server.__aexit__(None, None, None)

    run(serve)


def _take_descriptors() -> None:
    """Take as many connections as the system gives: a request that waits holds one, and later one upstream."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not everywhere

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


async def _credentials(settings: Settings, *, sign: bool | None) -> Credentials | None:
    if sign is False:
        return None
    try:
        return await signed_in(settings)
    except ConfigurationError:
        if sign:
            raise
        return None

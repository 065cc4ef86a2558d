"""The API's document as it is published now: its facts, to be compared with those that this version was made from."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import anyio.to_thread
from yarl import URL

from spotify_ads_async.api.facts import Facts, parse_document
from spotify_ads_async.errors import ConfigurationError, ConnectionFailed, InvalidAnswer
from spotify_ads_async.network.addresses import require_secure
from spotify_ads_async.network.connections import open_http
from spotify_ads_async.network.options import TransportOptions
from spotify_ads_async.network.problems import explained_connection_error
from spotify_ads_async.private_files import read_small_file
from spotify_ads_async.types import Secret

__all__ = ["read_document"]

_LONGEST_SECONDS = 60.0


async def read_document(source: str, options: TransportOptions) -> Facts:
    """The facts of the document at a path or an address. Nothing secret is sent, and no quota is spent.

    Args:
        source: a file, or an ``https`` address (plain ``http`` for this machine).
        options: how the network is used.

    Raises:
        ConfigurationError: the file cannot be read or is no document, the address would not do, or the extra ``cli``,
            which reads YAML, is missing.
        ConnectionFailed: the server cannot be reached, or breaks off.
        InvalidAnswer: the server answers something else.
    """
    address = "://" in source
    if address:
        # Plain, it must not stay in this frame while it is refused: a traceback may show it.
        given, source = Secret(source), ""
        source = require_secure(given, options.allow_http)
    text = await _fetched(source, options) if address else await _from_file(source, options.largest_answer)
    try:
        return await anyio.to_thread.run_sync(parse_document, text)
    except ValueError as problem:
        said = f"{source}: {problem}"
        raise (InvalidAnswer(said) if address else ConfigurationError(said)) from None
    except ModuleNotFoundError as missing:
        raise ConfigurationError(f"reading YAML needs {missing.name}: pip install 'spotify-ads-async[cli]'") from None


async def _from_file(source: str, largest: int) -> str:
    try:
        return (await anyio.to_thread.run_sync(read_small_file, Path(source), largest)).decode()
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{source}: {getattr(problem, 'strerror', None) or problem}") from None


async def _fetched(address: str, options: TransportOptions) -> str:
    timeout = aiohttp.ClientTimeout(
        total=_LONGEST_SECONDS, connect=options.connect_timeout, sock_read=options.read_timeout
    )
    try:
        async with open_http(options, timeout=timeout) as session, session.get(address) as answer:
            if answer.status != 200:
                raise InvalidAnswer(f"{address} has no document", status=answer.status)
            content = await answer.content.read(options.largest_answer + 1)
            while not answer.content.at_eof() and len(content) <= options.largest_answer:
                content += await answer.content.readany()
    except (aiohttp.ClientError, TimeoutError, OSError) as problem:
        why = explained_connection_error(problem, options.proxy_for(URL(address)))
        raise ConnectionFailed(f"{address} cannot be read ({why}): look at the network, or name a file") from None
    if len(content) > options.largest_answer:
        raise InvalidAnswer(f"{address} answers more than {options.largest_answer} bytes, which is no document")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InvalidAnswer(f"{address} answers something that is no text") from None

"""Certificates are verified, always; a proxy sees an encrypted stream."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import trustme
from support import calls
from support.calls import client
from support.raw_server import Connection, RawServer, answer

from spotify_ads_async import ConfigurationError, ConnectionFailed, TransportOptions

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@asynccontextmanager
async def secured(
    authority: trustme.CA, name: str = "127.0.0.1", end: datetime | None = None
) -> AsyncIterator[tuple[RawServer, int]]:
    """The raw server behind TLS, with a certificate that is valid from the year 2000 to its ``end``."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name, not_before=BEGINNING, not_after=end).configure_cert(context)
    api = RawServer(otherwise=answer(200, calls.READ.answer))
    async with api, await asyncio.start_server(api._serve, "127.0.0.1", 0, ssl=context) as server:
        yield api, server.sockets[0].getsockname()[1]


async def test_an_authority_that_is_trusted(authority: trustme.CA) -> None:
    async with secured(authority) as (api, port):
        async with client(
            f"https://127.0.0.1:{port}/ads/v3", transport=TransportOptions(tls=trusting(authority))
        ) as ads:
            await calls.READ.by(ads)
        assert len(api.received) == 1


@pytest.mark.parametrize("name", ["127.0.0.1", "elsewhere.example"])
async def test_a_certificate_that_cannot_be_trusted_gets_no_byte(authority: trustme.CA, name: str) -> None:
    options = TransportOptions(tls=trusting(trustme.CA() if name == "127.0.0.1" else authority))
    async with secured(authority, name) as (api, port):
        for transport in (options, TransportOptions()):
            async with client(f"https://127.0.0.1:{port}/ads/v3", transport=transport, policy=calls.ONCE) as ads:
                with pytest.raises(
                    ConnectionFailed, match=r"certificate is not trusted \(.*(unable to get|self.signed|mismatch)"
                ) as caught:
                    await calls.WRITE.by(ads)
            assert not caught.value.may_have_taken_effect
        assert not api.received


async def test_a_certificate_that_has_run_out_sends_nobody_to_a_firewall(authority: trustme.CA) -> None:
    transport = TransportOptions(tls=trusting(authority))
    async with (
        secured(authority, end=datetime(2020, 1, 1, tzinfo=UTC)) as (_, port),
        client(f"https://127.0.0.1:{port}/ads/v3", transport=transport, policy=calls.ONCE) as ads,
    ):
        with pytest.raises(ConnectionFailed, match=r"\(certificate has expired\): look at this machine's clock"):
            await calls.READ.by(ads)


def test_verification_cannot_be_switched_off() -> None:
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    any_host = ssl.create_default_context()
    any_host.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    for context in (unverified, any_host):
        with pytest.raises(ConfigurationError, match="does not verify"):
            client("https://127.0.0.1/ads/v3", transport=TransportOptions(tls=context))


async def test_a_proxy_sees_where_to_and_nothing_else(authority: trustme.CA) -> None:
    seen: list[bytes] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            seen.append(data)
            writer.write(data)
        writer.close()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head)
        host, _, port = head.split(b" ")[1].decode().rpartition(":")
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, there_writer))
            group.create_task(pump(there_reader, writer))

    async with secured(authority) as (api, port), await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        options = TransportOptions(
            tls=trusting(authority), proxy=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        )
        async with client(f"https://127.0.0.1:{port}/ads/v3", "a-canary", transport=options) as ads:
            await calls.READ.by(ads)
        assert api.received[0].headers["authorization"] == "Bearer a-canary"
    assert seen[0].startswith(b"CONNECT 127.0.0.1:")
    assert b"canary" not in b"".join(seen)


async def test_a_proxy_that_refuses_took_no_effect() -> None:
    async def refuse(connection: Connection) -> None:
        await answer(407, b"")(connection)

    async with RawServer(otherwise=refuse) as proxy:
        options = TransportOptions(proxy=proxy.origin)
        async with client("https://api-partner.spotify.com/ads/v3", transport=options, policy=calls.ONCE) as ads:
            with pytest.raises(ConnectionFailed, match="proxy") as caught:
                await calls.WRITE.by(ads)
    assert not caught.value.may_have_taken_effect
    assert all(request.method == "CONNECT" and "authorization" not in request.headers for request in proxy.received)


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://me:canary@proxy.example",
        "",
        "http://",
        "http://me:canary@",
        "http://me:canary@proxy.example/path",
        "http://p:x",
    ],
)
def test_unfit_proxies_are_refused(proxy: str) -> None:
    with pytest.raises(ConfigurationError, match="http://host:port") as caught:
        client("https://127.0.0.1/ads/v3", transport=TransportOptions(proxy=proxy))
    assert "canary" not in str(caught.value)


async def test_plain_http_never_meets_a_proxy() -> None:
    """It would see the access token in the clear."""
    async with RawServer() as proxy, RawServer(otherwise=answer(200, calls.READ.answer)) as api:
        async with client(api.base_url, transport=TransportOptions(proxy=proxy.origin)) as ads:
            await calls.READ.by(ads)
        assert not proxy.received

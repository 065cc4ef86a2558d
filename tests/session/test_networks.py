"""Proxies, certificate authorities, plain http by name, IPv6, and resolvers that answer late."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import aiohttp
import msgspec
import pytest
import trustme
from support import calls
from support.calls import client
from support.connect_proxy import ConnectProxy
from support.free_ports import free_port
from support.raw_server import Behaviour, Connection, RawServer, answer, raw, reset, stall
from support.server_thread import server_in_a_thread
from support.tinyproxy import tinyproxy

from spotify_ads_async import (
    AdsClient,
    AuthenticationError,
    ConfigurationError,
    ConnectionFailed,
    Governor,
    Limit,
    OutcomeUnknown,
    RefreshToken,
    RetryPolicy,
    Secret,
    TransportOptions,
)
from spotify_ads_async.auth.sign_in import sign_in
from spotify_ads_async.core.api_document import read_document
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.models import AsyncReportDimension, AsyncReportMetric
from spotify_ads_async.network.addresses import require_secure, split_login, with_login
from spotify_ads_async.network.connections import open_http
from spotify_ads_async.settings import settings_from, transport_from

PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
ODD_PASSWORD = "p/a?s#s@w:o%rd%41 "
HOST = "api.example.test"
"""A name that the proxy alone finds: what does not go through it fails."""


@pytest.fixture(autouse=True)
def _no_proxies_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def authority_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(file)
    return file


@asynccontextmanager
async def emulator_with_tls(authority: trustme.CA) -> AsyncIterator[tuple[Emulator, int]]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST, "127.0.0.1").configure_cert(context)
    async with Emulator(
        ad_sets=20, latency=0.0, limits=None, tls=context, allowed_hosts=[HOST], processing=0.0, any_token=False,
        clients={"an-app": "its-secret"}, refresh_tokens={"refresh-0": "an-app"}, rotate_refresh_tokens=True,
    ) as server:  # fmt: skip
        yield server, int(server.origin.rpartition(":")[2])


async def use_everything(origin: str, account_id: str, options: TransportOptions, folder: Path) -> None:
    """The API, a refresh, an upload to a signed address, and a download from one."""
    credentials = RefreshToken("an-app", "its-secret", "refresh-0", token_url=f"{origin}/api/token")
    async with AdsClient(
        credentials, base_url=f"{origin}/ads/v3", governor=Governor([]), transport=options, policy=calls.QUICK
    ) as ads:
        account = ads.ad_account(account_id)
        assert (await account.ad_sets.list(limit=1)).items
        await account.audiences.upload_file([f"somebody{number}@example.com" for number in range(1000)], name="Known")
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        report = account.reports.csv(
            dimensions=[AsyncReportDimension.CAMPAIGN_NAME], metrics=[AsyncReportMetric.SPEND,
            AsyncReportMetric.CLICKS],
            report_start=today - timedelta(days=7), report_end=today,
        )  # fmt: skip
        assert (await report.save(folder / "report.csv")).stat().st_size > 10


async def test_everything_goes_through_the_proxy_with_whatever_password(
    authority: trustme.CA, authority_file: Path, tmp_path: Path
) -> None:
    async with (
        emulator_with_tls(authority) as (server, port),
        ConnectProxy(port, user="me", password=ODD_PASSWORD) as proxy,
    ):
        for password in (ODD_PASSWORD.replace("%41", "%2541"), quote(ODD_PASSWORD, safe="")):
            options = TransportOptions(proxy=f"http://me:{password}@127.0.0.1:{proxy.port}", ca_file=authority_file)
            assert "p/a" not in repr(options)
        await use_everything(f"https://{HOST}:{port}", server.ad_account_id, options, tmp_path)
        assert len(proxy.asked) >= 3
        assert set(proxy.asked) == {f"{HOST}:{port}"}
        assert b"Bearer" not in proxy.seen


async def test_signing_in_goes_through_the_environments_proxy(
    authority: trustme.CA, authority_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with emulator_with_tls(authority) as (_, port), ConnectProxy(port, user="me", password="x") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:x@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))
        loop, callbacks = asyncio.get_running_loop(), asyncio.Queue[str]()
        signing = asyncio.create_task(
            sign_in(
                "an-app",
                "its-secret",
                port=free_port(),
                accounts_url=f"https://{HOST}:{port}",
                visit=lambda address: loop.call_soon_threadsafe(callbacks.put_nowait, address),
            )
        )
        address = await callbacks.get()
        context = ssl.create_default_context(cafile=authority_file)
        async with aiohttp.ClientSession(trust_env=True) as browser, browser.get(address, ssl=context) as page:
            assert page.status == 200
        assert (await signing).refresh_token.reveal()
        assert len(proxy.asked) == 2


async def test_the_live_document_is_read_through_the_proxy(authority: trustme.CA, authority_file: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(context)
    api = RawServer(otherwise=answer(404, b""))
    async with api, await asyncio.start_server(api._serve, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        async with ConnectProxy(port) as proxy:
            options = TransportOptions(proxy=f"http://127.0.0.1:{proxy.port}", ca_file=authority_file)
            with pytest.raises(Exception, match="has no document"):
                await read_document(f"https://{HOST}:{port}/api.yaml", options)
            assert proxy.asked == [f"{HOST}:{port}"]


async def test_a_proxy_of_the_distribution(authority: trustme.CA, authority_file: Path, tmp_path: Path) -> None:
    with tinyproxy(tmp_path) as proxy:
        async with emulator_with_tls(authority) as (server, port):
            options = TransportOptions(proxy=proxy.address, ca_file=authority_file)
            await use_everything(f"https://127.0.0.1:{port}", server.ad_account_id, options, tmp_path)
            assert proxy.tunnels() >= 3
            for wrong in (proxy.origin, proxy.address.replace("pass", "sap")):
                refused = TransportOptions(proxy=wrong, ca_file=authority_file)
                async with client(server.base_url, transport=refused, policy=calls.ONCE) as ads:
                    with pytest.raises(
                        ConnectionFailed, match=r"127\.0\.0\.1:\d+ asks for a user name and password"
                    ) as caught:
                        await calls.WRITE.by(ads)
                assert not caught.value.may_have_taken_effect


async def test_a_proxy_that_is_down_is_named(authority_file: Path) -> None:
    options = TransportOptions(proxy="http://me:canary@127.0.0.1:9", ca_file=authority_file)
    credentials = RefreshToken("an-app", "its-secret", "refresh-0")
    for given in ("a-token", credentials):
        async with client("https://api-partner.spotify.com/ads/v3", given, transport=options, policy=calls.ONCE) as ads:
            with pytest.raises(ConnectionFailed, match=r"the proxy 127\.0\.0\.1:9 cannot be reached") as caught:
                await calls.WRITE.by(ads)
        assert "canary" not in f"{caught.value!r}"
        assert not caught.value.may_have_taken_effect


NO_WAY: dict[str, tuple[Behaviour, str]] = {
    "another protocol": (raw(b"SSH-2.0-x\r\n\r\n"), "answers, but not with HTTP"),
    "a head too long": (raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000 + b"\r\n\r\n"), "answers, but not with HTTP"),
    "hangs up": (raw(b""), "hung up"),
    "hangs up with a reset": (reset, "hung up"),
    "hangs up amid its answer": (raw(b"HTTP/1.1 200 Conn"), "hung up"),
}


@pytest.mark.parametrize(("behaviour", "said"), NO_WAY.values(), ids=NO_WAY)
async def test_a_proxy_that_gives_no_way_is_named_and_nothing_left(behaviour: Behaviour, said: str) -> None:
    async with RawServer(otherwise=behaviour) as other:
        options = TransportOptions(proxy=f"http://me:canary@127.0.0.1:{other.port}")
        credentials = RefreshToken("an-app", "its-secret", "refresh-0")
        for given in ("a-token", credentials):
            async with client("https://ads.example/ads/v3", given, transport=options, policy=calls.ONCE) as ads:
                for call in (calls.READ, calls.WRITE, calls.CREATE):
                    with pytest.raises(
                        ConnectionFailed, match=rf"the proxy 127\.0\.0\.1:{other.port} {said}"
                    ) as caught:
                        await call.by(ads)
                    assert not caught.value.may_have_taken_effect
                    assert "after the request left" not in str(caught.value)
                    assert "canary" not in f"{caught.value!r}"


@asynccontextmanager
async def hanging_up_twice(
    authority: trustme.CA, status: bytes, body: bytes = b""
) -> AsyncIterator[tuple[ConnectProxy, list[bytes]]]:
    """A proxy that takes the third request for a way, and the heads of what the server behind it received."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(context)
    received: list[bytes] = []
    came = itertools.count(1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, len(body), body))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server, ConnectProxy(port, hangs_up=lambda: next(came) <= 2) as proxy:
        yield proxy, received


async def test_a_write_is_sent_once_the_proxy_hangs_up_no_more(authority: trustme.CA, authority_file: Path) -> None:
    """Nothing left before, so that it is asked for again whatever it is, and costs no quota."""
    governor = Governor([Limit("ip", requests=5, window=600.0)])
    async with hanging_up_twice(authority, b"500 Whatever") as (proxy, received), governor:
        options = TransportOptions(proxy=f"http://127.0.0.1:{proxy.port}", ca_file=authority_file)
        async with client(f"https://{HOST}/ads/v3", governor=governor, transport=options) as ads:
            with pytest.raises(OutcomeUnknown):
                await calls.WRITE.by(ads)
            assert [window.available for window in governor.snapshot().windows] == [4]
        assert len(received) == 1


async def test_a_refresh_that_never_left_is_no_doubt_about_the_token(
    authority: trustme.CA, authority_file: Path
) -> None:
    async with hanging_up_twice(authority, b"400 No", b'{"error":"invalid_grant"}') as (proxy, _):
        options = TransportOptions(proxy=f"http://127.0.0.1:{proxy.port}", ca_file=authority_file)
        credentials = RefreshToken("an-app", "its-secret", "refresh-0", token_url=f"https://{HOST}/api/token")
        async with client("http://127.0.0.1:9/ads/v3", credentials, transport=options) as ads:
            with pytest.raises(AuthenticationError, match="invalid_grant") as caught:
                await calls.READ.by(ads)
    assert not getattr(caught.value, "__notes__", [])


@pytest.mark.parametrize(("connect", "whole"), [(0.05, 9.0), (9.0, 0.05)])
async def test_a_proxy_that_never_answers_is_named(connect: float, whole: float) -> None:
    async with RawServer(script=[stall]) as silent:
        options = TransportOptions(proxy=f"http://me:canary@127.0.0.1:{silent.port}", connect_timeout=connect)
        async with client("https://ads.example/ads/v3", "a-token", transport=options, policy=calls.ONCE) as ads:
            with pytest.raises(ConnectionFailed, match=rf"the proxy 127\.0\.0\.1:{silent.port}") as caught:
                await calls.WRITE.by(ads.with_options(timeout=whole))
    assert "canary" not in f"{caught.value!r}"
    assert not caught.value.may_have_taken_effect


def test_a_command_says_that_the_proxy_is_down(tmp_path: Path) -> None:
    environment = {
        **os.environ, "HOME": str(tmp_path), "SPOTIFY_ADS_ACCESS_TOKEN": "x", "SPOTIFY_ADS_STORE": "memory",
        "HTTPS_PROXY": "http://me:canary@127.0.0.1:9",
    }  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "spotify_ads_async.cli", "accounts"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "the proxy 127.0.0.1:9 cannot be reached" in ended.stderr
    assert "canary" not in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("127.0.0.1", True), ("127.0.0.0/8", True), ("*", True), ("elsewhere.example, 127.0.0.1", True),
        ("127.0.0.1:{port}", True),
        ("127.0.0.1:1", False), ("10.0.0.0/8", False), ("0.0.1", False), ("", False),
    ],
)  # fmt: skip
async def test_hosts_that_are_reached_without_a_proxy(
    authority: trustme.CA,
    authority_file: Path,
    no_proxy: str,
    direct: bool,  # noqa: FBT001 (a parameter)
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with emulator_with_tls(authority) as (server, port):
        for told in ("NO_PROXY", "no_proxy="):
            listed = no_proxy.replace("{port}", str(port))
            monkeypatch.setenv("NO_PROXY", listed if told == "NO_PROXY" else "wrong.example")
            options = TransportOptions(ca_file=authority_file, no_proxy=None if told == "NO_PROXY" else listed)
            async with client(server.base_url, transport=options, policy=calls.ONCE) as ads:
                with pytest.raises(Exception, match="HTTP 401" if direct else "proxy"):
                    await calls.READ.by(ads)


@pytest.mark.parametrize(
    "address",
    [
        "http://u:canary@[::1",
        "http://u:canary@h:99999",
        "u:canary@h/x",
        "http://",
        "http://u%3A:canary@h",
        "u:canary\udcff@h",
        "canary%2Fwithout%40host",
        "http://h\\canary:1",
    ],
)
def test_a_proxys_address_that_is_none_is_refused_without_being_shown(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"http://user:password@host:port") as caught:
        TransportOptions(proxy=address).checked()
    assert "canary" not in str(caught.value)


async def test_a_proxy_of_another_kind_is_refused_where_it_would_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://me:canary@127.0.0.1:9")
    async with client("https://api-partner.spotify.com/ads/v3", policy=calls.ONCE) as ads:
        with pytest.raises(
            ConfigurationError, match=r"environment's proxy \(HTTPS_PROXY or ALL_PROXY\).*socks5 is of another kind"
        ) as caught:
            await calls.READ.by(ads)
    assert "canary" not in str(caught.value)
    async with RawServer(otherwise=answer(200, calls.READ.answer)) as api, client(api.base_url) as ads:
        await calls.READ.by(ads)


async def test_the_systems_authorities_can_be_replaced_by_the_environment(
    authority: trustme.CA, authority_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with emulator_with_tls(authority) as (server, _):
        async with client(server.base_url, policy=calls.ONCE) as ads:
            with pytest.raises(ConnectionFailed, match=r"certificate.*SPOTIFY_ADS_CA_FILE, ca_file, or SSL_CERT_FILE"):
                await calls.READ.by(ads)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))
        async with client(server.base_url, policy=calls.ONCE) as ads:
            with pytest.raises(Exception, match="HTTP 401"):
                await calls.READ.by(ads)


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.pem").write_text("nothing", encoding="utf-8")
    (tmp_path / "empty.pem").touch()
    files = {"missing.pem": "No such file", "other.pem": "no certificate in PEM", "empty.pem": "no certificate in PEM"}
    if hasattr(os, "mkfifo"):
        monkeypatch.setattr("spotify_ads_async.private_files._PATIENCE_SECONDS", 0.01)
        os.mkfifo(tmp_path / "pipe.pem")
        files["pipe.pem"] = "nothing came through this pipe"
    for file, reason in [(tmp_path / name, reason) for name, reason in files.items()]:
        with pytest.raises(ConfigurationError, match=rf"{file.name}.*{reason}"):
            client("https://127.0.0.1/ads/v3", transport=TransportOptions(ca_file=file))


@pytest.mark.parametrize("setting", ["ca_file", "SSL_CERT_FILE"])
def test_authorities_are_read_once_for_all_clients_and_again_once_they_changed(
    tmp_path: Path, authority_file: Path, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To read all of a system's takes a tenth of a second, for which an event loop stands still."""
    file = tmp_path / "authorities.pem"
    file.write_bytes(authority_file.read_bytes())
    if setting == "ca_file":
        options = TransportOptions(ca_file=file)
    else:
        monkeypatch.setenv(setting, str(file))
        options = TransportOptions()
    first = options.checked().tls
    assert first is not None
    assert options.checked().tls is first
    assert msgspec.structs.replace(options, connections=7).checked().tls is first
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    other.replace(file)
    changed = options.checked().tls
    assert changed is not None
    assert changed is not first
    assert changed.get_ca_certs() != first.get_ca_certs()
    file.unlink()
    if setting == "ca_file":
        with pytest.raises(ConfigurationError, match="cannot be read"):
            options.checked()


def test_plain_http_goes_to_a_host_that_is_named_and_the_error_names_the_setting() -> None:
    address = "http://emulator:8090/ads/v3"
    with pytest.raises(ConfigurationError, match=r"SPOTIFY_ADS_ALLOW_HTTP=emulator, or allow_http=\('emulator',\)"):
        client(address)
    client(address, transport=TransportOptions(allow_http=("Emulator",)))
    with pytest.raises(ConfigurationError):
        client("http://elsewhere:8090/ads/v3", transport=TransportOptions(allow_http=("emulator",)))
    environment = {
        "SPOTIFY_ADS_ALLOW_HTTP": "emulator, other", "SPOTIFY_ADS_BASE_URL": address, "SPOTIFY_ADS_LIMITS": "off",
        "SPOTIFY_ADS_CLIENT_ID": "an-app", "SPOTIFY_ADS_REFRESH_TOKEN": "r", "SPOTIFY_ADS_TOKEN_URL": "http://emulator:8090/api/token",
    }  # fmt: skip
    assert AdsClient.from_env(environment).base_url == address
    with pytest.raises(ConfigurationError, match="SPOTIFY_ADS_ALLOW_HTTP=emulator"):
        AdsClient.from_env({**environment, "SPOTIFY_ADS_ALLOW_HTTP": "other"})


async def test_ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with (
        Emulator(ad_sets=5, latency=0.0, host="::1") as server,
        AdsClient("x", base_url=server.base_url, governor=Governor([])) as ads,
    ):
        assert "[::1]" in server.base_url
        assert (await ads.ad_account(server.ad_account_id).ad_sets.list(limit=1)).items


async def test_a_resolver_that_answers_late_is_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> list[object]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(aiohttp.DefaultResolver, "resolve", never)
    async with client(
        "https://late.example/ads/v3", timeout=None, policy=calls.ONCE, transport=TransportOptions(connect_timeout=0.05)
    ) as ads:
        with pytest.raises(ConnectionFailed, match="could not be sent") as caught:
            await calls.WRITE.by(ads)
    assert not caught.value.may_have_taken_effect


async def test_a_server_that_moved_is_found_by_the_next_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = ["127.0.0.9", "127.0.0.1"]  # nobody listens at the first

    async def resolve(_: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, object]]:
        del family
        at = {"hostname": host, "port": port, "family": socket.AF_INET, "proto": 0, "flags": socket.AI_NUMERICHOST}
        return [{**at, "host": addresses.pop(0)}]

    monkeypatch.setattr(aiohttp.DefaultResolver, "resolve", resolve)
    async with RawServer(otherwise=answer(200, calls.READ.answer)) as api:
        address = api.base_url.replace("127.0.0.1", "moved.example")
        async with client(address, transport=TransportOptions(allow_http=("moved.example",))) as ads:
            await calls.READ.by(ads)
    assert not addresses


async def test_an_address_that_is_forgotten_as_it_comes_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several connections wait for it, and just then one fails that was told of an older one."""
    looked_up = 0

    async def resolve(_: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, object]]:
        del family
        nonlocal looked_up
        looked_up += 1
        for _ in range(20):  # so that others wait
            await asyncio.sleep(0)
        if looked_up == 1:
            assert isinstance(http.connector, aiohttp.TCPConnector)
            asyncio.get_running_loop().call_soon(http.connector.clear_dns_cache)
        at = {"port": port, "family": socket.AF_INET, "proto": 0, "flags": socket.AI_NUMERICHOST}
        return [{**at, "hostname": host, "host": "127.0.0.1"}]

    monkeypatch.setattr(aiohttp.DefaultResolver, "resolve", resolve)
    async with (
        RawServer(otherwise=answer(200, calls.READ.answer)) as api,
        open_http(TransportOptions(allow_http=("moved.example",))) as http,
    ):
        address = api.base_url.replace("127.0.0.1", "moved.example")
        answers = await asyncio.gather(*(http.get(address) for _ in range(3)))
        assert [one.status for one in answers] == [200] * 3
    assert looked_up == 2


@pytest.mark.parametrize("runner", ["asyncio", "uvloop"])
def test_a_connection_that_ended_while_the_program_was_busy_is_not_written_to(runner: str) -> None:
    """The system knows of the end, the loop does not yet: a write into it would be an unknown outcome."""
    over = threading.Event()

    async def answer_and_end(connection: Connection) -> None:
        await answer(200, calls.WRITE.answer)(connection)
        connection.writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
        connection.keep = False
        over.set()

    async def use(api: RawServer) -> None:
        async with client(api.base_url, policy=calls.ONCE) as ads:
            for number in range(1, 4):
                await calls.WRITE.by(ads)
                assert over.wait(60)
                over.clear()
                time.sleep(0.1)  # noqa: ASYNC251  # so that this loop hears of nothing
                assert (len(api.received), api.connections) == (number, number)

    with server_in_a_thread(answer_and_end) as api:
        (pytest.importorskip("uvloop") if runner == "uvloop" else asyncio).run(use(api))


async def test_a_connection_from_before_a_suspend_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The monotonic clock stood still, and whoever forgot the connection meanwhile says so when something comes in."""

    async def forgotten(connection: Connection) -> None:
        if api.connections == 1 and len(api.received) > 2:
            return connection.reset()
        return await answer(200, calls.WRITE.answer)(connection)

    async with RawServer(otherwise=forgotten) as api, client(api.base_url, policy=calls.ONCE) as ads:
        await calls.WRITE.by(ads)
        await calls.WRITE.by(ads)
        assert api.connections == 1
        asleep = time.time() + 3600.0
        monkeypatch.setattr(time, "time", lambda: asleep)
        await calls.WRITE.by(ads)
        assert (len(api.received), api.connections) == (3, 2)


async def test_a_server_that_drops_connections_between_requests_loses_nothing() -> None:
    async def answer_and_reset(connection: Connection) -> None:
        await answer(200, calls.WRITE.answer)(connection)
        connection.reset()

    async with (
        RawServer(otherwise=answer_and_reset) as api,
        client(api.base_url, policy=RetryPolicy(first_delay=0.001)) as ads,
    ):
        for _ in range(20):
            await calls.WRITE.by(ads)
            for _ in range(10):
                await asyncio.sleep(0)  # the reset arrives
        assert len(api.received) == 20


ADDRESSES = {
    "redis://host:6379/0": ("redis://host:6379/0", "", ""),
    "redis://:secret@host:6379/0": ("redis://host:6379/0", "", "secret"),
    "redis://me:se%40cret@host/0": ("redis://host/0", "me", "se@cret"),
    "redis://:a/b@host:6379/0?namespace=x": ("redis://host:6379/0?namespace=x", "", "a/b"),
    "redis://:a#b?c@d@host": ("redis://host", "", "a#b?c@d"),
    "redis://:100%@host": ("redis://host", "", "100%"),
    "redis://u:1/2@host": ("redis://host", "u", "1/2"),
    "redis://host/0?client_name=a@b": ("redis://host/0?client_name=a@b", "", ""),
    "rediss+cluster://me:p/w@one:1,two:2": ("rediss+cluster://one:1,two:2", "me", "p/w"),
    "proxy.example:3128": ("proxy.example:3128", "", ""),
    "me:it@proxy.example:3128": ("proxy.example:3128", "me", "it"),
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_login_in_an_address_is_understood_escaped_or_not(address: str) -> None:
    plain, username, password = split_login(Secret(address))
    assert (plain, username, password.reveal()) == ADDRESSES[address]
    assert split_login(with_login(plain, username, password)) == (plain, username, password)


@pytest.mark.parametrize(
    "address", ["http://u:canary@127.0.0.1", "https://canary@x", "https://x/?canary", "ftp://x", "x", "https://x:y", ""]
)
def test_an_unfit_address_is_refused_without_being_shown(address: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        require_secure(Secret(address))
    assert "canary" not in str(caught.value)


def test_settings_of_the_network_come_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "proxy"
    file.write_text("http://me:canary@proxy.example:3128\r\n", encoding="utf-8")
    environment = {"SPOTIFY_ADS_PROXY_FILE": str(file), "SPOTIFY_ADS_NO_PROXY": "a,b", "SPOTIFY_ADS_CA_FILE": "/ca.pem"}
    options = transport_from(environment)
    assert isinstance(options.proxy, Secret)
    assert options.proxy.reveal() == "http://me:canary@proxy.example:3128"
    assert (options.no_proxy, options.ca_file) == ("a,b", "/ca.pem")
    assert "canary" not in repr(settings_from(environment))

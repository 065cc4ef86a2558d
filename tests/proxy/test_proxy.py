"""The quota proxy between programs and an API: what waits, what goes on, what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import logging
import resource
import shutil
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import anyio
import pytest

from spotify_ads_async import AccessToken, ConfigurationError, Governor, Limit
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.network.options import TransportOptions
from spotify_ads_async.proxy import QuotaProxy
from spotify_ads_async.types import Secret
from tests.support.accounts import Accounts
from tests.support.raw_server import Connection, RawServer, answer, raw, reset, stall, stall_after
from tests.support.virtual_time import on_a_patient_clock

SIGNED = {"Authorization": "Bearer canary-token"}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False) as session:
        yield session


@contextlib.asynccontextmanager
async def proxied(server: RawServer, *limits: Limit, **options: object) -> AsyncIterator[QuotaProxy]:
    governor = Governor(limits, clock=time.monotonic)  # the one of the moment
    async with governor, QuotaProxy(governor, upstream=server.base_url, port=0, **options) as proxy:  # type: ignore[arg-type]
        yield proxy


async def seen(condition: object) -> None:
    """Wait until a condition holds, looking after each turn of the loop."""
    async with asyncio.timeout(60):
        while not condition():  # type: ignore[operator] # noqa: ASYNC110 (what is watched tells nobody of its changes)
            await asyncio.sleep(0.005)


async def test_request_and_answer_pass_unchanged(http: aiohttp.ClientSession) -> None:
    body = gzip.compress(b'{"id": "1"}')
    headers = {
        "Content-Encoding": "gzip",
        "X-RateLimit-Remaining": "7",
        "X-Request-Id": "r-1",
        "Connection": "X-Hop",
        "X-Hop": "1",
    }
    async with RawServer(otherwise=answer(207, body, headers=headers)) as server, proxied(server) as proxy:
        target = f"/ad_accounts/a%2Fb/ads?fields=ID&fields=NAME&q=%20+&long={'x' * 20_000}"
        sent = {
            **SIGNED,
            "X-Quota-Priority": "bulk",
            "Idempotency-Key": "k",
            "Content-Type": "application/json",
            "TE": "trailers",
        }
        async with http.post(
            aiohttp.client.URL(proxy.base_url + target, encoded=True), data=b'{"name": "x"}', headers=sent
        ) as got:
            assert (got.status, await got.read()) == (207, body)
            assert got.headers["X-RateLimit-Remaining"] == "7"
            assert got.headers["X-Request-Id"] == "r-1"
            assert "X-Hop" not in got.headers
            assert "X-Quota-Proxy" not in got.headers
    (received,) = server.received
    assert (received.method, received.target) == ("POST", f"/ads/v3{target}")
    assert received.body == b'{"name": "x"}'
    assert received.headers["authorization"] == "Bearer canary-token"
    assert received.headers["idempotency-key"] == "k"
    assert received.headers["host"] == f"127.0.0.1:{server.port}"
    assert not received.headers.keys() & {"x-quota-priority", "te", "x-quota-proxy-key"}


async def test_requests_queue_and_no_window_is_exceeded(http: aiohttp.ClientSession) -> None:
    limits = (Limit("client_id", requests=60, window=1.2), Limit("ip", requests=20, window=0.4))
    async with (
        Emulator(ad_sets=5, limits=limits, latency=(0.0, 0.02)) as server,
        Governor(limits) as governor,
        QuotaProxy(governor, upstream=server.base_url, port=0) as proxy,
    ):

        async def ask(number: int) -> int:
            headers = SIGNED | {"X-Quota-Priority": "bulk" if number % 2 else "interactive"}
            async with http.get(f"{proxy.base_url}/ad_accounts/{server.ad_account_id}/ad_sets", headers=headers) as got:
                await got.read()
                return got.status

        assert await asyncio.gather(*(ask(number) for number in range(90))) == [200] * 90
        assert server.statistics().refused == 0
        assert server.statistics().fullest["ip"] == 20


async def test_past_the_longest_wait_it_refuses_at_once_with_the_true_wait(http: aiohttp.ClientSession) -> None:
    async with RawServer() as server, proxied(server, Limit("ip", requests=1, window=30.0), longest_wait=10.0) as proxy:
        async with http.get(f"{proxy.base_url}/businesses", headers=SIGNED) as got:
            assert got.status == 200
        for url, headers in (
            (f"{proxy.base_url}/businesses", {}),
            (f"{proxy.base_url}/businesses", {"X-Quota-Max-Wait": "0.5"}),
            (f"{proxy.origin}/~max_wait=1,priority=bulk/ads/v3/businesses", {}),
        ):
            async with http.get(url, headers=SIGNED | headers) as got:
                assert got.status == 429
                assert 28 <= int(got.headers["Retry-After"]) <= 31
                assert got.headers["X-Quota-Proxy"] == "refused"
    assert len(server.received) == 1


async def test_each_client_id_has_a_window_and_all_share_the_address(http: aiohttp.ClientSession) -> None:
    limits = (Limit("client_id", requests=1, window=30.0), Limit("ip", requests=3, window=30.0))
    async with RawServer() as server, proxied(server, *limits, longest_wait=0.0) as proxy:
        statuses: list[int] = []
        for owner in ("a", "a", "b", "c", "d"):
            async with http.get(f"{proxy.origin}/~client_id={owner}/ads/v3/businesses", headers=SIGNED) as got:
                statuses.append(got.status)
    assert statuses == [200, 429, 200, 200, 429]


async def test_a_token_of_a_programs_own_spends_the_windows_of_the_sign_in(http: aiohttp.ClientSession) -> None:
    async with RawServer() as server:
        own = AccessToken("own-token", client_id="a")
        async with proxied(
            server, Limit("client_id", requests=1, window=30.0), longest_wait=0.0, credentials=own
        ) as proxy:
            statuses: list[int] = []
            for headers in (SIGNED, {}, SIGNED | {"X-Quota-Client-Id": "a"}, SIGNED | {"X-Quota-Client-Id": "b"}):
                async with http.get(f"{proxy.base_url}/businesses", headers=headers) as got:
                    statuses.append(got.status)
    assert statuses == [200, 429, 429, 200]


async def test_a_pause_that_the_api_asks_for_holds_for_all(http: aiohttp.ClientSession) -> None:
    async with (
        RawServer(script=[answer(429, {}, headers={"Retry-After": "20"})]) as server,
        proxied(server, Limit("ip", requests=50, window=30.0), longest_wait=1.0) as proxy,
    ):
        async with http.get(f"{proxy.base_url}/businesses", headers=SIGNED) as got:
            assert got.status == 429
            assert "X-Quota-Proxy" not in got.headers, "the API's own refusal passes on"
        async with http.get(f"{proxy.origin}/~client_id=another/ads/v3/businesses", headers=SIGNED) as got:
            assert (got.status, got.headers["X-Quota-Proxy"]) == (429, "refused")
            assert "the server asked for a pause on ip" in await got.text(), "the window is not full"
    assert len(server.received) == 1


async def test_who_leaves_while_queued_costs_no_quota_and_gives_the_place_back(http: aiohttp.ClientSession) -> None:
    async with (
        RawServer(otherwise=stall) as server,
        proxied(server, Limit("ip", requests=1, window=30.0), longest_wait=900.0) as proxy,
    ):
        first = asyncio.create_task(http.get(f"{proxy.base_url}/businesses", headers=SIGNED))
        await seen(lambda: proxy.counts()["under_way"] == 1)
        waiting = [asyncio.create_task(http.get(f"{proxy.base_url}/businesses", headers=SIGNED)) for _ in range(5)]
        await seen(lambda: proxy.counts()["waiting"] == 5)
        async with http.get(f"{proxy.origin}/-/health") as got:
            assert await got.json() == {"status": "ok", "waiting": 5, "under_way": 1}
        for task in waiting:
            task.cancel()
        await seen(lambda: proxy.counts()["waiting"] == 0)
        first.cancel()
        await seen(lambda: proxy.counts()["under_way"] == 0)
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "behaviour", [reset, raw(b"HTTP/1.1 garbage\r\n\r\n"), raw(b"")], ids=["reset", "garbage", "closed"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_nothing_is_sent_twice(http: aiohttp.ClientSession, method: str, behaviour: object) -> None:
    async with RawServer(script=[answer(200, {})], otherwise=behaviour) as server, proxied(server) as proxy:  # type: ignore[arg-type]
        async with http.get(f"{proxy.base_url}/businesses", headers=SIGNED):
            pass
        async with http.request(method, f"{proxy.base_url}/businesses", headers=SIGNED, data=b"{}") as got:
            assert (got.status, got.headers["X-Quota-Proxy"]) == (502, "refused")
            assert "may have taken effect" in (await got.json())["error"]
    assert len(server.received) == 2


@pytest.mark.parametrize("refusal", [answer(407), answer(503), raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), reset, raw(b"")])
async def test_what_a_proxy_on_the_way_refuses_was_not_sent_and_costs_nothing(
    http: aiohttp.ClientSession, refusal: object
) -> None:
    governor = Governor([Limit("ip", requests=5, window=600.0)])
    async with RawServer(otherwise=refusal) as company:  # type: ignore[arg-type]
        way = TransportOptions(proxy=f"http://127.0.0.1:{company.port}")
        async with (
            governor,
            QuotaProxy(governor, upstream="https://ads.example/ads/v3", port=0, transport=way) as proxy,
            http.post(f"{proxy.base_url}/businesses", headers=SIGNED, data=b"{}") as got,
        ):
            assert (got.status, got.headers["X-Quota-Proxy"]) == (502, "refused")
            assert "the request was not sent" in (await got.json())["error"]
        assert [window.available for window in governor.snapshot().windows] == [5]


async def test_a_proxy_on_the_way_that_says_nothing_is_given_up_and_costs_nothing(http: aiohttp.ClientSession) -> None:
    governor = Governor([Limit("ip", requests=5, window=600.0)])
    async with RawServer(otherwise=stall) as company:
        way = TransportOptions(proxy=f"http://127.0.0.1:{company.port}", connect_timeout=0.2)
        async with (
            governor,
            QuotaProxy(governor, upstream="https://ads.example/ads/v3", port=0, transport=way) as proxy,
            http.post(f"{proxy.base_url}/businesses", headers=SIGNED, data=b"{}") as got,
        ):
            assert "the request was not sent" in (await got.json())["error"]
        assert [window.available for window in governor.snapshot().windows] == [5]


@on_a_patient_clock
async def test_a_post_that_is_not_answered_in_time_is_one_post() -> None:
    hasty = TransportOptions(read_timeout=0.2)
    async with (
        RawServer(otherwise=stall) as server,
        proxied(server, transport=hasty) as proxy,
        aiohttp.ClientSession() as http,
        http.post(f"{proxy.base_url}/businesses", headers=SIGNED, data=b"{}") as got,
    ):
        assert (got.status, got.headers["X-Quota-Proxy"]) == (504, "refused")
        assert "may have taken effect" in (await got.json())["error"]
    assert len(server.received) == 1


@on_a_patient_clock
async def test_interactive_requests_go_first_and_bulk_ones_do_not_starve() -> None:
    async with (
        RawServer() as server,
        proxied(server, Limit("ip", requests=10, window=0.3)) as proxy,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        ended: list[str] = []

        async def ask(priority: str) -> None:
            async with http.get(f"{proxy.base_url}/businesses", headers=SIGNED | {"X-Quota-Priority": priority}) as got:
                assert got.status == 200
            ended.append(priority)

        bulk = [asyncio.create_task(ask("bulk")) for _ in range(30)]
        await seen(lambda: proxy.counts()["waiting"] >= 20)
        interactive = [asyncio.create_task(ask("interactive")) for _ in range(40)]
        await asyncio.gather(*interactive)
        assert 0 < ended[10:].count("bulk") < 25, (
            "most of what came before them waits, and some of it went on meanwhile"
        )
        await asyncio.gather(*bulk)


async def test_an_api_that_cannot_be_reached_spends_nothing(http: aiohttp.ClientSession) -> None:
    async with RawServer() as server, proxied(server, Limit("ip", requests=1, window=30.0), longest_wait=0.0) as proxy:
        await server.__aexit__()
        for _ in range(3):
            async with http.get(f"{proxy.base_url}/businesses", headers=SIGNED) as got:
                assert got.status == 502
                assert "was not sent" in (await got.json())["error"]


async def test_a_redirect_is_passed_on_and_not_followed(http: aiohttp.ClientSession) -> None:
    async with (
        RawServer(otherwise=answer(302, b"", headers={"Location": "http://127.0.0.1:9/elsewhere"})) as server,
        proxied(server) as proxy,
        http.get(f"{proxy.base_url}/businesses", headers=SIGNED, allow_redirects=False) as got,
    ):
        assert (got.status, got.headers["Location"]) == (302, "http://127.0.0.1:9/elsewhere")


async def test_the_first_byte_is_out_before_the_last_is_in(http: aiohttp.ClientSession) -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst"
    async with RawServer(otherwise=stall_after(begun)) as server, proxied(server) as proxy:
        async with http.get(f"{proxy.base_url}/businesses", headers=SIGNED) as got:
            assert await got.content.read(5) == b"first"
        await seen(lambda: proxy.counts()["under_way"] == 0)


async def test_an_answer_that_breaks_off_breaks_off_here_too(http: aiohttp.ClientSession) -> None:
    async with (
        RawServer(otherwise=raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")) as server,
        proxied(server) as proxy,
        http.get(f"{proxy.base_url}/businesses", headers=SIGNED) as got,
    ):
        with pytest.raises(aiohttp.ClientError):
            await got.read()


async def test_a_body_beyond_the_bound_is_refused_before_quota(http: aiohttp.ClientSession) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1_000_000

    async with RawServer() as server, proxied(server) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.origin.rpartition(":")[2]))
        head = (
            f"POST /ads/v3/x HTTP/1.1\r\nHost: {proxy.origin[7:]}\r\nAuthorization: Bearer x\r\nContent-Length:"
            " 2000000000\r\n\r\n"
        )
        writer.write(head.encode())
        assert b"413" in await reader.readline()
        writer.close()
        with contextlib.suppress(aiohttp.ClientError):
            async with http.post(f"{proxy.base_url}/businesses", headers=SIGNED, data=endless()) as got:
                assert got.status == 413
    assert not server.received


async def test_a_body_that_waits_is_held_once(http: aiohttp.ClientSession) -> None:
    body = io.BytesIO()
    body.write(bytes(20_000_000))
    body.seek(0)
    async with RawServer() as server, proxied(server, Limit("ip", requests=1, window=30.0)) as proxy:
        async with http.get(f"{proxy.base_url}/businesses", headers=SIGNED):
            pass
        tracemalloc.start()
        waits = asyncio.create_task(http.post(f"{proxy.base_url}/x", headers=SIGNED, data=body))
        try:
            await seen(lambda: proxy.counts()["waiting"] == 1)
            assert tracemalloc.get_traced_memory()[0] < 30_000_000
        finally:
            tracemalloc.stop()
            waits.cancel()


async def test_curl_waits_for_a_hundred_continue() -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl on this machine")
    async with RawServer(otherwise=answer(200, {"ok": True})) as server, proxied(server) as proxy:
        arguments = (
            "-sS",
            "--max-time",
            "20",
            "-H",
            "Authorization: Bearer x",
            "-H",
            "Expect: 100-continue",
            "--data-binary",
            "@-",
        )
        running = await asyncio.create_subprocess_exec(
            curl,
            *arguments,
            f"{proxy.base_url}/businesses",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await running.communicate(b"x" * 3_000_000)
    assert out == b'{"ok": true}'
    assert len(server.received[0].body) == 3_000_000


async def test_node_programs_share_the_quota() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node.js on this machine")
    limits = (Limit("client_id", requests=60, window=1.2), Limit("ip", requests=20, window=0.4))
    program = """
      const headers = { Authorization: "Bearer x" };
      const asked = Array.from({ length: 50 }, () => fetch(process.argv[1], { headers }).then((got) => got.status));
      Promise.all(asked).then((all) => console.log(JSON.stringify([...new Set(all)])));
    """
    async with (
        Emulator(ad_sets=5, limits=limits, latency=0.0) as server,
        Governor(limits) as governor,
        QuotaProxy(governor, upstream=server.base_url, port=0) as proxy,
    ):
        url = f"{proxy.base_url}/ad_accounts/{server.ad_account_id}/ad_sets"
        running = await asyncio.create_subprocess_exec(node, "-e", program, url, stdout=asyncio.subprocess.PIPE)
        out, _ = await running.communicate()
        assert out.strip() == b"[200]"
        assert server.statistics().refused == 0


async def test_its_own_sign_in_signs_what_brings_none(http: aiohttp.ClientSession) -> None:
    async with RawServer() as server, proxied(server, credentials=AccessToken("own-token")) as proxy:
        for headers in ({}, SIGNED):
            async with http.get(f"{proxy.base_url}/businesses", headers=headers) as got:
                assert got.status == 200
    assert [one.headers["authorization"] for one in server.received] == ["Bearer own-token", "Bearer canary-token"]


async def test_a_token_that_is_revoked_once_it_was_taken_is_replaced_each_time(http: aiohttp.ClientSession) -> None:
    statuses: list[int] = []
    async with Accounts() as accounts, proxied(accounts.api, credentials=accounts.credentials()) as proxy:
        for _ in range(4):
            for _ in range(2):
                async with http.get(f"{proxy.base_url}/businesses") as got:
                    statuses.append(got.status)
            accounts.revoke()
    assert statuses == [200, 200, 401, 200, 401, 200, 401, 200]


async def test_stopping_waits_for_the_token_that_replaces_the_sign_ins(http: aiohttp.ClientSession) -> None:
    kept: list[str] = []

    class Store:
        async def load(self) -> Secret | None:
            return None

        async def save(self, refresh_token: Secret) -> None:
            kept.append(refresh_token.reveal())

    async with Accounts(rotate=True) as accounts, contextlib.AsyncExitStack() as stack:

        async def grant(connection: Connection) -> None:
            asking.cancel()  # the program gives up, and the proxy is told to stop
            stopping.append(asyncio.create_task(stack.aclose()))
            await asyncio.wait(stopping, timeout=0.1)  # in vain, for it waits for this answer
            await accounts.grant(connection)

        stopping: list[asyncio.Task[None]] = []
        accounts.script.append(grant)
        credentials = accounts.credentials(store=Store())
        proxy = await stack.enter_async_context(proxied(accounts.api, credentials=credentials))
        asking = asyncio.create_task(http.get(f"{proxy.base_url}/businesses").__aenter__())
        await asyncio.wait([asking])
        await seen(lambda: stopping)
        await asyncio.gather(*stopping)
    assert kept == ["refresh-1"]


async def test_stopping_in_a_cancelled_scope_leaves_no_connection(http: aiohttp.ClientSession) -> None:
    async with RawServer() as server:
        with anyio.CancelScope() as scope:
            async with proxied(server) as proxy:
                async with http.get(f"{proxy.base_url}/businesses", headers=SIGNED) as got:
                    await got.read()
                scope.cancel()
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.get(f"{proxy.base_url}/businesses", headers=SIGNED)


async def test_without_a_sign_in_unsigned_requests_are_told_so(http: aiohttp.ClientSession) -> None:
    async with RawServer() as server, proxied(server) as proxy, http.get(f"{proxy.base_url}/businesses") as got:
        assert got.status == 401
        assert "spotify-ads login" in (await got.json())["error"]
    assert not server.received


async def test_beyond_loopback_it_needs_a_key() -> None:
    async with Governor([]) as governor:
        with pytest.raises(ConfigurationError, match="key"):
            QuotaProxy(governor, host="0.0.0.0")  # noqa: S104 (what is refused)


async def test_the_key_is_asked_for_and_never_goes_upstream(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with RawServer() as server, proxied(server, key=Secret("canary-key")) as proxy:
        for headers in ({}, {"X-Quota-Proxy-Key": "wrong"}):
            async with http.get(f"{proxy.base_url}/businesses", headers=SIGNED | headers) as got:
                assert got.status == 407
        async with http.get(
            f"{proxy.base_url}/businesses", headers=SIGNED | {"X-Quota-Proxy-Key": "canary-key"}
        ) as got:
            assert got.status == 200
        async with http.get(f"{proxy.origin}/-/windows") as got:
            assert got.status == 401
        async with http.get(
            f"{proxy.origin}/-/windows", headers={"Authorization": aiohttp.encode_basic_auth("anybody", "canary-key")}
        ) as got:
            assert got.status == 200
            assert "canary" not in await got.text()
        async with http.get(f"{proxy.origin}/-/health") as got:
            assert got.status == 200
    (received,) = server.received
    assert "canary-key" not in str(received)
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=["rebound name", "another page", "an image on another page"],
)
async def test_pages_in_a_browser_are_refused(http: aiohttp.ClientSession, headers: dict[str, str]) -> None:
    async with RawServer() as server, proxied(server, credentials=AccessToken("own-token")) as proxy:
        for place in (f"{proxy.base_url}/businesses", f"{proxy.origin}/-/windows"):
            async with http.get(place, headers=headers) as got:
                assert got.status == 403
    assert not server.received


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/ads/v3/businesses",
        "/ads/v3/../../secret",
        "/ads/v3/%2e%2e/%2E%2e/x",
        "/ads/v3/..%2f..%2Fx",
        "/ads/v3/%252e%252e/x",
        "/ads/v3/..;a=b/x",
        "/ads/v3/a%5C..%5Cx",
        "//evil.example/ads/v3/x",
        "/ads/v30/businesses",
        "/elsewhere",
        "/ads/v3/a#b?c=1",
        "*",
    ],
)
async def test_only_the_api_is_reached(target: str) -> None:
    async with RawServer() as server, proxied(server) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.origin.rpartition(":")[2]))
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: {proxy.origin[7:]}\r\nAuthorization: Bearer x\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        status = int((await reader.readline()).split()[1])
        writer.close()
        assert status in {400, 403, 404}
    assert not server.received


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (("POST /ads/v3/a HTTP/1.1", "Content-Length: 4", "Transfer-Encoding: chunked"), 400),
        (("POST /ads/v3/a HTTP/1.1", "Transfer-Encoding: chunked", "Transfer-Encoding: identity"), 400),
        (("POST /ads/v3/a HTTP/1.1", "Transfer-Encoding : chunked"), 400),
        (("POST /ads/v3/a HTTP/1.1", "Content-Length: 4", "Content-Length: 10"), 400),
        (("POST /ads/v3/a HTTP/1.1", "Content-Length: 1_0"), 400),
        (("GET /ads/v3/a HTTP/1.1", "Host: evil.example"), 400),
        (("GET /ads/v3/a HTTP/1.1", "X-A: b\rX-B: c"), 400),
        (("GET /ads/v3/a HTTP/1.1", "X-A: b", " X-B: c"), 400),
        (("CONNECT evil.example:443 HTTP/1.1",), 400),
        (("TRACE /ads/v3/a HTTP/1.1",), 405),
    ],
)
async def test_nothing_is_smuggled(head: tuple[str, ...], status: int) -> None:
    async with RawServer() as server, proxied(server, credentials=AccessToken("own-token")) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.origin.rpartition(":")[2]))
        line, *headers = head
        smuggled = f"0\r\n\r\nGET /ads/v3/smuggled HTTP/1.1\r\nHost: {proxy.origin[7:]}\r\n\r\n"
        text = "\r\n".join([line, f"Host: {proxy.origin[7:]}", *headers, "", smuggled if status == 400 else ""])
        writer.write(text.encode())
        assert int((await reader.readline()).split()[1]) == status
        writer.close()
    assert not server.received


async def test_what_belongs_to_one_hop_stays_there(http: aiohttp.ClientSession) -> None:
    hop = {"Connection": "Upgrade, X-Hop", "Upgrade": "websocket", "X-Hop": "1", "X-Quota-Proxy": "refused"}
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    script = [
        answer(200, {}, headers=hop),
        raw(early + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
    ]
    async with RawServer(script=script) as server, proxied(server) as proxy:
        for method, status, made_by in (
            ("GET", 200, None),
            ("GET", 200, None),
            ("HEAD", 200, None),
            ("GET", 502, "refused"),
        ):
            async with http.request(method, f"{proxy.base_url}/businesses", headers=SIGNED | hop) as got:
                assert (got.status, got.headers.get("X-Quota-Proxy")) == (status, made_by)
                assert not got.headers.keys() & {"X-Hop", "Upgrade"}
        assert proxy.counts()["under_way"] == 0
    assert not [one for one in server.received if one.headers.keys() & {"upgrade", "x-hop"}]


@pytest.mark.parametrize("value", [b"a\xe9b\xff", b"\xed\xa0\x80", b"a\x01b", b"a\x7f", "é".encode(), b"a\tb"])
@pytest.mark.parametrize("head", [b"HTTP/1.1 200 %b\r\nX-A: b\r\n", b"HTTP/1.1 200 OK\r\nX-A: %b\r\n"])
async def test_an_answers_head_comes_with_the_bytes_that_were_sent(head: bytes, value: bytes) -> None:
    sent = head % value + b"Content-Length: 2\r\n"
    async with RawServer(otherwise=raw(sent + b"\r\nok")) as server, proxied(server) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.origin.rpartition(":")[2]))
        for _ in range(2):
            writer.write(f"GET /ads/v3/a HTTP/1.1\r\nHost: {proxy.origin[7:]}\r\nAuthorization: x\r\n\r\n".encode())
            got = await reader.readuntil(b"\r\n\r\n")
            assert set(sent.split(b"\r\n")) <= set(got.split(b"\r\n"))
            assert b"X-Quota-Proxy" not in got
            assert await reader.readexactly(2) == b"ok"
        writer.close()


@pytest.mark.parametrize(
    "segment",
    ["priority=urgent", "max_wait=soon", "max_wait=nan", "max_wait=-1", "client_id=", "client_id=a%0A", "colour=red"],
)
async def test_a_preference_that_cannot_be_read_is_refused(http: aiohttp.ClientSession, segment: str) -> None:
    async with (
        RawServer() as server,
        proxied(server) as proxy,
        http.get(f"{proxy.origin}/~{segment}/ads/v3/businesses", headers=SIGNED) as got,
    ):
        assert got.status == 400
        assert (await got.json())["error"]
    assert not server.received


@pytest.mark.parametrize(
    "header", [b"X-Quota-Client-Id: \xff", b"Idempotency-Key: cl\xe9", b"X-A: a\x01b", b"X-A: a\x7f"]
)
async def test_a_header_that_is_no_text_is_refused_and_spoils_nothing(
    http: aiohttp.ClientSession, tmp_path: Path, header: bytes
) -> None:
    governor = Governor(store=f"sqlite:///{tmp_path / 'quota.db'}")
    async with (
        RawServer(otherwise=answer(200, [])) as server,
        governor,
        QuotaProxy(governor, upstream=server.base_url, port=0) as proxy,
    ):
        host = proxy.origin.rpartition("/")[2]
        reader, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(f"GET /ads/v3/businesses HTTP/1.1\r\nHost: {host}\r\n".encode())
        writer.write(b"Authorization: Bearer canary-token\r\n" + header + b"\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"400"
        writer.close()
        async with http.get(f"{proxy.base_url}/businesses", headers=SIGNED) as got:
            assert got.status == 200


@pytest.mark.parametrize("name", ["client_id", "ip"])
def test_a_governor_takes_no_name_that_a_store_cannot_hold(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} holds bytes that are no text"):
        Governor(**{name: "\udcff"})  # type: ignore[arg-type]


async def test_the_line_is_bounded(http: aiohttp.ClientSession) -> None:
    async with RawServer() as server, proxied(server, Limit("ip", requests=1, window=2.0), most_waiting=3) as proxy:
        statuses: list[int] = []

        async def ask() -> None:
            async with http.get(f"{proxy.base_url}/businesses", headers=SIGNED) as got:
                statuses.append(got.status)

        tasks = [asyncio.create_task(ask()) for _ in range(6)]
        await seen(lambda: len(statuses) == 3)
        assert sorted(statuses) == [200, 429, 429]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_request_that_cannot_be_read_leaves_no_token_in_a_log(caplog: pytest.LogCaptureFixture) -> None:
    async with RawServer() as server, proxied(server) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.origin.rpartition(":")[2]))
        writer.write(b"GET /ads/v3/x HTTP/1.1\r\nAuthorization: Bearer canary\0\r\n\r\n")
        assert b" 400 " in await reader.readline()
        writer.close()
    assert "BadHttpMessage" in caplog.text or "InvalidHeader" in caplog.text
    assert "canary" not in caplog.text
    assert not server.received


async def test_a_connection_that_asks_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spotify_ads_async.proxy.server._IDLE_SECONDS", 0.1)
    async with RawServer() as server, proxied(server) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.origin.rpartition(":")[2]))
        writer.write(b"GET /ads/v3/x HT")
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        writer.close()
    assert not server.received


@pytest.mark.soak
async def test_two_gigabytes_stream_and_thousands_of_connections_are_held() -> None:
    async def much(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n")
        for _ in range(2048):
            await connection.send(b"x" * 1_048_576)

    async with (
        RawServer(script=[much]) as server,
        proxied(server, Limit("ip", requests=500, window=2.0)) as proxy,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=SIGNED) as http,
    ):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with http.get(f"{proxy.base_url}/x") as got:
            assert sum([len(chunk) async for chunk in got.content.iter_any()]) == 2147483648
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
        place = ("127.0.0.1", int(proxy.origin.rpartition(":")[2]))
        idle = [await asyncio.open_connection(*place) for _ in range(4_000)]
        statuses = await asyncio.gather(*(status_of(http, f"{proxy.base_url}/x") for _ in range(2_000)))
        assert statuses == [200] * 2_000
        assert len(server.received) == 2_001
        for _, writer in idle:
            writer.close()


async def status_of(http: aiohttp.ClientSession, url: str) -> int:
    async with http.get(url) as got:
        await got.read()
        return got.status


async def test_metrics_and_page_show_the_windows(http: aiohttp.ClientSession) -> None:
    async with RawServer() as server, proxied(server, Limit("ip", requests=5, window=30.0)) as proxy:
        async with http.get(f"{proxy.base_url}/businesses", headers=SIGNED):
            pass
        async with http.get(f"{proxy.origin}/-/metrics") as got:
            text = await got.text()
        assert "quota_proxy_forwarded_total 1.0" in text
        assert 'quota_window_available{limit="ip"' in text
        async with http.get(f"{proxy.origin}/-/") as got:
            assert "<title>Quota proxy</title>" in await got.text()


async def test_a_program_that_stops_reading_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spotify_ads_async.proxy.server._STALL_SECONDS", 0.2)

    async def much(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                await connection.send(b"x" * 1_000_000)

    async with RawServer(otherwise=much) as server, proxied(server) as proxy:
        with socket.create_connection(("127.0.0.1", int(proxy.origin.rpartition(":")[2]))) as slow:
            slow.sendall(
                f"GET /ads/v3/x HTTP/1.1\r\nHost: {proxy.origin[7:]}\r\nAuthorization: Bearer x\r\n\r\n".encode()
            )
            await seen(lambda: proxy.counts()["under_way"] == 1)
            await seen(lambda: proxy.counts()["under_way"] == 0)

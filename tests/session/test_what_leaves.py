"""The bytes of a request: what is in it, what never is, and that it leaves once."""

from __future__ import annotations

import email
import email.policy

import aiohttp
import pytest
from support import calls, faults
from support.calls import ACCOUNT, THING, client
from support.raw_server import Behaviour, RawServer, answer

from spotify_ads_async import (
    AccessToken,
    AdsClient,
    ConfigurationError,
    ConnectionFailed,
    Governor,
    InvalidRequest,
    Limit,
    Secret,
    TransportOptions,
)
from spotify_ads_async.models import AdSetStatus, AssetChunk, AssetType
from spotify_ads_async.operations import GET_AD_SETS_BY_AD_ACCOUNT_ID, TRANSFER_CHUNKED_ASSET, UPDATE_PIXEL_BY_ID

WIDE = Limit("client_id", requests=1500, window=30.0)


@pytest.mark.parametrize("call", [calls.READ, calls.DELETE_DRAFT], ids=["GET", "DELETE"])
@pytest.mark.parametrize("fault", [faults.reset, faults.closed], ids=["reset", "closed"])
@pytest.mark.parametrize("kept", [False, True], ids=["new connection", "kept connection"])
async def test_one_admission_is_one_request(call: calls.Call, fault: Behaviour, kept: bool) -> None:  # noqa: FBT001
    """aiohttp by itself sends these methods again when a connection fails: that would be two requests on one token."""
    governor = Governor([WIDE])
    async with RawServer(otherwise=fault, script=[answer(200, calls.READ.answer)] * kept) as server:
        token = AccessToken("a-token", client_id="an-app")
        async with client(server.base_url, token, governor=governor, policy=calls.ONCE) as ads:
            if kept:
                await calls.READ.by(ads)
            with pytest.raises(ConnectionFailed):
                await call.by(ads)
            (window,) = governor.snapshot().windows
        assert len(server.received) == 1 + kept
        assert window.capacity - window.available == 1 + kept
        assert window.owner == f"an-app at {server.origin}"


async def test_aiohttp_would_have_sent_it_twice() -> None:
    """The reason for the test above; should this fail, the guard in the transport has become needless."""
    async with RawServer(otherwise=faults.closed) as server:
        async with aiohttp.ClientSession() as bare:
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await bare.get(server.origin)
        assert len(server.received) == 2


async def test_a_host_leaves_in_the_form_that_dns_knows() -> None:
    async with RawServer(otherwise=answer(502)) as proxy:
        options = TransportOptions(proxy=proxy.origin)
        async with client("https://BÜCHER.example/ads/v3", transport=options, policy=calls.ONCE) as ads:
            with pytest.raises(ConnectionFailed):
                await calls.READ.by(ads)
    assert proxy.received[0].target == "xn--bcher-kva.example:443"


async def test_headers_of_a_read() -> None:
    async with RawServer(otherwise=answer(200, calls.READ.answer)) as server, client(server.base_url) as ads:
        await calls.READ.by(ads)
        (request,) = server.received
    assert (request.method, request.target) == ("GET", f"/ads/v3/ad_accounts/{ACCOUNT}/ad_sets/{THING}")
    assert request.headers["authorization"] == "Bearer a-token"
    assert request.headers["accept"] == "application/json"
    assert request.headers["x-spotify-ads-sdk"].startswith("spotify-ads-async/")
    assert not {"content-type", "content-length", "cookie"} & request.headers.keys()


async def test_a_write_is_json_and_one_without_a_body_declares_no_type() -> None:
    async with (
        RawServer(otherwise=answer(200, {"id": THING, "max_chunk_size_mb": 5})) as server,
        client(server.base_url) as ads,
    ):
        await calls.WRITE.by(ads)
        await calls.WRITE_BARE.by(ads)
        written, bare = server.received
    assert written.headers["content-type"] == "application/json"
    assert written.json() == {"name": "Autumn"}
    assert bare.headers["content-length"] == "0"
    assert "content-type" not in bare.headers


async def test_an_upload_is_multipart() -> None:
    async with RawServer(otherwise=answer(200, calls.UPLOAD.answer)) as server, client(server.base_url) as ads:
        await calls.UPLOAD.by(ads)
        (request,) = server.received
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
    parts = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
    assert parts.keys() == {"media", "asset_type"}
    assert parts["media"].get_content() == b"sound" * 9000
    assert parts["media"].get_filename() == "media"
    assert parts["asset_type"].get_content().strip() == "AUDIO"


async def test_arrays_are_repeated_keys() -> None:
    async with RawServer(otherwise=answer(200, {"ad_sets": []})) as server, client(server.base_url) as ads:
        statuses = [AdSetStatus.ACTIVE, AdSetStatus.REJECTED]
        await ads.call(
            GET_AD_SETS_BY_AD_ACCOUNT_ID,
            path={"ad_account_id": ACCOUNT},
            query={"statuses": statuses, "name": "a&b c/é"},
        )
        (request,) = server.received
    assert request.target.partition("?")[2] == "statuses=ACTIVE&statuses=REJECTED&name=a%26b%20c%2F%C3%A9"


async def test_cookies_are_not_kept() -> None:
    first = answer(200, calls.READ.answer, headers={"Set-Cookie": "session=1; Path=/"})
    async with (
        RawServer(otherwise=answer(200, calls.READ.answer), script=[first]) as server,
        client(server.base_url) as ads,
    ):
        await calls.READ.by(ads)
        await calls.READ.by(ads)
        assert all("cookie" not in request.headers for request in server.received)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with RawServer() as elsewhere:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, elsewhere.origin)
        async with RawServer(otherwise=answer(200, calls.READ.answer)) as server, client(server.base_url) as ads:
            await calls.READ.by(ads)
            assert len(server.received) == 1
        assert not elsewhere.received


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_takes_the_token_nowhere(status: int) -> None:
    async with RawServer() as elsewhere:
        redirect = faults.failed(status, Location=f"{elsewhere.origin}/ads/v3")
        async with RawServer(otherwise=redirect) as server, client(server.base_url) as ads:
            for call in calls.EVERY.values():
                with pytest.raises(faults.SpotifyAdsError, match="redirect"):
                    await call.by(ads)
            assert len(server.received) == len(calls.EVERY)
        assert not elsewhere.received


@pytest.mark.parametrize("value", ["..", ".", "", "a/b", "..\\b", "a/../../x", "/"])
async def test_a_path_parameter_stays_in_its_segment(value: str) -> None:
    async with RawServer() as server, client(server.base_url) as ads:
        for view in (ads, ads.with_options(validate=False)):
            with pytest.raises(InvalidRequest):
                await view.call(
                    UPDATE_PIXEL_BY_ID, path={"business_id": ACCOUNT, "pixel_id": value}, body={"name": "Pixel"}
                )
        assert not server.received


@pytest.mark.parametrize("value", ["a?b=c", "a#b", "a%2fb", "a b", "a\r\nHost: x", "é", "a;b", "a%"])
async def test_whatever_a_path_parameter_holds_is_encoded(value: str) -> None:
    async with RawServer(otherwise=answer(200, {})) as server, client(server.base_url) as ads:
        view = ads.with_options(validate=False)
        await view.call(UPDATE_PIXEL_BY_ID, path={"business_id": ACCOUNT, "pixel_id": value}, body=None)
        (request,) = server.received
    head, _, last = request.target.rpartition("/")
    assert head == f"/ads/v3/businesses/{ACCOUNT}/pixels"
    assert set(last) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%")
    assert last.count("%25") == value.count("%")


async def test_a_text_that_no_request_can_hold_is_refused_even_unchecked() -> None:
    half = "ab\udcff"
    async with RawServer() as server, client(server.base_url) as ads:
        view = ads.with_options(validate=False)
        places = {"business_id": ACCOUNT, "pixel_id": ACCOUNT}
        for path, query, body in (
            (places | {"pixel_id": half}, {}, None),
            (places, {"filter": half}, None),
            (places, {}, {"name": half}),
        ):
            with pytest.raises(InvalidRequest, match="UTF-8"):
                await view.call(UPDATE_PIXEL_BY_ID, path=path, query=query, body=body)
        for account in (ads.ad_account(half), view.ad_account(half)):
            with pytest.raises(InvalidRequest):
                await account.ad_sets.list().collect()
        form = AssetChunk(media=b"", upload_section=1, upload_session_id=half, asset_type=AssetType.AUDIO)
        with pytest.raises(InvalidRequest, match="UTF-8"):
            await view.call(TRANSFER_CHUNKED_ASSET, path={"ad_account_id": ACCOUNT, "asset_id": ACCOUNT}, body=form)
        assert not server.received


async def test_a_missing_path_parameter_is_refused_even_unchecked() -> None:
    async with RawServer() as server, client(server.base_url) as ads:
        with pytest.raises(InvalidRequest):
            await ads.with_options(validate=False).call(calls.READ.operation, path={"ad_account_id": ACCOUNT})
        assert not server.received


@pytest.mark.parametrize("key", ["", "a\r\nX-Evil: 1", "a\nb", "é", "\x00", "\x7f"])
async def test_an_idempotency_key_is_a_header_value(key: str) -> None:
    async with RawServer() as server, client(server.base_url) as ads:
        with pytest.raises(InvalidRequest):
            await calls.CREATE.by(ads, idempotency_key=key)
        assert not server.received


class Careless:
    """Credentials of somebody else's making, with a token that would end a header."""

    client_id = None

    async def token(self, http: aiohttp.ClientSession) -> Secret:
        del http
        return Secret("a-token\r\nX-Evil: 1")

    def invalidate(self, token: Secret) -> bool:
        del token
        return False


async def test_a_token_that_no_header_can_hold_goes_nowhere() -> None:
    governor = Governor([WIDE])
    async with RawServer() as server, client(server.base_url, Careless(), governor=governor) as ads:
        with pytest.raises(ConfigurationError, match="header"):
            await calls.READ.by(ads)
        assert not server.received
    (window,) = governor.snapshot().windows
    assert window.available == window.capacity


@pytest.mark.parametrize(
    "address",
    [
        "http://api-partner.spotify.com/ads/v3",
        "http://127.0.0.1.example.com/ads/v3",
        "http://localhost.example.com/ads/v3",
        "http://10.0.0.1/ads/v3",
        "http://0.0.0.0/ads/v3",
        "ftp://127.0.0.1/ads/v3",
        "//127.0.0.1/ads/v3",
        "127.0.0.1:80/ads/v3",
        "https://user:password@api-partner.spotify.com/ads/v3",
        "https://api-partner.spotify.com/ads/v3?x=1",
        "https://api-partner.spotify.com/ads/v3#x",
        "https:///ads/v3",
        "http://[::1",
        "http://127.0.0.1:port/ads/v3",
        "",
    ],
)
@pytest.mark.filterwarnings("error")  # a second client for an address is told of, unless the first was none
def test_addresses_that_would_show_the_token_are_refused(address: str) -> None:
    refused: list[ConfigurationError] = []
    for _ in range(2):
        with pytest.raises(ConfigurationError) as caught:
            AdsClient("a-token", base_url=address)
        refused.append(caught.value)  # whose frames hold whatever was made for the client
    assert "password" not in str(refused)
    assert address or str(refused[0]) == "the base URL must be https://host/path, without query and fragment"


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/ads/v3", "http://localhost/x", "http://[::1]:80", "https://example.com/X/"]
)
async def test_addresses_that_will_do(address: str) -> None:
    async with client(address) as ads:
        assert ads.base_url == address.rstrip("/")


async def test_an_api_at_the_root_of_its_host() -> None:
    async with RawServer(otherwise=answer(200, calls.READ.answer)) as server, client(f"{server.origin}/") as ads:
        await calls.READ.by(ads)
        assert server.received[0].target == f"/ad_accounts/{ACCOUNT}/ad_sets/{THING}"

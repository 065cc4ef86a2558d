"""A canary in every place where a secret can be: whatever goes wrong, it is seen by the API and by nobody else."""

from __future__ import annotations

import asyncio
import io
import logging
import pickle
import traceback
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console
from rich.traceback import Traceback
from support import calls, faults
from support.accounts import Accounts
from support.calls import Call, client
from support.effort import diagonal
from support.raw_server import Behaviour, Connection, RawServer, answer

from spotify_ads_async import (
    AccessToken,
    AdsClient,
    Governor,
    RefreshToken,
    RetryPolicy,
    Secret,
    SpotifyAdsError,
    TransportOptions,
)
from spotify_ads_async.auth.sign_in import begin, exchange, sign_in
from spotify_ads_async.core.api_document import read_document
from spotify_ads_async.core.signed_urls import Storage
from spotify_ads_async.events import Event
from spotify_ads_async.operations import CREATE_CAPI_AUTH_TOKEN, CREATE_UPLOAD_URL, GET_ASYNC_REPORT, OPERATIONS
from spotify_ads_async.proxy import QuotaProxy

CANARY = "canary/zqxj"
TRACE = "zqxj"  # no hexadecimal digits: addresses of objects are shown too


def emitted_by(error: BaseException) -> str:
    """Everything that printing or logging an error can show, the values of every frame included."""
    text = io.StringIO()
    chain = traceback.TracebackException.from_exception(error, capture_locals=True)
    text.write("".join(chain.format(chain=True)))
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        seen.append(link)
        text.write(f"{link!r} {link} {vars(link)}")
        link = link.__cause__ or link.__context__
    return text.getvalue()


@contextmanager
def everything_emitted(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What is logged, warned and announced while the block runs, at the most talkative."""
    told: list[str] = []
    asyncio.get_running_loop().set_debug(True)
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield told
    told.append(caplog.text)
    told.extend(str(warning.message) for warning in warned)


def rich_traceback(error: BaseException) -> str:
    """The same as a terminal shows it: rich asks objects for more than their repr, and takes its time."""
    text = io.StringIO()
    console = Console(file=text, width=400)
    console.print(
        Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True, locals_max_length=None)
    )
    return text.getvalue()


async def raised(call: Awaitable[object], kind: type[BaseException]) -> BaseException:
    """What a call raises, with no frame of the test in its traceback: that one knows the canary."""
    with pytest.raises(kind) as caught:
        await call
    return caught.value


async def failing(ads: AdsClient, call: Call, told: list[str]) -> None:
    events: list[Event] = []
    ads.subscribe(events.append)
    try:
        await call.by(ads)
    except SpotifyAdsError as error:
        told.append(emitted_by(error))
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(ads._session)
    told.extend(repr(event) for event in events)
    told.append(f"{ads!r} {ads._session!r}")


def echoing(behaviour: Behaviour) -> Behaviour:
    """The same, by a server that repeats the token that it was sent."""

    async def behave(connection: Connection) -> None:
        send = connection.send

        async def send_more(data: bytes) -> None:
            await send(
                data.replace(b"no", CANARY.encode())
                .replace(b"garbage", CANARY.encode())
                .replace(b"hotel", CANARY.encode())
            )

        connection.send = send_more  # type: ignore[method-assign]
        await behaviour(connection)

    return behave


@pytest.mark.parametrize(
    ("kind", "name"),
    diagonal(([(kind, name) for name in faults.EVERY] for kind in ("read", "create", "upload")), one_in=3),
)
async def test_no_failure_shows_the_access_token(kind: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    behaviour = faults.EVERY[name].behaviour
    for server_behaviour in (behaviour, echoing(behaviour)):
        async with RawServer(otherwise=server_behaviour) as server:
            with everything_emitted(caplog) as told:
                options = faults.OPTIONS | {"policy": calls.ONCE, "timeout": 0.05, "deadline": 1.0}
                async with client(server.base_url, AccessToken(CANARY), **options) as ads:
                    await failing(ads, calls.EVERY[kind], told)
            assert all(CANARY in request.headers["authorization"] for request in server.received), (
                "or it would prove nothing"
            )
        assert TRACE not in "".join(told)


@pytest.mark.parametrize("name", ["truncated", "another shape", "not HTTP"])
async def test_no_terminal_shows_the_access_token(name: str) -> None:
    async with (
        RawServer(otherwise=echoing(faults.EVERY[name].behaviour)) as server,
        client(server.base_url, AccessToken(CANARY), policy=calls.ONCE) as ads,
    ):
        shown = rich_traceback(await raised(calls.WRITE.by(ads), SpotifyAdsError))
    assert "session.py" in shown
    assert TRACE not in shown


TOKEN_FAULTS: dict[str, Behaviour] = {
    "refused": faults.failed(400, {"error": "invalid_grant", "error_description": CANARY}),
    "refused with the secret": faults.failed(400, {"error": CANARY}),
    "refused in HTML": faults.failed(400, f"<html>{CANARY}".encode()),
    "reset": faults.reset,
    "failed": faults.failed(500, {"error": CANARY}),
    "redirected": faults.failed(302, Location=f"https://example.com/?{CANARY}"),
    "half a token": answer(200, f'{{"access_token": "{CANARY}"'.encode()),
    "a token for no header": answer(200, {"access_token": f"{CANARY}\n"}),
    "garbage": faults.raw(f"{CANARY}\r\n\r\n".encode()),
}


@pytest.mark.parametrize("name", TOKEN_FAULTS)
async def test_no_refused_refresh_shows_a_secret(name: str, caplog: pytest.LogCaptureFixture) -> None:
    async with Accounts(script=[TOKEN_FAULTS[name]] * 3) as accounts:
        credentials = RefreshToken(f"app-{name}", Secret(CANARY), Secret(CANARY), token_url=accounts.token_url)
        with everything_emitted(caplog) as told:
            async with client(accounts.api.base_url, credentials, policy=calls.ONCE) as ads:
                await failing(ads, calls.READ, told)
        assert CANARY.replace("/", "%2F") in accounts.server.received[0].body.decode()
    assert TRACE not in "".join(told)


@pytest.mark.parametrize("name", TOKEN_FAULTS)
async def test_no_refused_sign_in_shows_a_secret(name: str, caplog: pytest.LogCaptureFixture) -> None:
    redirect = "http://127.0.0.1:8080/callback"
    async with Accounts(script=[TOKEN_FAULTS[name]] * 9) as accounts:
        place = accounts.server.origin
        attempt = begin("an-app", redirect_uri=redirect, accounts_url=place)
        code, secret = Secret(f"code-{CANARY}"), Secret(f"secret-{CANARY}")
        trade = exchange(attempt, code, client_id="an-app", client_secret=secret, accounts_url=place)
        with everything_emitted(caplog) as told:
            told.append(emitted_by(await raised(trade, SpotifyAdsError)))
        assert TRACE in accounts.server.received[0].body.decode()
    shown = "".join(told)
    assert TRACE not in shown
    assert attempt.verifier.reveal() not in shown


SECRET_ANSWERS: dict[str, dict[str, object]] = {
    CREATE_UPLOAD_URL.id: {"upload_url": CANARY},
    CREATE_CAPI_AUTH_TOKEN.id: {"data": {"capi_auth_token": CANARY}},
    GET_ASYNC_REPORT.id: {"report_url": CANARY, "status": "READY"},
}
IDS = dict.fromkeys(("ad_account_id", "audience_id", "business_id", "capi_connection_id", "report_id"), calls.THING)


@pytest.mark.parametrize("name", SECRET_ANSWERS)
async def test_signed_addresses_and_capi_tokens_are_secrets(name: str, caplog: pytest.LogCaptureFixture) -> None:
    operation, holding = OPERATIONS[name], SECRET_ANSWERS[name]
    path = {part: value for part, value in IDS.items() if f"{{{part}}}" in operation.path}
    call = Call(operation, path)
    for body in (
        holding,
        [holding],
        holding | {"status": 5, "id": [], "data": CANARY},
    ):
        async with RawServer(otherwise=answer(200, body)) as server:
            with everything_emitted(caplog) as told:
                async with client(server.base_url, policy=calls.ONCE) as ads:
                    await failing(ads, call, told)
        assert TRACE not in "".join(told)
    async with RawServer(otherwise=answer(200, holding)) as server, client(server.base_url) as ads:
        got = await call.by(ads)
    text = io.StringIO()
    Console(file=text).print(got)
    shown = f"{got!r} {got} {text.getvalue()}"
    assert "Secret" in shown
    assert TRACE not in shown


async def test_a_cancelled_call_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    arrivals: asyncio.Queue[Connection] = asyncio.Queue()

    async def stall(connection: Connection) -> None:
        arrivals.put_nowait(connection)
        await faults.stall(connection)

    async with RawServer(otherwise=stall) as server:
        with everything_emitted(caplog) as told:
            async with client(server.base_url, AccessToken(CANARY)) as ads:
                for call in calls.EVERY.values():
                    task = asyncio.create_task(call.by(ads))
                    await arrivals.get()
                    told.append(repr(task))
                    task.cancel()
                    told.append(emitted_by(await raised(task, asyncio.CancelledError)))
    assert TRACE not in "".join(told)


WITH_LOGIN = f"https://somebody:{CANARY}@ads.example/ads/v3"


async def downloaded(address: str) -> None:
    async def signed() -> Secret:
        return Secret(address)

    async with Storage(TransportOptions(), RetryPolicy()) as storage:
        async for _ in storage.download(signed):
            pass


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: AccessToken(f"{CANARY}\r\n."),
        lambda: AdsClient(f"{CANARY}\r\n."),
        lambda: RefreshToken("an-app", CANARY, CANARY, token_url="http://example.com/api/token"),
        lambda: RefreshToken("an-app", "s", "r", token_url=WITH_LOGIN),
        lambda: AdsClient("a-token", base_url=WITH_LOGIN),
        lambda: AdsClient("no\r\ntoken", base_url=WITH_LOGIN),
        lambda: QuotaProxy(Governor([]), upstream=WITH_LOGIN),
        lambda: begin("an-app", redirect_uri="http://127.0.0.1:8080/callback", accounts_url=WITH_LOGIN),
        lambda: begin("an-app", redirect_uri=WITH_LOGIN),
        lambda: begin("", redirect_uri="http://localhost/", accounts_url=WITH_LOGIN),
        lambda: asyncio.run(sign_in("an-app", visit=lambda _: None, accounts_url=WITH_LOGIN)),
        lambda: asyncio.run(read_document(WITH_LOGIN, TransportOptions())),
        lambda: asyncio.run(downloaded(f"http://ads.example/?signature={CANARY}")),
        lambda: asyncio.run(downloaded(WITH_LOGIN)),
        lambda: TransportOptions(proxy=Secret(f"http://127.0.0.1:9/{CANARY}")).checked(),
        lambda: TransportOptions(proxy=Secret(f"http://{CANARY.replace('/', '')}:password@:9")).checked(),
    ],
)
def test_credentials_and_addresses_that_cannot_be_show_nothing(wrong: Callable[[], object]) -> None:
    with pytest.raises(SpotifyAdsError) as caught:
        wrong()
    frames = [
        frame
        for frame in traceback.walk_tb(caught.value.__traceback__)
        if "spotify_ads_async" in frame[0].f_code.co_filename
    ]
    shown = "".join(repr(frame.f_locals) for frame, _ in frames)
    assert frames
    assert TRACE not in f"{shown} {caught.value!r}"


@pytest.mark.parametrize(
    "show",
    [str, repr, format, lambda secret: f"{secret:>40}", "{}".format, lambda secret: "%s %r" % (secret, secret)],  # noqa: UP031 (logging does so)
)
def test_a_secret_masks_itself(show: Callable[[Secret], str]) -> None:
    assert TRACE not in show(Secret(CANARY))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(CANARY), protocol)


@pytest.mark.parametrize(
    ("token", "told"), [("a", "a bad name; a token"), ("the-token-in-use", "a bad name; a token ***")]
)
async def test_a_token_too_short_to_be_a_secret_garbles_no_message(token: str, told: str) -> None:
    body = {"messages": [told.replace("***", token)]}
    async with RawServer(otherwise=answer(400, body)) as server, client(server.base_url, AccessToken(token)) as ads:
        error = await raised(calls.READ.by(ads), SpotifyAdsError)
    assert isinstance(error, SpotifyAdsError)
    assert error.messages == (told,)

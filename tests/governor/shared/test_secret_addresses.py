"""A store's address with a password that nobody escaped: it works, or is refused without being shown."""

from __future__ import annotations

import asyncio
import io
import traceback
from urllib.parse import quote

import pytest
import redis
from support.redis_servers import Program
from support.redis_servers import server as running_server

from spotify_ads_async import AdsClient, Secret, SpotifyAdsError, StoreUnavailable
from spotify_ads_async.governor import Governor, Limit
from spotify_ads_async.governor.shared import open_store
from spotify_ads_async.network.redis_clients import RedisAddress

LIMITS = [Limit("ip", 5, 0.05)]
PASSWORD = "p/a?s#s@w:o%rd%zz"


async def test_a_password_of_every_kind_works_escaped_or_not(one_program: Program) -> None:
    with running_server(one_program) as server, redis.Redis(port=server.port, protocol=2) as admin:
        admin.config_set("requirepass", PASSWORD)
        for given in (PASSWORD, quote(PASSWORD, safe="")):
            url = f"redis://:{given}@127.0.0.1:{server.port}/0?namespace=n"
            waiting = Governor(LIMITS, store=Secret(url), on_store_failure="pause")
            async with asyncio.timeout(60.0), waiting as governor, governor.admit({"ip"}):
                pass
        async with Governor(LIMITS, store=f"redis://:wrong-canary@127.0.0.1:{server.port}") as governor:
            with pytest.raises(SpotifyAdsError) as caught:
                async with governor.admit({"ip"}, max_wait=2.0):
                    pass
        assert "canary" not in everything_shown(caught.value)
        admin.auth(PASSWORD)


@pytest.mark.parametrize("words", [b"WRONGPASS of this user", b"ERR unknown command 'HELLO', with args beginning with"])
async def test_a_store_that_takes_nobody_is_away_and_shows_no_password(words: bytes) -> None:
    """Redis 5 repeats what it does not know."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(1024):
            writer.write(b"-" + words + b": " + said.replace(b"\r\n", b" ") + b"\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1") as listening:
        port = listening.sockets[0].getsockname()[1]
        for kind in ("redis", "redis+cluster"):
            async with Governor(LIMITS, store=f"{kind}://u:canary@127.0.0.1:{port}") as governor:
                with pytest.raises(StoreUnavailable, match="Nothing was sent") as caught:
                    await governor.admit({"ip"}, max_wait=60.0).enter()
            assert "canary" not in everything_shown(caught.value)
            store = open_store(f"{kind}://u:canary@127.0.0.1:{port}", timeout=60.0)
            assert store is not None
            with pytest.raises(StoreUnavailable) as caught:
                await store.look()
            await store.aclose()
            assert "canary" not in everything_shown(caught.value)


def test_a_socket_is_an_address_with_or_without_a_login() -> None:
    for login, password in (("", None), ("u:a%2Fb@", "a/b")):
        read = RedisAddress.read(Secret(f"unix://{login}/run/redis.sock?db=1")).options()
        assert (read["path"], read["db"], read.get("password")) == ("/run/redis.sock", 1, password)


def everything_shown(error: BaseException) -> str:
    """What printing an error can show, the values of every frame of the package included."""
    text = io.StringIO()
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    for frame in told.stack:
        if "/tests/" in frame.filename and frame.locals is not None:
            frame.locals.clear()  # the test knows the canary
    text.write("".join(told.format(chain=True)))
    return text.getvalue()


REFUSED = [
    "redis://u:canary@host:port",
    "redis://:canary/x@host:port",
    "redis://u:canary@host?namespace={x}",
    "redis+sentinel://u:canary@host:1",
    "redis+cluster://u:can/canary@host:1,two:x",
    "postgres://u:canary@host/db",
    "redis://:canary@[::1",
    "sqlite://u:canary@host/file",
    "sqlite:////file?canary",
    "canary",
    "canary:x",
    "redis://:canary@host?socket_timeout=x",
    "redis://host?password=canary&namespace={x}",
    "redis://host?passwort=canary",
]


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_that_cannot_be_used_shows_no_password(url: str) -> None:
    for wrong in (
        lambda: Governor(LIMITS, store=Secret(url)),
        lambda: Governor(LIMITS, store=url),
        lambda: AdsClient.from_env({"SPOTIFY_ADS_ACCESS_TOKEN": "x", "SPOTIFY_ADS_STORE": url}),
    ):
        with pytest.raises(SpotifyAdsError) as caught:
            wrong()
        frames = [
            frame
            for frame, _ in traceback.walk_tb(caught.value.__traceback__)
            if "/tests/" not in frame.f_code.co_filename
        ]
        shown = "".join(
            f"{name}={value!r}" for frame in frames for name, value in frame.f_locals.items() if name != "environment"
        )
        assert frames
        assert "canary" not in f"{shown} {caught.value!r}"

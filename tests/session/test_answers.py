"""Answers that are large, compressed, slow, or of a kind that nobody expects."""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc
import zlib

import pytest
from support import calls, faults
from support.calls import client
from support.raw_server import Connection, RawServer, answer, raw
from support.virtual_time import on_a_patient_clock

from spotify_ads_async import (
    ConnectionFailed,
    InvalidAnswer,
    OutcomeUnknown,
    RequestRejected,
    ServerError,
    TransportOptions,
)

MEBIBYTE = 1024 * 1024


async def test_a_large_answer_below_the_cap() -> None:
    name = "x" * 3 * MEBIBYTE
    async with RawServer(otherwise=answer(200, {"name": name})) as server, client(server.base_url) as ads:
        assert (await calls.READ.by(ads)).name == name


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_answer(encoding: str) -> None:
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    packed = answer(200, pack(b'{"name": "Autumn"}'), headers={"Content-Encoding": encoding})
    async with RawServer(otherwise=packed) as server, client(server.base_url) as ads:
        assert (await calls.READ.by(ads)).name == "Autumn"


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """Little that unpacks to 128 MiB; to pack it takes longer than to refuse it."""
    packer = zlib.compressobj(9, wbits=31)
    packed = packer.compress(b'"') + b"".join(packer.compress(bytes(MEBIBYTE)) for _ in range(128)) + packer.flush()
    assert len(packed) < MEBIBYTE // 4
    return packed


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_a_compression_bomb_costs_little_memory(status: int, bomb: bytes) -> None:
    options = TransportOptions(largest_answer=2 * MEBIBYTE)
    async with (
        RawServer(otherwise=answer(status, bomb, headers={"Content-Encoding": "gzip"})) as server,
        client(server.base_url, transport=options) as ads,
    ):
        tracemalloc.start()
        with pytest.raises(InvalidAnswer, match="larger than"):
            await calls.READ.by(ads)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 12 * MEBIBYTE


async def test_a_length_that_promises_too_much_is_not_believed_but_counted() -> None:
    lie = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b" " * 300_000)
    async with (
        RawServer(otherwise=lie) as server,
        client(server.base_url, transport=TransportOptions(largest_answer=200_000)) as ads,
    ):
        with pytest.raises(InvalidAnswer, match="larger than 200000 bytes"):
            await calls.READ.by(ads)


def drip(every: float) -> faults.Behaviour:
    async def behave(connection: Connection) -> None:
        connection.keep = False
        await connection.send(faults.HEAD)
        for _ in range(60):
            await connection.send(b" ")
            await asyncio.sleep(every)

    return behave


@on_a_patient_clock
async def test_a_slow_drip_ends_with_the_timeout() -> None:
    async with (
        RawServer(otherwise=drip(0.02)) as server,
        client(server.base_url, timeout=0.2, policy=calls.ONCE) as ads,
    ):
        with pytest.raises(ConnectionFailed, match=r"within 0\.2 s"):
            await calls.READ.by(ads)


@on_a_patient_clock
async def test_without_a_timeout_silence_ends_it() -> None:
    options = TransportOptions(read_timeout=0.1)
    async with (
        RawServer(otherwise=drip(5.0)) as server,
        client(server.base_url, timeout=None, transport=options, policy=calls.ONCE) as ads,
    ):
        began = time.monotonic()
        with pytest.raises(ConnectionFailed):
            await calls.READ.by(ads)
        assert time.monotonic() - began < 0.2


async def test_json_of_another_declared_type_is_read_all_the_same() -> None:
    odd = answer(
        200,
        b'{"name": "Autumn", "new_field": {"a": [1, null]}, "status": "NEWEST"}',
        headers={"Content-Type": "text/plain"},
    )
    async with RawServer(otherwise=odd) as server, client(server.base_url) as ads:
        ad_set = await calls.READ.by(ads)
    assert (ad_set.name, ad_set.status, ad_set.status.known) == ("Autumn", "NEWEST", False)


async def test_what_is_done_without_an_answer_needs_none() -> None:
    for status, body in ((200, b"<html>"), (201, b""), (204, b""), (202, b"null")):
        async with RawServer(otherwise=answer(status, body)) as server, client(server.base_url) as ads:
            assert await calls.DELETE_DRAFT.by(ads) is None


@pytest.mark.parametrize("status", [200, 201, 202, 206, 299])
async def test_every_2xx_is_success(status: int) -> None:
    async with RawServer(otherwise=answer(status, {"id": calls.THING})) as server, client(server.base_url) as ads:
        assert (await calls.WRITE.by(ads)).id == calls.THING


async def test_an_answer_that_says_something_else_is_none() -> None:
    """What a gateway says with 200, in place of what was asked for."""
    async with RawServer(otherwise=answer(200, {"error": {"message": "no"}})) as server, client(server.base_url) as ads:
        with pytest.raises(InvalidAnswer, match=r"it holds nothing that it may, and in their place 'error'"):
            await calls.READ.by(ads)
        with pytest.raises(OutcomeUnknown):
            await calls.WRITE.by(ads)
        server.otherwise = answer(200, {})
        assert (await calls.WRITE.by(ads)).id is None


@pytest.mark.parametrize("status", ["000", "099", "101"])
async def test_a_status_that_ends_no_request_says_nothing_of_a_write(status: str) -> None:
    odd = raw(f"HTTP/1.1 {status} Odd\r\nContent-Length: 0\r\n\r\n".encode())
    async with RawServer(otherwise=odd) as server:
        for call, failure in ((calls.READ, InvalidAnswer), (calls.WRITE, OutcomeUnknown)):
            async with client(server.base_url, policy=calls.ONCE) as ads:
                with pytest.raises(failure):
                    await call.by(ads)


async def test_where_the_server_offers_a_choice_its_body_is_no_answer() -> None:
    async with RawServer(otherwise=answer(300, calls.READ.answer)) as server, client(server.base_url) as ads:
        with pytest.raises(InvalidAnswer):
            await calls.READ.by(ads)


async def test_a_write_that_was_accepted_and_whose_answer_is_empty_is_an_unknown_outcome() -> None:
    async with RawServer(otherwise=answer(204, b"")) as server, client(server.base_url) as ads:
        with pytest.raises(OutcomeUnknown) as caught:
            await calls.WRITE.by(ads)
    assert caught.value.status == 204
    assert isinstance(caught.value.cause, InvalidAnswer)


@pytest.mark.parametrize(
    "names", [("sp_trace_id", "messages", "error_codes"), ("spTraceId", "Messages", "errorCodes"), ("SP-TRACE-ID",) * 3]
)
async def test_an_error_carries_what_the_server_said_however_it_spells_it(names: tuple[str, str, str]) -> None:
    trace, messages, codes = names
    said = {
        codes: [{"code": "BID_TOO_LOW", "definition": "the bid is too low"}, None, 3],
        messages: ["raise it", 7],
        trace: "abc",
    }
    async with RawServer(otherwise=answer(400, said)) as server, client(server.base_url) as ads:
        with pytest.raises(RequestRejected) as caught:
            await calls.WRITE.by(ads)
    error = caught.value
    assert (error.status, error.trace_id, error.operation) == (400, "abc", "updateAdSet")
    if len(set(names)) == 3:
        assert error.messages == ("raise it",)
        assert error.error_codes[0].code == "BID_TOO_LOW"
        assert "BID_TOO_LOW" in str(error)
        assert "abc" in str(error)


async def test_an_error_that_is_no_json_is_shown_in_part_and_without_control_characters() -> None:
    page = b"<html>\x1b[31mBad Gateway\x00\xff" + b"y" * 5000
    bad_gateway = answer(502, page, headers={"Content-Type": "text/html"})
    async with RawServer(otherwise=bad_gateway) as server, client(server.base_url, policy=calls.ONCE) as ads:
        with pytest.raises(ServerError) as caught:
            await calls.READ.by(ads)
    text = str(caught.value)
    assert "Bad Gateway" in text
    assert text.isprintable()
    assert len(text) < 400


async def test_what_a_server_says_cannot_reach_into_a_terminal() -> None:
    said = {
        "sp_trace_id": "\x1b]0;owned\x07",
        "messages": ["\x1b[2Jgone\r\nnext"],
        "error_codes": [{"code": "\x9b31m"}],
    }
    async with RawServer(otherwise=answer(400, said)) as server, client(server.base_url) as ads:
        with pytest.raises(RequestRejected) as caught:
            await calls.READ.by(ads)
    assert str(caught.value).isprintable()


async def test_an_answer_about_another_thing_than_was_asked_for_is_none() -> None:
    about = answer(200, {"id": calls.THING.upper(), "name": "Autumn"})
    async with RawServer(otherwise=about) as server, client(server.base_url) as ads:
        account = ads.ad_account(calls.ACCOUNT)
        # IDs are read whatever their letters' case.
        assert (await account.ad_sets.get(calls.THING)).name == "Autumn"
        for reading in (account.ad_sets.get, account.campaigns.get, account.drafts.campaigns.get):
            with pytest.raises(
                InvalidAnswer, match=f"it is about {calls.THING.upper()}, and not about {calls.ACCOUNT}"
            ):
                await reading(calls.ACCOUNT)
    # One without an ID tells nothing of that: any attribute of an answer may be missing.
    async with RawServer(otherwise=answer(200, {"name": "Autumn"})) as server, client(server.base_url) as ads:
        assert (await ads.ad_account(calls.ACCOUNT).ad_sets.get(calls.THING)).name == "Autumn"

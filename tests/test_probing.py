"""What was found out about an API: which window the headers describe, and the file that keeps it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from support.lasting_drafts import keep_drafts

from spotify_ads_async import PUBLISHED_LIMITS, AdsClient, PermissionDenied
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.probing import ApiFacts, RateWindow, described_window, load_facts, probe, save_facts


def headers(limit: object, reset: object) -> dict[str, str]:
    return {"X-RateLimit-Limit": str(limit), "X-RateLimit-Reset": str(reset)}


@pytest.mark.parametrize(
    ("seen", "window"),
    [
        ([], None),
        ([{}, {"Date": "today"}], None),
        ([headers("many", 1)], None),
        ([headers(500, 3), headers(500, 10)], RateWindow(limit="ip", requests=500, longest_reset=10.0)),
        ([headers(1500, 29)], RateWindow(limit="client_id", requests=1500, longest_reset=29.0)),
        # A window that is over later than the limit's own is another one.
        ([headers(500, 25)], RateWindow(limit="", requests=500, longest_reset=25.0)),
        ([headers(77, 1)], RateWindow(limit="", requests=77, longest_reset=1.0)),
    ],
)
def test_the_headers_describe_the_window_that_fits(seen: list[dict[str, str]], window: RateWindow | None) -> None:
    assert described_window(PUBLISHED_LIMITS, seen) == window


def test_what_was_found_out_is_kept_for_the_api_that_it_is_about(tmp_path: Path) -> None:
    facts = ApiFacts(base_url="https://one.example/ads/v3", found_at="2026-11-27T00:00:00Z", objects="merge")
    file = tmp_path / "state" / "api-facts.json"
    assert load_facts(file, facts.base_url) is None
    save_facts(facts, file)
    assert load_facts(file, facts.base_url) == facts
    assert load_facts(file, "https://other.example/ads/v3") is None
    for broken in (b"", b"[]", b'{"base_url": 1}', b"\xff\xfe"):
        file.write_bytes(broken)
        assert load_facts(file, facts.base_url) is None


async def test_a_draft_that_cannot_be_deleted_again_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async with (
        Emulator(ad_sets=1, latency=0.0, limits=None) as server,
        AdsClient("token", base_url=server.base_url) as ads,
    ):
        server.add_fault("error", operation="deleteCampaignDraft", status=400)
        facts, deleted = await probe(ads, server.ad_account_id)
        assert (facts.objects, deleted) == ("merge", False)
        (draft,) = server.store.account(server.ad_account_id).campaign_drafts
        assert f"{draft['id']}, could not be deleted again" in caplog.text
        server.add_fault("denied", operation="updateAdSetDraft")
        with pytest.raises(PermissionDenied) as refused:
            await probe(ads, server.ad_account_id)
        assert "could not be deleted again" in refused.value.__notes__[0]


async def test_a_draft_that_is_there_after_its_deletion_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async with (
        Emulator(ad_sets=1, latency=0.0, limits=None) as server,
        AdsClient("token", base_url=server.base_url) as ads,
    ):
        keep_drafts(server)
        assert (await probe(ads, server.ad_account_id))[1] is False
        (draft,) = server.store.account(server.ad_account_id).campaign_drafts
        assert (
            f"{draft['id']}, could not be deleted again: the server answered that the draft is deleted" in caplog.text
        )


async def test_giving_up_while_the_draft_is_made_leaves_none() -> None:
    async with (
        Emulator(ad_sets=1, latency=0.0, limits=None) as server,
        AdsClient("token", base_url=server.base_url) as ads,
    ):
        drafts = server.store.account(server.ad_account_id).campaign_drafts
        probing = asyncio.create_task(probe(ads, server.ad_account_id))
        while not drafts:  # noqa: ASYNC110 - the moment at which the server has made it
            await asyncio.sleep(0)
        probing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probing
        assert list(drafts) == []


@pytest.mark.parametrize(
    ("does", "found"),
    [
        ("nothing", (None, None, None)),
        ("merge in another order", ("merge", "replace", "kept")),
    ],
)
async def test_a_patch_that_does_nothing_tells_nothing_and_order_says_nothing(
    does: str, found: tuple[str | None, ...]
) -> None:
    draft: dict[str, Any] = {"id": "1"}

    async def answer(request: web.Request) -> web.Response:
        sent = await request.json() if request.can_read_body else {}
        targets = draft.setdefault("targets", {})
        if request.method == "POST" or does != "nothing":
            targets.update(sent.get("targets", {}))
        targets.get("platforms", []).reverse()
        return web.json_response(draft)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server, AdsClient("token", base_url=str(server.make_url("/ads/v3"))) as ads:
        facts, _ = await probe(ads, "1")
    assert (facts.objects, facts.lists, facts.unknown_keys) == found

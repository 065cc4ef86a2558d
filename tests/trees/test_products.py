"""Trees are held to the rules of their ad product before the first draft is made."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from support.calls import client

from spotify_ads_async import AdAccount, InvalidRequest
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.emulator.domain import ad_products


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with Emulator(ad_sets=4, campaigns=2, ads=4, latency=0.0, limits=None) as running:
        yield running


@pytest.fixture
async def account(server: Emulator) -> AsyncIterator[AdAccount]:
    async with client(server.base_url) as ads:
        yield ads.ad_account(server.ad_account_id)


def forbid(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    """Let the catalogue that is served forbid a field of ad sets."""
    catalog: Any = deepcopy(ad_products.CATALOG)
    catalog["ad_products"]["AUCTION"]["ad_set"]["create"] = {"forbidden_fields": [field]}
    monkeypatch.setattr(ad_products, "CATALOG", catalog)


def drafts(server: Emulator) -> int:
    account = server.store.account(server.ad_account_id)
    return len(account.campaign_drafts) + len(account.ad_set_drafts)


async def test_nothing_is_made_of_what_breaks_a_rule(
    server: Emulator, account: AdAccount, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    campaign = (await account.campaigns.list()).items[0].id or ""
    ad_set = (await account.ad_sets.list()).items[0].id or ""
    await account.trees.export(tmp_path / "tree.jsonl")
    forbid(monkeypatch, "targets.placements")
    for making in (
        account.trees.clone_campaign(campaign),
        account.trees.clone_ad_set(ad_set),
        account.trees.load(tmp_path / "tree.jsonl"),
    ):
        with pytest.raises(InvalidRequest, match=r"targets\.placements: must be left out for AUCTION") as refused:
            await making
        assert any("nothing was sent" in note for note in refused.value.__notes__)
    assert drafts(server) == 0


async def test_the_catalogue_is_read_once_for_a_whole_file(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    await account.trees.export(tmp_path / "tree.jsonl")
    server.reset_statistics()
    assert len(await account.trees.load(tmp_path / "tree.jsonl")) == 2
    assert server.statistics().operations["getAdProductCatalog"] == 1


async def test_where_it_cannot_be_read_that_is_said_and_the_tree_is_made(
    server: Emulator, account: AdAccount, caplog: pytest.LogCaptureFixture
) -> None:
    server.add_fault("error", operation="getAdProductCatalog", status=404)
    campaign = (await account.campaigns.list()).items[0].id or ""
    with caplog.at_level(logging.WARNING, "spotify_ads_async"):
        await account.trees.clone_campaign(campaign)
    assert "its rules were not checked" in caplog.text
    assert drafts(server) > 0

"""A copy is as it was wanted, or says where it is not; and what was paused never runs, not for a moment."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace
from support.calls import ONCE, client
from support.raw_server import Connection, RawServer, answer
from trees.live_history import delivering, moments

from spotify_ads_async import AdAccount, ConfigurationError, InvalidAnswer, InvalidRequest, RequestRejected
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.emulator.domain.tables import Table
from spotify_ads_async.models import FrequencyCap, FrequencyUnit
from spotify_ads_async.trees import DraftTree, parse
from spotify_ads_async.trees.comparing import differences_in_draft
from spotify_ads_async.trees.files import KINDS
from spotify_ads_async.trees.plans import CampaignPlan, Planner

SOON = datetime(2031, 5, 1, tzinfo=UTC)
Row = dict[str, Any]
OWN = {
    "id",
    "campaign_id",
    "ad_set_id",
    "created_at",
    "updated_at",
    "ad_preview_url",
    "status",
    "is_paused",
    "pause_reason",
}
"""What a copy cannot share with its original. Whether a campaign runs is looked at apart."""


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with Emulator(ad_sets=9, campaigns=3, ads=18, latency=0.0, limits=None) as running:
        yield running


@pytest.fixture
async def account(server: Emulator) -> AsyncIterator[AdAccount]:
    async with client(server.base_url) as ads:
        yield ads.ad_account(server.ad_account_id)


def first_campaign(server: Emulator) -> Row:
    """A campaign that has everything in it."""
    found = server.store.account(server.ad_account_id)
    with_ads = {
        ad_set["campaign_id"] for ad_set in found.ad_sets for ad in found.ads if ad["ad_set_id"] == ad_set["id"]
    }
    return next(row for row in found.campaigns if row["id"] in with_ads)


def change(server: Emulator, table: str, row: Row, **values: object) -> Row:
    """Let a row be otherwise, unseen by the history."""
    return server.store.account(server.ad_account_id).tables[table].put({**row, **values})


def ad_sets_of(server: Emulator, campaign_id: str) -> list[Row]:
    return [row for row in server.store.account(server.ad_account_id).ad_sets if row["campaign_id"] == campaign_id]


def ads_of(server: Emulator, campaign_id: str) -> list[Row]:
    mine = {row["id"] for row in ad_sets_of(server, campaign_id)}
    return [row for row in server.store.account(server.ad_account_id).ads if row["ad_set_id"] in mine]


def vary(server: Emulator, seed: int) -> None:
    """Pause, archive, rename and schedule at random, and begin the history anew."""
    draw = random.Random(seed)  # noqa: S311 - nothing here is secret
    found = server.store.account(server.ad_account_id)
    for campaign in list(found.campaigns):
        change(
            server,
            "campaigns",
            campaign,
            status=draw.choice(["ACTIVE", "ACTIVE", "PAUSED"]),
            name=draw.choice([campaign["name"], "ü" * 200, f"{'x' * 192} {'y' * 7}"]),
            **draw.choice([{}, {"purchase_order": "4500-17"}]),
        )
    for ad_set in list(found.ad_sets):
        off = draw.random() < 0.4
        values: Row = {"delivery": "OFF", "is_paused": True, "pause_reason": "USER_PAUSED"} if off else {}
        if draw.random() < 0.2:
            values["status"] = "ARCHIVED"
        if draw.random() < 0.3:
            values["name"] = "n" * 200
        change(server, "ad_sets", ad_set, **values)
    for ad in list(found.ads):
        values = {"delivery": draw.choice(["ON", "ON", "OFF"])}
        start = datetime(2031, 1, 1, tzinfo=UTC) + timedelta(hours=draw.randint(0, 500))
        if draw.random() < 0.4:
            values["start_time"] = f"{start:%Y-%m-%dT%H:%M:%SZ}"
        if draw.random() < 0.4:
            values["end_time"] = f"{start + timedelta(days=draw.randint(1, 90)):%Y-%m-%dT%H:%M:%SZ}"
        if draw.random() < 0.2:
            values["status"] = "ARCHIVED"
        change(server, "ads", ad, **values)
    forget_history(server)


def forget_history(server: Emulator) -> None:
    changes = server.store.account(server.ad_account_id).changes
    for identifier in list(changes.rows):
        changes.remove(identifier)


def later(value: str | None, by: timedelta) -> str | None:
    return None if value is None else f"{datetime.fromisoformat(value) + by:%Y-%m-%dT%H:%M:%SZ}"


def alike(original: Row, copy: Row, by: timedelta, **changed: object) -> None:
    """Whether a copy is its original, but for what it cannot share, its dates, and what was to be changed."""
    wanted = {name: value for name, value in original.items() if name not in OWN} | changed
    for name in ("start_time", "end_time"):
        if name in wanted:
            wanted[name] = later(original[name], by)
    assert {name: value for name, value in copy.items() if name not in OWN} == wanted


def check_copy(server: Emulator, original_id: str, done: DraftTree, start: datetime | None) -> None:
    """Hold the live copy of a campaign against its original, row by row, and its history against what was paused."""
    found = server.store.account(server.ad_account_id)
    assert done.published
    assert (done.errors, done.differences) == ([], [])
    campaign = found.campaigns.get(original_id)
    alike(
        campaign,
        found.campaigns.get(done.campaign_id),
        timedelta(0),
        name=found.campaigns.get(done.campaign_id)["name"],
    )
    assert found.campaigns.get(done.campaign_id)["status"] == campaign["status"]
    ad_sets = [row for row in ad_sets_of(server, original_id) if row["status"] != "ARCHIVED"]
    by = timedelta(0)
    if start is not None and ad_sets:
        by = start - min(datetime.fromisoformat(row["start_time"]) for row in ad_sets)
    copies = {row["id"] for row in ad_sets_of(server, done.campaign_id)} | {
        row["id"] for row in ads_of(server, done.campaign_id)
    }
    made = {original_id}
    for ad_set in ad_sets:
        alike(ad_set, found.ad_sets.get(done.ids[ad_set["id"]]), by)
        made.add(ad_set["id"])
        for ad in found.ads:
            if ad["ad_set_id"] == ad_set["id"] and ad["status"] != "ARCHIVED":
                alike(ad, found.ads.get(done.ids[ad["id"]]), by)
                made.add(ad["id"])
    assert done.ids.keys() == made
    assert copies | {done.campaign_id} == set(done.ids.values())
    originals = {copy: original for original, copy in done.ids.items()}
    for state in moments(server):
        for identifier in delivering(state).keys() & copies:
            ad = found.ads.get(originals[identifier])
            ad_set = found.ad_sets.get(ad["ad_set_id"])
            assert (campaign["status"], ad_set["delivery"], ad["delivery"]) == ("ACTIVE", "ON", "ON"), (
                "what was paused could deliver"
            )
            for name in ("start_time", "end_time"):
                assert state[identifier].get(name) == later(ad.get(name), by), (
                    "an ad could deliver outside of its own flight"
                )


@pytest.mark.parametrize("seed", range(6))
async def test_a_clone_of_a_random_tree_is_what_its_original_is(
    server: Emulator, account: AdAccount, seed: int
) -> None:
    vary(server, seed)
    campaign = first_campaign(server)
    start = SOON if seed % 2 else datetime(2027, 8, 1, tzinfo=UTC)
    done = await account.trees.clone_campaign(campaign["id"], start=start, publish=True)
    check_copy(server, campaign["id"], done, start)
    assert {one.original_id for one in done.left_out} == {
        row["id"]
        for row in [*ad_sets_of(server, campaign["id"]), *ads_of(server, campaign["id"])]
        if row["status"] == "ARCHIVED"
        or (
            row.get("ad_set_id")
            and server.store.account(server.ad_account_id).ad_sets.get(row["ad_set_id"])["status"] == "ARCHIVED"
        )
    }


@pytest.mark.parametrize("seed", range(6, 10))
async def test_an_import_of_random_trees_is_what_was_exported(
    server: Emulator, account: AdAccount, tmp_path: Path, seed: int
) -> None:
    vary(server, seed)
    file, receipt = tmp_path / "account.jsonl", tmp_path / "receipt"
    await account.trees.export(file, archived=True)
    in_two_steps = seed % 2
    if in_two_steps:
        drafts = await account.trees.load(file, receipt=receipt, start=SOON)
        assert all(one.errors == [] and not one.published for one in drafts)
    done = await account.trees.load(file, receipt=receipt, start=SOON, publish=True)
    assert len(done) == 3
    original_of = {
        one.campaign_id: original for one in done for original, copy in one.ids.items() if copy == one.campaign_id
    }
    for one in done:
        check_copy(server, original_of[one.campaign_id], one, SOON)
    assert await account.trees.load(file, receipt=receipt, start=SOON, publish=True) == []


def without_ids_and_times(content: bytes) -> list[Any]:
    """What an export says, but for ids, times, and how far an ad set's flight is."""

    def plain(one: Any, *, status: bool = False) -> str:  # noqa: ANN401 - a campaign, an ad set or an ad
        left_out = OWN - {"status"} if status else OWN
        kept = {name: value for name, value in one.json.items() if name not in left_out and not name.endswith("_time")}
        return json.dumps(kept, sort_keys=True)

    return sorted(
        [
            plain(tree.campaign, status=True),
            sorted([plain(one.ad_set), sorted(map(plain, one.ads))] for one in tree.ad_sets),
        ]
        for tree in parse(content)
    )


@pytest.mark.parametrize("seed", range(10, 14))
async def test_what_was_exported_and_imported_is_exported_alike(
    account: AdAccount, server: Emulator, tmp_path: Path, seed: int
) -> None:
    vary(server, seed)
    first, second = anyio.Path(tmp_path / "first.jsonl"), anyio.Path(tmp_path / "second.jsonl")
    await account.trees.export(first)
    async with (
        Emulator(ad_sets=0, campaigns=0, ads=0, latency=0.0, limits=None) as other,
        client(other.base_url) as ads,
    ):
        for asset in server.store.account(server.ad_account_id).assets:
            other.store.account(other.ad_account_id).assets.put(asset)
        there = ads.ad_account(other.ad_account_id)
        done = await there.trees.load(first, start=SOON, publish=True)
        assert [one.differences for one in done] == [[] for _ in done]
        await there.trees.export(second)
    assert without_ids_and_times(await first.read_bytes()) == without_ids_and_times(await second.read_bytes())


# ---- what a draft cannot hold


async def test_a_clone_that_is_not_published_says_what_its_drafts_lack(server: Emulator, account: AdAccount) -> None:
    campaign = first_campaign(server)
    ad_set = change(server, "ad_sets", ad_sets_of(server, campaign["id"])[0], delivery="OFF", is_paused=True)
    done = await account.trees.clone_campaign(campaign["id"], start=SOON)
    (lacking,) = done.unheld
    assert (lacking.kind, lacking.name, lacking.values) == ("ad_set", ad_set["name"], {"delivery": "OFF"})
    assert lacking.draft_id == done.ids[ad_set["id"]]
    # Whoever publishes it all the same gets a campaign that is paused.
    assert await account.trees.publish(done.campaign_id) == []
    assert (await account.campaigns.get(done.campaign_id)).status == "PAUSED"


async def test_a_clone_in_which_everything_runs_is_a_draft_that_runs(server: Emulator, account: AdAccount) -> None:
    done = await account.trees.clone_campaign(first_campaign(server)["id"], start=SOON)
    assert done.unheld == []
    assert await account.trees.publish(done.campaign_id) == []
    assert (await account.campaigns.get(done.campaign_id)).status == "ACTIVE"


async def test_an_ad_set_that_is_off_is_not_published_into_a_campaign_that_runs(
    server: Emulator, account: AdAccount
) -> None:
    campaign = first_campaign(server)
    ad_set = change(server, "ad_sets", ad_sets_of(server, campaign["id"])[0], delivery="OFF", is_paused=True)
    done = await account.trees.clone_ad_set(ad_set["id"], start=SOON, publish=True)
    assert not done.published
    assert "not published: campaign" in done.notes[0]
    assert "delivery of ad set" in done.notes[0]
    change(server, "campaigns", campaign, status="PAUSED")
    forget_history(server)
    done = await account.trees.clone_ad_set(ad_set["id"], name="Anew", start=SOON, publish=True)
    assert done.published
    assert done.differences == []
    assert (await account.ad_sets.get(done.ids[ad_set["id"]])).delivery == "OFF"
    assert not [one for state in moments(server) for one in delivering(state)]


def let_put(monkeypatch: pytest.MonkeyPatch, table: Table, otherwise: Callable[[Row], Row]) -> None:
    """Let a table keep other rows than those that are put."""
    put = Table.put

    def put_otherwise(self: Table, row: Row) -> Row:
        return put(self, otherwise(row) if self is table else row)

    monkeypatch.setattr(Table, "put", put_otherwise)


async def test_an_ad_set_whose_campaign_somebody_starts_meanwhile_is_said(
    server: Emulator, account: AdAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = change(server, "campaigns", first_campaign(server), status="PAUSED")
    ad_set = change(server, "ad_sets", ad_sets_of(server, campaign["id"])[0], delivery="OFF", is_paused=True)

    def started(row: Row) -> Row:
        change(server, "campaigns", campaign, status="ACTIVE")
        return row

    let_put(monkeypatch, server.store.account(server.ad_account_id).ad_sets, started)
    done = await account.trees.clone_ad_set(ad_set["id"], start=SOON, publish=True)
    assert (done.published, done.differences) == (True, [])
    assert f"campaign {campaign['id']} runs, so ad set" in done.notes[-1]


@pytest.mark.parametrize(("drafted", "since"), [("PAUSED", "ACTIVE"), ("ACTIVE", "PAUSED")])
async def test_an_ad_set_leaves_its_campaign_running_or_paused_whatever_an_older_draft_says(
    server: Emulator, account: AdAccount, monkeypatch: pytest.MonkeyPatch, drafted: str, since: str
) -> None:
    campaign = change(server, "campaigns", first_campaign(server), status=drafted)
    ad_set = ad_sets_of(server, campaign["id"])[0]
    await account.trees.clone_ad_set(ad_set["id"], name="Earlier", start=SOON)
    change(server, "campaigns", campaign, status=since)
    done = await account.trees.clone_ad_set(ad_set["id"], start=SOON, publish=True)
    assert (done.published, done.differences, done.notes) == (True, [], [])
    assert (await account.campaigns.get(campaign["id"])).status == since
    # Where the draft does not take it, nothing is published.
    let_put(monkeypatch, server.store.account(account.id).campaign_drafts, lambda row: {**row, "status": drafted})
    done = await account.trees.clone_ad_set(ad_set["id"], name="Anew", start=SOON, publish=True)
    assert not done.published
    assert f"is {since}, and publishing its draft would make it {drafted}" in done.notes[-1]
    assert (await account.campaigns.get(campaign["id"])).status == since


@pytest.mark.parametrize("status", ["AGENT_CONTROLLED", "ARCHIVED"])
async def test_an_ad_set_sets_no_campaign_to_active_of_which_somebody_else_decides(
    server: Emulator, account: AdAccount, status: str
) -> None:
    campaign = change(server, "campaigns", first_campaign(server), status="PAUSED")
    ad_set = ad_sets_of(server, campaign["id"])[0]
    await account.trees.clone_ad_set(ad_set["id"], name="Earlier", start=SOON)
    change(server, "campaigns", campaign, status=status)
    done = await account.trees.clone_ad_set(ad_set["id"], start=SOON, publish=True)
    assert (done.published, done.errors) == (False, [])
    assert f"is {status}, and publishing its draft would make it PAUSED" in done.notes[-1]
    assert (await account.campaigns.get(campaign["id"])).status == status
    assert server.store.account(account.id).campaign_drafts.get(campaign["id"])["status"] == "PAUSED"


@pytest.mark.parametrize("off", [True, False])
@pytest.mark.parametrize("pausable", [True, False])
@pytest.mark.parametrize("differs", [True, False])
async def test_what_is_said_of_a_copy_that_runs_too_early_is_so_in_the_end(
    server: Emulator, account: AdAccount, monkeypatch: pytest.MonkeyPatch, *, off: bool, pausable: bool, differs: bool
) -> None:
    """A server that publishes what is paused as if it ran, and may not pause it either."""
    here = server.store.account(account.id)
    campaign = change(server, "campaigns", first_campaign(server), status="ACTIVE")
    if off:
        change(server, "ad_sets", ad_sets_of(server, campaign["id"])[0], delivery="OFF", is_paused=True)
    put = Table.put

    def put_otherwise(self: Table, row: Row) -> Row:
        if self is here.campaigns and (not pausable or row["id"] not in here.campaigns):
            row = {**row, "status": "ACTIVE"}
        if self is here.ad_sets and differs:
            row = {**row, "category": "ADV_34_9"}
        return put(self, row)

    monkeypatch.setattr(Table, "put", put_otherwise)
    done = await account.trees.clone_campaign(campaign["id"], start=SOON, publish=True)
    status = (await account.campaigns.get(done.campaign_id)).status
    notes = "; ".join(done.notes)
    assert (done.published, bool(done.differences)) == (True, differs)
    assert status == ("PAUSED" if differs and pausable else "ACTIVE")
    assert ("is paused now" in notes or "stays paused" in notes) == (status == "PAUSED")
    assert ("is not paused, its status is ACTIVE" in notes) == (differs and not pausable)
    assert ("was paused until then" in notes, "did not let itself be paused" in notes) == (
        off and pausable,
        off and not pausable,
    )


async def test_a_draft_that_does_not_stay_paused_is_not_published(
    server: Emulator, account: AdAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = first_campaign(server)
    change(server, "campaigns", campaign, status="PAUSED")
    let_put(
        monkeypatch, server.store.account(server.ad_account_id).campaign_drafts, lambda row: {**row, "status": "ACTIVE"}
    )
    done = await account.trees.clone_campaign(campaign["id"], start=SOON, publish=True)
    assert not done.published
    assert "does not stay paused" in done.notes[-1]
    assert done.campaign_id not in server.store.account(server.ad_account_id).campaigns


async def test_what_differs_in_the_end_is_named_and_stays_paused(
    server: Emulator, account: AdAccount, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A server that forgets a part of what it is told."""
    campaign = change(server, "campaigns", first_campaign(server), status="ACTIVE")
    ad_set = ad_sets_of(server, campaign["id"])[0]
    let_put(
        monkeypatch, server.store.account(server.ad_account_id).ad_sets, lambda row: {**row, "category": "ADV_34_9"}
    )

    async def clone() -> DraftTree:
        return await account.trees.clone_campaign(campaign["id"], start=SOON, publish=True, receipt=tmp_path / "r")

    done = await clone()
    assert done.published
    told = {(one.name, one.attribute, one.wanted, one.found) for one in done.differences}
    assert (ad_set["name"], "category", ad_set["category"], "ADV_34_9") in told
    assert (await account.campaigns.get(done.campaign_id)).status == "PAUSED"
    assert any("stays paused" in note for note in done.notes)
    # Said again for as long as it is so, and nothing is changed any more: somebody may have decided.
    monkeypatch.undo()
    again = await clone()
    assert again.differences[1:] == done.differences
    assert (again.differences[0].attribute, again.differences[0].found) == ("status", "PAUSED")
    for one in done.differences:
        change(server, "ad_sets", server.store.account(account.id).ad_sets.get(one.id), **{one.attribute: one.wanted})
    assert [one.attribute for one in (await clone()).differences] == ["status"]
    change(server, "campaigns", server.store.account(account.id).campaigns.get(done.campaign_id), status="ARCHIVED")
    assert [(one.attribute, one.found) for one in (await clone()).differences] == [("status", "ARCHIVED")]
    change(server, "campaigns", server.store.account(account.id).campaigns.get(done.campaign_id), status="ACTIVE")
    assert (await clone()).differences == []
    with pytest.raises(InvalidRequest, match="has this copy already, whole: nothing was sent"):
        await clone()


async def test_a_copy_that_somebody_archives_meanwhile_is_said(
    server: Emulator, account: AdAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = change(server, "campaigns", first_campaign(server), status="ACTIVE")
    let_put(monkeypatch, server.store.account(account.id).campaigns, lambda row: {**row, "status": "ARCHIVED"})
    done = await account.trees.clone_campaign(campaign["id"], start=SOON, publish=True)
    assert [(one.attribute, one.found) for one in done.differences if one.kind == "campaign"] == [
        ("status", "ARCHIVED")
    ]


async def test_a_lost_answer_to_publishing_is_looked_up(server: Emulator, account: AdAccount) -> None:
    lost = server.add_fault("lost_answer", operation="publishCampaignDraft", skip=1)
    campaign = first_campaign(server)
    change(server, "ad_sets", ad_sets_of(server, campaign["id"])[0], delivery="OFF", is_paused=True)
    async with client(server.base_url, policy=ONCE) as ads:
        done = await ads.ad_account(account.id).trees.clone_campaign(campaign["id"], start=SOON, publish=True)
    lost.remove()
    assert (done.published, done.differences) == (True, [])


async def test_a_campaign_whose_status_is_not_known_is_copied_paused(server: Emulator, account: AdAccount) -> None:
    campaign = change(server, "campaigns", first_campaign(server), status="AGENT_CONTROLLED")
    done = await account.trees.clone_campaign(campaign["id"], start=SOON, publish=True)
    assert (await account.campaigns.get(done.campaign_id)).status == "PAUSED"
    assert any("AGENT_CONTROLLED" in note for note in done.notes)


async def test_a_draft_that_was_made_otherwise_is_said(server: Emulator, account: AdAccount) -> None:
    tree = await account.trees.read(first_campaign(server)["id"])
    plan = Planner(lambda name: name, start=SOON).campaign(tree, "Copy")
    assert isinstance(plan, CampaignPlan)
    part = plan.ad_sets[0].part
    made = await account.trees.create(tree, start=SOON)
    assert made.differences == []
    draft = await account.drafts.ad_sets.get(made.ids[part.original_id])
    assert draft.budget is not None
    assert differences_in_draft(part, draft, "1") == []
    otherwise = replace(draft, budget=replace(draft.budget, micro_amount=1), name=None)
    assert [(one.name, one.attribute) for one in differences_in_draft(part, otherwise, "1")] == [(part.name, "budget")]


async def test_what_is_archived_is_not_cloned(server: Emulator, account: AdAccount) -> None:
    campaign = change(server, "campaigns", first_campaign(server), status="ARCHIVED")
    with pytest.raises(InvalidRequest, match="archived"):
        await account.trees.clone_campaign(campaign["id"], start=SOON)
    ad_set = change(server, "ad_sets", next(iter(server.store.account(account.id).ad_sets)), status="ARCHIVED")
    with pytest.raises(InvalidRequest, match="archived"):
        await account.trees.clone_ad_set(ad_set["id"], start=SOON)


async def test_a_name_of_200_characters_has_a_copy(server: Emulator, account: AdAccount) -> None:
    campaign = change(server, "campaigns", first_campaign(server), name="n" * 200)
    done = await account.trees.clone_campaign(campaign["id"], start=SOON, publish=True)
    assert (await account.campaigns.get(done.campaign_id)).name == f"{'n' * 193} (copy)"


# ---- listeners


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_a_listener_that_raises_leaves_nothing_behind(
    server: Emulator, account: AdAccount, tmp_path: Path, after: int
) -> None:
    told: list[object] = []

    def listen(one: object) -> None:
        if len(told) == after:
            raise ZeroDivisionError
        told.append(one)

    campaign, receipt = first_campaign(server)["id"], tmp_path / "receipt"
    with pytest.raises(ZeroDivisionError):
        await account.trees.clone_campaign(campaign, start=SOON, on_made=listen, receipt=receipt)
    ad_set = ad_sets_of(server, first_campaign(server)["id"])[0]["id"]
    told.clear()
    if after < 1:
        with pytest.raises(ZeroDivisionError):
            await account.trees.clone_ad_set(ad_set, start=SOON, on_made=listen)
    found = server.store.account(server.ad_account_id)
    assert not len(found.campaign_drafts) + len(found.ad_set_drafts) + len(found.ad_drafts)
    # The server remembers the idempotency key of what is gone, and the receipt has another one.
    await account.trees.clone_campaign(campaign, start=SOON, receipt=receipt)
    assert len(found.campaign_drafts) == 1


# ---- money


async def export_in(server: Emulator, account: AdAccount, file: Path, currency: str) -> None:
    for row in list(server.store.account(server.ad_account_id).ad_sets):
        change(server, "ad_sets", row, budget={**row["budget"], "micro_amount": 160_000_000, "currency": currency})
    await account.trees.export(file)


async def test_a_budget_goes_into_no_account_of_another_currency(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    file = tmp_path / "account.jsonl"
    await export_in(server, account, file, "JPY")
    with pytest.raises(InvalidRequest, match=r"is in JPY, and the ad account is in USD: state a rate"):
        await account.trees.load(file, start=SOON)
    assert not len(server.store.account(server.ad_account_id).campaign_drafts)


async def test_a_budget_is_converted_at_a_stated_rate(server: Emulator, account: AdAccount, tmp_path: Path) -> None:
    file = tmp_path / "account.jsonl"
    await export_in(server, account, file, "JPY")
    done = await account.trees.load(file, start=SOON, publish=True, rates={"JPY": "0.00667"})
    assert [one.differences for one in done] == [[], [], []]
    made = {copy for one in done for copy in one.ids.values()}
    budgets = [row["budget"] for row in server.store.account(server.ad_account_id).ad_sets if row["id"] in made]
    # 160 JPY are 1.0672 USD, and USD have cents.
    assert {(budget["micro_amount"], budget["currency"]) for budget in budgets} == {(1_070_000, "USD")}
    # What a newer API gave is carried as it is: that must be no amount.
    lines = lines_of(file.read_bytes())
    next(line for line in lines if line["kind"] == "ad_set")["budget"]["floor"] = 5_000_000
    file.write_bytes(written([{**line, "newer": ["budget.floor"]} for line in lines if line["kind"] in KINDS]))
    with pytest.raises(InvalidRequest, match=r"budget.floor of ad set .* may be an amount in JPY, which cannot be"):
        await account.trees.load(file, start=SOON, rates={"JPY": "0.00667"})
    assert await account.trees.load(file, start=SOON, rates={"JPY": "0.00667"}, ignore=["floor"])


@pytest.mark.parametrize(
    "rates", [{"JPY": "0"}, {"JPY": "much"}, {"JPY": "-1"}, {"YEN": "1"}, {"JPY": "nan"}, {"JPY": "0.00001"}]
)
async def test_a_rate_that_makes_no_amount_is_refused(
    server: Emulator, account: AdAccount, tmp_path: Path, rates: dict[str, str]
) -> None:
    file = tmp_path / "account.jsonl"
    await export_in(server, account, file, "JPY")
    with pytest.raises(InvalidRequest):
        await account.trees.load(file, start=SOON, rates=rates)
    assert not len(server.store.account(server.ad_account_id).campaign_drafts)


# ---- files


def lines_of(content: bytes) -> list[Row]:
    return [json.loads(line) for line in content.splitlines()]


def written(lines: list[Row]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@pytest.mark.parametrize(
    ("change_line", "said"),
    [
        (
            lambda line: line.update(biid_micro_amount=1),
            "biid_micro_amount is no key that is known: did you mean bid_micro_amount",
        ),
        (
            lambda line: line["targets"].update(gendres=["MALE"]),
            "targets.gendres is no key that is known: did you mean genders",
        ),
        (
            lambda line: line["targets"].update(platforms=["IOS", "ANDROIT"]),
            "'ANDROIT', which is no value that is known: did you mean ANDROID",
        ),
        (lambda line: line.update(weather="RAIN"), "weather is no key that is known"),
        (lambda line: line.update(delivery="off"), "'off', which is no value that is known: did you mean OFF"),
        (lambda line: line.update(start_time="2031-05-01T00:00:00"), "start_time names no zone: write it in UTC"),
        (lambda line: line.update(end_time="2031-05-01T00:00:00"), "end_time names no zone"),
    ],
)
async def test_a_key_that_is_not_known_is_refused_with_its_line(
    server: Emulator,
    account: AdAccount,
    tmp_path: Path,
    change_line: Callable[[Row], None],
    said: str,
) -> None:
    file = anyio.Path(tmp_path / "account.jsonl")
    await account.trees.export(file)
    lines = lines_of(await file.read_bytes())
    number = next(index for index, line in enumerate(lines) if line["kind"] == "ad_set")
    change_line(lines[number])
    await file.write_bytes(written(lines))
    before = server.statistics().requests
    with pytest.raises(InvalidRequest, match=f"line {number + 1}: ") as told:
        await account.trees.load(file, start=SOON)
    assert said in str(told.value)
    assert server.statistics().requests == before


@pytest.mark.parametrize(
    ("told", "delivery", "notes"),
    [
        ({"delivery": "ON", "is_paused": True}, "OFF", 1),
        ({"delivery": "ON", "is_paused": True, "pause_reason": "USER_PAUSED"}, "ON", 0),
        ({"delivery": "ON", "is_paused": True, "pause_reason": "ACCOUNT_SUSPENDED"}, "ON", 0),
        ({"is_paused": True}, "OFF", 0),
        ({"is_paused": False}, "OFF", 1),
    ],
)
def test_an_ad_set_that_says_that_it_is_paused_is_off(told: Row, delivery: str, notes: int) -> None:
    """As somebody writes it who edits the file; an account's own pause is no wish, and turning delivery on is one."""
    ad_set = parse(
        written(
            [
                {"kind": "campaign", "id": "c"},
                {"kind": "ad_set", "id": "a", "campaign_id": "c", "name": "One", **told},
            ]
        )
    )[0].ad_sets[0]
    part = Planner(lambda name: name).ad_set(ad_set, timedelta(0), []).part
    assert (part.wanted["delivery"], len(part.notes)) == (delivery, notes)


async def test_keys_of_a_newer_api_are_carried_or_named(server: Emulator, account: AdAccount, tmp_path: Path) -> None:
    """This server answers keys and values that no model knows, and loses them when it is told of them."""
    campaign = first_campaign(server)
    ad_set = ad_sets_of(server, campaign["id"])[0]
    newer = {**ad_set["targets"], "weather": ["RAIN"], "platforms": ["SMART_FRIDGE"]}
    change(server, "ad_sets", ad_set, targets=newer, quality_score=0.7)
    file = anyio.Path(tmp_path / "account.jsonl")
    await account.trees.export(file)
    (line,) = [line for line in lines_of(await file.read_bytes()) if line.get("id") == ad_set["id"]]
    assert (line["targets"]["weather"], line["quality_score"]) == (["RAIN"], 0.7)
    assert sorted(line["newer"]) == ["quality_score", "targets.platforms[0]", "targets.weather"]
    assert parse(await file.read_bytes())
    change(server, "ad_sets", ad_set, targets={**newer, "platforms": ["IOS"]}, quality_score=0.7)
    done = await account.trees.clone_campaign(campaign["id"], start=SOON, publish=True)
    told = {one.attribute: one.found for one in done.differences}
    assert told.keys() == {"quality_score", "targets"}
    assert told["quality_score"] is None
    assert (await account.campaigns.get(done.campaign_id)).status == "PAUSED"
    done = await account.trees.clone_campaign(
        campaign["id"], start=SOON, publish=True, ignore=["quality_score", "weather"]
    )
    assert done.differences == []
    assert (await account.campaigns.get(done.campaign_id)).status == campaign["status"]


async def test_a_newer_key_is_sent_as_it_came(server: Emulator, account: AdAccount) -> None:
    campaign = first_campaign(server)
    ad_set = ad_sets_of(server, campaign["id"])[0]
    change(server, "ad_sets", ad_set, targets={**ad_set["targets"], "weather": ["RAIN"]})
    tree = await account.trees.read(campaign["id"])
    (one,) = [one for one in tree.ad_sets if one.ad_set.id == ad_set["id"]]
    part = Planner(lambda name: name).ad_set(one, timedelta(0), []).part
    assert part.body["targets"]["weather"] == ["RAIN"]
    assert "currency" not in part.body["budget"]


@pytest.mark.parametrize("key", ["genders", "targets.genders"])
async def test_a_known_key_inside_of_an_object_is_left_out(server: Emulator, account: AdAccount, key: str) -> None:
    tree = await account.trees.read(first_campaign(server)["id"])
    whole, less = (Planner(str, ignore=ignore).ad_set(tree.ad_sets[0], timedelta(0), []).part for ignore in ([], [key]))
    assert whole.body["targets"].pop("genders")
    assert whole.body == less.body
    assert "genders" not in less.wanted["targets"]


@pytest.mark.parametrize("key", ["max_impressions", "frequency_caps[0].max_impressions"])
async def test_a_known_key_inside_of_a_list_is_left_out(server: Emulator, account: AdAccount, key: str) -> None:
    (tree, *_) = (await account.trees.read(first_campaign(server)["id"])).ad_sets
    cap = FrequencyCap(frequency_unit=FrequencyUnit.DAY, frequency_period=1, max_impressions=3)
    tree = replace(tree, ad_set=replace(tree.ad_set, frequency_caps=[cap]))
    part = Planner(str, ignore=[key]).ad_set(tree, timedelta(0), []).part
    assert part.body["frequency_caps"] == [{"frequency_unit": "DAY", "frequency_period": 1}]


def test_a_key_that_is_there_twice_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="line 1: status is there twice"):
        parse(b'{"kind": "campaign", "id": "a", "name": "An", "status": "PAUSED", "status": "ACTIVE"}')


@pytest.mark.parametrize(
    "content", [b"\x00\x00", b"\xff\xfe{}", b"[" * 100_000, b'{"kind": "campaign", "id": 7}', b'{"kind": "campaign"']
)
async def test_a_file_that_is_none_is_refused_in_a_sentence(account: AdAccount, tmp_path: Path, content: bytes) -> None:
    file = anyio.Path(tmp_path / "account.jsonl")
    await file.write_bytes(content)
    with pytest.raises(InvalidRequest, match="line 1: "):
        await account.trees.load(file)


async def test_a_device_is_no_file(account: AdAccount) -> None:
    with pytest.raises(InvalidRequest, match="no plain file"):
        await account.trees.load("/dev/zero")


@pytest.mark.parametrize("place", ["/dev/full", "/dev/zero", "missing/folder/receipt"])
async def test_a_device_is_no_place_for_a_receipt(account: AdAccount, tmp_path: Path, place: str) -> None:
    file = tmp_path / "account.jsonl"
    await account.trees.export(file)
    with pytest.raises(ConfigurationError, match="nothing was sent"):
        await account.trees.load(file, receipt=place)


# ---- parts of others

CAMPAIGN, AD_SET, OTHER = (f"00000000-0000-4000-8000-00000000000{number}" for number in range(3))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("campaign", {"id": OTHER}),
        ("ad_set", {"campaign_id": OTHER}),
        ("ad_set", {"campaign_id": None}),
        ("ad_set", {"id": None}),
        ("ad", {"ad_set_id": OTHER}),
        ("ad", {"ad_set_id": None}),
    ],
)
async def test_what_is_of_another_tree_is_no_part_of_a_copy(
    kind: str, change: Row, caplog: pytest.LogCaptureFixture
) -> None:
    rows: dict[str, Row] = {
        "campaign": {"id": CAMPAIGN, "name": "Autumn"},
        "ad_set": {"id": AD_SET, "name": "North", "campaign_id": CAMPAIGN},
        "ad": {"id": OTHER, "name": "Spot", "ad_set_id": AD_SET},
    }
    rows[kind] |= change

    async def behave(connection: Connection) -> None:
        assert connection.request is not None
        place = connection.request.target.partition("?")[0].rsplit("/", 1)[-1]
        one = rows.get(place.removesuffix("s"))
        await answer(200, {place: [one], "paging": {"total_results": 1}} if one else rows["campaign"])(connection)

    async with RawServer(otherwise=behave) as server, client(server.base_url) as ads:
        with pytest.raises(
            InvalidAnswer, match=r"which is not what was asked for|it is about|leaves out the id of an ad set"
        ):
            await ads.ad_account(CAMPAIGN).trees.read(CAMPAIGN)
        if None in change.values():
            with pytest.raises(InvalidAnswer, match="so that nobody knows what belongs to what"):
                [line async for line in ads.ad_account(CAMPAIGN).trees.lines()]
        elif kind != "campaign":
            lines = [line async for _, line in ads.ad_account(CAMPAIGN).trees.lines()]
            assert not any(b'"id":"%s"' % rows[kind]["id"].encode() in line for line in lines)
            assert f"{kind} {rows[kind]['id']} is left out: its parent {OTHER} was not listed" in caplog.text


# ---- receipts


async def test_a_clone_goes_on_by_its_receipt(server: Emulator, account: AdAccount, tmp_path: Path) -> None:
    vary(server, 11)
    campaign, receipt = first_campaign(server)["id"], tmp_path / "receipt"
    drafts = await account.trees.clone_campaign(campaign, start=SOON, receipt=receipt)
    done = await account.trees.clone_campaign(campaign, start=SOON, receipt=receipt, publish=True)
    assert (drafts.published, done.published) == (False, True)
    assert drafts.ids == done.ids
    check_copy(server, campaign, done, SOON)
    with pytest.raises(InvalidRequest, match="has this copy already, whole: nothing was sent"):
        await account.trees.clone_campaign(campaign, start=SOON, receipt=receipt, publish=True)
    with pytest.raises(InvalidRequest, match="is of other lines or options"):
        await account.trees.clone_campaign(campaign, name="Another", start=SOON, receipt=receipt)


async def test_a_clone_of_an_ad_set_goes_on_by_its_receipt(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    here, receipt = server.store.account(server.ad_account_id), anyio.Path(tmp_path / "receipt")
    campaign = change(server, "campaigns", first_campaign(server), status="PAUSED")
    ad_set = change(server, "ad_sets", ad_sets_of(server, campaign["id"])[0], delivery="OFF", is_paused=True)

    async def clone(*, publish: bool = False) -> DraftTree:
        return await account.trees.clone_ad_set(ad_set["id"], start=SOON, receipt=receipt, publish=publish)

    server.add_fault("error", operation="createAdDraft", status=403)
    with pytest.raises(RequestRejected):
        await clone()
    server.clear_faults()
    first = await clone()
    # As a kill leaves it amid the ads: the draft is known, and whatever it holds is made anew.
    lines = (await receipt.read_bytes()).splitlines(keepends=True)
    await receipt.write_bytes(b"".join(lines[:-2]))
    # Where that fails, nothing is left, unless somebody changed the campaign's draft.
    server.add_fault("error", operation="createAdDraft", status=403)
    with pytest.raises(RequestRejected):
        await clone()
    assert (len(here.campaign_drafts), len(here.ad_set_drafts)) == (0, 0)
    theirs: Row
    for theirs in ({"name": "Theirs"}, {"newer": {"than": "this version"}}):
        await account.campaigns.create_draft(campaign["id"])
        here.campaign_drafts.put({**here.campaign_drafts.get(campaign["id"]), **theirs})
        with pytest.raises(RequestRejected):
            await clone()
        assert ([one.items() >= theirs.items() for one in here.campaign_drafts], len(here.ad_set_drafts)) == ([True], 0)
        await account.drafts.campaigns.delete(campaign["id"])
    server.clear_faults()
    second = await clone()
    assert first.ids.keys() == second.ids.keys()
    assert [one["id"] for one in here.ad_set_drafts] == [second.ids[ad_set["id"]]]
    done = await clone(publish=True)
    assert (done.published, done.differences, done.ids) == (True, [], second.ids)
    # As a kill leaves it before the last line: it is live already.
    await receipt.write_bytes((await receipt.read_bytes()).rsplit(b"\n", 2)[0] + b"\n")
    again = await clone(publish=True)
    assert (again.published, again.differences) == (True, [])
    assert (await account.ad_sets.get(done.ids[ad_set["id"]])).delivery == "OFF"
    with pytest.raises(InvalidRequest, match="has this copy already, whole: nothing was sent"):
        await clone(publish=True)
    assert len([one for one in here.ad_sets if one["name"].endswith("(copy)")]) == 1


async def test_two_imports_with_one_receipt_make_nothing_twice(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    file, receipt = tmp_path / "account.jsonl", tmp_path / "receipt"
    await account.trees.export(file)
    results: list[object] = []

    async def load() -> None:
        try:
            results.append(await account.trees.load(file, receipt=receipt, start=SOON))
        except ConfigurationError as refused:
            results.append(str(refused))

    async with anyio.create_task_group() as group:
        group.start_soon(load)
        group.start_soon(load)
    (refused,) = [one for one in results if isinstance(one, str)]
    assert "another import works with the receipt" in refused
    assert len(server.store.account(server.ad_account_id).campaign_drafts) == 3


@pytest.mark.parametrize("content", [b"my notes", b"my notes\n", b'{"ad_account_id": 7}\n', b"\x00"])
async def test_a_file_that_is_no_receipt_is_left_alone(account: AdAccount, tmp_path: Path, content: bytes) -> None:
    file, receipt = tmp_path / "account.jsonl", anyio.Path(tmp_path / "notes.txt")
    await account.trees.export(file)
    await receipt.write_bytes(content)
    with pytest.raises(InvalidRequest, match="name another receipt"):
        await account.trees.load(file, receipt=receipt, start=SOON)
    assert await receipt.read_bytes() == content


async def test_a_receipt_of_other_lines_or_options_is_refused(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    file, receipt = tmp_path / "account.jsonl", tmp_path / "receipt"
    await account.trees.export(file)
    await account.trees.load(file, receipt=receipt, start=SOON)
    with pytest.raises(InvalidRequest, match="of other lines or options"):
        await account.trees.load(
            file, receipt=receipt, start=SOON, rename=lambda name: f"{name} II"[:200], publish=True
        )
    assert len(server.store.account(server.ad_account_id).campaigns) == 3


async def test_publishing_that_ended_early_is_gone_on_with(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    """The campaign went live, and the connection broke before what drafts cannot hold was set."""
    vary(server, 3)
    file, receipt = tmp_path / "account.jsonl", tmp_path / "receipt"
    await account.trees.export(file)
    server.add_fault("error", operation="updateAd", status=403)
    server.add_fault("error", operation="updateAdSet", status=403)
    with pytest.raises(Exception, match="403"):
        await account.trees.load(file, receipt=receipt, start=SOON, publish=True)
    server.clear_faults()
    done = await account.trees.load(file, receipt=receipt, start=SOON, publish=True)
    original_of = {
        one.campaign_id: original for one in done for original, copy in one.ids.items() if copy == one.campaign_id
    }
    for one in done:
        check_copy(server, original_of[one.campaign_id], one, SOON)
    assert len(server.store.account(server.ad_account_id).campaigns) == 6


async def test_a_half_made_draft_that_somebody_published_is_not_made_twice(account: AdAccount, tmp_path: Path) -> None:
    file, receipt = tmp_path / "account.jsonl", anyio.Path(tmp_path / "receipt")
    await account.trees.export(file)
    await account.trees.load(file, receipt=receipt, start=SOON)
    events = lines_of(await receipt.read_bytes())
    await receipt.write_bytes(written([event for event in events if not event.get("whole")]))
    assert await account.trees.publish(events[1]["draft_id"]) == []
    # And goes on with it, in a draft of the same id, which is not this import's to delete.
    ad_set = (await account.ad_sets.list(campaign_ids=[events[1]["draft_id"]])).items[0]
    theirs = await account.trees.clone_ad_set(ad_set.id or "", start=SOON)
    with pytest.raises(InvalidRequest, match="somebody published it"):
        await account.trees.load(file, receipt=receipt, start=SOON)
    assert [one.id async for one in account.drafts.ad_sets.list(campaign_ids=[events[1]["draft_id"]])] == [
        theirs.ids[ad_set.id or ""]
    ]
    # Nor to publish, where the copy was whole.
    await receipt.write_bytes(written([event for event in events if not event.get("published")][:3]))
    (done, *_) = await account.trees.load(file, receipt=receipt, start=SOON, publish=True)
    assert (done.published, done.differences) == (True, [])
    assert (await account.drafts.ad_sets.list(campaign_ids=[done.campaign_id])).items


# ---- times at the ends


@pytest.mark.parametrize("start", [datetime(9999, 12, 31, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59)])  # noqa: DTZ001 - taken for UTC
async def test_a_start_at_the_end_of_the_calendar_is_refused(
    server: Emulator, account: AdAccount, start: datetime
) -> None:
    before = len(server.store.account(server.ad_account_id).campaign_drafts)
    with pytest.raises(InvalidRequest, match="calendar"):
        await account.trees.clone_campaign(first_campaign(server)["id"], start=start)
    assert len(server.store.account(server.ad_account_id).campaign_drafts) == before


async def test_a_start_in_the_past_is_refused(server: Emulator, account: AdAccount) -> None:
    with pytest.raises(InvalidRequest, match="0001-01-01 lies in the past"):
        await account.trees.clone_campaign(first_campaign(server)["id"], start=datetime(1, 1, 1, tzinfo=UTC))

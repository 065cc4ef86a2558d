"""Campaigns are cloned, exported and made anew as drafts, and go live on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import msgspec
import pytest
from support.calls import ONCE, client
from support.lasting_drafts import keep_drafts

from spotify_ads_async import AdAccount, InvalidAnswer, InvalidRequest, OutcomeUnknown, RequestRejected
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.models import AdSet, DraftValidationError
from spotify_ads_async.trees import Made, parse

SOON = datetime(2031, 5, 1, tzinfo=UTC)
# What a copy cannot share with its original.
OWN = {"id": None, "campaign_id": None, "created_at": None, "updated_at": None, "status": None, "name": None}


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    async with Emulator(ad_sets=9, campaigns=3, ads=9, latency=0.0, limits=None) as running:
        yield running


@pytest.fixture
async def account(server: Emulator) -> AsyncIterator[AdAccount]:
    async with client(server.base_url) as ads:
        yield ads.ad_account(server.ad_account_id)


async def first_campaign(account: AdAccount) -> str:
    return (await account.campaigns.list()).items[0].id or ""


def alike(original: AdSet, by: timedelta) -> AdSet:
    start, end = original.start_time, original.end_time
    assert start is not None
    assert end is not None
    return msgspec.structs.replace(original, **OWN, start_time=start + by, end_time=end + by)


async def test_a_campaign_is_cloned_with_its_children_under_new_names_and_dates(account: AdAccount) -> None:
    campaign = await first_campaign(account)
    before = await account.trees.read(campaign)
    done = await account.trees.clone_campaign(
        campaign, name="Encore", rename=lambda name: f"{name} II", start=SOON, publish=True
    )
    assert done.errors == []
    assert done.published
    after = await account.trees.read(done.campaign_id)
    assert after.campaign.name == "Encore"
    assert after.campaign.objective == before.campaign.objective
    assert len(after.ad_sets) == len(before.ad_sets) == 3
    copies = {one.ad_set.id: one for one in after.ad_sets}
    by = SOON - min(one.ad_set.start_time for one in before.ad_sets if one.ad_set.start_time)
    for one in before.ad_sets:
        copy = copies[done.ids[one.ad_set.id or ""]]
        assert copy.ad_set.name == f"{one.ad_set.name} II"
        assert msgspec.structs.replace(copy.ad_set, **OWN) == alike(one.ad_set, by)
        assert [ad.name for ad in copy.ads] == [f"{ad.name} II" for ad in one.ads]
        assert [ad.assets for ad in copy.ads] == [ad.assets for ad in one.ads]
    assert min(one.ad_set.start_time for one in after.ad_sets if one.ad_set.start_time) == SOON


async def test_times_without_a_zone_are_those_of_utc(server: Emulator, account: AdAccount) -> None:
    ad_sets = server.store.account(server.ad_account_id).ad_sets
    for one in list(ad_sets):
        ad_sets.put({**one, "start_time": one["start_time"].removesuffix("Z")})
    done = await account.trees.clone_campaign(await first_campaign(account), start=SOON, publish=True)
    assert (done.published, done.differences) == (True, [])
    assert min([one.start_time async for one in account.ad_sets.list(campaign_ids=[done.campaign_id])]) == SOON


async def test_a_clone_is_a_draft_until_it_is_published(server: Emulator, account: AdAccount) -> None:
    done = await account.trees.clone_campaign(await first_campaign(account), start=SOON)
    assert not done.published
    assert len(server.store.account(server.ad_account_id).campaigns) == 3
    assert await account.trees.validate(done.campaign_id) == []
    assert await account.trees.publish(done.campaign_id) == []
    assert (await account.campaigns.get(done.campaign_id)).id == done.campaign_id


async def test_what_keeps_a_clone_from_going_live_is_told(server: Emulator, account: AdAccount) -> None:
    # A draft may have a name that is too short to go live.
    done = await account.trees.clone_campaign(
        await first_campaign(account), rename=lambda _: "x", start=SOON, publish=True
    )
    assert done.errors
    assert not done.published
    assert {error.validation_entity_id for error in done.errors} <= set(done.ids.values())
    assert len(server.store.account(server.ad_account_id).campaigns) == 3


async def test_an_ad_set_is_cloned_within_its_campaign(account: AdAccount) -> None:
    ad_set = (await account.ad_sets.list()).items[0]
    assert ad_set.id is not None
    done = await account.trees.clone_ad_set(ad_set.id, name="Night owls again", start=SOON)
    assert done.campaign_id == ad_set.campaign_id
    draft = await account.drafts.ad_sets.get(done.ids[ad_set.id])
    assert draft.name == "Night owls again"


async def test_a_failure_leaves_no_draft_behind(server: Emulator, account: AdAccount) -> None:
    server.add_fault("error", operation="createAdDraft", status=400)
    with pytest.raises(RequestRejected):
        await account.trees.clone_campaign(await first_campaign(account), start=SOON)
    found = server.store.account(server.ad_account_id)
    assert not len(found.campaign_drafts) + len(found.ad_set_drafts) + len(found.ad_drafts)


async def test_what_could_not_be_deleted_again_is_named(server: Emulator, account: AdAccount) -> None:
    server.add_fault("error", operation="createAdDraft", status=400)
    server.add_fault("error", operation="deleteCampaignDraft", status=403)
    with pytest.raises(RequestRejected) as told:
        await account.trees.clone_campaign(await first_campaign(account), start=SOON)
    (draft,) = server.store.account(server.ad_account_id).campaign_drafts
    assert told.value.operation == "createAdDraft"
    assert f"still there, with id {draft['id']}" in told.value.__notes__[0]


async def test_an_answer_that_is_lost_says_where_to_look(server: Emulator, account: AdAccount) -> None:
    server.add_fault("indeterminate", operation="createCampaignDraft")
    with pytest.raises(OutcomeUnknown) as told:
        await account.trees.clone_campaign(await first_campaign(account), name="Encore", start=SOON)
    assert "'Encore' may have been made" in told.value.__notes__[0]


async def test_drafts_stay_where_only_publishing_failed(server: Emulator, account: AdAccount) -> None:
    server.add_fault("error", operation="publishCampaignDraft", status=403)
    with pytest.raises(RequestRejected) as told:
        await account.trees.clone_campaign(await first_campaign(account), start=SOON)
    (draft,) = server.store.account(server.ad_account_id).campaign_drafts
    assert f"the draft of campaign {draft['id']} is complete and stays" in told.value.__notes__[0]


async def test_every_draft_is_told_of(account: AdAccount) -> None:
    told: list[Made] = []
    done = await account.trees.clone_campaign(await first_campaign(account), start=SOON, on_made=told.append)
    assert {one.original_id: one.draft_id for one in told} == done.ids
    assert told[0].kind == "campaign"
    assert sorted(one.kind for one in told[1:]) == ["ad"] * (len(told) - 4) + ["ad_set"] * 3


async def test_a_tree_that_cannot_be_made_costs_nothing(server: Emulator, account: AdAccount) -> None:
    tree = await account.trees.read(await first_campaign(account))
    before = server.statistics().requests
    with pytest.raises(InvalidRequest) as told:
        await account.trees.create(tree, rename=lambda _: "x" * 201, start=SOON)
    assert "cannot be made; nothing was sent" in told.value.__notes__[0]
    assert server.statistics().requests == before


async def test_an_export_leaves_out_what_is_archived_with_what_is_in_it(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    # The campaign alone: whether archiving it archives what is in it is up to the server.
    campaigns = server.store.account(server.ad_account_id).campaigns
    campaigns.put({**campaigns.get(await first_campaign(account)), "status": "ARCHIVED"})
    file = tmp_path / "account.jsonl"
    assert (await account.trees.export(file))["campaign"] == 2
    assert len(parse(await anyio.Path(file).read_bytes())) == 2
    assert (await account.trees.export(file, archived=True))["campaign"] == 3


async def test_an_export_that_fails_keeps_the_earlier_file(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    file = anyio.Path(tmp_path / "account.jsonl")
    await account.trees.export(file)
    before = await file.read_bytes()
    server.add_fault("error", operation="getAds", status=403)
    with pytest.raises(RequestRejected):
        await account.trees.export(file)
    assert await file.read_bytes() == before
    assert [one.name async for one in file.parent.iterdir()] == ["account.jsonl"]


async def test_an_import_goes_on_where_its_receipt_ends(server: Emulator, account: AdAccount, tmp_path: Path) -> None:
    file, receipt = tmp_path / "account.jsonl", tmp_path / "receipt.jsonl"
    counts = await account.trees.export(file)
    # The second campaign fails on its way, and its draft cannot be deleted: what a crash leaves, too.
    server.add_fault("error", operation="createAdDraft", status=400, skip=4)
    server.add_fault("error", operation="deleteCampaignDraft", status=403)
    with pytest.raises(RequestRejected) as told:
        await account.trees.load(file, receipt=receipt, start=SOON)
    assert "1 of 3 campaigns are done" in told.value.__notes__[-1]
    found = server.store.account(server.ad_account_id)
    assert len(found.campaign_drafts) == 2
    server.clear_faults()
    # A kill may tear the last line.
    await anyio.Path(receipt).write_bytes(await anyio.Path(receipt).read_bytes() + b'{"original_')
    assert len(await account.trees.load(file, receipt=receipt, start=SOON)) == 2
    drafts = (len(found.campaign_drafts), len(found.ad_set_drafts), len(found.ad_drafts))
    assert drafts == (counts["campaign"], counts["ad_set"], counts["ad"])
    assert await account.trees.load(file, receipt=receipt, start=SOON) == []
    assert [one.published for one in await account.trees.load(file, receipt=receipt, start=SOON, publish=True)] == [
        True
    ] * 3
    assert not len(found.campaign_drafts)
    assert len(found.campaigns) == 6
    assert await account.trees.load(file, receipt=receipt, start=SOON, publish=True) == []


async def test_a_draft_whose_answer_was_lost_is_not_made_twice(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    file, receipt = tmp_path / "account.jsonl", tmp_path / "receipt.jsonl"
    await account.trees.export(file)
    lost = server.add_fault("lost_answer", operation="createCampaignDraft")
    async with client(server.base_url, policy=ONCE) as ads:
        with pytest.raises(OutcomeUnknown):
            await ads.ad_account(account.id).trees.load(file, receipt=receipt, start=SOON)
    lost.remove()
    # The same request under the same idempotency key, though the second run publishes what it makes.
    assert len(await account.trees.load(file, receipt=receipt, start=SOON, publish=True)) == 3
    assert len(server.store.account(server.ad_account_id).campaigns) == 6


async def test_an_import_goes_on_after_its_half_made_draft_was_deleted(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    file, receipt = tmp_path / "account.jsonl", tmp_path / "receipt.jsonl"
    await account.trees.export(file)
    server.add_fault("error", operation="createAdDraft", status=400, skip=4)
    with pytest.raises(RequestRejected) as told:
        await account.trees.load(file, receipt=receipt, start=SOON)
    assert "was deleted again" in told.value.__notes__[0]
    server.clear_faults()
    assert len(await account.trees.load(file, receipt=receipt, start=SOON)) == 2
    assert len(server.store.account(server.ad_account_id).campaign_drafts) == 3


async def test_a_draft_that_is_there_after_its_deletion_is_not_made_anew(
    server: Emulator, account: AdAccount, tmp_path: Path
) -> None:
    file, receipt = tmp_path / "account.jsonl", tmp_path / "receipt.jsonl"
    await account.trees.export(file)
    keep_drafts(server)
    server.add_fault("error", operation="createAdDraft", status=400)
    with pytest.raises(RequestRejected) as told:
        await account.trees.load(file, receipt=receipt, start=SOON)
    server.clear_faults()
    (draft,) = server.store.account(server.ad_account_id).campaign_drafts
    assert f"is still there, with id {draft['id']}: the server answered that the draft is" in told.value.__notes__[0]
    for deleting in (account.trees.load(file, receipt=receipt, start=SOON), account.trees.delete(draft["id"])):
        with pytest.raises(InvalidAnswer, match="the draft is deleted, and it is still there"):
            await deleting
    assert len(server.store.account(server.ad_account_id).campaign_drafts) == 1


async def test_an_ad_set_that_is_there_after_its_deletion_is_named(server: Emulator, account: AdAccount) -> None:
    ad_set = (await account.ad_sets.list()).items[0].id or ""
    keep_drafts(server)
    server.add_fault("error", operation="createAdDraft", status=400)
    with pytest.raises(RequestRejected) as told:
        await account.trees.clone_ad_set(ad_set, start=SOON)
    assert "the draft of the ad set could not be deleted again and is still there" in told.value.__notes__[0]


async def test_a_draft_that_reads_deleted_is_gone(server: Emulator, account: AdAccount) -> None:
    done = await account.trees.clone_campaign(await first_campaign(account), start=SOON)
    keep_drafts(server)
    drafts = server.store.account(server.ad_account_id).campaign_drafts
    drafts.put({**drafts.get(done.campaign_id), "status": "DELETED"})
    await account.trees.delete(done.campaign_id)


async def test_what_could_not_be_read_after_a_deletion_is_in_doubt(server: Emulator, account: AdAccount) -> None:
    done = await account.trees.clone_campaign(await first_campaign(account), start=SOON)
    server.add_fault("error", operation="getCampaignDraft", status=403)
    with pytest.raises(OutcomeUnknown, match="whether it is gone could not be read"):
        await account.trees.delete(done.campaign_id)


async def test_a_receipt_of_another_account_is_refused(account: AdAccount, tmp_path: Path) -> None:
    file, receipt = tmp_path / "account.jsonl", tmp_path / "receipt.jsonl"
    await account.trees.export(file)
    await anyio.Path(receipt).write_bytes(b'{"ad_account_id": "other", "original_id": "a", "key": "k"}\n')
    with pytest.raises(InvalidRequest, match="into another ad account, other"):
        await account.trees.load(file, receipt=receipt, start=SOON)


async def test_what_keeps_drafts_from_going_live_is_said_by_each_run_of_an_import(
    account: AdAccount, tmp_path: Path
) -> None:
    await account.trees.export(tmp_path / "account.jsonl")

    async def load() -> dict[str, list[DraftValidationError]]:
        done = await account.trees.load(
            tmp_path / "account.jsonl", receipt=tmp_path / "receipt", rename=lambda _: "x", start=SOON
        )
        return {one.campaign_id: one.errors for one in done}

    first = await load()
    assert len(first) == 3
    assert all(first.values())
    assert await load() == first
    for campaign_id in list(first)[1:]:
        await account.drafts.campaigns.delete(campaign_id)
    assert await load() == dict(list(first.items())[:1])


async def test_an_exported_account_can_be_made_anew(account: AdAccount, tmp_path: Path) -> None:
    file = tmp_path / "account.jsonl"
    counts = await account.trees.export(file)
    assert counts == {"campaign": 3, "ad_set": 9, "ad": 9}
    content = await anyio.Path(file).read_bytes()
    trees = parse(content)
    assert sum(len(tree.ad_sets) for tree in trees) == 9
    assert trees[0] == await account.trees.read(trees[0].campaign.id or "")
    done = await account.trees.load(file, rename=lambda name: f"{name} 2", start=SOON, publish=True)
    assert [one.errors for one in done] == [[], [], []]
    assert len([one async for one in account.ad_sets.list()]) == 18


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"kind": "pixel"}', "line 1: kind must be one of campaign, ad_set, ad"),
        (b'{"kind": ["ad"], "id": "a"}', "line 1: kind must be one of"),
        (b'{"kind": "ad_set", "id": "a", "campaign_id": "x"}', "line 1: its parent x does not come before it"),
        (b'{"kind": "campaign"}', "line 1: it has no id"),
        (b'{"kind": "campaign", "id": "a"}\n\n{"kind": "campaign", "id": "a"}', "line 3: a is on line 1, too"),
        (b"no json", "line 1: "),
        (b'{"kind": "export", "form": 2}', "line 1: a later version of this program wrote the file"),
        (
            b'{"kind": "end", "campaign": 1, "ad_set": 0, "ad": 0}',
            "line 1: the file ends with campaign 1, .*: it was cut",
        ),
    ],
)
def test_a_file_that_cannot_be_read_names_its_line(line: bytes, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        parse(line)


async def test_a_file_that_was_cut_or_put_together_wrongly_is_refused(
    account: AdAccount, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = anyio.Path(tmp_path / "account.jsonl")
    await account.trees.export(file)
    content = await file.read_bytes()
    lines = content.splitlines(keepends=True)
    whole = parse(content)
    for cut in (
        *(lines[:end] for end in range(1, len(lines))),
        lines[2:],
        lines[:3] + lines[4:],
        [*lines[:-1], *lines],
    ):
        with pytest.raises(InvalidRequest, match=r"it was cut|its parent|is on line"):
            parse(b"".join(cut))
    assert parse(b"".join(lines[1:-1])) == parse(content.replace(b"\n", b"\r\n")) == whole
    await file.write_bytes(b"".join(lines[1:-1]))
    assert "cut off" not in caplog.text
    await account.trees.load(file, start=SOON)
    assert "account.jsonl does not say where it ends: whether lines were cut off cannot be told" in caplog.text


async def test_an_ad_belongs_to_its_ad_set_in_either_case(server: Emulator, account: AdAccount, tmp_path: Path) -> None:
    ads = server.store.account(server.ad_account_id).ads
    for ad in list(ads):
        ads.put({**ad, "ad_set_id": ad["ad_set_id"].upper()})
    file = anyio.Path(tmp_path / "account.jsonl")
    assert await account.trees.export(file) == {"campaign": 3, "ad_set": 9, "ad": 9}
    trees = parse(await file.read_bytes())
    assert sum(len(one.ads) for tree in trees for one in tree.ad_sets) == 9

"""Single creates and updates are held to the rules of their ad product before anything is sent."""

from __future__ import annotations

import json

from tests.support.emulator_process import RunningEmulator

from .conftest import CommandLine

REFUSED = 3
BODY = {
    "name": "Evening",
    "start_time": "2090-01-01T00:00:00Z",
    "end_time": "2090-02-01T00:00:00Z",
    "budget": {"micro_amount": 100_000_000, "type": "DAILY"},
    "asset_format": "AUDIO",
    "bid_strategy": "MAX_BID",
    "bid_micro_amount": 12_000_000,
    "targets": {"geo_targets": {"country_code": "US"}, "placements": ["MUSIC"]},
}


def creates(emulator: RunningEmulator) -> int:
    _, seen = emulator.ask("GET", "/_emulator/statistics")
    return seen["operations"].get("createAdSet", 0) + seen["operations"].get("updateAdSet", 0)


def test_what_breaks_a_rule_of_its_campaigns_product_is_not_sent(
    spotify_ads: CommandLine, emulator: RunningEmulator
) -> None:
    body = {"name": "Podcasts", "objective": "REACH", "ad_product": "CONTENT"}
    campaign = json.loads(spotify_ads.out("campaigns", "create", "--body", json.dumps(body)))["id"]
    before = creates(emulator)
    ad_set = json.dumps({**BODY, "campaign_id": campaign})
    ended = spotify_ads.run("ad-sets", "create", "--body", ad_set)
    assert (ended.returncode, creates(emulator)) == (REFUSED, before)
    assert "targets.placements: MUSIC is not among the values of CONTENT: PODCAST" in ended.stderr
    # The server has the last word, also where nothing is checked here.
    assert spotify_ads.run("ad-sets", "create", "--body", ad_set, "--ad-product", "none").returncode == 1
    assert creates(emulator) == before + 1
    podcasts = json.dumps({**BODY, "campaign_id": campaign, "targets": {**BODY["targets"], "placements": ["PODCAST"]}})
    made = json.loads(spotify_ads.out("ad-sets", "create", "--body", podcasts))["id"]
    for change in (["--set", 'targets.placements=["MUSIC"]'], ["--body", '{"targets": {"placements": ["MUSIC"]}}']):
        before = creates(emulator)
        ended = spotify_ads.run("ad-sets", "update", made, *change)
        assert (ended.returncode, creates(emulator)) == (REFUSED, before), ended.stderr
    spotify_ads.out("ad-sets", "update", made, "--set", "name=Evening podcasts")


def test_a_catalogue_that_cannot_be_read_is_said_and_the_command_goes_on(
    spotify_ads: CommandLine, emulator: RunningEmulator
) -> None:
    _, armed = emulator.ask(
        "POST", "/_emulator/faults", {"kind": "error", "status": 404, "operations": ["getAdProductCatalog"]}
    )
    try:
        ended = spotify_ads.run("campaigns", "create", "--body", '{"name": "Autumn", "objective": "REACH"}')
    finally:
        emulator.ask("DELETE", f"/_emulator/faults/{armed['number']}")
    assert ended.returncode == 0
    assert "its rules were not checked" in ended.stderr


def test_the_catalogue_is_an_operation_like_others(spotify_ads: CommandLine) -> None:
    assert set(json.loads(spotify_ads.out("call", "getAdProductCatalog"))["ad_products"]) == {
        "AUCTION",
        "CONTENT",
        "FPMNG",
    }

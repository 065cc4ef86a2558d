"""``create``, ``update`` and ``bulk`` say that something is made or changed only where the answer shows it."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.emulator_process import RunningEmulator

from .conftest import CommandLine

FAILED, REFUSED = 1, 3
Told = Callable[[dict[str, Any], dict[str, Any]], tuple[int, dict[str, Any]]]


@contextmanager
def answering_changes(emulator: RunningEmulator, told: Told, *, makes: bool = True) -> Generator[str]:
    """A server before the emulator: it changes nothing, and answers what ``told`` makes of what is there.

    What it is to make, it makes as it was asked if ``makes`` says so, and answers what ``told`` makes of that.
    """

    class Front(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its parent names it
            pass

        def do_GET(self) -> None:
            self.send(*emulator.ask("GET", self.place()))

        def do_PATCH(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send(*told(emulator.ask("GET", self.place())[1], body))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send(*told(emulator.ask("POST", self.place(), body)[1] if makes else {}, body))

        def do_DELETE(self) -> None:
            self.send(*told({}, {}))

        def place(self) -> str:
            return self.path.removeprefix(urlsplit(emulator.base_url).path)

        def send(self, status: int, content: object) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    with ThreadingHTTPServer(("127.0.0.1", 0), Front) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{urlsplit(emulator.base_url).path}"
        server.shutdown()


CHANGES = [
    (("campaigns", "--set", "status=PAUSED"), 'did not do status, which is still "ACTIVE"'),
    (("campaigns", "--body", '{"status": "PAUSED"}'), 'did not do status, which is still "ACTIVE"'),
    (("ad-sets", "--body", '{"frequency_caps": []}'), "did not do frequency_caps, which is still"),
    (("ad-sets", "--body", '{"targets": {"platforms": []}}'), "did not do targets.platforms, which is still"),
    (("ad-sets", "--set", "delivery=OFF"), 'did not do delivery, which is still "ON"'),
    (("ads", "--set", "name=Renamed"), "did not do name, which is still"),
    (("assets", "--name", "Renamed"), "did not do name, which is"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES)
def test_a_success_that_shows_the_old_value_is_none(
    spotify_ads: CommandLine, emulator: RunningEmulator, change: tuple[str, ...], said: str
) -> None:
    kind, *how = change
    one = spotify_ads.out(kind, "list", "--limit", "1", "--fields", "id", "-o", "csv").splitlines()[1]
    with answering_changes(emulator, lambda present, _: (200, present)) as address:
        ended = spotify_ads.run(kind, "update", one, *how, SPOTIFY_ADS_BASE_URL=address)
    assert (ended.returncode, ended.stdout) == (FAILED, "")
    assert said in ended.stderr
    assert "changed:" not in ended.stderr
    for other in ({}, {"id": "00000000-0000-4000-8000-000000000000", "asset_type": "AUDIO"}):
        with answering_changes(emulator, lambda _, __, other=other: (200, other)) as address:
            ended = spotify_ads.run(kind, "update", one, *how, SPOTIFY_ADS_BASE_URL=address)
        assert (ended.returncode, ended.stdout) == (REFUSED, "")
        assert "in doubt: whether it could" in ended.stderr
        assert f"with something else than {one}: read it back" in ended.stderr
    # A server that shows what was asked, and fills in the rest, is believed.
    with answering_changes(emulator, lambda present, body: (200, {**present, **body})) as address:
        assert "changed:" in spotify_ads.run(kind, "update", one, *how, SPOTIFY_ADS_BASE_URL=address).stderr


@pytest.mark.parametrize("how", ["--body", "--set"])
def test_what_the_server_writes_in_its_own_way_is_changed_and_said(
    spotify_ads: CommandLine, emulator: RunningEmulator, how: str
) -> None:
    one = spotify_ads.out("ads", "list", "--limit", "1", "--fields", "id", "-o", "csv").splitlines()[1]
    url = "https://example.com/Tickets"
    body = json.dumps({"call_to_action": {"clickthrough_url": url}})
    change = body if how == "--body" else f"call_to_action.clickthrough_url={url}"

    def in_lower_case(present: dict[str, Any], _: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 200, {**present, "call_to_action": {**present["call_to_action"], "clickthrough_url": url.lower()}}

    with answering_changes(emulator, in_lower_case) as address:
        ended = spotify_ads.run("ads", "update", one, how, change, SPOTIFY_ADS_BASE_URL=address)
    assert "made something else of call_to_action.clickthrough_url" in ended.stderr
    assert (ended.returncode, "changed: ad" in ended.stderr) == (0, True)


@pytest.mark.parametrize("kind", ["campaigns", "assets"])
def test_a_name_in_other_letters_is_done_and_said_of_every_kind(
    spotify_ads: CommandLine, emulator: RunningEmulator, kind: str
) -> None:
    one = spotify_ads.out(kind, "list", "--limit", "1", "--fields", "id", "-o", "csv").splitlines()[1]
    how = "--name=Renamed it" if kind == "assets" else "--set=name=Renamed it"

    def in_capitals(present: dict[str, Any], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 200, {**present, **body, "name": " RENAMED  IT"}

    with answering_changes(emulator, in_capitals) as address:
        ended = spotify_ads.run(kind, "update", one, how, SPOTIFY_ADS_BASE_URL=address)
    assert (ended.returncode, "the server made something else of name" in ended.stderr) == (0, True)
    assert "changed: " in ended.stderr


def test_what_was_changed_before_an_error_is_said(spotify_ads: CommandLine, emulator: RunningEmulator) -> None:
    one = spotify_ads.out("ad-sets", "list", "--limit", "1", "--fields", "id", "-o", "csv").splitlines()[1]

    def first_alone(present: dict[str, Any], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return (400, {"messages": ["no"]}) if "delivery" not in body else (200, {**present, **body})

    with answering_changes(emulator, first_alone) as address:
        ended = spotify_ads.run(
            "ad-sets", "update", one, "--set", "name=Renamed", "--set", "delivery=OFF", SPOTIFY_ADS_BASE_URL=address
        )
    assert ended.returncode == FAILED
    assert "changed before that: delivery" in ended.stderr


def test_a_part_of_an_object_takes_nothing_away_and_what_is_so_already_is_not_changed(
    spotify_ads: CommandLine,
) -> None:
    shown = json.loads(spotify_ads.out("ad-sets", "list", "--limit", "1", "-o", "jsonl"))
    part = json.dumps({"targets": {"age_ranges": [{"min": 25, "max": 34}]}})
    ended = spotify_ads.run("ad-sets", "update", shown["id"], "--body", part)
    assert "changed: ad set" in ended.stderr
    changed = json.loads(ended.stdout)["targets"]
    assert (changed["age_ranges"], changed["platforms"]) == ([{"min": 25, "max": 34}], shown["targets"]["platforms"])
    ended = spotify_ads.run("ad-sets", "update", shown["id"], "--set", f"name={shown['name']}")
    assert (ended.returncode, ended.stderr.startswith("unchanged: ad set")) == (0, True)


def test_a_row_that_failed_in_part_is_not_passed_over_in_silence(
    spotify_ads: CommandLine, emulator: RunningEmulator
) -> None:
    one, other = spotify_ads.out("ad-sets", "list", "--limit", "2", "--fields", "id", "-o", "csv").splitlines()[1:]
    (spotify_ads.folder / "changes.csv").write_text(
        f"ad_set_id,name,category\n{one},Renamed,ADV_2_2\n{other},,ADV_2_2\n", encoding="utf-8"
    )

    def without_category(present: dict[str, Any], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 200, {**present, **body, "category": present["category"]}

    with answering_changes(emulator, without_category) as address:
        applied = spotify_ads.run(
            *("bulk", "apply", "changes.csv", "--plan", "in.plan", "--yes"), SPOTIFY_ADS_BASE_URL=address
        )
        resumed = spotify_ads.run(
            *("bulk", "resume", "in.plan", "--retry-failed", "--yes"), SPOTIFY_ADS_BASE_URL=address
        )
    for ended in (applied, resumed):
        assert ended.returncode == FAILED
        assert "1 failed row can be tried again: spotify-ads bulk resume in.plan --retry-failed" in ended.stderr
        assert "1 failed row did a part of what was wanted, and --retry-failed does not send that again" in ended.stderr
        assert "spotify-ads bulk undo in.plan takes back what was done" in ended.stderr


MADE = [
    ("campaigns", {"objective": "CLICKS"}, 'objective is "CLICKS"'),
    ("ad-sets", {"budget": {"micro_amount": 500_000_000, "type": "DAILY"}}, "budget.micro_amount is 500000000"),
    ("ad-sets", {"targets": {"geo_targets": {"country_code": "GB"}}}, 'targets.geo_targets.country_code is "GB"'),
    ("ads", {"call_to_action": None}, "call_to_action is not there"),
]


@pytest.mark.parametrize(("kind", "other", "said"), MADE)
def test_what_was_made_is_held_to_what_was_asked_for(
    spotify_ads: CommandLine, emulator: RunningEmulator, kind: str, other: dict[str, Any], said: str
) -> None:
    body = spotify_ads.out(kind, "create", "--example")
    make = (kind, "create", "--body", body, "--yes")
    with answering_changes(emulator, lambda made, _: (200, {**made, **other})) as address:
        ended = spotify_ads.run(*make, SPOTIFY_ADS_BASE_URL=address)
    assert ended.returncode == FAILED
    # It is there, so its ID is told all the same.
    assert f"({json.loads(ended.stdout)['id']})" in ended.stderr
    assert "failed: the answer shows other than what was asked for" in ended.stderr
    assert said in ended.stderr
    with answering_changes(emulator, lambda made, _: (200, {"id": made["id"]})) as address:
        ended = spotify_ads.run(*make, SPOTIFY_ADS_BASE_URL=address)
    assert (ended.returncode, "name is not there" in ended.stderr) == (FAILED, True)
    with answering_changes(emulator, lambda _, __: (202, {"job_id": "7"})) as address:
        ended = spotify_ads.run(*make, SPOTIFY_ADS_BASE_URL=address)
    assert (ended.returncode, ended.stdout) == (REFUSED, "")
    assert "without the ID of a new" in ended.stderr
    # A server that writes the same in another way, and fills in the rest, is believed.
    with answering_changes(emulator, lambda made, _: (200, _in_its_own_way(made))) as address:
        ended = spotify_ads.run(*make, SPOTIFY_ADS_BASE_URL=address)
    assert (ended.returncode, "the server made something else of name" in ended.stderr) == (0, True)


def _in_its_own_way(made: dict[str, Any]) -> dict[str, Any]:
    """The same with lists turned round and filled in, other letters and blanks in the name, and an unknown key."""
    targets = made.get("targets", {})
    turned: dict[str, Any] = {
        name: value[::-1] if isinstance(value, list) else value for name, value in targets.items()
    }
    ages = [{**one, "label": "young"} for one in targets.get("age_ranges", ())]
    other = {"name": f" {made['name'].upper()}", "newer": {"is": 1}}
    return {**made, **other, **({"targets": {**turned, "age_ranges": ages}} if targets else {})}


def test_an_audience_is_held_to_what_was_asked_for(spotify_ads: CommandLine, emulator: RunningEmulator) -> None:
    ad_set = spotify_ads.out("ad-sets", "list", "--limit", "1", "--fields", "id", "-o", "csv").splitlines()[1]
    body = {"audience_type": "CUSTOM", "subtype": "AD_ENGAGEMENT", "name": "Heard it", "ad_set_ids": [ad_set]}
    make = ("audiences", "create", "--body", json.dumps(body))
    one = json.loads(spotify_ads.run(*make).stdout)["id"]
    with answering_changes(emulator, lambda made, _: (200, {**made, "ad_set_ids": []})) as address:
        ended = spotify_ads.run(*make, SPOTIFY_ADS_BASE_URL=address)
    assert (ended.returncode, "ad_set_ids is []" in ended.stderr) == (FAILED, True)
    with answering_changes(emulator, lambda _, __: (200, {})) as address:
        assert spotify_ads.run(*make, SPOTIFY_ADS_BASE_URL=address).returncode == REFUSED
    with answering_changes(emulator, lambda present, _: (200, {**present, "name": None})) as address:
        ended = spotify_ads.run("audiences", "update", one, "--name", "Heard", SPOTIFY_ADS_BASE_URL=address)
    assert (ended.returncode, "did not do name, which is not set" in ended.stderr) == (FAILED, True)
    with answering_changes(emulator, lambda present, _: (200, {**present, "description": None})) as address:
        ended = spotify_ads.run("audiences", "update", one, "--description", "", SPOTIFY_ADS_BASE_URL=address)
    assert (ended.returncode, "changed: audience" in ended.stderr) == (0, True)
    with answering_changes(emulator, lambda _, __: (200, {"deletion_count": 0})) as address:
        ended = spotify_ads.run("audiences", "delete", one, "--yes", SPOTIFY_ADS_BASE_URL=address)
    assert (ended.returncode, ended.stdout, "deleted nothing" in ended.stderr) == (FAILED, "", True)
    assert f"deleted: audience ({one})" in spotify_ads.run("audiences", "delete", one, "--yes").stderr


def test_a_draft_is_live_only_where_something_shows_it(spotify_ads: CommandLine, emulator: RunningEmulator) -> None:
    one = spotify_ads.out("campaigns", "list", "--limit", "1", "--fields", "id", "-o", "csv").splitlines()[1]
    account = f"/ad_accounts/{emulator.ad_account_id}"
    assert emulator.ask("POST", f"{account}/campaigns/{one}/drafts")[0] < 300
    # The campaign was live before: that it is there shows nothing.
    for answer in ({}, {"job_id": "7"}, {"campaign": {"id": "00000000-0000-4000-8000-000000000000"}}):
        with answering_changes(emulator, lambda _, __, answer=answer: (200, answer), makes=False) as address:
            ended = spotify_ads.run("drafts", "publish", one, "--yes", SPOTIFY_ADS_BASE_URL=address)
        assert ended.returncode == REFUSED
        assert "without the campaign, and its draft is still there" in ended.stderr
        assert f"that was draft {one}; before it, 0 of 1 were published" in ended.stderr
    # A draft that cannot be read may be there or not.
    fault = {"kind": "error", "operations": ["getCampaignDraft"], "status": 403, "skip": 1, "times": 1}
    assert emulator.ask("POST", "/_emulator/faults", fault)[0] < 300
    with answering_changes(emulator, lambda _, __: (200, {}), makes=False) as address:
        ended = spotify_ads.run("drafts", "publish", one, "--yes", SPOTIFY_ADS_BASE_URL=address)
    assert ended.returncode == REFUSED
    assert "whether its draft is still there could not be read" in ended.stderr
    # Where the draft is gone, it was published, whatever the answer says.
    with answering_changes(emulator, lambda _, __: (200, {})) as address:
        ended = spotify_ads.run("drafts", "publish", one, "--yes", SPOTIFY_ADS_BASE_URL=address)
    assert (ended.returncode, ended.stderr) == (0, f"{one}: live\n")


def test_a_draft_is_valid_where_nothing_is_said_against_it_and_deleted_where_it_is_gone(
    spotify_ads: CommandLine, emulator: RunningEmulator
) -> None:
    one = spotify_ads.out("campaigns", "list", "--limit", "1", "--fields", "id", "-o", "csv").splitlines()[1]
    assert emulator.ask("POST", f"/ad_accounts/{emulator.ad_account_id}/campaigns/{one}/drafts")[0] < 300
    other = {"campaign": {"id": "00000000-0000-4000-8000-000000000000"}}
    with answering_changes(emulator, lambda _, __: (200, other), makes=False) as address:
        ended = spotify_ads.run("drafts", "validate", one, SPOTIFY_ADS_BASE_URL=address)
    assert (ended.returncode, f"{one}: could go live" in ended.stderr) == (FAILED, False)
    assert "the answer is about campaign 00000000-0000-4000-8000-000000000000" in ended.stderr
    for answer in ({}, {"validation_errors": []}, {"campaign": {"id": one.upper()}}):
        with answering_changes(emulator, lambda _, __, answer=answer: (200, answer), makes=False) as address:
            ended = spotify_ads.run("drafts", "validate", one, SPOTIFY_ADS_BASE_URL=address)
        assert (ended.returncode, ended.stderr) == (0, f"{one}: could go live\n")
    with answering_changes(emulator, lambda _, __: (200, {}), makes=False) as address:
        ended = spotify_ads.run("drafts", "delete", one, "--yes", SPOTIFY_ADS_BASE_URL=address)
    assert (ended.returncode, f"{one}: deleted" in ended.stderr) == (FAILED, False)
    assert "the server answered that the draft is deleted, and it is still there" in ended.stderr
    assert f"that was draft {one}; before it, 0 of 1 were deleted" in ended.stderr
    ended = spotify_ads.run("drafts", "delete", one, "--yes")
    assert (ended.returncode, ended.stderr) == (0, f"{one}: deleted\n")


@pytest.mark.parametrize(
    ("told", "code", "said"),
    [
        ("USER_UPLOADED_AUDIO", FAILED, "did not do subtype, which is USER_UPLOADED_AUDIO"),
        (None, 0, "the server never answers subtype: nothing shows whether it took it"),
        ("NEWER", 0, "the server never answers subtype: nothing shows whether it took it"),
        ("BACKGROUND_MUSIC", 0, ""),
    ],
)
def test_an_assets_subtype_is_done_only_where_no_answer_says_otherwise(
    spotify_ads: CommandLine, emulator: RunningEmulator, told: str | None, code: int, said: str
) -> None:
    assets = map(json.loads, spotify_ads.out("assets", "list", "-o", "jsonl").splitlines())
    one = next(asset["id"] for asset in assets if asset["asset_type"] == "AUDIO")
    with answering_changes(emulator, lambda present, _: (200, {**present, "audio_type": told})) as address:
        ended = spotify_ads.run("assets", "update", one, "--subtype", "BACKGROUND_MUSIC", SPOTIFY_ADS_BASE_URL=address)
    assert (ended.returncode, said in ended.stderr) == (code, True)
    assert ("changed: " in ended.stderr, "never answers" in ended.stderr) == (code == 0, said.startswith("the server"))

"""The API's own document, run by schemathesis against the emulator: every operation, its examples, made-up and stateful calls."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conformance import document
from support.emulated import Json

from spotify_ads_async.emulator import Emulator

pytestmark = document.needs_document

SCHEMATHESIS = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance"


def mended(root: Json) -> Json:
    """The document without links that lead to operations it does not have, or that name no part of a request or an answer."""
    operations = [operation for item in root["paths"].values() for operation in item.values()]
    known = {operation["operationId"] for operation in operations}

    def sound(link: Json) -> bool:
        while "$ref" in link:
            link = root["components"]["links"][link["$ref"].rsplit("/", 1)[-1]]
        return link.get("operationId") in known and all(str(value).startswith("$re") for value in link.get("parameters", {}).values())

    for operation in operations:
        for answer in operation["responses"].values():
            links = answer.get("links", {})
            answer["links"] = {name: link for name, link in links.items() if sound(link)}
    return root


def settings(server: Emulator) -> str:
    """Ids that are there, for the paths."""
    account = server.store.account(server.ad_account_id)
    ids = {
        "ad_account_id": account.id,
        "business_id": server.business_id,
        "campaign_id": next(iter(account.campaigns.rows)),
        "ad_set_id": next(iter(account.ad_sets.rows)),
        "ad_id": next(iter(account.ads.rows)),
        "asset_id": next(iter(account.assets.rows)),
    }
    return "[parameters]\n" + "".join(f'"{name}" = "{value}"\n' for name, value in ids.items())


def run(server: Emulator, directory: Path, *options: str) -> None:
    if SCHEMATHESIS is None:
        pytest.skip("schemathesis is not installed (dependency group contract)")
    # As JSON, which is read in a tenth of the time.
    (directory / "document.json").write_text(json.dumps(mended(document.read())))
    (directory / "schemathesis.toml").write_text(settings(server))
    command = [SCHEMATHESIS, "run", "document.json", "--url", server.base_url, "-H", "Authorization: Bearer good", "--checks", CHECKS]
    quiet = ("--continue-on-failure", "--suppress-health-check", "all", "--generation-deterministic", "--no-color")
    ended = subprocess.run([*command, *quiet, *options], cwd=directory, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-10_000:]
    assert "Tested: 115" in ended.stdout
    assert 500 not in server.statistics().statuses


OPTIONS = {"ad_sets": 40, "limits": None, "any_token": False, "tokens": {"good": "client"}, "processing": 0.0}


@pytest.mark.spotify_ads_emulator(**OPTIONS)
def test_the_document_finds_nothing_wrong(spotify_ads_emulator: Emulator, tmp_path: Path) -> None:
    run(spotify_ads_emulator, tmp_path, "--phases", "examples,fuzzing,stateful", "--max-examples", "3")


@pytest.mark.soak
@pytest.mark.spotify_ads_emulator(**OPTIONS)
def test_the_document_finds_nothing_wrong_in_many_tries(spotify_ads_emulator: Emulator, tmp_path: Path) -> None:
    run(spotify_ads_emulator, tmp_path, "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "60")

"""The API's document, run by schemathesis against the emulator.

Every operation, with examples, made-up calls and chains of calls. Left to `make soak`: in `make test`, test_sdk.py
reads every answer of the emulator with types that were made from the document.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.api_document import document
from support.emulated import Json

from spotify_ads_async.api.facts import known_facts
from spotify_ads_async.emulator import Emulator
from spotify_ads_async.operations import OPERATIONS

SCHEMATHESIS = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
# All but positive_data_acceptance: the API has rules that its document tells in sentences, if at all. An id that
# createUploadUrl answers is the one to create an audience with; replaceUploadUrl takes "an existing audience", and
# declares a 404: there is nothing to replace before.
CHECKS = """
[checks]
positive_data_acceptance.enabled = false
[[operations]]
include-operation-id = "replaceUploadUrl"
checks.ensure_resource_availability.enabled = false
"""


def described(root: Json) -> Json:
    """The document without its links, and with a description of each answer, as OpenAPI demands.

    Some of the links lead nowhere.
    """
    for item in root["paths"].values():
        for operation in item.values():
            for answer in operation["responses"].values():
                answer["description"] = ""
                answer.pop("links", None)
    return root


def settings(server: Emulator) -> str:
    """Ids that are there, for the paths, and what is checked."""
    account = server.store.account(server.ad_account_id)
    ids = {
        "ad_account_id": account.id,
        "business_id": server.business_id,
        "campaign_id": next(iter(account.campaigns.rows)),
        "ad_set_id": next(iter(account.ad_sets.rows)),
        "ad_id": next(iter(account.ads.rows)),
        "asset_id": next(iter(account.assets.rows)),
    }
    return "[parameters]\n" + "".join(f'"{name}" = "{value}"\n' for name, value in ids.items()) + CHECKS


def run(root: Json, server: Emulator, directory: Path, *options: str) -> None:
    if SCHEMATHESIS is None:
        pytest.skip("schemathesis is not installed (dependency group contract)")
    (directory / "document.json").write_text(json.dumps(described(root)))
    (directory / "schemathesis.toml").write_text(settings(server))
    command = [
        SCHEMATHESIS,
        "run",
        "document.json",
        "--url",
        server.base_url,
        "-H",
        "Authorization: Bearer good",
    ]
    quiet = ("--continue-on-failure", "--suppress-health-check", "all", "--generation-deterministic", "--no-color")
    ended = subprocess.run([*command, *quiet, *options], cwd=directory, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-10_000:]
    assert f"Tested: {len(OPERATIONS)}" in ended.stdout
    assert 500 not in server.statistics().statuses


OPTIONS = {"ad_sets": 40, "limits": None, "any_token": False, "tokens": {"good": "client"}, "processing": 0.0}


@pytest.mark.soak
@pytest.mark.spotify_ads_emulator(**OPTIONS)
def test_the_document_finds_nothing_wrong(spotify_ads_emulator: Emulator, tmp_path: Path) -> None:
    run(known_facts(), spotify_ads_emulator, tmp_path, "--phases", "fuzzing", "--max-examples", "1")


@pytest.mark.soak
@pytest.mark.spotify_ads_emulator(**OPTIONS)
def test_the_document_finds_nothing_wrong_in_many_tries(spotify_ads_emulator: Emulator, tmp_path: Path) -> None:
    run(
        document(),
        spotify_ads_emulator,
        tmp_path,
        "--phases",
        "examples,coverage,fuzzing,stateful",
        "--max-examples",
        "60",
    )

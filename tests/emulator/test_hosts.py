"""Whom the emulator answers.

What a page with a name of its own could ask is refused, and links lead where the request came from.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.emulated import Api, Apis


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8090", "127.0.0.1", "[::1]:80", "10.1.2.3:99", "emulator", "ads.localhost", "EMULATOR"],
)
async def test_addresses_and_names_without_a_dot_are_answered(api: Api, host: str) -> None:
    status, _, _ = await api.send("GET", "/businesses", headers={"Host": host})
    assert status == 200


@pytest.mark.parametrize("path", ["/businesses", "{origin}/", "{origin}/_emulator/data", "{origin}/api.json"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8090", "evil.example.", "[::1", "a@b.c"])
async def test_a_foreign_name_is_refused_whatever_it_asks_for(api: Api, path: str, host: str) -> None:
    status, content, _ = await api.send("GET", path.format(origin=api.server.origin), headers={"Host": host})
    assert status == 421
    assert content["error_codes"][0]["code"] == "MISDIRECTED_REQUEST"
    assert api.server.statistics().requests == 0


async def test_names_can_be_allowed(apis: Apis) -> None:
    api = await apis.start(allowed_hosts=["Ads.Example.com"])
    assert (await api.send("GET", "/businesses", headers={"Host": "ads.example.com:443"}))[0] == 200
    assert (await api.send("GET", "/businesses", headers={"Host": "other.example.com"}))[0] == 421


async def test_links_lead_where_the_request_came_from(api: Api) -> None:
    body = {"name": "r1", "granularity": "LIFETIME", "dimensions": ["CAMPAIGN_NAME"], "metrics": ["SPEND"]}
    port = api.server.origin.rpartition(":")[2]
    api.server.store.processing_seconds = 0.0
    made = await api.expect(201, "POST", f"{api.account}/async_reports", json=body)
    report = await api.expect(
        200, "GET", f"{api.account}/async_reports/{made['id']}", headers={"Host": f"localhost:{port}"}
    )
    assert report["report_url"].startswith(f"http://localhost:{port}/")


async def test_what_listens_everywhere_is_called_by_an_address_of_this_machine(apis: Apis) -> None:
    api = await apis.start(host="0.0.0.0")  # noqa: S104 - that is what is tested
    assert api.server.base_url.startswith("http://127.0.0.1:")
    assert (await api.send("GET", "/businesses"))[0] == 200


@pytest.mark.parametrize(("host", "warned"), [("0.0.0.0", True), ("127.0.0.1", False)])  # noqa: S104 - the same
def test_the_command_says_what_another_address_opens(host: str, warned: bool) -> None:  # noqa: FBT001 - a parameter of the test
    command = [
        sys.executable,
        "-m",
        "spotify_ads_async.cli",
        "emulate",
        "--port",
        "0",
        "--ad-sets",
        "1",
        "--host",
        host,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.terminate()
        _, said = process.communicate(timeout=120)
    assert ("whoever reaches this machine" in said) == warned

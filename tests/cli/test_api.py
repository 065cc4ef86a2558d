"""What has changed in the API, as the command line tells it: from files and from a server on this machine."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from spotify_ads_async.api.facts import known_facts, render_facts

from .conftest import CommandLine


class Documents(BaseHTTPRequestHandler):
    """Serves texts by path."""

    texts: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        content = self.texts.get(self.path)
        self.send_response(200 if content is not None else 404)
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the same
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Documents)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()
    Documents.texts.clear()


def newer() -> dict[str, Any]:
    """A document with a new operation, a renamed field, an enum value less and a new required field."""
    facts: dict[str, Any] = copy.deepcopy(known_facts())
    schemas = facts["components"]["schemas"]
    facts["paths"]["/stickers"] = {
        "get": {"operationId": "getStickers", "tags": ["stickers"], "responses": {"204": {"description": ""}}}
    }
    schemas["CampaignResponse"]["properties"]["order_number"] = schemas["CampaignResponse"]["properties"].pop(
        "purchase_order"
    )
    schemas["AdSetPauseReason"]["enum"].remove("ACCOUNT_INACTIVE")
    schemas["CreateCampaignRequest"]["properties"]["reason"] = {"type": "string", "description": "Why."}
    schemas["CreateCampaignRequest"]["required"].append("reason")
    return facts


REPORT = """\
operations
  new     getStickers: GET /stickers
fields
  renamed CampaignResponse.purchase_order → order_number
  new     CreateCampaignRequest.reason: string
enum values
  gone    AdSetPauseReason.ACCOUNT_INACTIVE
required
  new     CreateCampaignRequest.reason
"""


def written(folder: Path, text: str) -> str:
    file = folder / "api.yaml"
    file.write_text(text)
    return str(file)


def test_what_changed_is_named_and_nothing_else(spotify_ads: CommandLine) -> None:
    ended = spotify_ads.run("api", "changes", written(spotify_ads.folder, yaml.safe_dump(newer())))
    assert (ended.returncode, ended.stdout) == (1, REPORT)
    assert ended.stderr.startswith("5 changes between spotify-ads-async ")


def test_the_same_document_is_no_change(spotify_ads: CommandLine) -> None:
    ended = spotify_ads.run("api", "changes", written(spotify_ads.folder, render_facts(known_facts())))
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "no changes" in ended.stderr


def test_programs_get_one_object(spotify_ads: CommandLine) -> None:
    file = written(spotify_ads.folder, json.dumps(newer()))
    ended = spotify_ads.run("api", "changes", "--json", SPOTIFY_ADS_API_DOCUMENT=file)
    assert ended.returncode == 1
    found = json.loads(ended.stdout)
    assert found["document"] == file
    assert [(one["what"], one["change"], one["name"], one["sent"], one["answered"]) for one in found["changes"]] == [
        ("operation", "new", "getStickers", True, False),
        ("field", "renamed", "CampaignResponse.purchase_order", False, True),
        ("field", "new", "CreateCampaignRequest.reason", True, False),
        ("enum value", "gone", "AdSetPauseReason.ACCOUNT_INACTIVE", False, True),
        ("required", "new", "CreateCampaignRequest.reason", True, False),
    ]


def test_the_published_document_is_fetched(spotify_ads: CommandLine, address: str) -> None:
    Documents.texts["/api.yaml"] = yaml.safe_dump(newer()).encode()
    ended = spotify_ads.run("api", "changes", f"{address}/api.yaml")
    assert (ended.returncode, ended.stdout) == (1, REPORT)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{address}/gone.yaml", "has no document (HTTP 404)"),
        ("{address}/page", "not an OpenAPI 3.0 document"),
        ("{address}/bytes", "something that is no text"),
        ("http://127.0.0.1:9/api.yaml", "cannot be read"),
        ("http://example.com/api.yaml", "use https"),
        ("missing.yaml", "No such file"),
        ("broken.yaml", "neither YAML nor JSON"),
        (".", "Is a directory"),
    ],
)
def test_a_document_that_cannot_be_read_is_another_matter_than_a_change(
    spotify_ads: CommandLine, address: str, source: str, said: str
) -> None:
    Documents.texts |= {"/page": b"<html></html>", "/bytes": b"\xff\xfe"}
    (spotify_ads.folder / "broken.yaml").write_text("{")
    ended = spotify_ads.run("api", "changes", source.format(address=address))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr

"""The table of operations: every one of them, what it spends, when it may be repeated, and a method for each."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiohttp import web

from spotify_ads_async import AdsClient, Governor
from spotify_ads_async.operation import ListOperation, ListStyle, Operation, Repeat
from spotify_ads_async.operations import OPERATIONS
from spotify_ads_async.types import Answer, OpenUnion, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

HERE = Path(__file__).parent
ALL = [pytest.param(operation, id=operation.id) for operation in OPERATIONS.values()]

PUBLISHED_LISTS = {
    ListStyle.OFFSET: {
        "getCampaigns": "campaigns",
        "getAdSetsByAdAccountId": "ad_sets",
        "getAds": "ads",
        "getCampaignDraftsV3": "campaign_drafts",
        "getAdSetDrafts": "ad_set_drafts",
        "getAdDrafts": "ad_drafts",
        "getAssetsByAdAccount": "assets",
        "batchGetAudiences": "audiences",
        "getMobileAppsByBusinessId": "mobile_apps",
        "getMobileAppsByBusinessIdAndAdAccountId": "mobile_apps",
        "getChangeHistory": "change_history",
    },
    ListStyle.OFFSET_UNCOUNTED: {"getGeoTargets": "geos"},
    ListStyle.CONTINUATION: {"getAggregateReport": "rows"},
    ListStyle.LIMIT: {"getAudienceEligibleDatasets": "datasets"},
    ListStyle.WHOLE: {
        "getAdAccountMembers": "ad_account_members",
        "getBusinessMembers": "members",
        "getAdAccountsForBusinessMember": "ad_accounts",
        "getDatasetsByBusinessId": "datasets",
        "getDatasetsByAdAccountId": "datasets",
        "getAdCategories": "categories",
        "getBusinesses": "businesses",
        "getPendingInvitations": "business_invitations",
        "getAdAccountsInBusiness": "ad_accounts",
        "getCapiAuthTokens": "data",
        "getDiagnosticsByDatasetId": "datasources",
        "getPodcastShows": "shows",
        "getAggregatedTotals": "rows",
        "getAudienceInsightReport": "rows",
        "getExperimentAvailability": "active_experiments",
        "getArtistTargets": "artists",
        "getGenreTargets": "genres",
        "getInterestTargets": "interests_with_subtargets",
        "getLanguageTargets": "languages",
        "getPlaylistTargets": "playlists",
        "getEpisodeTopicTargets": "episode_topics",
        "getSensitiveTopicTargets": "sensitive_topics",
    },
}

LARGEST_PAGES = {
    ListStyle.OFFSET: 50,
    ListStyle.LIMIT: 50,
    ListStyle.CONTINUATION: 50,
    ListStyle.OFFSET_UNCOUNTED: 1000,
}

CREATES_WITH_A_KEY = {
    *("createCampaign", "createAdSet", "createAd"),
    *("createCampaignDraft", "createAdSetDraft", "createAdDraft"),
    *("createDraftFromCampaign", "createDraftFromAdSet", "createDraftFromAd"),
}
SAFE_WITHOUT_GET = {
    *("estimateAudience", "estimateBid", "getReservedPricing"),
    *("deleteCampaignDraft", "deleteAdSetDraft", "deleteAdDraft"),
}
REPORTING = {
    "getAggregateReport",
    "getAggregatedTotals",
    "getAudienceInsightReport",
    "createAsyncReport",
    "getAsyncReport",
}


@pytest.fixture(scope="module")
def every_operation() -> Callable[[AdsClient], dict[str, Awaitable[Any]]]:
    """The file that the type checker reads; it is no module of a package."""
    spec = importlib.util.spec_from_file_location("every_operation", HERE / "typing" / "every_operation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.every_operation


class Recorder:
    """A server that answers everything alike and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.base_url = ""
        self.answers: dict[str, object] = {}

    async def answer(self, request: web.Request) -> web.Response:
        await request.read()
        self.asked.append((request.method, request.path))
        return web.json_response(self.answers)


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    found = Recorder()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.base_url = str(site.name)
    yield found
    await runner.cleanup()


async def test_every_operation_has_a_method_that_makes_its_request(
    every_operation: Callable[[AdsClient], dict[str, Awaitable[Any]]], recorder: Recorder
) -> None:
    async with AdsClient("token", base_url=recorder.base_url, governor=Governor([])) as ads:
        calls = every_operation(ads)
        assert calls.keys() == OPERATIONS.keys()
        for operation_id, call in calls.items():
            operation = OPERATIONS[operation_id]
            recorder.asked.clear()
            recorder.answers = {operation.item_attribute: []} if isinstance(operation, ListOperation) else {}
            await call
            assert [method for method, _ in recorder.asked] == [operation.method], operation_id
            path = re.escape(operation.path).replace(r"\{", "{").replace(r"\}", "}")
            assert re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), recorder.asked[0][1]), operation_id


def test_there_are_114() -> None:
    assert len(OPERATIONS) == 114
    assert {name: operation.id for name, operation in OPERATIONS.items()} == {name: name for name in OPERATIONS}


def test_no_two_are_the_same_request() -> None:
    assert len({(operation.method, operation.path) for operation in OPERATIONS.values()}) == len(OPERATIONS)


def test_the_lists_are_walked_as_published() -> None:
    walked = {
        operation.id: (operation.style, operation.items)
        for operation in OPERATIONS.values()
        if isinstance(operation, ListOperation)
    }
    assert walked == {name: (style, items) for style, lists in PUBLISHED_LISTS.items() for name, items in lists.items()}


@pytest.mark.parametrize("operation", [one for one in ALL if isinstance(one.values[0], ListOperation)])
def test_a_list_knows_its_items(operation: ListOperation[Any, Any]) -> None:
    kinds = {field.name: field.type for field in msgspec.structs.fields(operation.answer)}
    assert kinds[operation.item_attribute] == list[operation.item] | None
    assert operation.page_size == LARGEST_PAGES.get(operation.style, 0)


def test_creates_that_honour_a_key_have_one_and_only_harmless_calls_are_repeated_without() -> None:
    by_repeat: dict[Repeat, set[str]] = {repeat: set() for repeat in Repeat}
    for operation in OPERATIONS.values():
        by_repeat[operation.repeat].add(operation.id)
    reads = {operation.id for operation in OPERATIONS.values() if operation.method == "GET"}
    assert by_repeat[Repeat.KEYED] == CREATES_WITH_A_KEY
    assert by_repeat[Repeat.SAFE] == reads | SAFE_WITHOUT_GET


def test_reports_spend_a_limit_of_their_own() -> None:
    limits = {operation.id: operation.limits for operation in OPERATIONS.values()}
    assert {name for name, spent in limits.items() if spent == {"client_id", "ip", "reporting"}} == REPORTING
    assert Counter(limits.values()) == {
        frozenset({"client_id", "ip", "reporting"}): 5,
        frozenset({"client_id", "ip"}): 109,
    }


@pytest.mark.parametrize("operation", ALL)
def test_bodies_are_requests_and_answers_are_answers(operation: Operation[Any]) -> None:
    kinds = getattr(operation.body, "__args__", (operation.body,))
    assert all(kind is None or issubclass(kind, Request) for kind in kinds)
    assert operation.body_required
    assert operation.answer is None or issubclass(operation.answer, (Answer, OpenUnion))


def test_the_two_uploads_are_multipart_and_nothing_else() -> None:
    assert {operation.id for operation in OPERATIONS.values() if operation.multipart} == {
        "uploadAsset",
        "transferChunkedAsset",
    }


def test_nine_posts_take_no_body() -> None:
    assert sum(operation.method == "POST" and operation.body is None for operation in OPERATIONS.values()) == 9


def test_required_parameters_are_parameters() -> None:
    required = {operation.id: operation.query_required for operation in OPERATIONS.values() if operation.query_required}
    assert required == {
        "getAggregatedTotals": {"entity_type", "entity_ids", "granularity", "fields"},
        "getDiagnosticsByDatasetId": {"granularities"},
        "getPodcastShows": {"market"},
    }
    assert all(names <= OPERATIONS[operation_id].query.keys() for operation_id, names in required.items())


def test_the_reference_names_every_operation() -> None:
    table = (HERE.parent / "docs" / "reference" / "operations.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| `(\w+ /\S+)` \|", table, re.MULTILINE))
    assert rows == {operation.id: f"{operation.method} {operation.path}" for operation in OPERATIONS.values()}

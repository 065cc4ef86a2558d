"""The JSON that an answer came from: whole, with what no model knows, and nothing that an ordinary answer pays for."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.raw_server import RawServer, answer

from spotify_ads_async import AdsClient, Governor
from spotify_ads_async.core import wire
from spotify_ads_async.models import AdSet, StoredTargets
from spotify_ads_async.operations import GET_AD_SET_BY_ID, GET_AD_SETS_BY_AD_ACCOUNT_ID

ACCOUNT = "ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a"
AD_SET: dict[str, Any] = {
    "zeal": {"depth": [1, {"unheard": None}]},
    "id": "00000000-0000-4000-8000-000000000001",
    "name": "Autumn",
    "targets": {"weather": ["RAIN"], "platforms": ["SMART_FRIDGE"], "language": None},
}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def decoded(body: dict[str, Any]) -> AdSet:
    return wire.answer(GET_AD_SET_BY_ID, status=200, content_type=str, body=json.dumps(body).encode())


@given(
    st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1).map(lambda name: f"new {name}"), JSON, max_size=4)
)
def test_a_single_answer_has_its_json_in_its_order(extra: dict[str, Any]) -> None:
    body = {**extra, **AD_SET}
    found = decoded(body).json
    assert found == body
    assert list(found) == list(body)


def test_it_may_be_changed_without_a_trace() -> None:
    one = decoded(AD_SET)
    one.json["targets"]["weather"].append("SNOW")
    assert one.json == AD_SET


def test_it_changes_nothing_else_about_an_answer() -> None:
    one, other = decoded(AD_SET), decoded({**AD_SET, "zeal": 1})
    assert (one == other, hash(one.name) == hash(other.name), "zeal" in repr(one)) == (True, True, False)
    for again in (pickle.loads(pickle.dumps(one)), copy.copy(one), copy.deepcopy(one)):  # noqa: S301 - our own bytes
        assert (again, again.json) == (one, one.json)


@pytest.mark.parametrize("without", [AdSet(name="made by hand"), StoredTargets()])
def test_what_did_not_come_so_says_where_it_comes_from(without: AdSet) -> None:
    with pytest.raises(LookupError, match="keep_json=True"):
        _ = without.json


async def test_a_get_and_the_items_of_a_list() -> None:
    page = {"paging": {"total_results": 1}, "ad_sets": [AD_SET]}

    async with (
        RawServer(script=[answer(200, AD_SET), answer(200, page), answer(200, page)]) as server,
        AdsClient("token", base_url=server.base_url, governor=Governor([])) as ads,
    ):
        account = ads.ad_account(ACCOUNT)
        assert (await account.ad_sets.get(AD_SET["id"])).json == AD_SET
        (plain,) = (await account.ad_sets.list(limit=1)).items
        with pytest.raises(LookupError):
            _ = plain.json
        keeping = ads.with_options(keep_json=True).ad_account(ACCOUNT)
        found = await keeping.ad_sets.list(limit=1)
        assert [row.json for row in found.items] == [AD_SET]
        assert found.answer.json == page


def test_an_empty_list_keeps_nothing() -> None:
    body = b'{"paging": null, "ad_sets": null}'
    assert (
        wire.answer(GET_AD_SETS_BY_AD_ACCOUNT_ID, status=200, content_type=str, body=body, keep_json=True).ad_sets
        is None
    )

"""Every request that the package builds keeps to the document's own schemas: the schema library is the judge."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
import pytest
from conformance.document import DocumentedOperation, Parameter, Schema, load
from conformance.values import Strategy, values
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.effort import examples
from support.structs import change

from spotify_ads_async import models
from spotify_ads_async.core import wire
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.operation import Operation
from spotify_ads_async.operations import OPERATIONS
from spotify_ads_async.types import UNSET

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
MOST_REPAIRS = 25

DOCUMENTED = list(load().operations.values())

# What satisfies a rule across fields, where leaving the field out does not.
GIVEN: Mapping[str, object] = {
    "body": UNSET,
    "body.name": "Autumn",
    "body.start_time": LATER,
    "body.end_time": LATER + timedelta(days=1),
    "body.end_date": UNSET,
    "body.bid_micro_amount": 5_000_000,
    "body.budget.type": models.BudgetType.LIFETIME,
    "body.budget.currency": "USD",
    "body.currency": "USD",
    "body.country_code": "SE",
    "body.asset_format": models.AssetFormat.VIDEO,
    "body.objective": models.CampaignObjective.CLICKS,
    "body.targets.placements": [models.Placement.MUSIC],
    "body.promotion.promotion_target_id": "4q3ewBCX7sLwd24euuV69X",
    "body.draft_hierarchy_version": 3,
    "body.asset_subtype": models.AssetSubtype.USER_UPLOADED_AUDIO,
    "body.lookback_days": 60,
    "body.domain": "https://www.example.com",
    "body.report_start": NOW,
    "body.report_end": NOW + timedelta(days=7),
    "query.market": "NO",
    "query.q": "Oslo",
    "query": {"q": "Oslo"},
    "query.entity_type": models.ReportEntityType.AD_SET,
    "query.granularity": models.ReportGranularity.LIFETIME,
    "query.fields": [models.ReportFieldType.IMPRESSIONS],
    "query.insight_dimension": models.InsightDimension.AGE,
    "query.report_start": NOW,
    "query.report_end": NOW + timedelta(days=7),
}
NEEDED_BESIDE = {"query.entity_ids_type": "entity_ids", "query.entity_status_type": "statuses"}


def by_id(operation: DocumentedOperation) -> str:
    return operation.id


class Call:
    """One call's parts, mended until the package takes them."""

    def __init__(self, operation: Operation[Any], path: dict[str, str], query: dict[str, Any], body: Any) -> None:  # noqa: ANN401 - any struct
        self.operation, self.path, self.query, self.body = operation, path, query, body

    def request(self) -> wire.HttpRequest:
        for _ in range(MOST_REPAIRS):
            try:
                return wire.request(self.operation, path=self.path, query=self.query, body=self.body, now=lambda: NOW)
            except InvalidRequest as problem:
                self._mend(problem)
        assume(False)  # noqa: FBT003 - hypothesis's way to give an example up
        raise AssertionError

    def _mend(self, problem: InvalidRequest) -> None:
        """Leave out what broke a rule, or give what satisfies it."""
        place = problem.path
        if place == "query":
            self.query |= GIVEN[place]  # type: ignore[arg-type, operator]
        elif place.startswith("query."):
            name = re.split(r"[.\[]", place)[1]
            needed = place in GIVEN and (
                problem.rule.startswith("is required") or name in self.operation.query_required
            )
            self.query[name] = GIVEN[place] if needed else UNSET
            if place in NEEDED_BESIDE and problem.rule.startswith("is required"):
                self.query.pop(NEEDED_BESIDE[place])
        elif place == "body":
            self.body = change(self.body, "name", "Autumn")
        else:
            field = re.split(r"\[", place)[0]
            self.body = change(self.body, field.removeprefix("body."), GIVEN.get(place, UNSET))


def calls(documented: DocumentedOperation) -> Strategy:
    operation = OPERATIONS[documented.id]
    queries = {name: values(kind) for name, kind in operation.query.items()}
    kept = {name: one for name, one in queries.items() if not one.is_empty}
    body = st.none() if operation.body is None else values(operation.body)
    if operation.body is not None and not operation.body_required:
        body |= st.none()
    ids = st.fixed_dictionaries({name: st.uuids().map(str) for name in documented.placed("path")})
    needed = {name: one for name, one in kept.items() if name in operation.query_required}
    return st.builds(
        Call,
        st.just(operation),
        ids,
        st.fixed_dictionaries(needed, optional={name: one for name, one in kept.items() if name not in needed}),
        body,
    )


@pytest.mark.parametrize("documented", DOCUMENTED, ids=by_id)
@settings(max_examples=examples(40), database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_requests_keep_to_the_document(documented: DocumentedOperation, data: st.DataObject) -> None:
    call = data.draw(calls(documented))
    request = call.request()
    target, _, query = request.target.partition("?")
    assert request.method == documented.method
    judge_path(documented, target)
    judge_query(documented, query)
    judge_body(documented, request)


def judge_path(documented: DocumentedOperation, target: str) -> None:
    found = re.fullmatch(re.sub(r"{(\w+)}", r"(?P<\1>[^/?#]+)", documented.path), target)
    assert found, target
    assert found.groupdict().keys() == documented.placed("path").keys()
    for name, parameter in documented.placed("path").items():
        assert load().problems(parameter.schema, unquote(found[name])) == []


def judge_query(documented: DocumentedOperation, query: str) -> None:
    sent: dict[str, list[str]] = {}
    for name, text in parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)):
        sent.setdefault(name, []).append(text)
    parameters = documented.placed("query")
    assert sent.keys() <= parameters.keys()
    assert {name for name, one in parameters.items() if one.required} <= sent.keys()
    for name, texts in sent.items():
        assert load().problems(parameters[name].schema, read(parameters[name], texts)) == [], query


def read(parameter: Parameter, texts: list[str]) -> object:
    """A parameter's value as a server reads it: repeated keys are a list."""
    flat = load().flat(parameter.schema)
    if flat.get("type") == "array":
        return [typed(load().flat(flat["items"]), text) for text in texts]
    assert len(texts) == 1
    return typed(flat, texts[0])


def typed(flat: Schema, text: str) -> object:
    match flat.get("type"):
        case "integer":
            return int(text)
        case "boolean":
            return {"true": True, "false": False}[text]
        case _:
            return text


def judge_body(documented: DocumentedOperation, request: wire.HttpRequest) -> None:
    if request.body is None:
        assert documented.body is None or not OPERATIONS[documented.id].body_required
        return
    assert documented.body is not None
    if isinstance(request.body, tuple):
        assert documented.media_type == "multipart/form-data"
        properties = load().flat(documented.body)["properties"]
        sent: Any = {
            part.name: typed(load().flat(properties[part.name]), part.content.decode())
            if part.filename is None
            else "(file)"
            for part in request.body
        }
    else:
        assert request.headers["Content-Type"] == documented.media_type == "application/json"
        sent = msgspec.json.decode(request.body)
    assert load().problems(documented.body, sent) == [], sent
    assert load().strangers(documented.body, sent) == []


def test_the_package_has_every_operation_of_the_document() -> None:
    assert OPERATIONS.keys() == load().operations.keys()
    for documented in DOCUMENTED:
        operation = OPERATIONS[documented.id]
        assert (operation.method, operation.path) == (documented.method, documented.path)
        assert operation.query.keys() == documented.placed("query").keys()
        assert operation.query_required == {name for name, one in documented.placed("query").items() if one.required}
        assert operation.multipart == (documented.media_type == "multipart/form-data")
        assert (operation.body is None) == (documented.body is None)


def test_the_checks_ask_for_uuids_wherever_the_document_does() -> None:
    for documented in DOCUMENTED:
        for name, parameter in documented.placed("path").items():
            ids = dict.fromkeys(documented.placed("path"), "ce4ff15e-f04d-48b9-9ddf-fb3c85fbd57a") | {name: "plain"}
            try:
                wire.validation.check_path(OPERATIONS[documented.id], ids)
            except InvalidRequest:
                free = False
            else:
                free = True
            assert free == (not load().problems(parameter.schema, "plain")), (documented.id, name)

"""Every answer that the document allows decodes with nothing lost, and so does what it does not know yet."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from conformance.answers import Answers
from conformance.document import DocumentedOperation, Schema, load

from spotify_ads_async.core import wire
from spotify_ads_async.errors import InvalidAnswer
from spotify_ads_async.operation import ListOperation
from spotify_ads_async.operations import OPERATIONS
from spotify_ads_async.types import Secret

EACH = [20, pytest.param(200, marks=pytest.mark.soak)]
"""Answers per operation that keep to the document, and as many that do not."""
JUDGED = 5
"""So many of the first are shown to the schema library, to keep the generator honest."""

ANSWERED = [one for one in load().operations.values() if one.answer is not None]
SILENT = [one for one in load().operations.values() if one.answer is None]


def by_id(operation: DocumentedOperation) -> str:
    return operation.id


def reveal(value: object) -> str:
    assert isinstance(value, Secret)
    return value.reveal()


def decoded(operation: DocumentedOperation, sent: object) -> Any:  # noqa: ANN401 - the answer of any operation
    return wire.answer(
        OPERATIONS[operation.id], status=200, content_type=lambda: "application/json", body=msgspec.json.encode(sent)
    )


def lost(schema: Schema, sent: Any, kept: Any, place: str = "$") -> Iterator[str]:  # noqa: ANN401 - any JSON values
    """The places where a value that the document knows is not what was sent. Null and absent are the same."""
    document = load()
    variants = document.variants(schema)
    if variants:
        tag, schemas = variants
        if sent.get(tag) not in schemas:
            if kept.get("data") != sent:
                yield place
            return
        schema = schemas[sent[tag]]
    flat = document.flat(schema)
    if isinstance(sent, dict) and "properties" in flat:
        known = {name: value for name, value in sent.items() if value is not None and name in flat["properties"]}
        for name, value in known.items():
            yield from lost(flat["properties"][name], value, kept.get(name), f"{place}.{name}")
    elif isinstance(sent, list) and isinstance(kept, list) and len(kept) == len(sent):
        for at, (one, other) in enumerate(zip(sent, kept, strict=True)):
            yield from lost(flat["items"], one, other, f"{place}[{at}]")
    elif not same(flat, sent, kept):
        yield f"{place}: {sent!r} became {kept!r}"


def same(flat: Schema, sent: Any, kept: Any) -> bool:  # noqa: ANN401 - any JSON values
    if flat.get("format") == "date-time" and isinstance(kept, str):
        return datetime.fromisoformat(kept) == datetime.fromisoformat(sent)
    if isinstance(sent, int | float) and not isinstance(sent, bool) and isinstance(kept, str | int | float):
        return Decimal(str(kept)) == Decimal(str(sent))
    return type(kept) is type(sent) and kept == sent


@pytest.mark.parametrize("each", EACH)
@pytest.mark.parametrize("operation", ANSWERED, ids=by_id)
def test_random_answers_decode_and_nothing_is_lost(operation: DocumentedOperation, each: int) -> None:
    assert operation.answer is not None
    for at, loose in itertools.product(range(each), (False, True)):
        answers = Answers(load(), random.Random(f"{operation.id} {loose} {at}"), loose)  # noqa: S311 - repeatable, not secret
        sent = answers.make(operation.answer)
        if not loose and at < JUDGED:
            assert load().problems(operation.answer, sent) == []
        try:
            answer = decoded(operation, sent)
        except InvalidAnswer as problem:
            # Of a list only this may be refused: nothing in its place, and something else beside it.
            if not isinstance(OPERATIONS[operation.id], ListOperation) or "in their place" not in str(problem):
                raise
            continue
        kept = msgspec.json.decode(msgspec.json.encode(answer, enc_hook=reveal))
        assert list(lost(operation.answer, sent, kept)) == [], sent


def test_an_empty_object_decodes() -> None:
    assert [operation.id for operation in ANSWERED if decoded(operation, {}) is None] == []


def test_operations_without_an_answer_have_none() -> None:
    for operation in SILENT:
        assert OPERATIONS[operation.id].answer is None
        assert wire.answer(OPERATIONS[operation.id], status=204, content_type=lambda: "", body=b"") is None


def test_the_generator_reaches_what_nobody_has_published() -> None:
    answers = Answers(load(), random.Random(1), loose=True)  # noqa: S311 - repeatable, not secret
    schema = next(one for one in ANSWERED if one.id == "getAssetsByAdAccount").answer
    assert schema is not None
    seen = str([answers.make(schema) for _ in range(200)])
    for sight in ("brand_new_", "BRAND_NEW_", "HOLOGRAM", "None"):
        assert sight in seen

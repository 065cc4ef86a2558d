from __future__ import annotations

from typing import Any

import pytest

from spotify_ads_async.emulator.domain.answers import Refusal
from spotify_ads_async.emulator.domain.checking import check_named
from spotify_ads_async.emulator.domain.handlers import HANDLERS
from spotify_ads_async.operations import OPERATIONS
from spotify_ads_async.undocumented import UNDOCUMENTED


def test_every_operation_has_its_handler() -> None:
    assert set(OPERATIONS) == set(HANDLERS) - set(UNDOCUMENTED)


def test_what_the_document_leaves_open_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    fields: dict[str, Any] = {
        "any": {},
        "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        "object": {"type": "object"},
    }
    facts = {"components": {"schemas": {"Open": {"type": "object", "properties": fields}}}}
    monkeypatch.setattr("spotify_ads_async.emulator.domain.shapes._facts", lambda: facts)
    body = {"any": 5, "either": "x", "object": {"a": 1}}
    assert check_named("Open", body) == body
    with pytest.raises(Refusal, match="object: Expected `object`"):
        check_named("Open", {"object": 5})

"""The recorded session of the documentation is what the program still does."""

from __future__ import annotations

import re

import pytest

from tests.support import record_bulk


def masked(lines: list[str]) -> list[str]:
    """Without figures and ids, which depend on the moment of the kill and on the day."""
    return [" ".join(re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9][0-9.,:]*", "#", line).split()) for line in lines]


@pytest.mark.soak
def test_the_recorded_session_is_repeated() -> None:
    recorded = record_bulk.FILE.read_text(encoding="utf-8").splitlines()
    assert masked(list(record_bulk.record())) == masked(recorded)

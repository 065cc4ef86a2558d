"""The documentation's table of retries and its table of errors say what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from spotify_ads_async import SpotifyAdsError, errors
from spotify_ads_async.core.retry import MATRIX, Failure, matrix_table
from spotify_ads_async.operation import Repeat

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def test_the_matrix_is_printed() -> None:
    """After a change: `python -c 'from spotify_ads_async.core.retry import matrix_table; print(matrix_table())'`."""
    assert matrix_table() in (REFERENCE / "retry-matrix.md").read_text()


def test_the_matrix_has_a_verdict_for_everything() -> None:
    assert MATRIX.keys() == set(Failure)
    assert all(row.keys() == set(Repeat) for row in MATRIX.values())


RAISED = [
    name
    for name in errors.__all__
    if isinstance(getattr(errors, name), type)
    and issubclass(getattr(errors, name), SpotifyAdsError)
    and name != "SpotifyAdsError"
]


@pytest.mark.parametrize("name", RAISED)
def test_every_error_is_in_the_table(name: str) -> None:
    assert f"\n| `{name}` |" in (REFERENCE / "errors.md").read_text()

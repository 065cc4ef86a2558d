"""How much of a large space `make test` tries; `make soak` tries the rest."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from _pytest.mark import ParameterSet
from hypothesis import settings

EVERY_DAY, AT_LENGTH = "every day", "at length"
"""Profiles of hypothesis: that of `make test`, and that of `make soak`."""
_WHOLE = 100


def register_profiles() -> None:
    """How long an example takes is the machine's affair: no profile has a deadline."""
    settings.register_profile(EVERY_DAY, settings(), deadline=None, max_examples=20)
    settings.register_profile(AT_LENGTH, settings(), deadline=None, max_examples=_WHOLE)
    settings.load_profile(EVERY_DAY)


def examples(count: int) -> int:
    """So many examples at length, and the profile's share of them else."""
    return count * settings().max_examples // _WHOLE


def diagonal(rows: Iterable[Iterable[object]], *, one_in: int) -> list[object]:
    """The cases of a table, of which every ``one_in``-th of each row and of each column runs in `make test`."""
    return [
        case if (row + column) % one_in == 0 else left_to_soak(case)
        for row, cases in enumerate(rows)
        for column, case in enumerate(cases)
    ]


def left_to_soak(case: object) -> ParameterSet:
    """The same parameter, run by `make soak` alone."""
    if isinstance(case, ParameterSet):
        return pytest.param(*case.values, id=case.id, marks=[*case.marks, pytest.mark.soak])
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.soak)

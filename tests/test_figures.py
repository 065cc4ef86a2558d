"""Figures on pages are what the measurements found."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


def figures_page() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "figures_page_of_the_benchmarks", ROOT / "benchmarks" / "_figures_page.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FIGURES = figures_page()


@pytest.mark.parametrize("page", FIGURES.PAGES, ids=lambda page: page.name)
def test_tables_say_what_was_found(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = page.read_text(encoding="utf-8")
    assert FIGURES.with_figures(text) == text, "write them anew: python -m benchmarks._figures_page"
    assert not capsys.readouterr().out, "a table lacks results"


def test_every_result_with_a_chart_is_on_the_page() -> None:
    folder = ROOT / "docs" / "benchmarks"
    shown = "".join(page.read_text(encoding="utf-8") for page in FIGURES.PAGES)
    assert [file.name for file in folder.glob("*.svg") if file.name not in shown] == []

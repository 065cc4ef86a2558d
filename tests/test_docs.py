"""Every example of README.md and docs/ runs; those of the command line's pages do in tests/test_manual.py."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import typed_pages
from support.emulator_process import EmulatorProcess, emulator_process
from support.examples import INSTALLED, ROOT, blocks_of, run_page

ELSEWHERE = ROOT / "docs" / "reference" / "command-line"
PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if page.parent != ELSEWHERE and blocks_of(page)
]


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    with emulator_process("--ad-sets", "200", "--limits", "off", "--latency", "0") as running:
        yield running


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
async def test_examples_run(
    page: Path, warm_programs: Path, emulator: EmulatorProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = INSTALLED if page.name == "README.md" else warm_programs
    await run_page(page, programs, emulator, tmp_path, monkeypatch)


def test_type_checkers_read_the_pages() -> None:
    assert typed_pages.FILE.read_text(encoding="utf-8") == typed_pages.typed_pages(), "run `make api`"


def test_the_test_with_the_emulator_passes_in_a_new_folder(tmp_path: Path) -> None:
    page = ROOT / "docs" / "how-to" / "testing-with-the-emulator.md"
    (tmp_path / "test_ad_sets.py").write_text(next(block.code for block in blocks_of(page) if block.kind == "python"))
    _, _, settings = page.read_text().partition("```toml\n")
    (tmp_path / "pyproject.toml").write_text(settings.partition("```")[0])
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout

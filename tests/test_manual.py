"""The command line's pages are what the program says, and their examples run."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.emulator_process import RunningEmulator
from support.examples import INSTALLED, blocks_of, run_page, surroundings

from spotify_ads_cli.app import COMMANDS
from spotify_ads_cli.examples import examples, lines_of
from tools import man, manual


def test_the_pages_are_those_of_the_program() -> None:
    found = {page.name: page.read_text(encoding="utf-8") for page in manual.FOLDER.glob("*.md")}
    for name, text in manual.pages().items():
        assert found.pop(name, "") == text, f"{name}: run `make manual`"
    assert not found, "pages of commands that are gone: run `make manual`"


def test_the_man_page_is_that_of_the_program() -> None:
    assert man.FILE.read_text(encoding="utf-8") == man.man_page(manual.commands()), "run `make manual`"


def test_the_navigation_names_every_page() -> None:
    text = manual.NAVIGATION.read_text(encoding="utf-8")
    assert manual.navigation(text) == text, "run `make manual`"
    assert [
        f'"reference/command-line/{name}.md"' for name in COMMANDS if f'"reference/command-line/{name}.md"' not in text
    ] == []


def test_every_example_is_of_a_command() -> None:
    assert examples().keys() == {"index", *COMMANDS}, "spotify_ads_cli/examples.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_runs(name: str) -> None:
    blocks = blocks_of(manual.FOLDER / f"{name}.md")
    assert any(f"spotify-ads {name}" in block.code for block in blocks if block.kind == "console")


def test_help_of_every_command_has_an_example() -> None:
    for name, (command, _) in manual.commands().items():
        for inner, part in getattr(command, "commands", {"": command}).items():
            assert part.hidden or lines_of(f"spotify-ads {name} {inner}".rstrip()), (
                f"spotify_ads_cli/examples.md: {name} {inner}"
            )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_page_has_every_option_and_command(name: str) -> None:
    text = (manual.FOLDER / f"{name}.md").read_text(encoding="utf-8")
    command, _ = manual.commands()[name]
    for part in getattr(command, "commands", {name: command}).values():
        for one in part.params:
            if not getattr(one, "hidden", False):
                assert all(option in text for option in one.opts if option.startswith("--"))
    for inner in getattr(command, "commands", ()):
        assert f"## {name} {inner}\n" in text


@pytest.mark.parametrize("name", ["index", *COMMANDS])
async def test_examples_run(
    name: str, warm_programs: Path, emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await run_page(manual.FOLDER / f"{name}.md", surroundings(emulator.environment, tmp_path, warm_programs, INSTALLED))

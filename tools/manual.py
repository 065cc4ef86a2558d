"""``python -m tools.manual``: the command line's pages, from the program itself and its examples.

Writes ``docs/reference/command-line/`` and their place in the navigation. A new command needs an example in
``spotify_ads_cli/examples.md``; everything else comes from the command.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from spotify_ads_async.cli.run import EXIT_CODES
from spotify_ads_cli.app import COMMANDS, app
from spotify_ads_cli.examples import examples
from tools.man import FILE, man_page, readable

__all__ = ["FOLDER", "NAVIGATION", "commands", "main", "navigation", "pages"]

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference" / "command-line"
NAVIGATION = ROOT / "zensical.toml"

_PROGRAM = "spotify-ads"
_NOTICE = (
    "<!-- Written by `make manual` from the program and spotify_ads_cli/examples.md: change those, not this page. -->"
)
_MENU = re.compile(r'(?P<indent> *)\{ "Command line" = \[\n.*?\n *\] \},\n', re.DOTALL)


def commands() -> dict[str, tuple[Any, typer.Context]]:
    """Every command that help names, with its context."""
    root: Any = get_command(app)
    outer = typer.Context(root, info_name=_PROGRAM)
    found: dict[str, tuple[Any, typer.Context]] = {}
    for name in root.list_commands(outer):
        command = root.get_command(outer, name)
        found[name] = command, typer.Context(command, info_name=name, parent=outer)
    return found


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    shown = examples()
    written = {"index.md": _index(shown.get("index", ""))}
    for name, (command, context) in commands().items():
        written[f"{name}.md"] = _page(name, command, context, shown.get(name, ""))
    return written


def navigation(text: str) -> str:
    """The navigation with one entry for each page."""
    names = ["index", *COMMANDS]

    def entries(found: re.Match[str]) -> str:
        indent = found["indent"]
        lines = "".join(f'{indent}  "reference/command-line/{name}.md",\n' for name in names)
        return f'{indent}{{ "Command line" = [\n{lines}{indent}] }},\n'

    return _MENU.sub(entries, text)


def _index(text: str) -> str:
    root: Any = get_command(app)
    rows = [f"| [`{name}`]({name}.md) | {entry.help} |" for name, entry in COMMANDS.items()]
    return "\n".join(
        [
            _NOTICE,
            "",
            "# Command line",
            "",
            text,
            "",
            "## Commands",
            "",
            "| Command | What it does |",
            "|---|---|",
            *rows,
            "",
            "## Options before the command",
            "",
            *_parameters(root, typer.Context(root, info_name=_PROGRAM)),
            "Every command has `--help`.",
            "",
            "## Exit codes",
            "",
            "| Code | Meaning |",
            "|---|---|",
            *(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()),
            "",
        ]
    )


def _page(name: str, command: Any, context: typer.Context, example: str) -> str:  # noqa: ANN401 - typer's own
    lines = [_NOTICE, "", f"# {_PROGRAM} {name}", "", COMMANDS[name].help, ""]
    inner: Mapping[str, Any] = getattr(command, "commands", {})
    if inner:
        help_text = _prose(command.help)
        lines += [] if help_text == COMMANDS[name].help else [help_text, ""]
        lines += ["| Command | What it does |", "|---|---|"]
        lines += [
            f"| [`{name} {one}`](#{name}-{one}) | {_text(_first_paragraph(part.help))} |" for one, part in inner.items()
        ]
        lines += ["", "## Examples", "", example, ""]
        for one, part in inner.items():
            deeper = typer.Context(part, info_name=one, parent=context)
            lines += [f"## {name} {one}", "", *_synopsis(part, deeper), *_parameters(part, deeper)]
    else:
        lines += [
            *_synopsis(command, context),
            "## Examples",
            "",
            example,
            "",
            "## Options",
            "",
            *_parameters(command, context),
        ]
    codes = " · ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())
    return "\n".join([*lines, "## Exit codes", "", f"{codes}.", ""])


def _synopsis(command: Any, context: typer.Context) -> list[str]:  # noqa: ANN401 - typer's own
    """How a command is called, and what it does."""
    usage = " ".join(command.get_usage(context).split()).removeprefix("Usage: ")
    # Braces group alternatives; typer puts them around a single name, too.
    return ["```text", re.sub(r"\{(\w+)\}", r"\1", usage), "```", "", _prose(command.help), ""]


def _parameters(command: Any, context: typer.Context) -> list[str]:  # noqa: ANN401 - typer's own
    lines: list[str] = []
    for kind in ("argument", "option"):
        rows = [row for one in command.params if one.param_type_name == kind for row in _rows(one, context)]
        if rows:
            lines += [f"| {kind.capitalize()} | Meaning | Default |", "|---|---|---|", *rows, ""]
    return lines


def _rows(parameter: Any, context: typer.Context) -> Iterator[str]:  # noqa: ANN401 - typer's own
    record = parameter.get_help_record(context)
    if record is None:
        return  # it is hidden
    names, text = record
    text, _, facts = text.partition("  [")
    meaning, default = _text(text.strip()), ""
    for fact in facts.removesuffix("]").split("; ") if facts else ():
        label, _, value = fact.partition(": ")
        if label == "default":
            default = _code(value)
        elif label == "env var":
            meaning += f" Read from {_code(value)} if left out."
        elif fact == "required":
            default = "required"
        else:
            meaning += f" Range: {_code(fact)}."
    yield f"| {_code(readable(names))} | {meaning} | {default} |"


def _code(text: str) -> str:
    """Code in a cell. A bar would end the cell, and the backslash that keeps it from that would be seen."""
    return f"<code>{html.escape(text, quote=False).replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


def _text(text: str) -> str:
    """Text outside of code, in which a ``<`` would begin a tag."""
    return "".join(
        _code(part) if index % 2 else part.replace("<", "&lt;").replace("|", "&#124;")
        for index, part in enumerate(text.split("`"))
    )


def _first_paragraph(text: str | None) -> str:
    return _prose(text).split("\n\n")[0]


def _prose(text: str | None) -> str:
    """A command's help, with its paragraphs on one line each."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in (text or "").split("\n\n")).strip()


def main() -> None:
    """Write the pages and the navigation, and drop pages of commands that are gone."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    written = pages()
    for stale in FOLDER.glob("*.md"):
        if stale.name not in written:
            stale.unlink()
    for name, text in written.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(man_page(commands()), encoding="utf-8")
    NAVIGATION.write_text(navigation(NAVIGATION.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

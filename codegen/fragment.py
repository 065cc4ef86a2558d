"""Writes the changelog's fragment about the API's own changes."""

from __future__ import annotations

from collections.abc import Sequence

from spotify_ads_async.api.changes import HEADINGS, Change

__all__ = ["FILE", "render"]

FILE = "changes/+api-document.changed.md"
_TURNS = {"new": "new {}", "gone": "{} gone", "changed": "{} changed", "renamed": "{} renamed"}


def render(changes: Sequence[Change]) -> str:
    """What changed for users in one sentence for each kind of fact."""
    sentences: list[str] = []
    for kind, heading in HEADINGS.items():
        for turn, form in _TURNS.items():
            names = [_named(change) for change in changes if (change.what, change.change) == (kind, turn)]
            if names:
                said = form.format("required fields" if kind == "required" else heading)
                sentences.append(f"{said[:1].upper()}{said[1:]}: {', '.join(names)}.")
    return "The package follows a newer document of the API. " + " ".join(sentences) + "\n"


def _named(change: Change) -> str:
    return f"`{change.name}` → `{change.after}`" if change.change == "renamed" else f"`{change.name}`"

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
            found = [change for change in changes if (change.what, change.change) == (kind, turn)]
            names = [f"`{one.name}`" + (f" → `{one.after}`" if turn == "renamed" else "") for one in found]
            if names:
                said = form.format("required fields" if kind == "required" else heading)
                sentences.append(f"{said[:1].upper()}{said[1:]}: {', '.join(names)}.")
    return "The package follows a newer document of the API. " + " ".join(sentences) + "\n"

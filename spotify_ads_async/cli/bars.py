"""Bars and counts on stderr, with rich. Whoever shows one imports this where a terminal listens: it takes its time."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.constrain import Constrain
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from spotify_ads_async.cli.terminal import errors

__all__ = ["counting_bar", "run_bar", "upload_bar"]

_ROOM_FOR_CONTROL_C = 4


class _Bar(Progress):
    """Ends some columns before the line does.

    A terminal writes ``^C`` behind the bar when somebody presses it. At the end of a full line that goes to the next
    one, and the bar after it, so that nothing would clear the first.
    """

    def get_renderables(self) -> Iterable[RenderableType]:
        yield Constrain(self.make_tasks_table(self.tasks), errors().width - _ROOM_FOR_CONTROL_C)


def counting_bar(total: int | None) -> Progress:
    """How many there are, of ``total`` if that is known."""
    number = TextColumn("{task.completed}") if total is None else MofNCompleteColumn()
    return _Bar(TextColumn("{task.description}"), number, TimeElapsedColumn(), console=errors(), transient=True)


def run_bar() -> Progress:
    """How far a bulk run is, with the field ``facts``; it is drawn when it is refreshed."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[facts]}"),
    )
    return _Bar(*columns, console=errors(), auto_refresh=False, transient=True, expand=True)


def upload_bar() -> Progress:
    """How much of a file has been sent, with the field ``phase``."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[phase]}"),
    )
    return _Bar(*columns, console=errors(), transient=True)

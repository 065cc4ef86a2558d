"""A count that grows, on stderr: what is made or written, of how many if that is known.

Nothing where no terminal listens.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator

from spotify_ads_async.cli.terminal import somebody_watches

__all__ = ["counting"]


@contextlib.contextmanager
def counting(what: str, total: int | None = None) -> Generator[Callable[[], None]]:
    """Show how many there are; call what is given for each."""
    if not somebody_watches():
        yield lambda: None
        return
    from spotify_ads_async.cli.bars import counting_bar  # noqa: PLC0415 - only a terminal needs it

    with counting_bar(total) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)

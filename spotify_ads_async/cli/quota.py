"""``spotify-ads quota``."""

from __future__ import annotations

import msgspec

from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.options import OutputForm
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.run import run

__all__ = ["quota"]

_COLUMNS = ("limit", "owner", "window", "capacity", "available", "in_flight", "returning", "next_return", "paused_for")


def quota(*, output: OutputForm = Output.TABLE) -> None:
    """Show how full each window is, as far as this machine's requests fill it. It spends nothing."""

    async def command() -> None:
        async with connected() as client:
            with Rows(output, _COLUMNS) as rows:
                for window in client.quota().windows:
                    rows.write(msgspec.to_builtins(window))

    run(command)

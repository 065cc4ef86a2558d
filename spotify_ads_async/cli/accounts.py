"""``spotify-ads accounts``."""

from __future__ import annotations

import msgspec

from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.options import Fields, OutputForm
from spotify_ads_async.cli.output import Output
from spotify_ads_async.cli.reading import rows_of
from spotify_ads_async.cli.run import run
from spotify_ads_async.models import AdAccount

__all__ = ["accounts"]

_TABLE_COLUMNS = ("id", "name", "business_id", "currency_code", "country_code", "status")


def accounts(*, fields: Fields = None, output: OutputForm = Output.TABLE) -> None:
    """List every ad account of every business that you belong to."""

    async def command() -> None:
        async with connected() as client:
            with rows_of(AdAccount, output=output, fields=fields, table=_TABLE_COLUMNS) as rows:
                async for account in client.ad_accounts():
                    rows.write(msgspec.to_builtins(account))

    run(command)

"""``spotify-ads accounts``."""

from __future__ import annotations

import msgspec

from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.options import Fields, Limit, OutputForm
from spotify_ads_async.cli.output import Output
from spotify_ads_async.cli.reading import rows_of
from spotify_ads_async.cli.run import DONE, FAILED, run, say
from spotify_ads_async.models import AdAccount

__all__ = ["accounts"]

_TABLE_COLUMNS = ("name", "currency_code", "status", "id", "country_code", "business_id")


def accounts(*, limit: Limit = None, fields: Fields = None, output: OutputForm = Output.TABLE) -> None:
    """List every ad account of every business that you belong to.

    A business that refuses is named, and the others are listed.
    """

    async def command() -> int:
        async with connected() as client:
            accounts = client.ad_accounts()
            with rows_of(AdAccount, output=output, fields=fields, table=_TABLE_COLUMNS) as rows:
                left = limit
                async for account in accounts:
                    rows.write(msgspec.to_builtins(account))
                    left = None if left is None else left - 1
                    if left == 0:
                        break
                await accounts.aclose()
        for business_id, error in accounts.refused.items():
            say(f"failed: the ad accounts of business {business_id}: {error}")
        return FAILED if accounts.refused else DONE

    run(command)

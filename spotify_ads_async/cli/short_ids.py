"""Shortened IDs, as tables show them: whole again where they can mean one thing alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from spotify_ads_async.bulk.listed import KINDS, ListedKind
from spotify_ads_async.cli.run import usage_error
from spotify_ads_async.client import AdsClient
from spotify_ads_async.pagination import ListCall

__all__ = ["whole_ids"]

_WHOLE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SHORTENED = re.compile(r"[0-9a-f]{4,8}(?:-[0-9a-f-]{0,26})?", re.IGNORECASE)
_SHOWN = 5


async def whole_ids(client: AdsClient, plural: str, ad_account: str, given: Sequence[str]) -> list[str]:
    """The IDs of campaigns, ads or whatever ``plural`` says, in full.

    Only where one is shortened, the account's list is walked.

    Raises:
        typer.BadParameter: it is no ID, or a shortened one that is too short, or fits nothing, or several things.
    """
    shortened = {one: one.rstrip("…").lower() for one in given if _SHORTENED.fullmatch(one.rstrip("…"))}
    kind = KINDS[plural]
    if wrong := [one for one in given if one not in shortened and not _WHOLE.fullmatch(one)]:
        usage_error(
            f"{wrong[0]!r} is no ID: write a whole one, or 4 characters or more of its beginning; spotify-ads"
            f" {plural.replace(' ', '-')} list --where 'name~{' '.join(given)}' finds one by its name"
        )
    if not shortened:
        return list(given)
    fitting: dict[str, list[str]] = {one: [] for one in shortened}
    listed: ListCall[object] = ListCall(client, kind.list, path={"ad_account_id": ad_account}, query={})
    async for item in listed:
        found = str(getattr(item, "id", ""))
        for one, beginning in shortened.items():
            if found.startswith(beginning):
                fitting[one].append(f"{found} ({getattr(item, 'name', '')})")
    return [_only(kind, one, fitting[one]) if one in fitting else one for one in given]


def _only(kind: ListedKind, given: str, fitting: Sequence[str]) -> str:
    if not fitting:
        usage_error(f"no {kind.name} of this ad account has an ID that begins with {given}")
    if len(fitting) > 1:
        more = f", and {len(fitting) - _SHOWN} more" if len(fitting) > _SHOWN else ""
        usage_error(f"{given} fits several {kind.plural}: {', '.join(fitting[:_SHOWN])}{more}; write more of the ID")
    return fitting[0].partition(" ")[0]

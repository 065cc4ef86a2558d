"""The workbook to plan campaigns in.

A sheet for each kind, with choices, notes and one example, made anew each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio.to_thread
import msgspec

from spotify_ads_async.bulk.plan.cells import amount_cell, to_cell
from spotify_ads_async.bulk.plan.columns import Column, Kind, is_list
from spotify_ads_async.bulk.plan.planner import currency_of
from spotify_ads_async.bulk.plan.state import leaf
from spotify_ads_async.bulk.workbook.describing import choices_of, describe
from spotify_ads_async.bulk.workbook.kinds import NEW_KINDS, NewKind, lacking
from spotify_ads_async.client import AdsClient
from spotify_ads_async.spreadsheets.writing import SheetColumn, WorkbookWriter

if TYPE_CHECKING:
    from spotify_ads_async.trees import CampaignTree

__all__ = ["cell_of", "example_cells", "is_example", "sheet_column", "write_template"]

# What most people need, in the order in which they think of it. Every other column may be added by its name.
_USUAL: Mapping[str, Sequence[str]] = {
    "campaigns": ("campaign_id", "name", "objective", "purchase_order"),
    "ad sets": (
        "ad_set_id",
        "campaign",
        "name",
        "start_time",
        "end_time",
        "budget.amount",
        "budget.type",
        "bid_strategy",
        "bid_amount",
        "asset_format",
        "category",
        "pacing",
        "targets.geo_targets.country_code",
        "targets.age_ranges",
        "targets.genders",
        "targets.platforms",
        "targets.placements",
        "targets.language",
        "frequency_caps",
    ),
    "ads": (
        "ad_id",
        "ad_set",
        "name",
        "advertiser_name",
        "tagline",
        "media",
        "logo",
        "companion",
        "call_to_action.key",
        "call_to_action.language",
        "call_to_action.clickthrough_url",
    ),
}
_EXAMPLES: Mapping[str, Mapping[str, str | int]] = {
    "campaigns": {"name": "EXAMPLE Autumn", "objective": "REACH"},
    "ad sets": {
        "campaign": "EXAMPLE Autumn",
        "name": "EXAMPLE Autumn students",
        "budget.amount": 50,
        "budget.type": "DAILY",
        "bid_strategy": "MAX_BID",
        "bid_amount": 15,
        "asset_format": "AUDIO",
        "category": "ADV_1_1",
        "targets.geo_targets.country_code": "US",
        "targets.age_ranges": "18-34",
        "targets.genders": "MALE, FEMALE, NON_BINARY",
        "targets.platforms": "ANDROID, DESKTOP, IOS",
        "targets.placements": "MUSIC",
    },
    "ads": {
        "ad_set": "EXAMPLE Autumn students",
        "name": "EXAMPLE Spot A",
        "advertiser_name": "Our company",
        "tagline": "Autumn is here",
        "media": "spot.mp3",
        "logo": "logo.png",
        "companion": "logo.png",
        "call_to_action.key": "LEARN_MORE",
        "call_to_action.language": "ENGLISH",
        "call_to_action.clickthrough_url": "https://example.com/autumn",
    },
}
_WORDS: Mapping[str, str] = {
    "campaign": "The campaign that it is in: its name in this workbook, the name of one that is there, or its id.",
    "ad_set": "The ad set that it is in: its name in this workbook, the name of one that is there, or its id.",
    "media": "What is played: a file beside this workbook (spot.mp3), the name of an asset, or its id.",
    "logo": "The advertiser's logo, a picture: a file beside this workbook, the name of an asset, or its id.",
    "companion": "The picture that is shown meanwhile: a file beside this workbook, the name of an asset, or its id.",
}
_EXPLANATION = (
    "# How this workbook is used",
    "1\tDelete the rows that begin with EXAMPLE, or write over them.",
    (
        "2\tEach row is one campaign, ad set or ad. Leave its id blank: a blank id makes a new one. With an id the row"
        " changes what is there."
    ),
    (
        "3\tAn ad set names its campaign, and an ad its ad set, by the name that you gave it. The order of rows does"
        " not matter."
    ),
    "4\tPut media files into the folder of this workbook, and write their names.",
    "5\tspotify-ads bulk plan THIS_FILE\tshows what it comes to. Nothing is changed by that.",
    "6\tspotify-ads bulk apply THIS_FILE\tmakes drafts, which nobody hears, and validates them.",
    "7\tspotify-ads bulk resume PLAN --publish\tlets them go live.",
    "",
    "# Cells",
    "blank\tkeeps what is there; for a new row it is not set",
    "<clear>\tempties a field of something that is there",
    "red headers\ta new row must have them",
    "",
)


async def write_template(ads: AdsClient, ad_account_id: str, path: Path, *, campaign_id: str | None = None) -> None:
    """Write the workbook to plan campaigns in.

    Args:
        ads: the client.
        ad_account_id: the ad account; its currency stands in the headers' notes.
        path: the workbook to write; there must be no such file yet.
        campaign_id: fill it with this campaign and what is in it, with their ids, instead of examples.

    Raises:
        FileExistsError: there is a file at ``path``.
        ConfigurationError: the extra ``spreadsheets`` is missing.
        SpotifyAdsError: the account or the campaign cannot be read.
    """
    currency = await currency_of(ads, ad_account_id)
    tree = None if campaign_id is None else await ads.ad_account(ad_account_id).trees.read(campaign_id)
    await anyio.to_thread.run_sync(_write, path, currency, tree)


def _write(path: Path, currency: str, tree: CampaignTree | None) -> None:
    with WorkbookWriter(path) as book:
        notes = [
            f"{kind.plural}: {name}\t{_note(kind, name, currency)}"
            for kind in NEW_KINDS.values()
            for name in _USUAL[kind.plural]
        ]
        book.text("How to", [*_EXPLANATION, "# Columns", *notes])
        for kind in NEW_KINDS.values():
            names = _USUAL[kind.plural]
            sheet = book.sheet(kind.plural, [_sheet_column(kind, name, currency) for name in names])
            rows = [_example(kind)] if tree is None else _live_rows(kind, tree)
            for row in rows:
                sheet.write([_cell(kind, name, row, currency) for name in names])


def _note(kind: NewKind, name: str, currency: str) -> str:
    if name == kind.entity.id_column:
        return "Leave it blank to make something new."
    must = "Must be there. " if _is_needed(kind, name) else ""
    column = kind.columns[name]
    return must + (
        _WORDS.get(name)
        or f"{describe(column, currency=currency)[:1].upper()}{describe(column, currency=currency)[1:]}."
    )


def _is_needed(kind: NewKind, name: str) -> bool:
    needed = lacking(kind.create.body, {})
    return name == kind.parent_column or name in needed or kind.media.get(name, "") in needed


def _sheet_column(kind: NewKind, name: str, currency: str) -> SheetColumn:
    column = kind.columns.get(name)
    if column is None:
        return SheetColumn(name=name, width=14, shaded=True, note=_note(kind, name, currency))
    shown = sheet_column(column, currency)
    return msgspec.structs.replace(shown, note=_note(kind, name, currency), required=_is_needed(kind, name))


# Ids and times are texts, which no program changes.
_NUMBER_FORMATS = {Kind.AMOUNT: "#,##0.00", Kind.MONEY: "#,##0", Kind.INTEGER: "0", Kind.NUMBER: "General"}


def sheet_column(column: Column, currency: str) -> SheetColumn:
    """How a workbook shows a column: its width, its numbers, what there is to choose from, and what it holds."""
    return SheetColumn(
        name=column.name,
        width=38 if column.name == "name" else max(len(column.name) + 3, 14),
        number_format=_NUMBER_FORMATS.get(column.kind, "@"),
        choices=choices_of(column),
        strict=not is_list(column.type),
        note=f"{describe(column, currency=currency)[:1].upper()}{describe(column, currency=currency)[1:]}.",
    )


def _example(kind: NewKind) -> Mapping[str, str | int]:
    return example_cells(
        kind, (datetime.now(UTC) + timedelta(days=30)).replace(hour=6, minute=0, second=0, microsecond=0)
    )


def example_cells(kind: NewKind, begin: datetime) -> Mapping[str, str | int]:
    """The cells of one example, whose flight begins at a time."""
    times = {"start_time": begin, "end_time": begin + timedelta(days=30)} if kind.plural == "ad sets" else {}
    return {**_EXAMPLES[kind.plural], **{name: moment.strftime("%Y-%m-%dT%H:%M:%SZ") for name, moment in times.items()}}


def is_example(plural: str, name: str) -> bool:
    """Whether something new has the name of the template's example, which nobody means to make."""
    return name == _EXAMPLES[plural]["name"]


def _live_rows(kind: NewKind, tree: CampaignTree) -> list[Mapping[str, Any]]:
    """What is live, with its id. What it is in stays blank: nothing that is there can be moved."""
    found: list[Any] = {
        "campaigns": [tree.campaign],
        "ad sets": [one.ad_set for one in tree.ad_sets],
        "ads": [ad for one in tree.ad_sets for ad in one.ads],
    }[kind.plural]
    return [{kind.entity.id_column: str(one.id), "": msgspec.to_builtins(one)} for one in found]


def _cell(kind: NewKind, name: str, row: Mapping[str, Any], currency: str) -> object:
    if "" not in row:
        return row.get(name)
    column = kind.entity.columns.get(name)
    return row.get(name) if column is None else cell_of(column, leaf(row[""], column.path), currency)


def cell_of(column: Column, value: object, currency: str) -> object:
    """A value as a workbook's cell, such that reading gives it back: amounts as numbers, everything else as text."""
    if column.kind is Kind.AMOUNT:
        shown = amount_cell(value, currency)
        return float(shown) if shown else None
    if column.kind in {Kind.MONEY, Kind.INTEGER} and isinstance(value, int):
        return value
    if isinstance(value, list) and choices_of(column):
        return ", ".join(map(str, cast("list[object]", value)))  # as people type it
    return to_cell(cast("object", value))

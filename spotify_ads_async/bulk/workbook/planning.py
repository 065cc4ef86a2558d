"""Planning files of changes: of one kind, or of several kinds and of what is new. No request changes anything."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from spotify_ads_async.ad_products import AdProducts
from spotify_ads_async.bulk.entities import AD_SETS, ADS, CAMPAIGNS
from spotify_ads_async.bulk.plan.opening import ChangesReader, open_changes, remarks_on_hidden
from spotify_ads_async.bulk.plan.planner import Source, currency_of, plan_changes
from spotify_ads_async.bulk.plan.problems import BadChanges, LeftOut, Problem
from spotify_ads_async.bulk.plan.sources import Change
from spotify_ads_async.bulk.plan.tables import NewRow, NewRowsFound, TableReader
from spotify_ads_async.bulk.plan.totals import PlanTotals
from spotify_ads_async.bulk.records import Header
from spotify_ads_async.bulk.workbook import resolving
from spotify_ads_async.bulk.workbook.kinds import NEW_KINDS, folded, new_columns
from spotify_ads_async.bulk.workbook.products import NewProducts
from spotify_ads_async.bulk.workbook.records import MediaItem, NewItem, WorkbookHeader
from spotify_ads_async.bulk.workbook.resolving import Known, Resolver
from spotify_ads_async.bulk.workbook.store import write_plan
from spotify_ads_async.bulk.workbook.template import is_example
from spotify_ads_async.client import AdsClient
from spotify_ads_async.core.tasks import some_at_once
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.locks import taken_off_loop
from spotify_ads_async.models import AssetType
from spotify_ads_async.operation import ListOperation
from spotify_ads_async.operations import GET_ASSETS_BY_AD_ACCOUNT
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.pagination.some import batched

__all__ = ["listed", "listed_within", "plan_file"]

_EXAMPLE = "is the example of the template, which is not made: delete the row, or write your own over it"

_PAGE = 50
_ARCHIVED = "ARCHIVED"
_PICTURES = frozenset({"logo", "companion"})


async def plan_file(ads: AdsClient, source: Source, header: Header, path: Path) -> PlanTotals | None:
    """Make the plan of a file.

    An ordinary one where it changes things of one kind, and one of a workbook where it does more.

    Returns:
        What an ordinary plan comes to; None for one of a workbook, which may have parts.

    Raises:
        BadChanges: rows are refused; or the file as a whole cannot be read.
        HiddenRowsFound: rows are hidden, and ``source.reading`` does not say what to do with them.
        FileExistsError: there is a file at ``path``, or where a part of the plan would be.
        SpotifyAdsError: what is there cannot be read.
    """
    async with open_changes(source.path, name=source.shown, reading=source.reading) as file:
        if file.needs_currency:
            header = msgspec.structs.replace(header, currency=await currency_of(ads, header.ad_account_id))
        read = partial(file.readers, currency=header.currency, new=new_columns())
        readers = await anyio.to_thread.run_sync(read)
        remarks = [*file.remarks, *(remark for one in readers for remark in one.remarks)]
        header = msgspec.structs.replace(header, remarks="\n".join(remarks), guessed=file.encoding_is_guessed)
        if len(readers) > 1:
            await _plan_workbook(ads, readers, source, header, path)
            return None
        try:
            totals = await plan_changes(ads, readers[0], source, header, path)
        except NewRowsFound:
            await _plan_workbook(ads, readers, source, header, path)
            return None
        try:
            source.left_out.require_all_found(source.shown)
        except BadChanges:
            await anyio.Path(path).unlink()
            raise
        return totals


async def _plan_workbook(
    ads: AdsClient, readers: Sequence[ChangesReader], source: Source, header: Header, path: Path
) -> None:
    kinds = [reader.entity.plural for reader in readers]
    if len(set(kinds)) < len(kinds):
        twice = next(one for one in kinds if kinds.count(one) > 1)
        names = ", ".join(
            reader.table.name for reader in readers if isinstance(reader, TableReader) and reader.entity.plural == twice
        )
        reason = f"has more than one sheet of {twice} ({names}): --sheet says which one, or put them into one sheet"
        raise BadChanges([Problem(file=source.shown, line=0, reason=reason, fatal=True)])
    rows, named = await anyio.to_thread.run_sync(_read_new_rows, readers, source.left_out)
    hidden = remarks_on_hidden(readers, name=source.shown, hidden=source.reading.hidden)
    header = msgspec.structs.replace(header, remarks="\n".join([*header.remarks.splitlines(), *hidden]))
    if examples := [one.problem(_EXAMPLE, "name") for one in rows if is_example(one.kind.plural, one.name)]:
        raise BadChanges(examples)
    source = msgspec.structs.replace(source, products=await AdProducts.read(ads))
    made: list[tuple[str, Path]] = []
    try:
        for reader in readers:
            if not await anyio.to_thread.run_sync(_has_changes, reader):
                continue
            part = path.with_name(f"{path.name}.{reader.entity.plural.replace(' ', '-')}")
            await plan_changes(ads, reader, source, msgspec.structs.replace(header, remarks=""), part, alone=False)
            made.append((reader.entity.plural, part))
        things = _NewThings()
        if rows:
            currency = header.currency or await currency_of(ads, header.ad_account_id)
            things = await _resolve(ads, header.ad_account_id, rows, named, source, currency=currency)
            header = msgspec.structs.replace(header, remarks="\n".join([*header.remarks.splitlines(), *things.remarks]))
        source.left_out.require_all_found(source.shown)
        about = WorkbookHeader(
            ad_account_id=header.ad_account_id,
            base_url=header.base_url,
            source=header.source,
            created_at=header.created_at,
            mark=secrets.token_hex(5),
            currency=header.currency,
            remarks=header.remarks,
            guessed=header.guessed,
        )
        await taken_off_loop(
            lambda: write_plan(path, about, made, things.media, things.items), lambda _: path.unlink(missing_ok=True)
        )
    except BaseException:
        for _, part in made:
            part.unlink(missing_ok=True)
        raise


def _has_changes(reader: ChangesReader) -> bool:
    return any(not isinstance(row, NewRow) for row in reader)


class _NewThings(msgspec.Struct, frozen=True):
    """What rows without an id come to: ``items`` and ``media`` to write down, and what the plan says of them."""

    items: Sequence[NewItem] = ()
    media: Sequence[MediaItem] = ()
    remarks: Sequence[str] = ()


def _read_new_rows(
    readers: Sequence[ChangesReader], left_out: LeftOut
) -> tuple[list[resolving.Row], dict[str, list[Known]]]:
    """The rows without an id, campaigns first; and the rows with one, by kind, which others may name as their parents.

    Blocks.
    """
    rows: list[resolving.Row] = []
    named: defaultdict[str, list[Known]] = defaultdict(list)
    for reader in readers:
        kind = NEW_KINDS[reader.entity.plural]
        for one in reader:
            if isinstance(one, NewRow):
                if not left_out.has(one.line, reader.place(one.line), one.cells.get("name")):
                    rows.append(resolving.Row(kind=kind, row=one, file=reader.name, place=_placing(reader, one.line)))
            elif isinstance(one, Change) and isinstance(name := one.values.get("name"), str):
                named[reader.entity.plural].append(Known(one.entity_id, name))
    order = list(NEW_KINDS)
    return sorted(rows, key=lambda row: order.index(row.kind.plural)), named


def _placing(reader: ChangesReader, line: int) -> Callable[[str], str]:
    def place(column: str) -> str:
        return reader.place(line, column)

    return place


async def _resolve(
    ads: AdsClient,
    ad_account_id: str,
    rows: Sequence[resolving.Row],
    named: Mapping[str, Sequence[Known]],
    source: Source,
    *,
    currency: str,
) -> _NewThings:
    """Resolve rows without an id.

    Args:
        ads: the client.
        ad_account_id: the ad account.
        rows: the rows, parents before children.
        named: rows with an id, by kind.
        source: the workbook, beside which media files are looked for, and the catalogue of ad products.
        currency: the account's currency.

    Raises:
        BadChanges: rows are refused, each with everything that is wrong.
        SpotifyAdsError: what is there cannot be read.
    """
    media, numbers, refused = await anyio.to_thread.run_sync(_look_at_media, rows, source.path.parent)
    reading = resolving.Reading(
        currency=currency,
        now=datetime.now(UTC),
        live=await _live(ads, ad_account_id, rows, named),
        assets=await _assets(ads, ad_account_id, rows, numbers, refused),
        media=numbers,
        refused_media=refused,
    )
    resolver = Resolver(rows, reading)
    resolver.resolve()
    resolver.refuse_twins()
    products = NewProducts(source.products or await AdProducts.read(ads), resolver)
    await products.learn(ads, ad_account_id)
    problems = [*resolver.problems, *products.problems()]
    if problems:
        raise BadChanges(problems)
    return _NewThings(resolver.items, media, products.remarks())


async def _live(
    ads: AdsClient, ad_account_id: str, rows: Sequence[resolving.Row], named: Mapping[str, Sequence[Known]]
) -> dict[str, list[Known]]:
    """What is there already and may be a parent or a twin: campaigns where any row is new.

    Ad sets and ads where a row's parent is live.
    """
    found: dict[str, list[Known]] = {CAMPAIGNS.plural: await listed(ads, ad_account_id, CAMPAIGNS.plural, "", {})}
    new_campaigns = {folded(row.name) for row in rows if row.kind.plural == CAMPAIGNS.plural}
    new_ad_sets = {folded(row.name) for row in rows if row.kind.plural == AD_SETS.plural}
    in_live_campaigns = _parents(rows, AD_SETS.plural) - new_campaigns
    in_live_ad_sets = _parents(rows, ADS.plural) - new_ad_sets
    if in_live_campaigns or in_live_ad_sets:
        found[AD_SETS.plural] = await listed(ads, ad_account_id, AD_SETS.plural, "campaign_id", {})
    if in_live_ad_sets:
        parents = [one.id for one in found[AD_SETS.plural] if {folded(one.name), one.id} & in_live_ad_sets]
        found[ADS.plural] = await listed_within(ads, ad_account_id, ADS.plural, parents)
    for plural, rows_with_ids in named.items():
        renamed = {one.id: one for one in rows_with_ids}
        kept = [one for one in found.get(plural, []) if one.id not in renamed]
        parents_of = {one.id: one.parent_id for one in found.get(plural, [])}
        found[plural] = [*kept, *(Known(one.id, one.name, parents_of.get(one.id, "")) for one in rows_with_ids)]
    return found


def _parents(rows: Sequence[resolving.Row], plural: str) -> set[str]:
    """What the rows of a kind say of what they are in."""
    return {folded(row.row.cells.get(row.kind.parent_column, "")) for row in rows if row.kind.plural == plural} - {""}


async def listed(
    ads: AdsClient, ad_account_id: str, plural: str, parent_field: str, query: Mapping[str, Any]
) -> list[Known]:
    """What is live and not archived, and what is in drafts."""
    kind = NEW_KINDS[plural]
    operations: list[ListOperation[Any, Any]] = [kind.entity.list, kind.draft.list]
    rows: dict[str, list[Any]] = {}

    async def read(operation: ListOperation[Any, Any]) -> None:
        call = ListCall(ads, operation, path={"ad_account_id": ad_account_id}, query={"limit": _PAGE, **query})
        rows[operation.id] = [one async for one in call if one.status != _ARCHIVED]

    await some_at_once(read, operations)
    found: dict[str, Known] = {}
    for one in (one for operation in operations for one in rows[operation.id]):
        found.setdefault(str(one.id), Known(str(one.id), one.name or "", str(getattr(one, parent_field, "") or "")))
    return list(found.values())


async def listed_within(ads: AdsClient, ad_account_id: str, plural: str, parents: Sequence[str]) -> list[Known]:
    """The same of what is in some campaigns or ad sets, fifty of these to a request."""
    kind = NEW_KINDS[plural]
    found: list[Known] = []
    for part in batched(parents, _PAGE):
        found += await listed(ads, ad_account_id, plural, kind.parent_field, {kind.draft.within: part})
    return found


def _media_cells(rows: Sequence[resolving.Row]) -> list[tuple[str, str]]:
    return [(column, text) for row in rows for column in row.kind.media if (text := row.row.cells.get(column, ""))]


async def _assets(
    ads: AdsClient,
    ad_account_id: str,
    rows: Sequence[resolving.Row],
    media: Mapping[str, int],
    refused: Mapping[str, str],
) -> dict[str, list[str]]:
    """The ids of assets by name, where a cell may be one."""
    wanted = {
        folded(text) for _, text in _media_cells(rows) if text not in media and text not in refused and not _is_id(text)
    }
    found: defaultdict[str, list[str]] = defaultdict(list)
    if wanted:
        call: ListCall[Any] = ListCall(
            ads, GET_ASSETS_BY_AD_ACCOUNT, path={"ad_account_id": ad_account_id}, query={"limit": _PAGE}
        )
        async for one in call:
            if folded(one.name or "") in wanted:
                found[folded(one.name)].append(str(one.id))
    return found


def _is_id(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4


def _by_folded_name(folder: Path) -> dict[str, Path]:
    """What is in a folder; nothing where it may be entered, and not listed."""
    try:
        return {folded(one.name): one for one in folder.iterdir()}
    except OSError:
        return {}


def _look_at_media(
    rows: Sequence[resolving.Row], folder: Path
) -> tuple[list[MediaItem], dict[str, int], dict[str, str]]:
    """The media files that rows name, each once by its content; their numbers, and why some cannot be used. Blocks."""
    from spotify_ads_async.uploads.files import inspect  # noqa: PLC0415 - most plans upload nothing

    cells = _media_cells(rows)
    alike = _by_folded_name(folder) if cells else {}
    by_hash: dict[tuple[str, str], MediaItem] = {}
    numbers: dict[str, int] = {}
    refused: dict[str, str] = {}
    for column, text in cells:
        if text in numbers or text in refused:
            continue
        path = folder / text
        try:
            if not path.is_file():
                # As other systems compare names, where workbook and files may come from.
                path = alike.get(folded(text), path)
            if not path.is_file():
                continue
        except OSError:  # no file can be called so
            continue
        if not path.resolve().is_relative_to(folder.resolve()):
            refused[text] = f"{text} is not beside the workbook: move it into {folder}"
            continue
        try:
            found = inspect(path, AssetType.IMAGE if column in _PICTURES else None)
        except (InvalidRequest, OSError) as problem:
            refused[text] = str(getattr(problem, "message", problem))
            continue
        item = by_hash.setdefault(
            (found.sha256, found.asset_type),
            MediaItem(
                number=len(by_hash) + 1, path=str(path.resolve()), sha256=found.sha256, asset_type=str(found.asset_type)
            ),
        )
        numbers[text] = item.number
    return list(by_hash.values()), numbers, refused

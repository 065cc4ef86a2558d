"""``spotify-ads export``: files that ``bulk`` reads back, and trees that ``import`` makes anew."""

from __future__ import annotations

import enum
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from spotify_ads_async.bulk import ENTITIES
from spotify_ads_async.bulk.plan.cells import amount_cell
from spotify_ads_async.bulk.plan.columns import Kind as ColumnKind
from spotify_ads_async.bulk.plan.expressions import list_query, parse_condition
from spotify_ads_async.bulk.plan.planner import currency_of
from spotify_ads_async.bulk.plan.sources import CURRENCY
from spotify_ads_async.bulk.plan.state import leaf, writable_state
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.options import AdAccount, needed
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.run import run, say, usage_error
from spotify_ads_async.cli.trees import export_tree
from spotify_ads_async.pagination import ListCall

__all__ = ["export"]


class Kind(enum.StrEnum):
    """What is exported."""

    AD_SETS = "ad-sets"
    CAMPAIGNS = "campaigns"
    ADS = "ads"
    TREE = "tree"


class Form(enum.StrEnum):
    """The form of an export."""

    CSV = "csv"
    JSONL = "jsonl"


def export(
    kind: Annotated[Kind, typer.Argument(help="What to export.")],
    *,
    to: Annotated[Path | None, typer.Option("--to", help="The file to write; stdout by default.", dir_okay=False)] = None,
    form: Annotated[Form, typer.Option("--output", "-o", help="The form; a tree is jsonl always.")] = Form.CSV,
    where: Annotated[list[str] | None, typer.Option("--where", metavar="CONDITION", help="Such as status=ACTIVE; all must hold.")] = None,
    micros: Annotated[
        bool, typer.Option("--micros", help="Amounts of money in micros, and not in currency units; JSON Lines always.")
    ] = False,
    archived: Annotated[bool, typer.Option("--archived", help="With tree: also what is archived.")] = False,
    ad_account: AdAccount = None,
) -> None:
    """Write the id and every writable field; what is written and read back by bulk changes nothing.

    With tree: every campaign with its ad sets and ads, whole, as JSON Lines that import makes anew.
    """
    if kind is Kind.TREE:
        if where:
            usage_error("--where is not for a tree, which is exported whole")
        run(lambda: export_tree(needed(ad_account), to, archived=archived))
    if archived:
        usage_error("--archived is for a tree; with other kinds use --where status=ARCHIVED")
    run(lambda: _export(kind.value.replace("-", " "), to, form, where or [], needed(ad_account), micros=micros or form is Form.JSONL))


async def _export(plural: str, to: Path | None, form: Form, where: list[str], ad_account: str, *, micros: bool) -> None:
    entity = ENTITIES[plural]
    conditions = [parse_condition(entity, text) for text in where]
    amounts = [] if micros else [column for column in entity.columns.values() if column.kind is ColumnKind.AMOUNT]
    columns = [entity.id_column, *(column.name for column in entity.export_columns(micros=micros)), *(CURRENCY for _ in amounts[:1])]
    count = 0
    async with connected() as client:
        currency = await currency_of(client, ad_account) if amounts else ""
        items: ListCall[Any] = ListCall(
            client.with_options(keep_json=True),
            entity.list,
            path={"ad_account_id": ad_account},
            query={"limit": 50, **list_query(entity, conditions)},
        )
        with (
            to.open("x", encoding="utf-8", newline="") if to else nullcontext(sys.stdout) as stream,
            Rows(Output(form.value), columns, stream=stream) as rows,
        ):
            async with items.walk() as walk:
                async for item in walk:
                    answer: dict[str, Any] = item.json
                    if all(condition.holds(answer) for condition in conditions):
                        state = writable_state(entity, item)
                        in_units = {column.name: amount_cell(leaf(state, column.path), currency) for column in amounts}
                        rows.write({entity.id_column: str(item.id), **state, **in_units, **({CURRENCY: currency} if amounts else {})})
                        count += 1
    say(f"{count} {plural} exported{f' to {to}' if to else ''}")

"""What the shell is offered while a command is typed: fields, their values, IDs that were shown last, profiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import typer

from spotify_ads_async.bulk.entities import ENTITIES, Entity
from spotify_ads_async.bulk.listed import KINDS, ListedKind
from spotify_ads_async.bulk.plan.columns import Column, Kind, columns_of
from spotify_ads_async.bulk.workbook.describing import choices_of, describe
from spotify_ads_async.cli.recent import recalled

__all__ = [
    "complete_account",
    "complete_column",
    "complete_condition",
    "complete_id",
    "complete_metrics",
    "complete_report_column",
    "complete_report_condition",
    "complete_setting",
    "complete_writable",
]

Offer = list[tuple[str, str]]
"""Words, each with what it means."""

_OPERATORS = ("!=", ">=", "<=", "=", ">", "<", "~")


def complete_setting(ctx: typer.Context, incomplete: str) -> Offer:
    """The fields that may be set, and behind a ``=`` the values of one."""
    entity = _entity(ctx)
    if entity is None:
        return []
    from spotify_ads_async.bulk.workbook.kinds import NEW_KINDS  # noqa: PLC0415 - few words need them

    made = ctx.info_name == "create"
    columns = columns_of(NEW_KINDS[entity.plural].create.body) if made else entity.columns
    return _fields_or_values(columns, incomplete, entity.plural)


def complete_condition(ctx: typer.Context, incomplete: str) -> Offer:
    """The fields that a condition may be about, and behind an operator the values of one."""
    kind = _kind(ctx)
    return [] if kind is None else _fields_or_values(kind.answer_columns, incomplete, kind.plural)


def complete_column(ctx: typer.Context, incomplete: str) -> Offer:
    """The fields that may be shown, behind those that are typed already."""
    kind = _kind(ctx)
    return [] if kind is None else _listed(_described(kind.answer_columns), incomplete)


def complete_writable(ctx: typer.Context, incomplete: str) -> Offer:
    """The fields that an export may have, behind those that are typed already."""
    entity = _entity(ctx)
    return [] if entity is None else _listed(_described(entity.columns), incomplete)


def complete_metrics(incomplete: str) -> Offer:
    """The metrics of a report, behind those that are typed already."""
    from spotify_ads_async.models import ReportFieldType  # noqa: PLC0415 - reports alone have them

    return _listed({one.value.lower(): "" for one in ReportFieldType}, incomplete)


def complete_report_condition(incomplete: str) -> Offer:
    """What a condition on a report may be about."""
    from spotify_ads_async.cli.reporting import REPORTED  # noqa: PLC0415 - reports alone have them

    return _fields_or_values(REPORTED.answer_columns, incomplete, "")


def complete_report_column(incomplete: str) -> Offer:
    """The columns of a report, behind those that are typed already."""
    from spotify_ads_async.cli.reporting import REPORTED  # noqa: PLC0415 - reports alone have them

    return _listed(_described(REPORTED.answer_columns), incomplete)


def complete_id(ctx: typer.Context, incomplete: str) -> Offer:
    """The IDs that a terminal showed last, with their names."""
    kind = _kind(ctx)
    return [] if kind is None else [one for one in recalled(kind.plural) if one[0].startswith(incomplete)]


def complete_account(incomplete: str) -> Offer:
    """The ad accounts that a terminal showed last, with their names."""
    return [one for one in recalled("accounts") if one[0].startswith(incomplete)]


def _kind(ctx: typer.Context) -> ListedKind | None:
    """What the command that is being typed is about."""
    words = [str(ctx.params.get(name) or "") for name in ("kind", "of")]
    words += [word for one in _upwards(ctx) for word in (one.info_name or "", *one.args)]
    return next((KINDS[name] for word in words if (name := word.replace("-", " ")) in KINDS), None)


def _entity(ctx: typer.Context) -> Entity | None:
    kind = _kind(ctx)
    return None if kind is None else ENTITIES.get(kind.plural)


def _upwards(ctx: Any) -> Iterator[Any]:  # noqa: ANN401 - click's own
    while ctx is not None:
        yield ctx
        ctx = ctx.parent


def _described(columns: Mapping[str, Column]) -> Mapping[str, str]:
    return {name: describe(one) for name, one in columns.items()}


def _listed(words: Mapping[str, str], incomplete: str) -> Offer:
    """The words of a list with commas that the last one may become."""
    before, comma, word = incomplete.rpartition(",")
    return [(f"{before}{comma}{name}", said) for name, said in words.items() if name.startswith(word)]


def _fields_or_values(columns: Mapping[str, Column], incomplete: str, plural: str) -> Offer:
    name = next((name for name in sorted(columns, key=len, reverse=True) if incomplete.startswith(name)), "")
    operator = next((one for one in _OPERATORS if name and incomplete.startswith(one, len(name))), "")
    if not operator:
        return [(f"{one}=", said) for one, said in _described(columns).items() if one.startswith(incomplete)]
    begun = f"{name}{operator}"
    values = _values(columns[name], plural)
    return [(f"{begun}{value}", said) for value, said in _listed(values, incomplete[len(begun) :])]


def _values(column: Column, plural: str) -> Mapping[str, str]:
    """The values that a column may have, as far as they are known."""
    if column.kind is Kind.BOOLEAN:
        return {"true": "", "false": ""}
    holder = plural if column.name == "id" else f"{column.name.removesuffix('_id').replace('_', ' ')}s"
    return dict(recalled(holder)) if holder in KINDS else dict.fromkeys(choices_of(column), "")

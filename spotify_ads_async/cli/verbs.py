"""Pause, resume and archive campaigns, ad sets and ads.

A selection and one new value, seen and agreed to as every bulk change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from spotify_ads_async.bulk.entities import Entity
from spotify_ads_async.cli.completing import complete_id
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.consent import Yes
from spotify_ads_async.cli.options import AdAccount, Where, needed
from spotify_ads_async.cli.run import run, usage_error
from spotify_ads_async.cli.short_ids import whole_ids

__all__ = ["add_verbs"]


class _Verb(NamedTuple):
    """What a verb says of itself, and the value that it gives to the field which turns delivery on and off."""

    help: str
    status: str
    delivery: str


_VERBS: Mapping[str, _Verb] = {
    "pause": _Verb("Stop {} from delivering, until they are resumed.", "PAUSED", "OFF"),
    "resume": _Verb("Let {} deliver again.", "ACTIVE", "ON"),
    "archive": _Verb("Archive {} for good: nothing brings them back.", "ARCHIVED", "ARCHIVED"),
}


def _setting(entity: Entity, verb: str) -> str | None:
    """The change that a verb is, as the API's facts have it; None where the API cannot do it to this kind of thing."""
    field = "delivery" if "delivery" in entity.columns else "status"
    value = getattr(_VERBS[verb], field)
    taken = [member.value for member in entity.columns[field].type]
    return f"{field}={value}" if value in taken else None


def add_verbs(app: typer.Typer, entity: Entity) -> None:
    """Give a group of commands the verbs of every day."""
    for verb in _VERBS:
        setting = _setting(entity, verb)
        if setting is None:
            _add_refusal(app, entity, verb)
        else:
            _add(app, entity, verb, setting)


def _add_refusal(app: typer.Typer, entity: Entity, verb: str) -> None:
    @app.command(
        verb, help=f"The API cannot {verb} {entity.plural} by themselves; this says what it can do.", hidden=True
    )
    def refuse(ids: Annotated[list[str] | None, typer.Argument(metavar="ID", show_default=False)] = None) -> None:
        del ids
        usage_error(
            f"the API cannot {verb} {entity.plural} by themselves. spotify-ads {entity.plural.replace(' ', '-')} pause"
            f" ID stops them; spotify-ads campaigns {verb} ID takes a campaign with everything in it"
        )

    del refuse


def _add(app: typer.Typer, entity: Entity, verb: str, setting: str) -> None:
    @app.command(verb, help=_VERBS[verb].help.format(entity.plural))
    def carry_out(
        ids: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="ID",
                help="Whole, or its beginning as tables show it.",
                show_default=False,
                autocompletion=complete_id,
            ),
        ] = None,
        *,
        where: Where = None,
        to: Annotated[
            Path | None, typer.Option("--plan", metavar="FILE", help="The plan to write, which can be undone.")
        ] = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")
        ] = False,
        yes: Yes = False,
        ad_account: AdAccount = None,
    ) -> None:
        if bool(ids) == bool(where):
            usage_error(f"which {entity.plural}? give their IDs, or --where with a condition")
        account = needed(ad_account)

        async def command() -> int:
            from spotify_ads_async.bulk import Options  # noqa: PLC0415 - lists, in the same group, need none
            from spotify_ads_async.cli import bulk_work  # noqa: PLC0415 - lists, in the same group, need none

            working = bulk_work.Working(options=Options(), results=None, yes=yes, dry_run=dry_run)
            stem = f"{verb}-{entity.plural.replace(' ', '-')}"
            if where:
                planning = bulk_work.Planning(
                    where=tuple(where), settings=(setting,), entity=entity, stem=stem, to=to, ad_account=account
                )
                return await bulk_work.apply_changes(planning, working)
            rows = await _changes(entity, account, ids or (), setting)
            planning = bulk_work.Planning(
                changes=rows, name="IDs given on the command line", stem=stem, to=to, ad_account=account
            )
            return await bulk_work.apply_changes(planning, working)

        run(command)

    del carry_out


async def _changes(entity: Entity, ad_account: str, given: Sequence[str], setting: str) -> list[dict[str, str]]:
    """A row for each ID, so that one which is not there is named."""
    async with connected() as client:
        ids = await whole_ids(client, entity.plural, ad_account, given)
    field, _, value = setting.partition("=")
    return [{entity.id_column: one, field: value} for one in ids]

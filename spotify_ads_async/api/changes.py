"""What has changed between two versions of the API, in its own words.

Operations, parameters, fields, enum values, required lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from spotify_ads_async.api.facts import Facts
from spotify_ads_async.api.table import FactKind, FactTable, Key

__all__ = ["HEADINGS", "Change", "ChangeKind", "find_changes", "render_changes"]

ChangeKind: TypeAlias = Literal["new", "gone", "changed", "renamed"]
"""What became of a fact. ``renamed`` is a field that went where one other of the same type came, in the same schema."""

HEADINGS: Final[Mapping[FactKind, str]] = {
    "server": "servers",
    "operation": "operations",
    "parameter": "parameters",
    "field": "fields",
    "enum value": "enum values",
    "required": "required",
    "status": "statuses",
    "type": "types",
}
"""The kinds of facts in the order of a report."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of the API.

    Attributes:
        what: the kind of fact.
        change: what became of it.
        name: where it is, in the document's names: ``getCampaigns.updated_at_gt``,
            ``AdSetPauseReason.ACCOUNT_INACTIVE``.
        before: what it was in the older version; empty for a new one.
        after: what it is in the newer version; the new name of a renamed field.
        sent: whether requests can hold it.
        answered: whether answers can hold it.
    """

    what: FactKind
    change: ChangeKind
    name: str
    before: str = ""
    after: str = ""
    sent: bool = False
    answered: bool = False


def find_changes(before: Facts, after: Facts) -> list[Change]:
    """What turned ``before`` into ``after``, by kind of fact and name.

    What belongs to something that is new or gone as a whole is not named again: the parameters of a new operation, the
    values of a new enum. A schema that only changed its name is no change, for nobody sends or receives such names.
    """
    old, new = FactTable(before, _renamed_schemas(before, after)), FactTable(after, {})
    gone = {key for key in old.rows.keys() - new.rows.keys() if new.knows_whole_of(key)}
    came = {key for key in new.rows.keys() - old.rows.keys() if old.knows_whole_of(key)}
    renamed = _renamed_fields(gone, came, old, new)
    changes = [_change(key, "renamed", new, before=old.rows[key], after=other.name) for key, other in renamed.items()]
    moved = {(one.owner, one.name): (other.owner, other.name) for one, other in renamed.items()}
    both = {key for key in gone if key.kind == "required" and key._replace(name=moved.get(key[1:], key[1:])[1]) in came}
    told = {*renamed, *renamed.values(), *both, *(key._replace(name=moved[key[1:]][1]) for key in both)}
    changes += [_change(key, "gone", old, before=old.rows[key]) for key in gone - told]
    changes += [_change(key, "new", new, after=new.in_full(key)) for key in came - told]
    changes += [
        _change(key, "changed", new, before=old.rows[key], after=new.rows[key])
        for key in old.rows.keys() & new.rows.keys()
        if old.rows[key] != new.rows[key]
    ]
    order = list(HEADINGS)
    return sorted(changes, key=lambda one: (order.index(one.what), one.name, one.change))


def _change(key: Key, change: ChangeKind, table: FactTable, *, before: str = "", after: str = "") -> Change:
    sent, answered = key.owner in table.sent, key.owner in table.answered or key.kind == "status"
    return Change(what=key.kind, change=change, name=str(key), before=before, after=after, sent=sent, answered=answered)


def _renamed_schemas(before: Facts, after: Facts) -> dict[str, str]:
    """Schemas that went where one other came that holds the same."""
    old, new = before["components"]["schemas"], after["components"]["schemas"]
    gone = {name: old[name] for name in old.keys() - new.keys()}
    came = {name: new[name] for name in new.keys() - old.keys()}
    pairs = {name: [other for other, schema in came.items() if schema == content] for name, content in gone.items()}
    return {
        name: others[0]
        for name, others in pairs.items()
        if len(others) == 1 and list(gone.values()).count(gone[name]) == 1
    }


def _renamed_fields(gone: set[Key], came: set[Key], old: FactTable, new: FactTable) -> dict[Key, Key]:
    """Fields that went, with the field that took their place: one of the same type for one, in the same object."""
    places: dict[tuple[str, ...], tuple[list[Key], list[Key]]] = {}
    for at, (keys, table) in enumerate(((gone, old), (came, new))):
        for key in keys:
            if key.kind == "field":
                places.setdefault((key.owner, key.holder, table.rows[key]), ([], []))[at].append(key)
    return {went[0]: took[0] for went, took in places.values() if len(went) == len(took) == 1}


def render_changes(changes: Sequence[Change]) -> Iterator[str]:
    """The lines of a report for people, a heading for each kind of fact."""
    for kind, heading in HEADINGS.items():
        found = [change for change in changes if change.what == kind]
        if found:
            yield heading
            yield from (f"  {change.change:<8}{_sentence(change)}" for change in found)


def _sentence(change: Change) -> str:
    if change.change == "renamed":
        return f"{change.name} → {change.after}"
    if change.before and change.after:
        return f"{change.name}: {change.before} → {change.after}"
    words = change.before or change.after
    return f"{change.name}: {words}" if words else change.name

"""Exported files: a tree as JSON Lines and back, and the receipt of an import."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.models import Ad, AdSet, Campaign
from spotify_ads_async.trees.bodies import AdSetTree, CampaignTree
from spotify_ads_async.types import Answer, decode_hook

__all__ = ["KINDS", "Event", "Receipt", "line_of", "parse"]

KINDS: Mapping[str, type[Answer]] = {"campaign": Campaign, "ad_set": AdSet, "ad": Ad}

TreeT = TypeVar("TreeT")


def line_of(kind: str, one: Answer) -> bytes:
    """One line of an exported file."""
    return msgspec.json.encode({"kind": kind, **msgspec.to_builtins(one, builtin_types=(datetime,))}) + b"\n"


def parse(content: bytes) -> list[CampaignTree]:
    """The trees in an exported file. Pure.

    Raises:
        InvalidRequest: a line cannot be read, has no id or one that was there before, or its parent does not come before it.
    """
    campaigns: dict[str, CampaignTree] = {}
    ad_sets: dict[str, AdSetTree] = {}
    seen: dict[str, int] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        one = _parsed(number, line)
        if not one.id:
            raise _unreadable(number, "it has no id, by which its parts and the receipt know it")
        if seen.setdefault(one.id, number) != number:
            raise _unreadable(number, f"{one.id} is on line {seen[one.id]}, too")
        if isinstance(one, Campaign):
            campaigns[one.id] = CampaignTree(campaign=one, ad_sets=[])
        elif isinstance(one, AdSet):
            tree = ad_sets[one.id] = AdSetTree(ad_set=one, ads=[])
            _parent(campaigns, one.campaign_id, number).ad_sets.append(tree)
        else:
            _parent(ad_sets, one.ad_set_id, number).ads.append(one)
    return list(campaigns.values())


def _parent(found: Mapping[str, TreeT], identifier: str | None, number: int) -> TreeT:
    parent = found.get(identifier or "")
    if parent is None:
        raise _unreadable(number, f"its parent {identifier} does not come before it")
    return parent


def _parsed(number: int, line: bytes) -> Campaign | AdSet | Ad:
    try:
        facts = msgspec.json.decode(line, type=dict[str, Any])
        kind = KINDS.get(str(facts.pop("kind", None)))
        if kind is None:
            raise _unreadable(number, f"kind must be one of {', '.join(KINDS)}")
        return msgspec.convert(facts, kind, dec_hook=decode_hook)  # type: ignore[return-value]  # one of the three
    except msgspec.DecodeError as problem:
        raise _unreadable(number, str(problem)) from None


def _unreadable(number: int, what: str) -> InvalidRequest:
    return InvalidRequest(f"line {number}: {what}", path=f"line {number}", rule="as export writes it")


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a receipt: how far a campaign has come.

    Attributes:
        ad_account_id: where it is made.
        original_id: the campaign in the file.
        key: the idempotency key under which its draft is made; written before the request leaves.
        draft_id: its draft, once it is known.
        whole: whether the draft has everything in it.
        published: whether it is live.
    """

    ad_account_id: str
    original_id: str
    key: str
    draft_id: str = ""
    whole: bool = False
    published: bool = False


class Receipt:
    """What an import has made so far, a line for each step, so that another one goes on after a crash.

    Raises:
        InvalidRequest: a line cannot be read, or is about another ad account. The last one may be torn: what wrote it was killed.
    """

    def __init__(self, path: Path, ad_account_id: str) -> None:
        self._path = path
        self._events: dict[str, Event] = {}
        content = path.read_bytes() if path.exists() else b""
        # What was torn off is cut off, so that the next line does not continue it.
        whole = content[: content.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                event = msgspec.json.decode(line, type=Event)
            except msgspec.DecodeError as problem:
                raise InvalidRequest(f"{path} is no receipt of an import: line {number}: {problem}", path=f"line {number}") from None
            if event.ad_account_id != ad_account_id:
                raise InvalidRequest(
                    f"{path} is the receipt of an import into another ad account, {event.ad_account_id}", path=f"line {number}"
                )
            self._events[event.original_id] = event
        if whole != content:
            with path.open("r+b") as file:
                file.truncate(len(whole))

    def of(self, original_id: str) -> Event | None:
        """How far a campaign has come, None for not begun."""
        return self._events.get(original_id)

    def write(self, event: Event) -> None:
        """Keep a step: it is on the disk when this returns. Blocks."""
        self._events[event.original_id] = event
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(event) + b"\n")
            file.flush()
            os.fsync(file.fileno())

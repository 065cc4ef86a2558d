"""Exported files: a tree as JSON Lines and back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.models import Ad, AdSet, Campaign
from spotify_ads_async.trees.tree import AdSetTree, CampaignTree, json_of
from spotify_ads_async.trees.unknown import path_text, unknown_in
from spotify_ads_async.types import Answer, decode_hook, keep_source

__all__ = ["FIRST_LINE", "KINDS", "last_line", "line_of", "parse", "read_file", "tells_its_end"]

KINDS: Mapping[str, type[Answer]] = {"campaign": Campaign, "ad_set": AdSet, "ad": Ad}
_KIND, _NEWER = "kind", "newer"
_EXPORT, _END = "export", "end"
_FORM = 1

FIRST_LINE = msgspec.json.encode({_KIND: _EXPORT, "form": _FORM}) + b"\n"
"""Says that the file has an end: :func:`last_line`."""
_LARGEST_FILE = 1 << 30
_LONGEST_LINE = 16 << 20
_ANEW = (
    "write it anew with `spotify-ads export tree`, or, where it was changed on purpose, take out its lines of the kinds"
    f" {_EXPORT} and {_END}"
)

TreeT = TypeVar("TreeT")


def line_of(kind: str, one: Answer) -> bytes:
    """One line of an exported file.

    Whatever the API answered, and under ``newer`` which of its keys and values no model knows.
    """
    source = json_of(one)
    newer = [path_text(found.path) for found in unknown_in(KINDS[kind], source)]
    return msgspec.json.encode({_KIND: kind, **({_NEWER: newer} if newer else {}), **source}) + b"\n"


def last_line(counts: Mapping[str, int]) -> bytes:
    """The end of an exported file: how many lines of each kind it has, so that one that was cut is known as such."""
    return msgspec.json.encode({_KIND: _END, **{kind: counts.get(kind, 0) for kind in KINDS}}) + b"\n"


def tells_its_end(content: bytes) -> bool:
    """Whether a file's last line counts the others: files of earlier versions have none such."""
    try:
        last = msgspec.json.decode(content.rstrip().rpartition(b"\n")[2])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(last, dict) and cast("dict[str, Any]", last).get(_KIND) == _END


def read_file(path: Path) -> bytes:
    """A whole file. Blocks.

    Raises:
        InvalidRequest: it is no plain file, or larger than a gigabyte.
    """
    if not path.exists():
        raise InvalidRequest(f"{path} is not there; nothing was sent", path=str(path), rule="a file")
    if not path.is_file():
        raise InvalidRequest(
            f"{path} is no plain file: save what it holds to one; nothing was sent", path=str(path), rule="a plain file"
        )
    with path.open("rb") as file:
        content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise InvalidRequest(
            f"{path} is larger than a gigabyte: divide it by campaigns; nothing was sent",
            path=str(path),
            rule="at most 1 GB",
        )
    return content


def parse(content: bytes, *, ignore: Collection[str] = ()) -> list[CampaignTree]:
    """The trees in an exported file. Pure.

    Args:
        content: the file's bytes.
        ignore: keys that may be unknown; they are left out of copies.

    Raises:
        InvalidRequest: a line cannot be read, has a key or a value that is not known and that ``newer`` does not name,
            has no id or one that was there before, or its parent does not come before it; or the file was cut.
    """
    campaigns: dict[str, CampaignTree] = {}
    ad_sets: dict[str, AdSetTree] = {}
    seen: dict[str, int] = {}
    frame = _Frame()
    allowed = frozenset(ignore)
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        if not line.strip():
            continue
        facts = _facts(number, line)
        kind = facts.pop(_KIND, None)
        if frame.takes(number, kind, facts):
            continue
        one = _parsed(number, kind, facts, allowed)
        if not one.id:
            raise _unreadable(number, "it has no id, by which its parts and the receipt know it")
        key = one.id.lower()
        if seen.setdefault(key, number) != number:
            raise _unreadable(number, f"{one.id} is on line {seen[key]}, too")
        if isinstance(one, Campaign):
            campaigns[key] = CampaignTree(campaign=one, ad_sets=[])
        elif isinstance(one, AdSet):
            tree = ad_sets[key] = AdSetTree(ad_set=one, ads=[])
            _parent(campaigns, one.campaign_id, number).ad_sets.append(tree)
        else:
            _parent(ad_sets, one.ad_set_id, number).ads.append(one)
    frame.require_ended()
    return list(campaigns.values())


def _parent(found: Mapping[str, TreeT], identifier: str | None, number: int) -> TreeT:
    parent = found.get((identifier or "").lower())
    if parent is None:
        raise _unreadable(number, f"its parent {identifier} does not come before it")
    return parent


class _Frame:
    """What a file says of its own length: a first line that promises a last one, which counts the lines between.

    Files of earlier versions say nothing, and those made by hand need not.
    """

    def __init__(self) -> None:
        self._begun = 0
        self._counts: Counter[str] = Counter()

    def takes(self, number: int, kind: object, facts: Mapping[str, Any]) -> bool:
        """Whether a line is a first or a last one. All others are counted.

        Raises:
            InvalidRequest: lines are missing, or the file is of a later version.
        """
        if kind == _EXPORT:
            self.require_ended()
            if facts != {"form": _FORM}:
                raise _unreadable(number, "a later version of this program wrote the file, and may mean other things")
            self._begun = number
        elif kind == _END:
            came = {one: self._counts[one] for one in KINDS}
            if facts != came:
                raise _unreadable(
                    number, f"the file ends with {_told(facts)}, and has {_told(came)}: it was cut or changed; {_ANEW}"
                )
            self._begun = 0
        else:
            self._counts[str(kind)] += 1
            return False
        self._counts.clear()
        return True

    def require_ended(self) -> None:
        """Refuse a file that lacks its last line.

        Raises:
            InvalidRequest: it was cut.
        """
        if self._begun:
            raise _unreadable(self._begun, f"the file begins here and its end is missing: it was cut; {_ANEW}")


def _told(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in counts.items())


def _facts(number: int, line: bytes) -> dict[str, Any]:
    if len(line) > _LONGEST_LINE:
        raise _unreadable(number, "it is longer than 16 MB")
    try:
        facts = msgspec.json.decode(line, type=dict[str, Any])
        # Of a key that is there twice, parsers take the last one: nobody knows which was meant.
        json.loads(line, object_pairs_hook=_once)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, _Twice) as problem:
        raise _unreadable(number, str(problem)) from None
    return facts


def _parsed(number: int, named: object, facts: dict[str, Any], ignore: frozenset[str]) -> Campaign | AdSet | Ad:
    kind = KINDS.get(str(named))
    if kind is None:
        raise _unreadable(number, f"kind must be one of {', '.join(KINDS)}")
    try:
        newer = msgspec.convert(facts.pop(_NEWER, []), list[str])
        _check_known(number, kind, facts, ignore.union(newer))
        one: Any = msgspec.convert(facts, kind, dec_hook=decode_hook)
        keep_source(one, msgspec.json.encode(facts))
    except (msgspec.DecodeError, RecursionError) as problem:
        raise _unreadable(number, str(problem)) from None
    for name in ("start_time", "end_time"):
        moment = getattr(one, name, None)
        if moment is not None and moment.tzinfo is None:
            raise _unreadable(
                number, f"{name} names no zone: write it in UTC, as 2031-03-01T09:00:00Z, or with its offset"
            )
    return one


class _Twice(ValueError):
    """A key is there twice."""


def _once(pairs: list[tuple[str, Any]]) -> None:
    keys: set[str] = set()
    for key, _ in pairs:
        if key in keys:
            raise _Twice(f"{key} is there twice")
        keys.add(key)


def _check_known(number: int, kind: type[Answer], facts: Mapping[str, Any], allowed: Collection[str]) -> None:
    """Refuse what no model knows, unless it is said to come from a newer API."""
    for found in unknown_in(kind, facts):
        text = path_text(found.path)
        if text in allowed or str(found.path[-1]) in allowed:
            continue
        meant = f": did you mean {found.suggestion}?" if found.suggestion else ""
        what = (
            f"{text} is no key that is known"
            if found.is_key
            else f"{text} is {found.value!r}, which is no value that is known"
        )
        raise _unreadable(
            number, f'{what}{meant or ""} (if a newer API gave it, "newer": ["{text}"] in the line says so)'
        )


def _unreadable(number: int, what: str) -> InvalidRequest:
    return InvalidRequest(f"line {number}: {what}", path=f"line {number}", rule="as export writes it")

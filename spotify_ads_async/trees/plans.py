"""What a copy shall be: the requests that make its drafts, and the live state that is wanted in the end.

Pure: nothing is sent here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import msgspec

from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.json_values import is_array, is_object
from spotify_ads_async.models import (
    Ad,
    AdCreate,
    AdDraftCreate,
    AdSet,
    AdSetCreate,
    AdSetDraftCreate,
    Campaign,
    CampaignCreate,
    CampaignDraftCreate,
)
from spotify_ads_async.operation import Operation
from spotify_ads_async.operations import CREATE_AD_DRAFT, CREATE_AD_SET_DRAFT, CREATE_CAMPAIGN_DRAFT
from spotify_ads_async.trees.rates import Rates
from spotify_ads_async.trees.tree import AdSetTree, CampaignTree, Rename, json_of, moved
from spotify_ads_async.trees.unknown import Path, path_text, put_at, unknown_in
from spotify_ads_async.types import Answer, OpenEnum, Request, decode_hook, in_utc
from spotify_ads_async.validation.requests import check_body

__all__ = ["LONGEST_NAME", "AdSetPlan", "CampaignPlan", "LeftOut", "PartPlan", "Planner", "copy_name", "shift"]

RequestT = TypeVar("RequestT", bound=Request)

LONGEST_NAME = 200
_COPY = " (copy)"
_ARCHIVED = "ARCHIVED"
_TODAY = timedelta(days=1)
# A draft's parent is known once that is made; until then this stands for it.
_PARENT_TO_COME = "00000000-0000-4000-8000-000000000000"
_PARENTS = frozenset({"campaign_id", "ad_set_id"})
_AS_ANSWERED = frozenset({"delivery_goal", "objective", "cost_model", "skad_enabled"})
"""What drafts hold and the requests for live entities do not, or not alike."""


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A part that a copy does not have.

    Attributes:
        kind: campaign, ad_set or ad.
        name: its name.
        original_id: its id.
        reason: why it is left out, such as ``archived``.
    """

    kind: str
    name: str
    original_id: str
    reason: str


class PartPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign, an ad set or an ad that shall be made.

    Attributes:
        kind: campaign, ad_set or ad.
        name: its new name.
        original_id: of what it is a copy.
        body: the request of its draft, as JSON; the parent's id is filled in when it is known.
        wanted: its live state in the end, as far as that is in our hands.
        unheld: what of that a draft cannot hold: whether it runs, an ad's own flight. It is set after publishing.
        newer: keys that a newer API gave, with their values, and that no draft is known to take: compared in the end.
        notes: what cannot be vouched for, for people.
    """

    kind: str
    name: str
    original_id: str
    body: dict[str, Any]
    wanted: dict[str, Any]
    unheld: dict[str, Any]
    newer: dict[str, Any]
    notes: list[str] = []

    @property
    def noun(self) -> str:
        """The kind for people."""
        return self.kind.replace("_", " ")


class AdSetPlan(msgspec.Struct, frozen=True, kw_only=True):
    """An ad set with its ads."""

    part: PartPlan
    ads: list[PartPlan]

    def parts(self) -> list[PartPlan]:
        """The ad set and its ads."""
        return [self.part, *self.ads]

    def digest(self) -> str:
        """What tells this plan from another one of the same ad set."""
        return _digest(self)


class CampaignPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign with everything in it, and what is left out of it."""

    part: PartPlan
    ad_sets: list[AdSetPlan]
    left_out: list[LeftOut]

    def parts(self) -> list[PartPlan]:
        """The campaign, and whatever is in it."""
        return [self.part, *(part for one in self.ad_sets for part in one.parts())]

    def unheld(self) -> list[PartPlan]:
        """The parts of which a draft cannot hold everything."""
        return [part for part in self.parts() if part.unheld]

    @property
    def runs(self) -> bool:
        """Whether the campaign shall run in the end."""
        return self.part.wanted["status"] == "ACTIVE"

    def digest(self) -> str:
        """What tells this plan from another one of the same campaign."""
        return _digest(self)


def _digest(plan: AdSetPlan | CampaignPlan) -> str:
    return hashlib.blake2b(msgspec.json.encode(plan, order="deterministic"), digest_size=12).hexdigest()


def copy_name(name: str) -> str:
    """The name of a copy: with " (copy)" behind it, and short enough for it."""
    return f"{name[: LONGEST_NAME - len(_COPY)].rstrip()}{_COPY}"


def shift(ad_sets: Iterable[AdSetTree], start: datetime | None) -> timedelta:
    """By how much dates move so that the first ad set that is made starts at ``start``."""
    if start is None:
        return timedelta(0)
    made = [one.ad_set for one in ad_sets if str(one.ad_set.status) != _ARCHIVED]
    try:
        wanted = in_utc(start)
        starts = [in_utc(one.start_time) for one in made if one.start_time is not None]
    except OverflowError:
        raise InvalidRequest(
            f"a start of {start.isoformat()}, or one that would move, leaves the calendar in UTC; nothing was sent",
            path="start",
            value=start,
        ) from None
    if wanted < datetime.now(UTC) - _TODAY:
        raise InvalidRequest(
            f"a start of {wanted.date()} lies in the past; nothing was sent",
            path="start",
            value=start,
            rule="not before today",
        )
    return wanted - min(starts) if starts else timedelta(0)


class Planner:
    """Plans copies.

    Args:
        rename: from the old name of an ad set or ad to its new one.
        start: when the first ad set of a campaign shall start.
        rates: how amounts become those of the account's currency; None where they stay in their account.
        ignore: keys that are left out of the copy.
    """

    def __init__(
        self, rename: Rename, *, start: datetime | None = None, rates: Rates | None = None, ignore: Collection[str] = ()
    ) -> None:
        self._rename = rename
        self._start = start
        self._rates = rates
        self._ignore = frozenset(ignore)

    def campaign(self, tree: CampaignTree, name: str) -> CampaignPlan | LeftOut:
        """The plan of a whole tree under a new name; a campaign that is archived is left out with all that is in it.

        Raises:
            InvalidRequest: something in the tree cannot be made.
        """
        campaign = tree.campaign
        if str(campaign.status) == _ARCHIVED:
            return LeftOut(kind="campaign", name=campaign.name or "", original_id=campaign.id or "", reason="archived")
        by = shift(tree.ad_sets, self._start)
        left_out: list[LeftOut] = []
        ad_sets: list[AdSetPlan] = []
        for one in tree.ad_sets:
            if str(one.ad_set.status) == _ARCHIVED:
                left_out.append(_left_out("ad_set", one.ad_set))
                left_out += [_left_out("ad", ad) for ad in one.ads]
            else:
                ad_sets.append(self.ad_set(one, by, left_out))
        notes: list[str] = []
        runs = str(campaign.status) == "ACTIVE"
        if not runs and str(campaign.status) != "PAUSED":
            notes.append(f"whether it runs is not known (its status is {_said(campaign.status)}): the copy is paused")
        status = "ACTIVE" if runs else "PAUSED"
        part = self._part("campaign", campaign, {"name": name}, wanted={"status": status}, notes=notes)
        return CampaignPlan(part=part, ad_sets=ad_sets, left_out=left_out)

    def ad_set(self, tree: AdSetTree, by: timedelta, left_out: list[LeftOut], *, name: str | None = None) -> AdSetPlan:
        """The plan of an ad set and its ads, with dates later by ``by``; what is archived joins ``left_out``.

        Raises:
            InvalidRequest: something in it cannot be made.
        """
        ad_set = tree.ad_set
        times = self._flight("ad set", ad_set, by)
        changes = {"name": name or self._rename(ad_set.name or ""), "campaign_id": _PARENT_TO_COME, **times}
        wanted: dict[str, Any] = {}
        notes: list[str] = []
        # An account that is suspended pauses its ad sets too, which is no wish of whoever made them. A pause without a
        # reason is one.
        by_user = ad_set.pause_reason is None or (ad_set.delivery is None and str(ad_set.pause_reason) == "USER_PAUSED")
        paused = ad_set.is_paused and by_user
        if paused and str(ad_set.delivery) == "ON":
            notes.append("whether it runs is not known (its delivery is ON, and is_paused is true): the copy is off")
        wanted["delivery"] = "OFF" if paused else _delivery(ad_set.delivery, notes)
        part = self._part("ad_set", ad_set, changes, wanted=wanted, notes=notes)
        ads: list[PartPlan] = []
        for ad in tree.ads:
            if str(ad.status) == _ARCHIVED:
                left_out.append(_left_out("ad", ad))
            else:
                ads.append(self._ad(ad, by))
        return AdSetPlan(part=part, ads=ads)

    def _ad(self, ad: Ad, by: timedelta) -> PartPlan:
        notes: list[str] = []
        wanted: dict[str, Any] = {"delivery": _delivery(ad.delivery, notes)}
        wanted |= {
            name: msgspec.json.decode(msgspec.json.encode(moment))
            for name, moment in self._flight("ad", ad, by).items()
            if moment is not None
        }
        changes = {"name": self._rename(ad.name or ""), "ad_set_id": _PARENT_TO_COME}
        return self._part("ad", ad, changes, wanted=wanted, notes=notes)

    def _flight(self, noun: str, one: AdSet | Ad, by: timedelta) -> dict[str, datetime | None]:
        try:
            return {"start_time": moved(one.start_time, by), "end_time": moved(one.end_time, by)}
        except OverflowError:
            raise InvalidRequest(
                f"the dates of {noun} {one.id} ({one.name}) would leave the calendar, which goes from the year 1 to"
                " 9999; nothing was sent",
                path="start",
                rule="within the calendar",
            ) from None

    def _part(
        self,
        kind: str,
        answer: Campaign | AdSet | Ad,
        changes: Mapping[str, Any],
        *,
        wanted: dict[str, Any],
        notes: list[str],
    ) -> PartPlan:
        operation, live, draft = _REQUESTS[kind]
        source = json_of(answer)
        unknown = [
            one
            for one in unknown_in(type(answer), source)
            if not self._ignore & {path_text(one.path), str(one.path[-1])}
        ]
        body = _draft(
            kind,
            msgspec.structs.replace(answer, **changes),
            operation,
            live,
            draft,
            checked=all(one.is_key for one in unknown),
        )
        if self._rates is not None:
            self._rates.convert(body, answer, [path_text(one.path) for one in unknown if one.is_key])
        newer: dict[str, Any] = {}
        for one in unknown:
            if one.is_key and (len(one.path) == 1 or not put_at(body, one.path, one.value)):
                newer[path_text(one.path)] = one.value
        body = _without(body, self._ignore - _PARENTS)
        return PartPlan(
            kind=kind,
            name=str(changes["name"]),
            original_id=answer.id or "",
            body={**body, **({"status": wanted["status"]} if kind == "campaign" else {})},
            wanted={**{name: value for name, value in body.items() if name not in _PARENTS}, **wanted},
            # ON is what comes of a draft by itself.
            unheld={} if kind == "campaign" else {name: value for name, value in wanted.items() if value != "ON"},
            newer={name: value for name, value in newer.items() if "." not in name},
            notes=notes + [f"{name} is newer than this version, and no draft is known to take it" for name in newer],
        )


_REQUESTS: Mapping[str, tuple[Operation[Any], type[Request], type[Request]]] = {
    "campaign": (CREATE_CAMPAIGN_DRAFT, CampaignCreate, CampaignDraftCreate),
    "ad_set": (CREATE_AD_SET_DRAFT, AdSetCreate, AdSetDraftCreate),
    "ad": (CREATE_AD_DRAFT, AdCreate, AdDraftCreate),
}


def _without(value: Any, ignored: Collection[str], path: Path = ()) -> Any:  # noqa: ANN401 - any JSON
    """JSON without the keys of these names or places, at any depth."""
    if is_array(value):
        return [_without(one, ignored, (*path, place)) for place, one in enumerate(value)]
    if not is_object(value):
        return value
    return {
        name: _without(one, ignored, (*path, name))
        for name, one in value.items()
        if name not in ignored and path_text((*path, name)) not in ignored
    }


def _left_out(kind: str, one: AdSet | Ad) -> LeftOut:
    return LeftOut(kind=kind, name=one.name or "", original_id=one.id or "", reason="archived")


def _said(value: object) -> str:
    return "not told" if value is None else str(value)


def _delivery(value: object, notes: list[str]) -> str:
    if str(value) not in {"ON", "OFF"}:
        notes.append(f"whether it runs is not known (its delivery is {_said(value)}): the copy is off")
    return "ON" if str(value) == "ON" else "OFF"


def _draft(
    kind: str,
    answer: Campaign | AdSet | Ad,
    operation: Operation[Any],
    live: type[Request],
    draft: type[Request],
    *,
    checked: bool,
) -> dict[str, Any]:
    """What was answered, as the JSON of a draft's request: without what only answers have."""
    # Nested parts know how to become those of live requests; drafts have the same, with fewer that must be there.
    names = [name for name in draft.__struct_fields__ if name in live.__struct_fields__ or name in _AS_ANSWERED]
    given = {name: getattr(answer, name, None) for name in names}
    noun = kind.replace("_", " ")
    try:
        parts = {name: _sent(value) for name, value in given.items() if value is not None and not _only_answered(value)}
        body = msgspec.convert(parts, draft, dec_hook=decode_hook)
        if checked:
            check_body(operation, body, now=datetime.now(UTC))
    except (msgspec.ValidationError, TypeError) as problem:
        error = InvalidRequest(str(problem), operation=operation.id, path="body", rule="as the API takes it")
        error.add_note(f"{noun} {answer.id} ({answer.name}) cannot be made; nothing was sent")
        raise error from None
    except InvalidRequest as error:
        error.add_note(f"{noun} {answer.id} ({answer.name}) cannot be made; nothing was sent")
        raise
    return msgspec.json.decode(msgspec.json.encode(body))


def _sent(value: object) -> object:
    if isinstance(value, list):
        return [_sent(one) for one in cast("list[object]", value)]
    if isinstance(value, Answer):
        value = cast("Any", value).as_request()
    return msgspec.to_builtins(value, builtin_types=(datetime,))


def _only_answered(value: object) -> bool:
    return isinstance(value, OpenEnum) and value.value in type(value).answer_only

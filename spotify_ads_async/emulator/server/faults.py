"""What goes wrong on demand: faults by share or for the next requests of an operation, from seeded random numbers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict, cast, get_args

import msgspec

from spotify_ads_async.emulator.domain.answers import Refusal
from spotify_ads_async.emulator.domain.shapes import enum_properties
from spotify_ads_async.undocumented import EVERY_OPERATION

__all__ = ["ArmedFault", "Fault", "FaultBook", "FaultDetails", "FaultKind", "altered", "parse_faults", "refusal_of"]

Query: TypeAlias = Mapping[str, Sequence[str]]
"""The parameters of a request, each with its values."""

FaultKind: TypeAlias = Literal[
    "camel_case",
    "delay",
    "denied",
    "error",
    "garbage",
    "html",
    "indeterminate",
    "lost_answer",
    "rate_limited",
    "reset",
    "terms",
    "truncated",
    "unauthorized",
    "unknown_fields",
    "unknown_values",
]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that goes wrong.

    Attributes:
        kind: ``reset`` (the connection breaks before anything happens) · ``error`` (``status``, before anything
            happens) · ``unauthorized`` (401) · ``denied`` (403) · ``terms`` (403, because the API's terms are not
            accepted for the client ID) · ``rate_limited`` (a 429 that no window explains) · ``delay`` (``delay`` more
            seconds) · ``lost_answer`` (it takes effect, then the connection breaks) · ``truncated`` (half of the
            answer, then the connection breaks) · ``garbage`` (it takes effect, the answer is no JSON) · ``html`` (an
            error page of a proxy with ``status``, before anything happens) · ``indeterminate`` (it takes effect, the
            answer is a 500, and nobody knows: a repeat with its key is a 409) · ``camel_case`` (a refusal
            whose body says ``errorCodes``, as some of the API's do) · ``unknown_fields`` and ``unknown_values`` (the
            answer has attributes and enum values that no document lists).
        share: which share of the matching requests, from 0 to 1.
        operations: the operationIds that match; empty for all.
        ad_accounts: the ad accounts whose requests match; empty for all.
        businesses: the businesses whose requests match; empty for all.
        query: parameters that a request must have to match, each with a value that must be among its own:
            ``{"granularity": "HOUR", "fields": "REVENUE"}`` with ``kind="error"`` and ``status=502`` is what an account
            was seen to do.
        skip: how many matching requests go unharmed first.
        times: how many requests are harmed at most, None for no end.
        status: the status of ``error`` and ``html``, from 400 to 599; it is answered as it is, on every operation.
        message: what an ``error`` says; by default that it was asked for.
        delay: the seconds of ``delay``.
        headers: further headers of the answer that the fault makes.

    Raises:
        ValueError: no fault is of the kind, ``share`` or ``status`` is none, or no operation has one of the names.
    """

    kind: FaultKind
    share: float = 1.0
    operations: frozenset[str] = frozenset()
    ad_accounts: frozenset[str] = frozenset()
    businesses: frozenset[str] = frozenset()
    query: dict[str, str] = {}
    skip: int = 0
    times: int | None = None
    status: int = 503
    message: str = "a fault that was asked for"
    delay: float = 0.0
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        """Refuse what would never strike, or strike elsewhere than was meant."""
        if self.kind not in get_args(FaultKind):
            raise ValueError(f"no fault is called {self.kind}; there are {', '.join(get_args(FaultKind))}")
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"the share must lie between 0 and 1, not at {self.share}")
        if not 400 <= self.status <= 599:
            raise ValueError(f"the status of a failure lies between 400 and 599, not at {self.status}")
        if not self.delay >= 0.0:
            raise ValueError(f"a delay of {self.delay} s cannot be waited out")
        unknown = self.operations - EVERY_OPERATION.keys()
        if unknown:
            raise ValueError(f"no operation is called {', '.join(sorted(unknown))}")


class FaultDetails(TypedDict, total=False):
    """The attributes of a :class:`Fault` beside its kind and its operations."""

    ad_accounts: frozenset[str]
    businesses: frozenset[str]
    share: float
    query: dict[str, str]
    skip: int
    times: int | None
    status: int
    message: str
    delay: float
    headers: dict[str, str]


class ArmedFault:
    """A fault in force.

    Attributes:
        fault: what it does.
        seen: how many requests matched so far.
        hits: how many of them it harmed.
    """

    __slots__ = ("_remove", "fault", "hits", "number", "seen")

    def __init__(self, fault: Fault, number: int, remove: Callable[[ArmedFault], None]) -> None:
        self.fault = fault
        self.number = number
        self.seen = 0
        self.hits = 0
        self._remove = remove

    def remove(self) -> None:
        """Take the fault out of force."""
        self._remove(self)

    def strikes(self, operation: str, path: Mapping[str, str], query: Query, rng: random.Random) -> bool:
        """Whether the fault harms this request."""
        fault = self.fault
        if not (
            _among(operation, fault.operations)
            and _among(path.get("ad_account_id"), fault.ad_accounts)
            and _among(path.get("business_id"), fault.businesses)
        ):
            return False
        if any(value not in query.get(name, ()) for name, value in fault.query.items()):
            return False
        if fault.times is not None and self.hits >= fault.times:
            return False
        self.seen += 1
        if self.seen <= fault.skip or (fault.share < 1.0 and rng.random() >= fault.share):
            return False
        self.hits += 1
        return True


def _among(value: str | None, wanted: frozenset[str]) -> bool:
    """Whether a request's value is one of those that a fault names, none for all."""
    return not wanted or (value is not None and value in wanted)


_PASSING: frozenset[FaultKind] = frozenset({"camel_case", "delay", "unknown_fields", "unknown_values"})
"""Faults that leave the request's end as it is."""


class FaultBook:
    """The faults in force, in the order in which they were armed."""

    def __init__(self, rng: random.Random, faults: Iterable[Fault] = ()) -> None:
        self._random = rng
        self._armed: list[ArmedFault] = []
        self._number = 0
        for fault in faults:
            self.add(fault)

    def __iter__(self) -> Any:  # noqa: ANN401 - an iterator of ArmedFault
        return iter(tuple(self._armed))

    def __bool__(self) -> bool:
        return bool(self._armed)

    def add(self, fault: Fault) -> ArmedFault:
        """Put a fault in force."""
        self._number += 1
        armed = ArmedFault(fault, self._number, self._drop)
        self._armed.append(armed)
        return armed

    def clear(self) -> None:
        """Take every fault out of force."""
        self._armed.clear()

    def _drop(self, armed: ArmedFault) -> None:
        if armed in self._armed:
            self._armed.remove(armed)

    def strike(
        self, operation: str, path: Mapping[str, str], query: Query
    ) -> tuple[float, Fault | None, frozenset[FaultKind]]:
        """What befalls a request: further seconds, the first fault that decides its end, and how its answer changes."""
        delay = 0.0
        end: Fault | None = None
        changes: set[FaultKind] = set()
        for armed in self._armed:
            if end is not None and armed.fault.kind not in _PASSING:
                continue
            if not armed.strikes(operation, path, query, self._random):
                continue
            match armed.fault.kind:
                case "delay":
                    delay += armed.fault.delay
                case "unknown_fields" | "unknown_values" | "camel_case":
                    changes.add(armed.fault.kind)
                case _:
                    end = armed.fault
        return delay, end, frozenset(changes)


def altered(content: Any, changes: frozenset[FaultKind]) -> Any:  # noqa: ANN401 - any JSON
    """A copy of an answer with attributes or enum values that no document lists."""
    if isinstance(content, list):
        return [altered(item, changes) for item in cast("list[Any]", content)]
    if not isinstance(content, dict):
        return content
    copy = {name: altered(value, changes) for name, value in cast("dict[str, Any]", content).items()}
    if "unknown_values" in changes:
        for name in enum_properties() & copy.keys():
            value = copy[name]
            if isinstance(value, str):
                copy[name] = f"NEW_{value}"
            elif isinstance(value, list):
                copy[name] = [f"NEW_{item}" if isinstance(item, str) else item for item in cast("list[Any]", value)]
    if "unknown_fields" in changes:
        copy["attribute_added_later"] = {"nested": [1, None, "text"]}
    return copy


def parse_faults(text: str) -> list[Fault]:
    """Faults from ``kind=share`` pairs: ``reset=0.01,error=0.02,delay=0.1:2.5``.

    A colon brings the status or the seconds.

    Raises:
        ValueError: the text is nothing of that.
    """
    faults: list[Fault] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        kind, _, value = item.partition("=")
        share, _, detail = (value or "1").partition(":")
        try:
            fault: dict[str, Any] = {"kind": kind, "share": float(share)}
            if detail:
                fault |= {"delay": float(detail)} if kind == "delay" else {"status": int(detail)}
        except ValueError:
            raise ValueError(f"{item!r}: a share between 0 and 1 is needed, and a number after the colon") from None
        try:
            faults.append(Fault(**fault))
        except ValueError as error:
            raise ValueError(f"{item!r}: {error}") from None
    return faults


def refusal_of(fault: Fault) -> Refusal | None:
    """The refusal that a fault makes of a request before it takes effect, None where it does nothing of the kind."""
    match fault.kind:
        case "error":
            status, code, message = fault.status, _CODES.get(fault.status, "INTERNAL_ERROR"), fault.message
        case "html":
            status, code, message = fault.status, "HTML", ""
        case _ if fault.kind in _REFUSED:
            status, message = _REFUSED[fault.kind]
            code = _CODES[status]
        case _:
            return None
    return Refusal(status, code, message, headers=fault.headers, exact=True)


_CODES: Mapping[int, str] = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    409: "CONFLICT",
    422: "INSUFFICIENT_DATA",
    429: "RATE_LIMITED",
    503: "SERVICE_UNAVAILABLE",
}
"""The code that goes with a failure's status."""

_REFUSED: Mapping[FaultKind, tuple[int, str]] = {
    "unauthorized": (401, "the access token expired"),
    "denied": (403, "the user may not do this"),
    "terms": (403, "the terms of the API are not accepted for this client ID"),
    "rate_limited": (429, "too many requests"),
}

"""Request rules of the quota proxy: what a request asks of the proxy, and what of it may go upstream.

Pure functions.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import math
from collections.abc import Collection, Iterable, Mapping
from urllib.parse import unquote

import msgspec
from multidict import CIMultiDict

from spotify_ads_async.core.router import Router
from spotify_ads_async.errors import Portable
from spotify_ads_async.governor import Priority
from spotify_ads_async.operations import OPERATIONS
from spotify_ads_async.types import Secret

__all__ = ["KEY_HEADER", "Refusal", "Wish", "allowed_sender", "end_to_end", "has_key", "limits_spent", "wish"]

KEY_HEADER = "X-Quota-Proxy-Key"
"""The proxy's own key. It never goes upstream."""
_PREFERENCES: Mapping[str, str] = {
    "X-Quota-Priority": "priority",
    "X-Quota-Max-Wait": "max_wait",
    "X-Quota-Client-Id": "client_id",
}
_OWN_HEADERS = frozenset({KEY_HEADER.lower(), *(name.lower() for name in _PREFERENCES)})
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
    }
    | {"upgrade", "host", "expect"}
)
"""RFC 9110, 7.6.1, and what the next hop's own HTTP says anew."""
_UNKNOWN_OPERATION = frozenset({"client_id", "ip"})
_MOST_CLIENT_ID = 200

_routes: Router[frozenset[str]] = Router()
for _operation in OPERATIONS.values():
    _routes.add(_operation.method, _operation.path, frozenset(_operation.limits))


class Refusal(Portable):
    """The proxy's own answer to a request that it does not forward."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers: Mapping[str, str] = headers or {}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks for.

    The path below the API's base URL, its class in the line, seconds to wait at most, and whose quota.
    """

    path: str
    priority: Priority
    max_wait: float
    client_id: str | None


def wish(target: str, headers: Mapping[str, str], *, base_path: str, longest_wait: float) -> Wish:
    """Read a request's target and headers.

    Preferences stand in headers (``X-Quota-Priority: bulk``) or, for programs that can only set a base URL, in a first
    segment of the path: ``/~priority=bulk,max_wait=5,client_id=abc/ads/v3/…``. A header wins.

    Raises:
        Refusal: the target is not below the base path, or a preference cannot be read.
    """
    if not target.startswith("/"):
        raise Refusal(400, "the proxy serves one API: send it a path, not a whole address")
    given: dict[str, str] = {}
    if target.startswith("/~"):
        segment, _, rest = target[2:].partition("/")
        target = f"/{rest}"
        for part in segment.split(","):
            name, _, value = part.partition("=")
            given[name] = unquote(value)
        unknown = given.keys() - set(_PREFERENCES.values())
        if unknown:
            raise Refusal(
                400, f"the path's first segment holds {min(unknown)!r}; it takes priority, max_wait and client_id"
            )
    given |= {name: headers[header] for header, name in _PREFERENCES.items() if header in headers}
    path = target.partition("?")[0]
    if not target.startswith(f"{base_path}/") or any(unquote(part) in {".", ".."} for part in path.split("/")):
        raise Refusal(404, f"there is nothing here; the API is below {base_path}/")
    return Wish(
        path=target[len(base_path) :],
        priority=_priority(given.get("priority", "interactive")),
        max_wait=min(longest_wait, _seconds(given.get("max_wait"), longest_wait)),
        client_id=_client_id(given.get("client_id")),
    )


def _priority(text: str) -> Priority:
    named = {priority.name.lower(): priority for priority in Priority}.get(text.strip().lower())
    if named is None:
        raise Refusal(400, f"priority is interactive or bulk, not {text[:40]!r}")
    return named


def _seconds(text: str | None, default: float) -> float:
    if text is None:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds >= 0.0:
        raise Refusal(400, f"the longest wait is a number of seconds, not {text[:40]!r}")
    return seconds


def _client_id(text: str | None) -> str | None:
    if text is not None and not (text.isprintable() and 0 < len(text) <= _MOST_CLIENT_ID):
        raise Refusal(400, "the client ID is empty, too long, or holds control characters")
    return text


def limits_spent(method: str, path: str) -> frozenset[str]:
    """The names of the limits that a request spends.

    Those of its operation, or those of any request where it is none we know.
    """
    found = _routes.find(method, path.partition("?")[0])
    return _UNKNOWN_OPERATION if isinstance(found, frozenset) else found[0]


def end_to_end(headers: Iterable[tuple[str, str]]) -> CIMultiDict[str]:
    """The headers that go on to the other side: no hop-by-hop ones, none of the proxy's own."""
    kept = CIMultiDict(headers)
    named = {name.strip().lower() for value in kept.getall("Connection", ()) for name in value.split(",")}
    for name in {name for name in kept if name.lower() in _HOP_BY_HOP | _OWN_HEADERS | named}:
        kept.popall(name, None)
    return kept


def allowed_sender(headers: Mapping[str, str], *, hosts: Collection[str], origin: str) -> bool:
    """Whether a program of this machine may have sent it, and no page in a browser.

    Pages send an Origin, or a Host that is not ours.
    """
    if hosts and headers.get("Host", "").lower() not in hosts:
        return False
    return headers.get("Origin", origin) == origin and headers.get("Sec-Fetch-Site", "none") in {"none", "same-origin"}


def has_key(headers: Mapping[str, str], key: Secret | None, *, in_browser: bool = False) -> bool:
    """Whether the request shows the proxy's key in its header, or in a browser as the password of HTTP Basic.

    True where there is none.
    """
    if key is None:
        return True
    shown = headers.get(KEY_HEADER, "").encode("utf-8", "surrogateescape")
    scheme, _, encoded = headers.get("Authorization", "").partition(" ")
    if in_browser and scheme.lower() == "basic":
        try:
            shown = base64.b64decode(encoded, validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return False
    return hmac.compare_digest(shown, key.reveal().encode())

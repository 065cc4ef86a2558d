"""Request rules of the quota proxy: what a request asks of it, and what may go upstream. Pure functions."""

from __future__ import annotations

import base64
import contextlib
import hmac
import math
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated
from urllib.parse import unquote

import msgspec
from multidict import CIMultiDict

from spotify_ads_async.core.router import Router
from spotify_ads_async.errors import Portable
from spotify_ads_async.governor import Priority
from spotify_ads_async.operations import OPERATIONS
from spotify_ads_async.types import Secret

__all__ = [
    "MADE_HERE",
    "Refusal",
    "Wish",
    "allowed_sender",
    "end_to_end",
    "has_key",
    "limits_spent",
    "odd_head",
    "wish",
]

_KEY_HEADER = "X-Quota-Proxy-Key"
"""The proxy's own key. It never goes upstream."""
_PREFERENCES = {"X-Quota-Priority": "priority", "X-Quota-Max-Wait": "max_wait", "X-Quota-Client-Id": "client_id"}
MADE_HERE = "X-Quota-Proxy"
"""On every answer that the proxy makes itself; those from upstream never have it."""
_OWN = frozenset({_KEY_HEADER.lower(), MADE_HERE.lower(), *map(str.lower, _PREFERENCES)})
_OF_ONE_HOP = frozenset({"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"})
_NOT_PASSED_ON = _OWN | _OF_ONE_HOP | {"te", "trailer", "transfer-encoding", "upgrade", "host", "expect"}
"""The proxy's own headers, those of one hop (RFC 9110, 7.6.1), and what the next hop's own HTTP says anew."""
_CLIMBS = re.compile(r"[/\\]\.{1,2}(?:;[^/\\]*)?(?:[/\\]|\Z)")
_UNKNOWN_OPERATION = frozenset({"client_id", "ip"})
_CLIENT_ID = msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*\Z")

_ODD = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""What aiohttp reads in a header and does not write.

It refuses control characters, and leaves out without a word what stands for bytes that are no UTF-8.
"""
_ENDS = re.compile(r"[\0\r\n]")

_routes: Router[frozenset[str]] = Router()
for _operation in OPERATIONS.values():
    _routes.add(_operation.method, _operation.path, frozenset(_operation.limits))


class Refusal(Portable):
    """The proxy's own answer to a request that it does not forward."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers: Mapping[str, str] = headers or {}


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request asks for: path below the base URL, class in the line, seconds to wait at most, whose quota."""

    path: str
    priority: Priority = Priority.INTERACTIVE
    max_wait: Annotated[float, msgspec.Meta(ge=0)] = math.inf
    client_id: Annotated[str, _CLIENT_ID] | None = None


def wish(target: str, headers: Mapping[str, str], *, base_path: str) -> Wish:
    """Read a request's target and headers.

    Preferences stand in headers (``X-Quota-Priority: bulk``) or, for programs that can only set a base URL, in a first
    segment of the path: ``/~priority=bulk,max_wait=5,client_id=abc/ads/v3/…``. A header wins.

    Raises:
        Refusal: the target is not below the base path, a preference cannot be read, or a header would not arrive as it
            is.
    """
    if not target.startswith("/") or "#" in target:
        raise Refusal(400, "the proxy serves one API: send it a path, not a whole address, and # as %23")
    given: dict[str, str] = {}
    if target.startswith("/~"):
        segment, _, rest = target[2:].partition("/")
        target = f"/{rest}"
        given = {name: unquote(value) for name, _, value in (part.partition("=") for part in segment.split(","))}
    given |= {name: headers[header] for header, name in _PREFERENCES.items() if header in headers}
    if not target.startswith(f"{base_path}/") or _CLIMBS.search(unquote(unquote(target.partition("?")[0]))):
        raise Refusal(404, f"there is nothing here; the API is below {base_path}/")
    if (odd := next((name for name, value in headers.items() if _ODD.search(value)), None)) is not None:
        raise Refusal(400, f"the header {odd} holds control characters, or bytes that are no UTF-8: nothing was sent")
    try:
        return msgspec.convert({**given, "path": target[len(base_path) :]}, Wish, strict=False)
    except (msgspec.ValidationError, UnicodeError) as error:
        raise Refusal(400, f"priority, max_wait or client_id cannot be read: {str(error)[:200]}") from None


def limits_spent(method: str, path: str) -> frozenset[str]:
    """The limits that a request spends: those of its operation, or where we know none, those of any request."""
    found = _routes.find(method, path.partition("?")[0])
    return _UNKNOWN_OPERATION if isinstance(found, frozenset) else found[0]


def end_to_end(headers: Iterable[tuple[str, str]]) -> CIMultiDict[str]:
    """The headers that go on to the other side: no hop-by-hop ones, none of the proxy's own."""
    kept = CIMultiDict(headers)
    named = {name.strip().lower() for value in kept.getall("Connection", ()) for name in value.split(",")}
    left = _NOT_PASSED_ON | named
    return CIMultiDict((name, value) for name, value in kept.items() if name.lower() not in left)


def odd_head(status_line: str, headers: Mapping[str, str]) -> bytes | None:
    """An answer's head with the very bytes that came, where aiohttp would not write them; None where it does."""
    lines = [status_line, *(f"{name}: {value}" for name, value in headers.items())]
    text = "".join(lines)
    if not _ODD.search(text) or _ENDS.search(text):
        return None
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def allowed_sender(headers: Mapping[str, str], *, hosts: Collection[str], origin: str) -> bool:
    """Whether no page in a browser can have sent it: pages send an Origin, or a Host that is not ours."""
    if hosts and headers.get("Host", "").lower() not in hosts:
        return False
    return headers.get("Origin", origin) == origin and headers.get("Sec-Fetch-Site", "none") in {"none", "same-origin"}


def has_key(headers: Mapping[str, str], key: Secret | None, *, in_browser: bool = False) -> bool:
    """Whether the key, if there is one, comes in its header, or from a browser as the password of HTTP Basic."""
    if key is None:
        return True
    shown = headers.get(_KEY_HEADER, "").encode("utf-8", "surrogateescape")
    scheme, _, encoded = headers.get("Authorization", "").partition(" ")
    if in_browser and scheme.lower() == "basic":
        with contextlib.suppress(ValueError):
            shown = base64.b64decode(encoded, validate=True).partition(b":")[2]
    return hmac.compare_digest(shown, key.reveal().encode())

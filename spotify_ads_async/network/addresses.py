"""Addresses: which may carry a secret, and those that hold one.

A secret in an address, such as a proxy's password, is taken out of it before anything else sees the address: what is
left can be shown, logged and put into an error.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from yarl import URL

from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.types import Secret, is_text

__all__ = [
    "ALLOW_HTTP_VARIABLE",
    "Login",
    "is_loopback",
    "require_secure",
    "split_address",
    "split_login",
    "with_login",
]

ALLOW_HTTP_VARIABLE = "SPOTIFY_ADS_ALLOW_HTTP"


def require_secure(address: Secret, allow_http: Collection[str] = (), *, what: str = "an address") -> str:
    """The address, unless it would send secrets in the clear.

    HTTPS, or plain HTTP to this machine or to a host that is named. Whoever is refused may have written a password into
    it: until it is answered, it is a secret, and no name of a frame stands for it, for a traceback may show those.

    Args:
        address: the address.
        allow_http: hosts that plain HTTP may go to, such as an emulator in the container next door.
        what: what the address is, for the message.

    Raises:
        ConfigurationError: the scheme is wrong for the host, or it is no plain address.
    """
    problem = _insecure(address, allow_http, what)
    if problem is not None:
        raise ConfigurationError(problem)
    return address.reveal()


def _insecure(address: Secret, allow_http: Collection[str], what: str) -> str | None:
    """Why secrets must not go there, None where they may."""
    parts = split_address(address.reveal())
    if parts is None or not parts.hostname or parts.query or parts.fragment:
        return f"{what} must be https://host/path, without query and fragment"
    if parts.username is not None or parts.password is not None:
        return "an address with credentials in it ends up in logs: leave them out"
    host = parts.hostname
    if parts.scheme == "https" or (
        parts.scheme == "http" and (is_loopback(host) or host in {name.lower() for name in allow_http})
    ):
        return None
    return (
        f"{parts.scheme}://{host} would carry secrets in the clear: use https (plain http is for loopback). For a test"
        f" server on a network of your own, allow that host by name: {ALLOW_HTTP_VARIABLE}={host}, or"
        f" allow_http=({host!r},) in TransportOptions and RefreshToken"
    )


def split_address(url: str) -> SplitResult | None:
    """The parts of an address, None where it is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port, URL(url).host  # each reader refuses what the other takes
    except ValueError:
        return None
    return parts if is_text(url) else None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Login(NamedTuple):
    """An address without its login, and the login.

    ``username`` and ``password`` are as they were meant, without percent signs' escapes.
    """

    address: str
    username: str
    password: Secret


def split_login(address: Secret) -> Login:
    """Take user name and password out of ``scheme://user:password@host…``.

    A password is meant to be escaped in an address, and people paste it as it is: whatever stands before the last ``@``
    is the login, also where it holds ``/``, ``?``, ``#`` or ``@``. Percent signs that escape nothing stand for
    themselves.
    """
    scheme, colon, rest = address.reveal().partition("://")
    if not colon:
        scheme, rest = "", scheme
    login, _, place = ("", "", rest) if _names_no_login(rest) else rest.rpartition("@")
    username, _, password = login.partition(":")
    return Login(f"{scheme}{colon}{place}", unquote(username), Secret(unquote(password)))


def with_login(address: str, username: str, password: Secret) -> Secret:
    """The address with a login in it, escaped as other programs expect it."""
    if not username and not password.reveal():
        return Secret(address)
    scheme, colon, rest = address.partition("://") if "://" in address else ("", "", address)
    return Secret(f"{scheme}{colon}{quote(username, safe='')}:{quote(password.reveal(), safe='')}@{rest}")


_HOST = r"(?:\[[^\]]+\]|[\w.\-]+)(?::\d+)?"
_PLACE = re.compile(rf"(?:{_HOST}(?:,{_HOST})*)?")


def _names_no_login(rest: str) -> bool:
    """Whether an ``@`` stands in the query alone, behind what can only be hosts."""
    place, query, _ = rest.partition("?")
    return "@" not in place and bool(query) and _PLACE.fullmatch(place.partition("/")[0]) is not None

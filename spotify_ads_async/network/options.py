"""Transport options: how the network is used, and by which way an address is reached.

Proxies: the one that is named, or else the environment's (``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``) or the
system's. They are used for https alone, where they see an encrypted stream: for plain http they would see the access
token.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import re
import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.request import getproxies

import aiohttp
import msgspec
from yarl import URL

from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.network.addresses import split_address, split_login
from spotify_ads_async.private_files import at_home, read_small_file
from spotify_ads_async.types import Secret, is_text

__all__ = ["Proxy", "TransportOptions"]

_LARGEST_AUTHORITIES = 16 * 1024 * 1024
_MOST_CONTEXTS = 8
_HOST = re.compile(r"[\w.-]+|[\da-f:.]+(%[\w.-]+)?")
"""A name or an address. What is neither may be a password, and must not be shown as where the proxy is."""


class TransportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the network is used.

    ``connections`` is how many requests are under way at once; ``connect_timeout`` is seconds to connect, the search
    for the address included, ``read_timeout`` seconds of silence until an answer counts as lost where the call has no
    ``timeout`` of its own; ``largest_answer`` is bytes, after decompression.

    ``proxy`` is an HTTP proxy for https, ``http://user:password@host:port``; without one, the environment's
    ``HTTPS_PROXY`` or ``ALL_PROXY`` is used. ``no_proxy`` lists hosts that are reached without, as ``NO_PROXY`` does:
    names with all that is below them, addresses, networks (``10.0.0.0/8``), or ``*`` for all; without one, the
    environment's ``NO_PROXY`` counts.

    ``ca_file`` is a file or a folder of certificate authorities in PEM that are trusted besides the system's
    (``SSL_CERT_FILE`` replaces those); ``tls`` is a context of your own, and then ``ca_file`` is not read.
    ``allow_http`` names hosts that plain http may go to, for a test server on a network of your own.
    """

    connections: int = 100
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    largest_answer: int = 64 * 1024 * 1024
    proxy: str | Secret | None = None
    no_proxy: str | None = None
    ca_file: str | Path | None = None
    tls: ssl.SSLContext | None = None
    allow_http: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.proxy, str):
            # Its password must not stand in a repr.
            msgspec.structs.force_setattr(self, "proxy", Secret(self.proxy))

    def checked(self) -> TransportOptions:
        """The same options, with the TLS context made: to read all authorities takes a while.

        Raises:
            ConfigurationError: the TLS context does not verify certificates, the authorities cannot be read, or the
                proxy's address is unfit.
        """
        if isinstance(self.proxy, Secret):
            _proxy(self.proxy, "the proxy's address")
        context = self.tls_context()
        return self if context is None else msgspec.structs.replace(self, tls=context)

    def tls_context(self) -> ssl.SSLContext | None:
        """What certificates are verified with, None for the system's authorities.

        Raises:
            ConfigurationError: the context does not verify certificates, or the authorities cannot be read.
        """
        if self.tls is not None:
            if self.tls.verify_mode != ssl.CERT_REQUIRED or not self.tls.check_hostname:
                raise ConfigurationError(
                    "the TLS context does not verify the server's certificate: start from ssl.create_default_context()"
                    " and add authorities to it"
                )
            return self.tls
        if self.ca_file is None and not os.environ.get("SSL_CERT_FILE") and not os.environ.get("SSL_CERT_DIR"):
            return None
        ca_file = None if self.ca_file is None else at_home(self.ca_file)
        return _context(*map(_present, (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"), ca_file)))

    def proxied(self) -> bool:
        """Whether any address is reached through a proxy."""
        return self.proxy is not None or _system_proxy() is not None

    def proxy_for(self, url: URL) -> Proxy | None:
        """The proxy on the way to ``url``, None for none.

        Raises:
            ConfigurationError: the environment names a proxy of another kind.
        """
        if url.scheme != "https" or url.host is None:
            return None
        named, origin = self.proxy, "the proxy's address"
        if named is None:
            named, origin = _system_proxy(), "the environment's proxy (HTTPS_PROXY or ALL_PROXY)"
        if not isinstance(named, Secret):
            return None
        avoided = getproxies().get("no", "") if self.no_proxy is None else self.no_proxy
        return None if _avoids(avoided, url.host, url.port) else _proxy(named, origin)


def _system_proxy() -> Secret | None:
    """The proxy for https that the environment, or else the system, names."""
    found = getproxies()
    named = Secret(found.pop("https", "") or found.pop("all", ""))
    return named if named.reveal() else None


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy: an address that can be shown, and the header that opens it."""

    url: URL
    login: Secret | None

    @property
    def name(self) -> str:
        """Where it is, without its login."""
        return f"{self.url.host}:{self.url.port}"

    def headers(self) -> dict[str, str] | None:
        """What the proxy is told of who asks."""
        return None if self.login is None else {"Proxy-Authorization": self.login.reveal()}


def _proxy(address: Secret, origin: str) -> Proxy:
    """Read a proxy's address. No name of this frame stands for what may be a password: a traceback may show it."""
    found = _read(address)
    if isinstance(found, Proxy):
        return found
    raise ConfigurationError(f"{origin} is http://host:port or http://user:password@host:port{found}")


def _read(address: Secret) -> Proxy | str:
    """The proxy, or what is to be said of an address that names none."""
    plain, username, password = split_login(address)
    parts = split_address(plain if "://" in plain else f"http://{plain}")
    if (
        parts is None
        or not is_text(address.reveal())
        or ":" in username
        or parts.scheme not in {"http", "https"}
        or not _HOST.fullmatch(parts.hostname or "")
        or parts.port == 0
        or (parts.path not in {"", "/"} or parts.query or parts.fragment)
    ):
        other = parts is not None and re.fullmatch(r"socks\w*", parts.scheme)
        return f", and {other[0]} is of another kind" if other else ""
    url = URL(f"{parts.scheme}://{parts.netloc}")
    if not username and not password.reveal():
        return Proxy(url, None)
    return Proxy(url, Secret(aiohttp.encode_basic_auth(username, password.reveal())))


def _avoids(no_proxy: str, host: str, port: int | None) -> bool:
    """Whether ``no_proxy`` lists the host."""
    return any(_names(entry.lower(), host.lower(), port) for entry in re.split(r"[,\s]+", no_proxy) if entry)


def _names(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    name, colon, entry_port = entry.rpartition(":")
    if colon and entry_port.isdigit():
        return int(entry_port) == port and _names(name, host, port)
    name = entry.removeprefix("*").removeprefix(".")
    return host == name or (host.endswith(f".{name}") and not host.rpartition(".")[2].isdigit())


class _Present(NamedTuple):
    """A file or folder as it is now, as far as it is there."""

    path: str | Path | None
    state: tuple[int, ...] | None


def _present(path: str | Path | None) -> _Present:
    try:
        found = None if path is None else Path(path).stat()
    except (OSError, ValueError):
        found = None
    if found is None:
        return _Present(path, None)
    state = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    return _Present(path, state)


@functools.lru_cache(_MOST_CONTEXTS)
def _context(cert_file: _Present, cert_dir: _Present, ca_file: _Present) -> ssl.SSLContext:
    """The authorities of the environment's file and folder, which ssl reads itself, or else the system's, and ours.

    Once for all clients, as long as none of them changes: to read a system's takes a tenth of a second.
    """
    del cert_file, cert_dir
    context = ssl.create_default_context()
    if ca_file.path is not None:
        _trust(context, Path(ca_file.path))
    return context


def _trust(context: ssl.SSLContext, authorities: Path) -> None:
    try:
        if authorities.is_dir():
            context.load_verify_locations(capath=authorities)
        else:
            found = read_small_file(authorities, _LARGEST_AUTHORITIES)
            context.load_verify_locations(cadata=found.decode("ascii", "ignore"))  # comments are in any encoding
    except (OSError, ValueError) as problem:
        unfit = isinstance(problem, (ssl.SSLError, ValueError))
        reason = "it holds no certificate in PEM" if unfit else problem.strerror
    else:
        return
    raise ConfigurationError(f"the certificate authorities in {authorities} cannot be read ({reason}): name a PEM file")

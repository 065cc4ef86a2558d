"""Problems of the network in words: what to do about a proxy or a certificate."""

from __future__ import annotations

import errno
import os
import ssl
from typing import TypeGuard

import aiohttp
from aiohttp import hdrs

from spotify_ads_async.errors import Portable
from spotify_ads_async.network.options import Proxy

__all__ = [
    "ProxyHungUpError",
    "by_way_of",
    "explained_connection_error",
    "explained_proxy_error",
    "hung_up",
    "is_of_proxy",
    "never_left",
    "what_to_do_about",
    "without_frames",
]

_OF_ANOTHER_TIME = frozenset({9, 10})
"""OpenSSL's codes for a certificate that is not valid yet, or not any more."""
_UNTRUSTED = (
    "where a proxy or a firewall of your company opens TLS, name its certificate authority (SPOTIFY_ADS_CA_FILE,"
    " ca_file, or SSL_CERT_FILE)"
)


class ProxyHungUpError(Portable, aiohttp.ClientProxyConnectionError):
    """A proxy ended the connection before it gave a way to the server behind it."""


def what_to_do_about(problem: aiohttp.ClientConnectorCertificateError) -> str:
    """What to do about a certificate that is not trusted."""
    if getattr(problem.certificate_error, "verify_code", 0) in _OF_ANOTHER_TIME:
        return "look at this machine's clock; where it is right, the server needs another certificate"
    return _UNTRUSTED


def is_of_proxy(problem: BaseException) -> TypeGuard[aiohttp.ClientResponseError | aiohttp.ClientProxyConnectionError]:
    """Whether a proxy gave no way to the server behind it: it is away, it refuses, or it is no HTTP proxy."""
    if isinstance(problem, aiohttp.ClientResponseError):
        return problem.request_info.method == hdrs.METH_CONNECT
    return isinstance(problem, aiohttp.ClientProxyConnectionError)


def never_left(problem: BaseException) -> bool:
    """Whether there was no connection to the server yet, so that no byte of a request left for it."""
    return isinstance(problem, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError) or is_of_proxy(problem)


def hung_up(problem: BaseException) -> bool:
    """Whether a connection that was there ended, and did not merely take too long."""
    ended = isinstance(problem, aiohttp.ServerDisconnectedError | OSError)
    return ended and not isinstance(problem, TimeoutError) and not never_left(problem)


def explained_proxy_error(
    problem: aiohttp.ClientResponseError | aiohttp.ClientProxyConnectionError, proxy: Proxy | None
) -> str:
    """What a proxy's failure means, and what to do. Nothing left for the server behind it."""
    name = "the proxy" if proxy is None else f"the proxy {proxy.name}"
    if isinstance(problem, ProxyHungUpError):
        return (
            f"{name} hung up before it gave a connection: try again, ask whoever runs it, or list the host in NO_PROXY"
            " (no_proxy)"
        )
    if isinstance(problem, aiohttp.ClientProxyConnectionError):
        return (
            f"{name} cannot be reached ({_reason(problem.os_error)}): check that it runs, and its address"
            " (SPOTIFY_ADS_PROXY, proxy, or HTTPS_PROXY)"
        )
    if not isinstance(problem, aiohttp.ClientHttpProxyError):
        return f"{name} answers, but not with HTTP: check its address (SPOTIFY_ADS_PROXY, proxy, or HTTPS_PROXY)"
    if problem.status in {401, 407}:  # tinyproxy says the former
        return (
            f"{name} asks for a user name and password that it takes (HTTP {problem.status}): put them into its"
            " address, http://user:password@host:port"
        )
    return (
        f"{name} refused to connect (HTTP {problem.status}): ask whoever runs it, or list the host in NO_PROXY"
        " (no_proxy)"
    )


def explained_connection_error(problem: BaseException, proxy: Proxy | None) -> str:
    """Why a connection failed, in a few words that hold nothing of what was sent."""
    if is_of_proxy(problem):
        return explained_proxy_error(problem, proxy)
    if isinstance(problem, aiohttp.ClientConnectorCertificateError):
        reason = getattr(problem.certificate_error, "verify_message", "").rstrip(".") or "no reason given"
        return f"its certificate is not trusted ({reason}): {what_to_do_about(problem)}"
    if isinstance(problem, aiohttp.ConnectionTimeoutError) and proxy is not None:
        return (
            f"the proxy {proxy.name} gives no connection in time: ask whoever runs it, or list the host"
            " in NO_PROXY (no_proxy)"
        )
    if isinstance(problem, OSError) and problem.errno in {errno.EMFILE, errno.ENFILE}:
        return (
            "too many files are open: raise the limit (ulimit -n), or have fewer connections"
            " (TransportOptions(connections=…))"
        )
    return _words(problem) + by_way_of(proxy)


def by_way_of(proxy: Proxy | None) -> str:
    """The end of a sentence about a connection: which proxy it goes through, if any."""
    return "" if proxy is None else f", by way of the proxy {proxy.name}"


def without_frames(problem: BaseException) -> BaseException:
    """What broke a request, without the frames below this one and what they had met: they hold secrets."""
    problem.__context__ = problem.__cause__ = None
    return problem.with_traceback(None)


def _words(problem: BaseException) -> str:
    """A failure of the network in a sentence without the names of classes."""
    match problem:
        case aiohttp.ClientConnectorDNSError():
            return f"the name {problem.host} is not known here: check the network, a VPN, and the address"
        case aiohttp.ClientSSLError():
            place = f"{problem.host}:{problem.port}"
            return (
                f"no secure connection to {place} ({_reason(problem.os_error)}): check the address, and proxies on"
                " the way"
            )
        case aiohttp.ClientConnectorError():
            return (
                f"{problem.host}:{problem.port} cannot be reached ({_reason(problem.os_error)}): check the network and"
                " the address"
            )
        case aiohttp.ConnectionTimeoutError():
            return (
                "the server takes no connection in time: check the network, and whether a proxy or a firewall stands in"
                " the way"
            )
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return "the server was silent for too long"
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection"
        case aiohttp.ClientPayloadError():
            return "the answer broke off"
        case OSError():
            return f"the connection broke: {_reason(problem)}"
        case _ if isinstance(problem.__cause__, aiohttp.ClientError | OSError):
            return _words(problem.__cause__)
        case _:
            # The interpreter's own words: no thread can be started, or it is about to end.
            return str(problem) if isinstance(problem, RuntimeError) else "the connection failed"


def _reason(problem: OSError) -> str:
    """What the system says, without its number."""
    if isinstance(problem, ssl.SSLError):
        return (problem.reason or "TLS failed").lower().replace("_", " ")
    reason = problem.strerror or "no reason given"
    # asyncio gives a sentence of its own in place of the system's.
    return os.strerror(problem.errno) if problem.errno and "Connect call failed" in reason else reason

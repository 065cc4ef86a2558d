"""Checks of the way to the API and of what it answers.

Proxy, network, clock, sign-in, terms, accounts, limits, its document.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import aiohttp
import anyio
from yarl import URL

from spotify_ads_async.api.changes import find_changes, render_changes
from spotify_ads_async.api.facts import known_facts
from spotify_ads_async.auth.credentials import Credentials
from spotify_ads_async.cli.doctor.examination import Examination, Finding
from spotify_ads_async.cli.run import in_words
from spotify_ads_async.client import AdAccount, AdsClient
from spotify_ads_async.core import error_answers, wire
from spotify_ads_async.core.api_document import read_document
from spotify_ads_async.core.retry import RetryPolicy
from spotify_ads_async.core.tasks import some_at_once
from spotify_ads_async.core.transport import open_session
from spotify_ads_async.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailed,
    Denial,
    InvalidAnswer,
    NotFound,
    PermissionDenied,
    SpotifyAdsError,
)
from spotify_ads_async.governor import Governor
from spotify_ads_async.models import AdAccount as Account
from spotify_ads_async.models import ReportEntityType, ReportFieldType, ReportGranularity
from spotify_ads_async.network.problems import (
    explained_connection_error,
    explained_proxy_error,
    is_of_proxy,
    what_to_do_about,
)
from spotify_ads_async.network.ratelimit_headers import http_date, rate_headers
from spotify_ads_async.operation import Operation
from spotify_ads_async.operations import GET_BUSINESSES
from spotify_ads_async.settings import Settings

__all__ = ["call_by_hand", "check_access", "check_api", "check_clock", "check_limits", "check_network", "check_proxy"]

_ONCE = RetryPolicy(attempts=1, refusals=1)
_CLOCK_SECONDS = 30.0
_MOST_ACCOUNTS = 20
_LARGEST_BODY = 1024 * 1024
_NOTHING: Mapping[str, Any] = {}
_MOST_CHANGES = 5
_CONNECT_SECONDS = 2.0
_TIMEOUT = aiohttp.ClientTimeout(total=_CONNECT_SECONDS * 2, connect=_CONNECT_SECONDS)
_SHORT = aiohttp.ClientTimeout(total=_CONNECT_SECONDS * 1.25, connect=_CONNECT_SECONDS)
_PROXY_REMEDY = (
    "start the proxy, or name another one: SPOTIFY_ADS_PROXY, HTTPS_PROXY; hosts to reach without: SPOTIFY_ADS_NO_PROXY"
)
_TERMS = "https://adsmanager.spotify.com/api-terms"
_ROLE_REMEDY = "ask one of the account's admins for a role in it, or name another account"
_BUSINESS_REMEDY = "ask an admin of the business for a role in it"
_NETWORK_REMEDY = "look at the network, the proxy and the address (SPOTIFY_ADS_BASE_URL)"


def _addresses(settings: Settings, credentials: Credentials | None) -> Mapping[str, URL]:
    """What must be reached, by what it is for; not an address with a login, of which a part may look like the host."""
    found = {"the API": URL(settings.base_url)} if "@" not in settings.base_url else {}
    token_url = getattr(credentials, "token_url", None)
    if isinstance(token_url, str):
        found["signing in"] = URL(token_url)
    if "://" in settings.api_document and "@" not in settings.api_document:
        found["the API's document"] = URL(settings.api_document)
    return found


async def check_proxy(examination: Examination) -> AsyncIterator[Finding]:
    """Whether the proxies on the way answer."""
    settings: Settings = examination.facts["settings"]
    proxies = {
        proxy.name: proxy
        for url in _addresses(settings, None).values()
        if (proxy := settings.transport.proxy_for(url)) is not None
    }
    if not proxies:
        yield Finding.ok("proxy", "none is used")
    for name, proxy in proxies.items():
        try:
            with anyio.fail_after(_CONNECT_SECONDS):
                stream = await anyio.connect_tcp(proxy.url.host or "", proxy.url.port or 80)
                await stream.aclose()
        except (OSError, TimeoutError) as problem:
            yield Finding.problem("proxy", f"the proxy {name} cannot be reached: {_why(problem)}", _PROXY_REMEDY)
        else:
            yield Finding.ok(
                "proxy", f"{name} answers{'' if proxy.login is None else ', and is told a name and a password'}"
            )


async def check_network(examination: Examination) -> AsyncIterator[Finding]:
    """Whether the servers can be reached and their certificates are good. Leaves ``date``, the API server's clock."""
    settings: Settings = examination.facts["settings"]
    addresses = _addresses(settings, examination.facts.get("credentials"))
    found: dict[str, Finding] = {}

    async def reach(what: str) -> None:
        found[what] = await _reached(examination, settings, what, addresses[what])

    wanted = [what for what in addresses if what != "the API's document"]
    await some_at_once(reach, wanted)
    for what in wanted:
        yield found[what]


async def _reached(examination: Examination, settings: Settings, what: str, url: URL) -> Finding:
    """Ask a server for its front page, which no quota counts: whatever it answers, it is there."""
    begun = anyio.current_time()
    proxy = settings.transport.proxy_for(url)
    try:
        async with (
            open_session(settings.transport) as http,
            http.get(url.origin(), allow_redirects=False, timeout=_SHORT) as answer,
        ):
            seconds = anyio.current_time() - begun
            if what == "the API":
                examination.facts["date"] = answer.headers.get("Date"), datetime.now(UTC)
    except aiohttp.ClientConnectorCertificateError as problem:
        why = _why(problem.certificate_error)
        return Finding.problem("certificates", f"{url.host}: {why}", what_to_do_about(problem))
    except (aiohttp.ClientError, OSError, TimeoutError) as problem:
        if is_of_proxy(problem):
            return Finding.problem("proxy", explained_proxy_error(problem, proxy), _PROXY_REMEDY)
        return Finding.problem(
            "network", f"{url.host}:{url.port}, for {what}, cannot be reached: {_why(problem)}", _NETWORK_REMEDY
        )
    way = "" if proxy is None else f" by way of the proxy {proxy.name}"
    way += ", and its certificate is good" if url.scheme == "https" else ""
    return Finding.ok("network", f"{url.host}, for {what}, answers within {seconds * 1000:.0f} ms{way}")


def _why(problem: BaseException) -> str:
    """The innermost reason in words."""
    inner: Any = getattr(problem, "os_error", None) or problem
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {inner.verify_message}"
    if isinstance(inner, TimeoutError):
        return "no answer in time"
    return getattr(inner, "strerror", None) or f"{type(inner).__name__}: {inner}"


async def check_clock(examination: Examination) -> AsyncIterator[Finding]:
    """Whether the server's clock and ours agree."""
    text, now = examination.facts.get("date", (None, None))
    there = http_date(text or "")
    if there is None:
        yield Finding.note(
            "clock", "the server does not say what time it is", "compare this machine's clock with another one's"
        )
        return
    seconds = (now - there).total_seconds()
    words = f"this machine's clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the server's"
    if abs(seconds) > _CLOCK_SECONDS:
        remedy = (
            "set this machine's clock (timedatectl set-ntp true): reports end at another hour, and starts of flights"
            " are refused"
        )
        yield Finding.problem("clock", words, remedy)
    else:
        yield Finding.ok("clock", words)


async def check_access(examination: Examination) -> AsyncIterator[Finding]:
    """Whether signing in works, the terms are accepted, and what each account lets this user do. Leaves ``headers``."""
    settings: Settings = examination.facts["settings"]
    credentials: Credentials = examination.facts["credentials"]
    governor = Governor(settings.limits, store=settings.store.reveal())
    try:
        async with (
            open_session(settings.transport) as http,
            AdsClient(
                credentials,
                base_url=settings.base_url,
                governor=governor,
                policy=_ONCE,
                timeout=5.0,
                transport=settings.transport,
            ) as ads,
        ):
            try:
                await _first_call(examination, http, ads)
            except AuthenticationError as error:
                yield Finding.problem("token", in_words(error), "sign in again: spotify-ads login")
                return
            except PermissionDenied as error:
                certain = error.denial is Denial.TERMS
                further = (
                    ", and wait for up to an hour" if certain else "; if that was done, ask for access to an account"
                )
                yield Finding.problem("terms", in_words(error), f"accept the terms at {_TERMS}{further}")
                return
            yield Finding.ok("token", "the API takes it")
            async for finding in _of_accounts(ads):
                yield finding
    finally:
        with anyio.CancelScope(shield=True):
            await governor.aclose()


async def _first_call(examination: Examination, http: aiohttp.ClientSession, ads: AdsClient) -> None:
    """List the businesses by hand, so that the answer's headers can be seen."""
    credentials: Credentials = examination.facts["credentials"]
    status, examination.facts["headers"], body = await call_by_hand(http, credentials, ads, GET_BUSINESSES)
    if status >= 300:
        raise error_answers.error(GET_BUSINESSES, status=status, retry_after=None, body=body)


async def call_by_hand(
    http: aiohttp.ClientSession,
    credentials: Credentials,
    ads: AdsClient,
    operation: Operation[Any],
    *,
    path: Mapping[str, str] = _NOTHING,
    query: Mapping[str, object] = _NOTHING,
) -> tuple[int, Mapping[str, str], bytes]:
    """Make one call without repeats, under the client's governor: status, headers and body of the answer.

    Raises:
        ConnectionFailed: no whole answer came.
        SpotifyAdsError: signing in failed, or quota is not to be had within seconds.
    """
    token = await credentials.token(http)
    target = wire.request(operation, path=path, query=query, body=None, now=lambda: datetime.now(UTC)).target
    url = URL(f"{ads.base_url}{target}", encoded=True)
    scope = ads.governor.scope(origin=str(url.origin()), client_id=credentials.client_id)
    try:
        async with scope.admit(operation.limits, max_wait=5.0) as admission:
            headers = {"Authorization": f"Bearer {token.reveal()}", **wire.BARE_HEADERS}
            async with http.request(
                operation.method, url, headers=headers, allow_redirects=False, timeout=_TIMEOUT
            ) as answer:
                admission.answered(status=answer.status, headers=answer.headers)
                return answer.status, answer.headers, wire.masked(await answer.content.read(_LARGEST_BODY), token)
    except (aiohttp.ClientError, TimeoutError) as problem:
        reason = explained_connection_error(problem, None)
    raise ConnectionFailed(f"the API broke off: {reason}", operation=operation.id)


async def _of_accounts(ads: AdsClient) -> AsyncIterator[Finding]:
    """Which accounts can be seen, and what each of them answers."""
    visible, accounts = ads.ad_accounts(), list[Account]()
    try:
        accounts = await visible.collect()
    except (PermissionDenied, NotFound):
        if not visible.refused:
            raise
    for business_id, error in visible.refused.items():
        yield Finding.problem(
            "accounts", f"business {business_id} does not tell its ad accounts: {in_words(error)}", _BUSINESS_REMEDY
        )
    if not accounts and not visible.refused:
        yield Finding.problem(
            "accounts", "this user can see no ad account", "ask an admin of an ad account for a role in it"
        )
    names = {account.id or "": account.name or "" for account in accounts[:_MOST_ACCOUNTS]}
    for ad_account_id, refusals in (await _tried(ads, list(names))).items():
        name = f"{names[ad_account_id]} ({ad_account_id})"
        if refusals:
            error = next(iter(refusals.values()))
            denied = isinstance(error, PermissionDenied)
            does = "refuses" if denied else "gives no good answer for"
            text = f"{name} {does} {' and '.join(sorted(refusals))}: {in_words(error)}"
            yield Finding.problem("accounts", text, _ROLE_REMEDY if denied else "try again later")
        else:
            yield Finding.ok("accounts", f"{name} answers")
    if len(accounts) > _MOST_ACCOUNTS:
        yield Finding.note(
            "accounts", f"{len(accounts) - _MOST_ACCOUNTS} more accounts were not looked at", "spotify-ads accounts"
        )


async def _tried(ads: AdsClient, ad_accounts: Sequence[str]) -> Mapping[str, Mapping[str, SpotifyAdsError]]:
    """What each account refuses, and how."""
    refusals: dict[str, dict[str, SpotifyAdsError]] = {ad_account_id: {} for ad_account_id in ad_accounts}

    async def try_one(asked: tuple[str, str]) -> None:
        ad_account_id, what = asked
        try:
            await _TRIED[what](ads.ad_account(ad_account_id))
        except SpotifyAdsError as error:
            refusals[ad_account_id][what] = error

    await some_at_once(try_one, [(ad_account_id, what) for ad_account_id in ad_accounts for what in _TRIED])
    return refusals


async def _read_report(account: AdAccount) -> object:
    return await account.reports.aggregate(
        entity_type=ReportEntityType.AD_ACCOUNT,
        fields=[ReportFieldType.IMPRESSIONS],
        granularity=ReportGranularity.LIFETIME,
        limit=1,
    )


_TRIED: Mapping[str, Callable[[AdAccount], Awaitable[object]]] = {
    "campaigns": lambda account: account.campaigns.list(limit=1),
    "reports": _read_report,
}


async def check_limits(examination: Examination) -> AsyncIterator[Finding]:
    """Whether the limits that the server speaks of are those that are kept."""
    settings: Settings = examination.facts["settings"]
    headers: Mapping[str, str] = examination.facts.get("headers", {})
    told = rate_headers(headers)
    kept = ", ".join(f"{one.name}={one.requests}/{one.window:g}" for one in settings.limits) or "none"
    if told.limit is None:
        yield Finding.ok("limits", f"kept: {kept}; the answers' headers speak of none")
        return
    left = "?" if told.remaining is None else told.remaining
    said = f"the answers' headers speak of {told.limit} requests, {left} of them left"
    if any(limit.requests == told.limit for limit in settings.limits):
        yield Finding.ok("limits", f"kept: {kept}; {said}")
    else:
        remedy = "set SPOTIFY_ADS_LIMITS to what your app is given, as in client_id=1500/30,ip=500/10,reporting=150/30"
        yield Finding.problem(
            "limits", f"{said}, and no limit that is kept is of {told.limit} requests: {kept}", remedy
        )


async def check_api(examination: Examination) -> AsyncIterator[Finding]:
    """Whether the API has changed since this version was made."""
    settings: Settings = examination.facts["settings"]
    try:
        now = await read_document(settings.api_document, settings.transport)
    except (ConfigurationError, ConnectionFailed, InvalidAnswer) as problem:
        yield Finding.note(
            "API", f"its document cannot be compared: {problem}", "name one that can be read: SPOTIFY_ADS_API_DOCUMENT"
        )
        return
    changes = find_changes(known_facts(), now)
    if not changes:
        yield Finding.ok("API", f"{settings.api_document} is as this version knows it")
        return
    lines = [" ".join(line.split()) for line in render_changes(changes) if line.startswith(" ")]
    many = f"{len(changes)} changes" if len(changes) > 1 else "one change"
    text = f"{many} since this version was made: " + "; ".join(
        [*lines[:_MOST_CHANGES], *(["…"] if lines[_MOST_CHANGES:] else [])]
    )
    yield Finding.problem(
        "API",
        text,
        "spotify-ads api changes lists them; a newer version may know them: pip install -U spotify-ads-async",
    )

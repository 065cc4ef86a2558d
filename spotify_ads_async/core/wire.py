"""From a call to the bytes of a request, and from the bytes of an answer to a struct. Pure: no I/O."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any, TypeVar, cast
from urllib.parse import quote, unquote, urlsplit

import msgspec

from spotify_ads_async import errors
from spotify_ads_async.core.error_answers import excerpt, unreadable
from spotify_ads_async.operation import ListOperation, ListStyle, Operation
from spotify_ads_async.types import SOURCE, UNSET, Answer, Secret, decode_hook, keep_source, time_text
from spotify_ads_async.validation import requests as validation
from spotify_ads_async.version import __version__

__all__ = [
    "BARE_HEADERS",
    "SDK_NAME",
    "HttpRequest",
    "Part",
    "answer",
    "masked",
    "request",
    "target_below",
    "with_idempotency_key",
]

AnswerT = TypeVar("AnswerT")

SDK_NAME = f"spotify-ads-async/{__version__}"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a multipart body; ``filename`` is set for the file."""

    name: str
    content: bytes
    filename: str | None = None


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What leaves: ``target`` is the path and query below the base URL, encoded.

    ``body`` is JSON bytes or multipart parts.
    ``headers`` come on top of :data:`BARE_HEADERS`, which every request has.
    """

    method: str
    target: str
    headers: Mapping[str, str] = {}
    body: bytes | tuple[Part, ...] | None = None


def request(
    operation: Operation[Any],
    *,
    path: Mapping[str, str],
    query: Mapping[str, object],
    body: object,
    now: Callable[[], datetime],
    validate: bool = True,
) -> HttpRequest:
    """Build the request of one call; ``now`` is the present in UTC, for rules such as "a start in the future".

    Raises:
        InvalidRequest: a value breaks a rule of the API document or of its published behaviour, or, ``validate`` or
            not, a path parameter could leave its segment, or a text holds what UTF-8 cannot.
    """
    given = {name: value for name, value in query.items() if value is not UNSET} if query else query
    target = None
    if validate:
        target, body = validation.check_request(operation, path=path, query=given, body=body, now=now)
    try:
        if target is None:
            target = _quoted(operation, path)
        if given:
            target = f"{target}?{_query_string(given)}"
        if body is None:
            return HttpRequest(method=operation.method, target=target)
        if operation.multipart:
            return HttpRequest(method=operation.method, target=target, body=_parts(body))
        return HttpRequest(method=operation.method, target=target, headers=_JSON_HEADERS, body=_encoder.encode(body))
    except UnicodeEncodeError as problem:
        raise errors.InvalidRequest(
            f"a text cannot be sent: UTF-8 does not hold {problem.object[problem.start : problem.end]!a}",
            operation=operation.id,
            rule="no lone surrogates",
        ) from None


BARE_HEADERS: Mapping[str, str] = {"Accept": "application/json", "X-Spotify-Ads-Sdk": SDK_NAME, "User-Agent": SDK_NAME}
"""What every request says of its sender."""
_JSON_HEADERS: Mapping[str, str] = {"Content-Type": "application/json"}


def with_idempotency_key(operation: Operation[Any], prepared: HttpRequest, key: str) -> HttpRequest:
    """The same request with an ``Idempotency-Key`` header.

    Raises:
        InvalidRequest: the key holds characters that no header may hold.
    """
    if not key or not key.isascii() or not key.isprintable():
        raise errors.InvalidRequest(
            "an idempotency key is printable ASCII, for example a UUID",
            operation=operation.id,
            path="idempotency_key",
            value=key,
            rule="printable ASCII",
        )
    return msgspec.structs.replace(prepared, headers={**prepared.headers, "Idempotency-Key": key})


_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


@functools.cache
def _template(path: str) -> tuple[str, tuple[str, ...]]:
    """A path with ``%s`` for each parameter, and the parameters' names."""
    return re.sub(r"\{\w+\}", "%s", path.replace("%", "%%")), tuple(re.findall(r"\{(\w+)\}", path))


def _quoted(operation: Operation[Any], path: Mapping[str, str]) -> str:
    """The path with its parameters, each in its segment."""
    template, names = _template(operation.path)
    return template % tuple([_segment(operation, name, path.get(name, "")) for name in names])


def _segment(operation: Operation[Any], name: str, value: str) -> str:
    """One segment of a path. A slash stays out even encoded: some servers decode before they route."""
    if not value or value in {".", ".."} or "/" in value or "\\" in value:
        raise errors.InvalidRequest(
            f"path.{name} could leave its place in the address (it is {value!r})",
            operation=operation.id,
            path=f"path.{name}",
            value=value,
            rule="one segment: not empty, no dots alone, no slash",
        )
    return _escaped(value)


def _escaped(text: str) -> str:
    """A part of an address; most need no escapes."""
    return text if _PLAIN.fullmatch(text) else quote(text, safe="")


def _query_string(query: Mapping[str, object]) -> str:
    """Arrays become repeated keys: the API takes no commas."""
    pairs: list[str] = []
    for name, value in query.items():
        values: Iterable[object] = (value,)
        if not isinstance(value, str) and isinstance(value, Iterable):
            values = cast("Iterable[object]", value)
        pairs += [f"{_escaped(name)}={_escaped(_text(one))}" for one in values]
    return "&".join(pairs)


def _text(value: object) -> str:
    """One value as the API writes it in a query or a form field."""
    match value:
        case bool():
            return "true" if value else "false"
        case Enum():
            return str(value.value)
        case datetime():
            return time_text(value)
        case _:
            return str(value)


def _parts(body: object) -> tuple[Part, ...]:
    if not isinstance(body, msgspec.Struct):
        raise errors.InvalidRequest(
            "a multipart body is a struct", path="body", value=type(body).__name__, rule="struct"
        )
    parts: list[Part] = []
    for field in body.__struct_fields__:
        value = getattr(body, field)
        if value is UNSET:
            continue
        if isinstance(value, bytes | bytearray | memoryview):
            parts.append(Part(name=field, content=bytes(cast("bytes", value)), filename=field))
        else:
            parts.append(Part(name=field, content=_text(value).encode()))
    return tuple(parts)


def _encode_extra(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, datetime):  # of another library, such as pandas or pendulum
        return _text(value)
    if isinstance(value, date):
        return f"{value:%Y-%m-%d}"
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


_encoder = msgspec.json.Encoder(enc_hook=_encode_extra)


_NOT_WHOLE = {
    202: "which says that it is not ready",
    206: "which says that it is a part",
    207: "which says nothing itself",
}
"""Statuses of success that vouch for no answer to a read."""


@functools.cache
def _reader(kind: type[Any]) -> tuple[Callable[[bytes], Any], object]:
    """What decodes answers of one kind; and the answer of which nothing is known, None where some of it must be."""
    decode = msgspec.json.Decoder(kind, dec_hook=decode_hook).decode
    try:
        return decode, kind()
    except TypeError:
        return decode, None


def answer(
    operation: Operation[AnswerT],
    *,
    status: int,
    content_type: Callable[[], str],
    body: bytes,
    keep_json: bool = False,
    target: str = "",
) -> AnswerT:
    """Decode a 2xx answer; ``content_type`` is asked only for an error's message.

    What was read by its ID, the last part of ``target``, says no other ID of itself.

    A single answer remembers the bytes that it came from, which costs nothing; a list and its items do with
    ``keep_json``.

    Raises:
        InvalidAnswer: the body is empty where it may not be, is not JSON, or has another shape; or the status of a read
            says that the whole is not there.
    """
    if operation.answer is None:
        return cast("AnswerT", None)
    if not body:
        raise unreadable(operation, status, "the answer is empty")
    if status in _NOT_WHOLE and operation.method == "GET":
        raise unreadable(operation, status, f"the answer comes with status {status}, {_NOT_WHOLE[status]}")
    try:
        decode, silent = _reader(operation.answer)
        decoded: AnswerT = decode(body)
        items = operation.item_attribute if isinstance(operation, ListOperation) else ""
        if decoded == silent or (items and getattr(decoded, items, None) is None):
            _require_said(decoded, body, items, silent=decoded == silent)
        if items:
            _take_list(cast("ListOperation[Any, Any]", operation), decoded, body, keep_json=keep_json)
        elif isinstance(decoded, Answer):
            vars(decoded)[SOURCE] = body  # as `keep_source` does
            if operation.method == "GET" and operation.path.endswith("_id}"):
                _require_named(decoded, operation.path.rpartition("{")[2][:-1], target)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        reason = str(problem)
    else:
        return decoded
    kind = excerpt(content_type()) or "no content type"
    size = len(body)
    # A traceback may show this frame, and the body may hold secrets.
    del body
    raise unreadable(
        cast("Operation[Any]", operation), status, f"the answer ({kind}, {size} bytes) cannot be read: {reason}"
    )


def _require_named(decoded: object, parameter: str, target: str) -> None:
    """Refuse an answer about another thing, as out of a cache: it would be shown, copied or written in its place."""
    named = str(getattr(decoded, parameter if hasattr(decoded, parameter) else "id", None) or "")
    asked = unquote(target.partition("?")[0].rpartition("/")[2])
    if named and asked and named.lower() != asked.lower():
        raise msgspec.DecodeError(f"it is about {excerpt(named)}, and not about {excerpt(asked)}")


_OF_ERRORS = frozenset({"error", "errors", "errorcodes", "message", "messages", "sptraceid"})
"""What stands in answers that are errors, without casing and separators."""


def _require_said(decoded: object, body: bytes, items: str, *, silent: bool) -> None:
    """An answer that says something else instead, such as an error or a list under another name, is none."""
    if not isinstance(decoded, msgspec.Struct):
        return
    found = msgspec.json.decode(body, type=dict[str, msgspec.Raw]).items()
    unknown = {name: bytes(value) for name, value in found if name not in decoded.__struct_encode_fields__}
    # Beside what is known, only a list may be the one that is missing.
    others = [name for name, value in unknown.items() if silent or value.startswith(b"[")]
    # What a newer API gives beside nothing else is no error yet; a list is expected to be there.
    if others and (items or any(re.sub("[_-]", "", name).lower() in _OF_ERRORS for name in others)):
        shown = ", ".join(repr(name[:40]) for name in sorted(others)[:5])
        wanted = f"no {items}" if items else "nothing that it may"
        raise msgspec.DecodeError(f"it holds {wanted}, and in their place {shown}")


class _More(msgspec.Struct):
    """What says that a list goes on."""

    paging: dict[str, object] | None = None
    continuation_token: str | None = None


def _take_list(operation: ListOperation[Any, Any], decoded: object, body: bytes, *, keep_json: bool) -> None:
    if operation.style is ListStyle.WHOLE and not hasattr(decoded, "paging"):
        _require_whole(operation, decoded, body)
    if keep_json:
        keep_source(decoded, body)
        _keep_items(operation, decoded, body)


def _require_whole(operation: ListOperation[Any, Any], decoded: object, body: bytes) -> None:
    """A list that came whole when this version was made, and of which a newer API gives a page, is not the list."""
    more, came = msgspec.json.decode(body, type=_More), len(getattr(decoded, operation.item_attribute) or ())
    total = (more.paging or {}).get("total_results")
    if more.continuation_token or (isinstance(total, int) and total > came):
        counted = f" of {total}" if isinstance(total, int) else ""
        raise msgspec.DecodeError(
            f"it holds {came}{counted} {operation.items}, and this version asks for no more pages"
        )


def _keep_items(operation: ListOperation[Any, Any], decoded: object, body: bytes) -> None:
    items: object = getattr(decoded, operation.item_attribute, None)
    if isinstance(items, list):
        texts = _item_texts(operation.answer, operation.item_attribute).decode(body)
        for item, text in zip(cast("list[object]", items), getattr(texts, operation.item_attribute), strict=True):
            if isinstance(item, Answer):
                vars(item)[SOURCE] = bytes(text)  # as `keep_source` does


@functools.cache
def _item_texts(kind: type[Any], attribute: str) -> msgspec.json.Decoder[Any]:
    """A decoder of a list's answer that leaves the items as text."""
    name = next(field.encode_name for field in msgspec.structs.fields(kind) if field.name == attribute)
    texts: Any = msgspec.defstruct("ItemTexts", [(attribute, list[msgspec.Raw])], rename={attribute: name})
    return msgspec.json.Decoder(texts)


SHORTEST_SECRET = 8
"""Characters. Spotify's access tokens have more than a hundred; fewer than eight can be guessed."""


def masked(body: bytes, token: Secret) -> bytes:
    """An error body without the access token, should the server echo it.

    What is shorter than :data:`SHORTEST_SECRET` is no secret, such as the ``x`` of a local server: masking it would
    garble words.
    """
    plain = token.reveal().encode()
    if len(plain) < SHORTEST_SECRET:
        return body
    return body.replace(plain, b"***").replace(plain.replace(b"/", rb"\/"), b"***")


_HOST = re.compile(r"https?://[^/?#\\]+(?=/)")


def target_below(base_url: str, uri: str | None) -> str | None:
    """The part of ``uri`` below the base URL's path, None where it leads anywhere else.

    Behind a proxy the API names itself, and not the proxy: it is asked for at the base URL all the same, so that the
    token goes nowhere else.
    """
    if not uri:
        return None
    path, base = _HOST.sub("", uri, count=1), urlsplit(base_url).path
    if path.startswith(f"{base}/"):
        uri = path.removeprefix(base)
    segments = uri.split("?", 1)[0].split("/")
    plain = uri.isascii() and uri.isprintable() and not set(uri) & {" ", "#", "\\"}
    sound = uri.startswith("/") and not uri.startswith("//") and not {".", ".."} & set(segments)
    return uri if plain and sound else None

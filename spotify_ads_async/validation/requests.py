"""What may leave: every call is held to the API document and to its published behaviour before anything is spent.

The functions here are pure and raise :class:`~spotify_ads_async.errors.InvalidRequest` with the place, the value and
the rule. Shapes are compiled once per operation (:mod:`spotify_ads_async.validation.checks`); what spans several
fields, or stands in the document's prose alone, is in :mod:`spotify_ads_async.validation.rules`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple, cast

import msgspec
from msgspec import inspect

from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.operation import Operation
from spotify_ads_async.types import UNSET, Secret
from spotify_ads_async.validation import rules
from spotify_ads_async.validation.checks import Check, checker
from spotify_ads_async.validation.formats import UUID_PATTERN
from spotify_ads_async.validation.refused import Refused, show

__all__ = ["check_body", "check_path", "check_query", "check_request"]

_check_uuid = checker(Annotated[str, msgspec.Meta(extra={"format": "uuid"})])
# The path parameters that the document declares as plain strings: everything else is a UUID.
_FREE_PATH_PARAMETERS = frozenset({"member_id", "pixel_id"})
_MOST_PATHS = 4096
"""So many are kept as they were made and looked at, of all operations: the same entities are asked for again."""
_PLAIN_ID = "[A-Za-z0-9_-]+"
_LEAVES_ITS_SEGMENT = re.compile(r"[/\\?#%;\x00-\x20\x7f]|^\.{1,2}$")
# Used for messages only, and compiled then.
_SECRET_NAME = r"(?i)token|secret|password|credential"  # noqa: S105 - names of secrets, no secret
_MSGSPEC_PATH = r"(?s)^(?P<problem>.*?)(?: - at (?:`key` in )?`\$(?P<path>.*)`)?$"
_MISSING_FIELD = r"Object missing required field `(?P<name>[^`]*)`"
_STEP = r"\.([^.\[]+)|\[(\d+)\]"


class _PlainPath:
    """Most paths hold UUIDs and plain ids alone.

    One look tells that every check would pass, and that nothing needs quoting.
    """

    def __init__(self, path: str, parameters: Mapping[str, str]) -> None:
        self._names = tuple(parameters)
        self._template = path.format_map(dict.fromkeys(parameters, "%s"))
        self._pattern = re.compile(path.format_map(parameters))

    def filled(self, path: Mapping[str, str]) -> str | None:
        """The path with its parameters, None where they need a closer look."""
        if len(path) != len(self._names):
            return None
        try:
            return self._looked_at(tuple(map(path.__getitem__, self._names)))
        except (KeyError, TypeError):  # another parameter, or a value that is no text
            return None

    @functools.lru_cache(_MOST_PATHS)  # noqa: B019 (they live as long as the process)
    def _looked_at(self, values: tuple[str, ...]) -> str | None:
        if any(value.__class__ is not str for value in values):
            return None
        filled = self._template % values
        return filled if self._pattern.fullmatch(filled) else None


class _Plan(NamedTuple):
    """What is known about an operation's requests. ``operation`` is kept to notice another one of the same id."""

    operation: Operation[Any]
    path: Mapping[str, Check]
    plain_path: _PlainPath
    query: Mapping[str, Check]
    query_needed: bool
    body: Check | None
    body_type: inspect.Type
    body_needed: bool
    body_rules: Sequence[tuple[rules.BodyRule, str | None]]


_plans: dict[str, _Plan] = {}


def _plan(operation: Operation[Any]) -> _Plan:
    plan = _plans.get(operation.id)
    if plan is None or plan.operation is not operation:
        body_type = inspect.type_info(operation.body)
        names = re.findall(r"{(\w+)}", operation.path)
        plain = {name: _PLAIN_ID if name in _FREE_PATH_PARAMETERS else UUID_PATTERN for name in names}
        plan = _plans[operation.id] = _Plan(
            operation=operation,
            path={name: _check_free_segment if name in _FREE_PATH_PARAMETERS else _check_uuid for name in names},
            plain_path=_PlainPath(operation.path, plain),
            query={name: checker(kind) for name, kind in operation.query.items()},
            query_needed=bool(operation.query_required or rules.QUERY_RULES.get(operation.id)),
            body=None if operation.body is None else checker(operation.body),
            body_type=body_type,
            body_needed=operation.body is not None and (operation.body_required or _has_required_fields(body_type)),
            body_rules=[(rule, rules.NEEDED_FIELD.get(rule)) for rule in rules.BODY_RULES.get(operation.id, ())],
        )
    return plan


def _has_required_fields(node: inspect.Type) -> bool:
    """The document leaves ``requestBody.required`` out on uploads, whose fields are required all the same."""
    kinds = node.types if isinstance(node, inspect.UnionType) else (node,)
    return any(isinstance(kind, inspect.StructType) and any(field.required for field in kind.fields) for kind in kinds)


def check_request(
    operation: Operation[Any],
    *,
    path: Mapping[str, str],
    query: Mapping[str, object],
    body: object,
    now: Callable[[], datetime],
) -> tuple[str | None, object]:
    """Hold a whole request to the operation; what it has not, and need not have, costs nothing.

    Returns:
        The path with its parameters, None where one of them may need quoting; and the body to send, as
        :func:`check_body` returns it. ``now`` is asked where there is a query or a body.

    Raises:
        InvalidRequest: a part breaks a rule.
    """
    plan = _plans.get(operation.id)
    if plan is None or plan.operation is not operation:
        plan = _plan(operation)
    target = plan.plain_path.filled(path)
    if target is None:
        _check_path(plan, path)
    if query or plan.query_needed:
        check_query(operation, query, now=now())
    return target, None if body is None and plan.body is None else _check_body(plan, body, now())


def check_body(operation: Operation[Any], body: object, *, now: datetime) -> object:
    """Hold a request's body to the operation's shape and rules.

    Args:
        operation: what is called.
        body: the operation's struct, a mapping of the document's names to be turned into it, or None for no body.
        now: the present in UTC, for rules such as "a start in the future".

    Returns:
        The body to send: ``body`` itself, or the struct made from a mapping.

    Raises:
        InvalidRequest: the body breaks a rule, is missing, or the operation takes none.
    """
    return _check_body(_plan(operation), body, now)


def _check_body(plan: _Plan, body: object, now: datetime) -> object:
    operation = plan.operation
    if plan.body is None:
        if body is None:
            return None
        raise _invalid(operation, "body", body, "must be left out: the operation takes no body")
    if body is None:
        if plan.body_needed:
            raise _invalid(operation, "body", None, f"is required: {_names(plan.body_type)}")
        return None
    if isinstance(body, Mapping):
        body = _from_mapping(plan, cast("Mapping[Any, Any]", body))
    try:
        plan.body(body)
        for rule, field in plan.body_rules:
            if field is None or getattr(body, field, UNSET) is not UNSET:
                rule(body, now)
    except Refused as refused:
        raise _invalid(operation, f"body{refused.path}", refused.value, refused.rule) from None
    return body


def check_query(operation: Operation[Any], query: Mapping[str, object], *, now: datetime | None = None) -> None:
    """Hold a request's query to the operation's parameters and rules. Values that are ``UNSET`` count as left out.

    Args:
        operation: what is called.
        query: the document's names to values of the types in ``operation.query``.
        now: the present in UTC; without it, rules about the past (hourly reports) are left to the server.

    Raises:
        InvalidRequest: a name is unknown, a required one is missing, or a value breaks a rule.
    """
    checks = _plan(operation).query
    name = ""
    try:
        for name, value in query.items():
            if value is UNSET:
                continue
            check = checks.get(name)
            if check is None:
                raise _invalid(
                    operation, f"query.{name}", value, f"is no parameter of this operation{_nearest(name, checks)}"
                )
            check(value)
    except Refused as refused:
        raise _invalid(operation, f"query.{name}{refused.path}", refused.value, refused.rule) from None
    for required in operation.query_required:
        given = query.get(required, UNSET)
        if given is UNSET or given == []:  # an empty list sends nothing
            raise _invalid(operation, f"query.{required}", given, "is required")
    try:
        for rule in rules.QUERY_RULES.get(operation.id, ()):
            rule(query, now)
    except Refused as refused:
        raise _invalid(operation, f"query{refused.path}", refused.value, refused.rule) from None


def check_path(operation: Operation[Any], path: Mapping[str, str]) -> None:
    """Hold a request's path parameters to the operation's path.

    Raises:
        InvalidRequest: a parameter is missing, unknown, no UUID where the document asks for one, or could leave its
            path segment.
    """
    _check_path(_plan(operation), path)


def _check_path(plan: _Plan, path: Mapping[str, str]) -> None:
    operation, checks = plan.operation, plan.path
    for name, check in checks.items():
        if name not in path:
            raise _invalid(operation, f"path.{name}", UNSET, "is required")
        try:
            check(path[name])
        except Refused as refused:
            raise _invalid(operation, f"path.{name}", refused.value, refused.rule) from None
    if len(path) > len(checks):
        name = next(iter(path.keys() - checks.keys()))
        raise _invalid(operation, f"path.{name}", path[name], f"is no part of {operation.path}{_nearest(name, checks)}")


def _check_free_segment(value: object) -> None:
    if not isinstance(value, str) or not value or _LEAVES_ITS_SEGMENT.search(value):
        raise Refused(value, "must be a plain id: not empty, no dots alone, no slash, no space, none of ? # % ;")


def _from_mapping(plan: _Plan, body: Mapping[Any, Any]) -> object:
    """Turn a mapping into the operation's struct; a key that the struct does not have is refused, not dropped."""
    operation = plan.operation
    try:
        _check_keys(plan.body_type, body)
        return msgspec.convert(
            _given(body), operation.body, builtin_types=(bytes, bytearray, memoryview), dec_hook=_decode_secret
        )
    except Refused as refused:
        raise _invalid(operation, f"body{refused.path}", refused.value, refused.rule) from None
    except (msgspec.ValidationError, RecursionError) as problem:
        raise _unconvertible(operation, body, str(problem)) from None


def _given(value: object) -> object:
    """``value`` without what is UNSET."""
    if isinstance(value, Mapping):
        return {name: _given(one) for name, one in cast("Mapping[Any, object]", value).items() if one is not UNSET}
    return [_given(one) for one in cast("list[object]", value)] if isinstance(value, list | tuple) else value


def _decode_secret(kind: type, value: object) -> object:
    if kind is Secret:
        return value if isinstance(value, Secret) else Secret(str(value))
    raise NotImplementedError(f"{kind.__name__} has no plain form")


def _check_keys(node: inspect.Type, value: object) -> None:
    """Refuse the keys that no struct at their place has."""
    match node:
        case inspect.Metadata():
            _check_keys(node.type, value)
        case inspect.UnionType():
            _check_keys(_chosen(node, value), value)
        case inspect.StructType() if isinstance(value, Mapping):
            fields = {field.encode_name: field.type for field in node.fields}
            for name, one in cast("Mapping[Any, object]", value).items():
                if name not in fields and name != node.tag_field:
                    raise Refused(one, f"is no field of {node.cls.__name__}{_nearest(name, fields)}", f".{name}")
                if name in fields:
                    _inside(f".{name}", fields[name], one)
        case inspect.CollectionType() if isinstance(value, list | tuple):
            for index, one in enumerate(cast("list[object]", value)):
                _inside(f"[{index}]", node.item_type, one)
        case _:
            pass


def _inside(step: str, node: inspect.Type, value: object) -> None:
    try:
        _check_keys(node, value)
    except Refused as refused:
        raise refused.inside(step) from None


def _chosen(node: inspect.UnionType, value: object) -> inspect.Type:
    """The struct of a tagged union that the value's tag names, or its only kind."""
    kinds = [kind for kind in node.types if not isinstance(kind, inspect.NoneType)]
    for kind in kinds:
        if (
            isinstance(kind, inspect.StructType)
            and isinstance(value, Mapping)
            and kind.tag_field in value
            and value[kind.tag_field] == kind.tag
        ):
            return kind
    return kinds[0] if len(kinds) == 1 else inspect.AnyType()


def _unconvertible(operation: Operation[Any], body: Mapping[Any, Any], text: str) -> InvalidRequest:
    """What msgspec found, with the value and the place in our words."""
    found = re.match(_MSGSPEC_PATH, text)
    problem, path = (found["problem"], found["path"] or "") if found else (text, "")
    missing = re.fullmatch(_MISSING_FIELD, problem)
    if missing:
        return _invalid(operation, f"body{path}.{missing['name']}", UNSET, "is required")
    value: Any = body
    for name, index in re.findall(_STEP, path):
        try:
            value = value[name] if name else value[int(index)]
        except (KeyError, IndexError, TypeError):
            value = UNSET
            break
    return _invalid(operation, f"body{path}", value, f"does not fit: {problem[:1].lower()}{problem[1:]}")


def _nearest(name: object, known: Iterable[str]) -> str:
    """A hint: the known name that is most like ``name``, or all of them."""
    import difflib  # noqa: PLC0415 - for messages only

    names = list(known)
    match = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    if match:
        return f"; did you mean {match[0]}?"
    return f"; it has {', '.join(names)}" if names else ""


def _names(node: inspect.Type) -> str:
    """The name of a struct, or the names in a union of structs."""
    kinds = node.types if isinstance(node, inspect.UnionType) else (node,)
    return " or ".join(one.cls.__name__ for one in kinds if isinstance(one, inspect.StructType))


def _invalid(operation: Operation[Any], path: str, value: object, rule: str) -> InvalidRequest:
    if value is UNSET:
        return InvalidRequest(f"{path} {rule}", operation=operation.id, path=path, value=None, rule=rule)
    if re.search(_SECRET_NAME, path.rpartition(".")[2]) and value is not None:
        value = Secret(str(value))
    return InvalidRequest(
        f"{path} {rule} (it is {show(value)})", operation=operation.id, path=path, value=value, rule=rule
    )

"""``spotify-ads call OPERATION_ID``: everything that has no command of its own."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Annotated, Any, cast

import msgspec
import typer

from spotify_ads_async.bulk.listed import KINDS, ListedKind
from spotify_ads_async.bulk.plan.columns import is_list
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.consent import Yes, agreed
from spotify_ads_async.cli.options import AdAccount, AllAccounts, Fields, Limit, OutputForm, Where, json_body
from spotify_ads_async.cli.output import Output, plain, show
from spotify_ads_async.cli.reading import rows_of, selection, write_rows, write_some
from spotify_ads_async.cli.run import DONE, run, say, usage_error
from spotify_ads_async.errors import InvalidRequest
from spotify_ads_async.operation import ListOperation, Operation
from spotify_ads_async.pagination import ListCall
from spotify_ads_async.undocumented import EVERY_OPERATION

__all__ = ["call", "query_values"]

_EVERY = "every"
"""In place of an ad account, where all of them are walked."""
_PATH_PART = re.compile(r"\{(\w+)\}")


def _completed(incomplete: str) -> list[tuple[str, str]]:
    """The operations whose id begins so, for the shell."""
    return [(name, one.summary) for name, one in EVERY_OPERATION.items() if name.startswith(incomplete)]


_OperationId = Annotated[
    str,
    typer.Argument(
        metavar="OPERATION_ID",
        help="Such as getAdSetById; see docs/reference/operations.md.",
        autocompletion=_completed,
    ),
]


def call(
    operation_id: _OperationId,
    *,
    path: Annotated[list[str] | None, typer.Option("--path", metavar="NAME=VALUE", help="A part of the path.")] = None,
    query: Annotated[
        list[str] | None, typer.Option("--query", metavar="NAME=VALUE", help="A parameter; repeat it for a list.")
    ] = None,
    body: Annotated[
        str | None,
        typer.Option("--body", metavar="JSON|@FILE", help="The request as JSON, or the name of a file behind @."),
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", metavar="KEY", help="Where the operation takes one.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Walk a list to its end and write one item a line, or as --output says.")
    ] = False,
    where: Where = None,
    fields: Fields = None,
    limit: Limit = None,
    yes: Yes = False,
    ad_account: AdAccount = None,
    all_accounts: AllAccounts = False,
    output: OutputForm = Output.JSONL,
) -> None:
    """Call one operation of the API by its operationId and write its answer as JSON.

    --where, --fields, --limit, --all-accounts and --output are for lists: they need --all.
    """
    operation = _operation(operation_id)
    if not every and (where or fields or limit or all_accounts):
        usage_error("--where, --fields, --limit and --all-accounts are for lists: add --all")
    parts, parameters = _pairs("--path", path), query_values(operation, query)
    if "{ad_account_id}" in operation.path:
        if ad_account or all_accounts:
            parts.setdefault("ad_account_id", ad_account or _EVERY)
    elif all_accounts:
        usage_error(f"{operation_id} is of no ad account: leave --all-accounts out")
    if every:
        walk = _walk(operation, parts, parameters, where, fields, limit=limit, output=output, everywhere=all_accounts)
        run(walk)

    async def command() -> None:
        content = json_body(body) if body else None
        _require_whole(operation, parts, parameters, content)
        if _is_final(operation, content) and not await agreed(f"call {operation_id}, which cannot be undone?", yes=yes):
            say("nothing was changed")
            return
        async with connected() as client:
            with _option_named():
                answer = await client.with_options(keep_json=True).call(
                    operation, path=parts, query=parameters, body=content, idempotency_key=idempotency_key
                )
        if answer is not None:
            show(plain(answer))

    run(command)


@contextlib.contextmanager
def _option_named() -> Generator[None]:
    """Add the option that gives it to what a request lacks or has wrong."""
    try:
        yield
    except InvalidRequest as problem:
        place, _, name = problem.path.partition(".")
        if place in {"path", "query"}:
            problem.add_note(f"give it by --{place} {name}=…")
        raise


def _require_whole(
    operation: Operation[Any], path: dict[str, str], query: dict[str, Any], body: dict[str, Any] | None
) -> None:
    """End with the options that give what is missing, where anything is."""
    wanted = [name for name in _PATH_PART.findall(operation.path) if not path.get(name)]
    missing = ["--ad-account ID" if name == "ad_account_id" else f"--path {name}=…" for name in wanted]
    missing += [f"--query {name}=…" for name in sorted(operation.query_required) if name not in query]
    if operation.body is not None and operation.body_required and body is None:
        missing.append("--body JSON|@FILE")
    if missing:
        usage_error(f"{operation.id} needs more: add {' '.join(missing)}")


def _is_final(operation: Operation[Any], body: dict[str, Any] | None) -> bool:
    """Whether a call does what no other call takes back: it deletes, archives or publishes."""
    given = body or {}
    return operation.method == "DELETE" or given.get("status") == "ARCHIVED" or given.get("action") == "PUBLISH"


class _Value(msgspec.Struct):
    """An item that is no object."""

    value: str


def _walk(
    operation: Operation[Any],
    path: dict[str, str],
    query: dict[str, Any],
    where: list[str] | None,
    fields: str | None,
    *,
    limit: int | None,
    output: Output,
    everywhere: bool,
) -> Callable[[], Awaitable[int]]:
    """What writes a list to its end."""
    if not isinstance(operation, ListOperation):
        usage_error(f"{operation.id} is no list, so there is nothing to walk: leave --all out")
    found = cast("ListOperation[Any, Any]", operation)
    _require_whole(found, path, query, None)
    item = found.item if issubclass(found.item, msgspec.Struct) else _Value
    other = ListedKind(found.id, found, found, structs=[item])
    kind = next((one for one in KINDS.values() if one.list is found), other)
    chosen = selection(kind, where, query)
    rows = rows_of(kind, output=output, fields=fields, of_accounts=everywhere)

    async def command() -> int:
        async with connected() as client:
            reader = client.with_options(keep_json=rows.is_json)

            def read(account_path: Mapping[str, str]) -> ListCall[Any]:
                return ListCall(reader, found, path={**path, **account_path}, query=chosen.query)

            if everywhere:
                return await write_rows(
                    client,
                    (),
                    lambda account: read({"ad_account_id": account.id}),
                    rows,
                    limit=limit,
                    row_of=chosen.row,
                )
            await write_some(read({}), rows, limit=limit, row_of=chosen.row)
        return DONE

    return command


def _operation(operation_id: str) -> Operation[Any]:
    operation = EVERY_OPERATION.get(operation_id)
    if operation is not None:
        return operation
    near = difflib.get_close_matches(operation_id, EVERY_OPERATION, n=3)
    return usage_error(
        f"there is no operation {operation_id!r}{'; did you mean ' + ', '.join(near) + '?' if near else ''}"
    )


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given or ():
        name, sign, value = text.partition("=")
        if not sign:
            usage_error(f"{option} {text}: NAME=VALUE is wanted")
        pairs[name] = value
    return pairs


def query_values(operation: Operation[Any], given: list[str] | None) -> dict[str, Any]:
    """The query, with values of the operation's types."""
    texts: dict[str, list[str]] = {}
    for text in given or ():
        for name, value in _pairs("--query", [text]).items():
            texts.setdefault(name, []).append(value)
    parameters: dict[str, Any] = {}
    for name, values in texts.items():
        kind = operation.query.get(name)
        if kind is None:
            known = ", ".join(operation.query) or "it takes none"
            usage_error(f"--query {name}: {operation.id} has no such parameter ({known})")
        try:
            parameters[name] = _converted(values, kind)
        except msgspec.ValidationError as problem:
            usage_error(f"--query {name}={','.join(values)}: {problem}")
    return parameters


def _converted(values: list[str], kind: Any) -> object:  # noqa: ANN401 - any annotation
    """One value, or a list where the parameter is one."""
    return msgspec.convert(values if is_list(kind) else values[-1], kind, strict=False)

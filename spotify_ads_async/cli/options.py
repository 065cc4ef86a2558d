"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
import typer

from spotify_ads_async.cli.completing import complete_account, complete_column, complete_condition
from spotify_ads_async.cli.output import Output
from spotify_ads_async.cli.run import in_words, usage_error
from spotify_ads_async.private_files import read_small_file

__all__ = [
    "AdAccount",
    "AdAccounts",
    "AdProduct",
    "AllAccounts",
    "Fields",
    "Limit",
    "OutputForm",
    "Query",
    "Where",
    "Wide",
    "command_group",
    "json_body",
    "needed",
    "needed_some",
]

_VARIABLE = "SPOTIFY_ADS_AD_ACCOUNT_ID"
_LARGEST_BODY = 64 * 1024 * 1024


def _account_option(about: str) -> Any:  # noqa: ANN401 - typer's own
    return typer.Option(
        "--ad-account", envvar=_VARIABLE, metavar="ID", help=about, show_envvar=True, autocompletion=complete_account
    )


AdAccount: TypeAlias = Annotated[str | None, _account_option("The ad account.")]
AdAccounts: TypeAlias = Annotated[list[str] | None, _account_option("The ad account; repeat it for several.")]
AllAccounts: TypeAlias = Annotated[
    bool, typer.Option("--all-accounts", help="Every ad account that you can see; those that refuse are named.")
]
OutputForm: TypeAlias = Annotated[
    Output, typer.Option("--output", "-o", envvar="SPOTIFY_ADS_OUTPUT", help="The form of results.")
]
Where: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Such as status=ACTIVE, name~autumn, budget.amount>=100.00; all must hold.",
        autocompletion=complete_condition,
    ),
]
Query: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--query", metavar="NAME=VALUE", help="What the API shall choose or sort by; repeat it for more, or for a list."
    ),
]
Wide: TypeAlias = Annotated[
    bool, typer.Option("--wide", help="A table of every column with whole IDs, wider than the terminal if need be.")
]
AdProduct: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--ad-product",
        metavar="NAME",
        help=(
            "Hold it to the rules of this ad product, such as CONTENT; by default that of its campaign. With none, to"
            " no rules."
        ),
    ),
]
Limit: TypeAlias = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")]
Fields: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--fields",
        metavar="A,B",
        help="Columns of a table or CSV; nested ones are dotted.",
        autocompletion=complete_column,
    ),
]


def command_group(help_text: str) -> typer.Typer:
    """A group of commands, which shows its help where none of them is named."""
    return typer.Typer(help=help_text, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


def needed(ad_account: str | None) -> str:
    """The ad account's ID, or an error that says how to name it."""
    if not ad_account:
        usage_error(f"which ad account? give --ad-account ID, or set {_VARIABLE} (spotify-ads accounts lists yours)")
    return ad_account


def needed_some(ad_accounts: list[str] | None, *, every: bool) -> tuple[str, ...]:
    """The ad accounts' IDs, nothing for every one, or an error that says how to name some."""
    given = map(needed, ad_accounts or [""])
    return () if every else tuple({one.lower(): one for one in given}.values())  # in upper case it is the same one


def json_body(text: str | None) -> dict[str, Any]:
    """The object of ``--body``: JSON, or ``@`` and the name of a file that holds it; nothing is an empty one."""
    if text is None:
        return {}
    try:
        content = read_small_file(Path(text[1:]), _LARGEST_BODY) if text.startswith("@") else text.encode()
        return msgspec.json.decode(content, type=dict[str, Any])
    except UnicodeDecodeError:
        return usage_error(f"--body {text}: it holds bytes that are no text in UTF-8")
    except (OSError, msgspec.DecodeError, RecursionError) as problem:
        return usage_error(f"--body {text}: {in_words(problem)}")

"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
import typer

from spotify_ads_async.cli.output import Output
from spotify_ads_async.cli.run import usage_error

__all__ = ["AdAccount", "Fields", "OutputForm", "json_body", "needed"]

AdAccount: TypeAlias = Annotated[
    str | None, typer.Option("--ad-account", envvar="SPOTIFY_ADS_AD_ACCOUNT_ID", metavar="ID", help="The ad account.", show_envvar=True)
]
OutputForm: TypeAlias = Annotated[Output, typer.Option("--output", "-o", envvar="SPOTIFY_ADS_OUTPUT", help="The form of results.")]
Fields: TypeAlias = Annotated[
    str | None, typer.Option("--fields", metavar="A,B", help="Columns of a table or CSV; nested ones are dotted.")
]


def needed(ad_account: str | None) -> str:
    """The ad account's ID, or an error that says how to name it."""
    if not ad_account:
        usage_error("which ad account? give --ad-account ID, or set SPOTIFY_ADS_AD_ACCOUNT_ID (spotify-ads accounts lists yours)")
    return ad_account


def json_body(text: str | None) -> dict[str, Any]:
    """The object of ``--body``: JSON, or ``@`` and the name of a file that holds it; nothing is an empty one."""
    if text is None:
        return {}
    try:
        content = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
        return msgspec.json.decode(content, type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as problem:
        return usage_error(f"--body {text}: {problem}")

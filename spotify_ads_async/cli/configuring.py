"""``spotify-ads config show|path|set``: the config file."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Any

import anyio
import tomlkit
import typer
from tomlkit.exceptions import TOMLKitError

from spotify_ads_async.auth.homes import make_folder, replace_file
from spotify_ads_async.cli.options import OutputForm, command_group
from spotify_ads_async.cli.origins import origins, settings_in_force, shown
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.cli.progress import doing
from spotify_ads_async.cli.run import DONE, FAILED, run, say, usage_error
from spotify_ads_async.locks import close_locked, open_locked, taken_off_loop
from spotify_ads_cli.config import SETTINGS, BadSetting, check_setting, path_of_config, text_of_config

__all__ = ["app"]

app = command_group(
    "Show and change the config file: what commands use where neither an option nor the environment says otherwise."
)

_POLL_SECONDS = 0.02
_COLUMNS = ("setting", "value", "origin", "variable")


def _complete_setting(incomplete: str) -> list[str]:
    return [name for name in (*SETTINGS, "profile") if name.startswith(incomplete)]


@app.command("show")
def show_(*, output: OutputForm = Output.TABLE) -> None:
    """Show every setting that is in force, and where it came from. Of a secret, only that it is there."""

    async def command() -> int:
        names = {variable: name for name, variable in SETTINGS.items()} | {"SPOTIFY_ADS_PROFILE": "profile"}
        in_force = list(settings_in_force())
        if not in_force:
            say("nothing is set")
        with Rows(output, _COLUMNS, wide=True) as rows:
            for one in in_force:
                row = {
                    "setting": names.get(one.variable, ""),
                    "value": one.value,
                    "origin": one.origin,
                    "variable": one.variable,
                }
                rows.write(row)
        if origins.problem:
            say(f"error: {origins.problem}")
        return FAILED if origins.problem else DONE

    run(command)


@app.command("path")
def path_() -> None:
    """Print where the config file is, or would be."""
    sys.stdout.write(f"{path_of_config()}\n")


@app.command("set")
def set_(
    name: Annotated[
        str,
        typer.Argument(metavar="SETTING", help=f"{', '.join(SETTINGS)} or profile.", autocompletion=_complete_setting),
    ],
    value: Annotated[
        str, typer.Argument(metavar="VALUE", help="Its value; an empty one takes the setting out of the file.")
    ],
) -> None:
    """Write a setting into the config file, which keeps its other lines.

    With `--profile`, into the section of that profile.
    """
    profile = (
        os.environ.get("SPOTIFY_ADS_PROFILE", "") if origins.places.get("SPOTIFY_ADS_PROFILE") == "--profile" else ""
    )

    async def command() -> None:
        path = path_of_config()
        try:
            check_setting(name, value)
            async with _alone(path):
                text = _with_setting(text_of_config(), profile, name, value)
                await taken_off_loop(lambda: replace_file(path, text.encode()))
        except BadSetting as problem:
            usage_error(str(problem))
        place = f"profiles.{profile}.{name}" if profile else name
        said = f"is {shown(SETTINGS.get(name, name), value)}" if value else "is not set any more"
        say(f"{path}: {place} {said}")

    run(command)


@contextlib.asynccontextmanager
async def _alone(path: Path) -> AsyncGenerator[None]:
    """Nobody else reads the config file to write it anew meanwhile: one of the two settings would be gone."""
    lock = path.with_suffix(".lock")
    try:
        make_folder(path.parent)
        with doing("waiting for another command that writes the config file"):
            while (file := open_locked(lock)) is None:  # noqa: ASYNC110 (no event comes from another process)
                await anyio.sleep(_POLL_SECONDS)
    except OSError as problem:  # as on some network drives: the config file can be written all the same
        yield
        say(f"{lock} cannot be locked ({problem.strerror}): a setting that another command wrote just now may be gone")
        return
    try:
        yield
    finally:
        close_locked(file)


def _with_setting(text: str, profile: str, name: str, value: str) -> str:
    """The file's text with a setting in it, or without it where the value is empty; all else stays as it is.

    Raises:
        BadSetting: the text is no TOML, or no config file.
    """
    try:
        content = tomlkit.parse(text)
        section: Any = content
        if profile:
            section = content.setdefault("profiles", tomlkit.table(is_super_table=True)).setdefault(
                profile, tomlkit.table()
            )
        if value:
            section[name] = value
        else:
            section.pop(name, None)
        return tomlkit.dumps(content)
    except (TOMLKitError, AttributeError, TypeError) as problem:
        raise BadSetting(f"the config file is broken, so nothing was written: {problem}") from None

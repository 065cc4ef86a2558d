"""The user's config file: what commands use where neither an option nor the environment says otherwise.

It stands outside of the package, because it decides about the environment before a command, and with it the package, reads it.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import platformdirs
import typer

__all__ = ["apply", "path_of_config"]

_PATH_VARIABLE = "SPOTIFY_ADS_CONFIG"
_PROFILE_VARIABLE = "SPOTIFY_ADS_PROFILE"
_VARIABLES: Mapping[str, str] = {
    "ad_account": "SPOTIFY_ADS_AD_ACCOUNT_ID",
    "base_url": "SPOTIFY_ADS_BASE_URL",
    "limits": "SPOTIFY_ADS_LIMITS",
    "output": "SPOTIFY_ADS_OUTPUT",
    "store": "SPOTIFY_ADS_STORE",
}
_AT_THE_TOP = (*_VARIABLES, "profile", "profiles")
_SECRET_NAME = re.compile(r"token|secret|password")


def path_of_config() -> Path:
    """Where the file is: ``config.toml`` in the user's config directory, or what ``SPOTIFY_ADS_CONFIG`` names."""
    named = os.environ.get(_PATH_VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_config_path("spotify-ads") / "config.toml"


def apply(profile: str | None) -> None:
    """Put what the file says into the environment, where it does not say anything yet.

    Args:
        profile: whose section counts before the rest of the file; by default the one that ``SPOTIFY_ADS_PROFILE`` or the
            file itself names.

    Raises:
        typer.BadParameter: the file cannot be read, or holds what it may not.
    """
    path = path_of_config()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if os.environ.get(_PATH_VARIABLE):
            raise _wrong(path, f"there is no such file, and {_PATH_VARIABLE} names it") from None
        content = {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise _wrong(path, str(problem)) from None
    top = _texts(path, "", {name: value for name, value in content.items() if name != "profiles"}, _AT_THE_TOP)
    sections = {name: _texts(path, f"profiles.{name}.", section, tuple(_VARIABLES)) for name, section in _sections(path, content).items()}
    chosen = profile or os.environ.get(_PROFILE_VARIABLE) or top.pop("profile", None)
    if chosen:
        os.environ[_PROFILE_VARIABLE] = chosen
    for name, value in {**top, **sections.get(chosen or "default", {})}.items():
        if name in _VARIABLES and not os.environ.get(_VARIABLES[name]):
            os.environ[_VARIABLES[name]] = value


def _sections(path: Path, content: Mapping[str, Any]) -> Mapping[str, Mapping[str, object]]:
    sections: Any = content.get("profiles", {})
    if not isinstance(sections, dict) or not all(isinstance(section, dict) for section in cast("dict[str, object]", sections).values()):
        raise _wrong(path, "profiles holds sections, as in [profiles.work]")
    return cast("Mapping[str, Mapping[str, object]]", sections)


def _texts(path: Path, place: str, section: Mapping[str, object], known: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in section.items():
        if _SECRET_NAME.search(name.lower()):
            raise _wrong(path, f"{place}{name}: no secrets here; `spotify-ads login` keeps them in the keyring")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise _wrong(path, f"{place}{name}: there is no such setting; {hint}")
        if not isinstance(value, str) or not value:
            raise _wrong(path, f'{place}{name}: a text in quotation marks is wanted, as in {name} = "…"')
        found[name] = value
    return found


def _wrong(path: Path, problem: str) -> typer.BadParameter:
    return typer.BadParameter(f"{path}: {problem}")

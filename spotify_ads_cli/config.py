"""The user's config file: what commands use where neither an option nor the environment says otherwise.

It stands outside of the package, because it decides about the environment before a command, and with it the package,
reads it.
"""

from __future__ import annotations

import difflib
import functools
import os
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn, cast
from zoneinfo import ZoneInfo

import typer

from spotify_ads_async.auth.homes import config_folder
from spotify_ads_async.cli.origins import origins
from spotify_ads_async.cli.output import Output
from spotify_ads_async.cli.run import USAGE, say
from spotify_ads_async.errors import ConfigurationError
from spotify_ads_async.governor.shared import open_store
from spotify_ads_async.limits import parse_limits
from spotify_ads_async.network.addresses import ALLOW_HTTP_VARIABLE, require_secure
from spotify_ads_async.network.options import TransportOptions
from spotify_ads_async.private_files import read_small_file
from spotify_ads_async.settings import transport_from
from spotify_ads_async.types import Secret

__all__ = ["SETTINGS", "BadSetting", "apply", "check_setting", "path_of_config", "profiles", "text_of_config"]

_PATH_VARIABLE = "SPOTIFY_ADS_CONFIG"
_PROFILE_VARIABLE = "SPOTIFY_ADS_PROFILE"
_DEFAULT_PROFILE = "default"
_LARGEST_FILE = 1024 * 1024
SETTINGS: Mapping[str, str] = {
    "ad_account": "SPOTIFY_ADS_AD_ACCOUNT_ID",
    "allow_http": ALLOW_HTTP_VARIABLE,
    "api_document": "SPOTIFY_ADS_API_DOCUMENT",
    "base_url": "SPOTIFY_ADS_BASE_URL",
    "ca_file": "SPOTIFY_ADS_CA_FILE",
    "limits": "SPOTIFY_ADS_LIMITS",
    "no_proxy": "SPOTIFY_ADS_NO_PROXY",
    "output": "SPOTIFY_ADS_OUTPUT",
    "proxy": "SPOTIFY_ADS_PROXY",
    "store": "SPOTIFY_ADS_STORE",
    "zone": "SPOTIFY_ADS_ZONE",
}
"""What the file may set, and the variables that say the same."""
_AT_THE_TOP = (*SETTINGS, "profile", "profiles")
_SECRET_NAME = re.compile(r"token|secret|password")


def path_of_config() -> Path:
    """Where the file is: ``config.toml`` in the user's config directory, or what ``SPOTIFY_ADS_CONFIG`` names."""
    named = os.environ.get(_PATH_VARIABLE)
    return Path(os.path.expanduser(named)) if named else config_folder() / "config.toml"  # noqa: PTH111 (without a home, pathlib's raises)


def apply(profile: str | None, *, may_be_new: bool = False, tolerant: bool = False) -> None:
    """Put what the file says into the environment, where it does not say anything yet.

    Args:
        profile: what ``--profile`` says: whose section counts before the rest of the file. By default the one that
            ``SPOTIFY_ADS_PROFILE`` or the file itself names.
        may_be_new: whether there may be no such profile yet.
        tolerant: whether the command goes on without the file where that is broken, and tells what is wrong with it.

    Raises:
        typer.Exit: the file cannot be read, or holds what it may not, or there is no such profile; why has been said.
    """
    try:
        _apply(profile, may_be_new=may_be_new)
    except BadSetting as problem:
        if not tolerant:
            say(f"error: {problem}")
            raise typer.Exit(USAGE) from None
        origins.problem = str(problem)


class BadSetting(Exception):
    """The file, or what shall go into it, cannot be used; the text is for people."""


def _apply(profile: str | None, *, may_be_new: bool) -> None:
    path = path_of_config()
    content = _content(path)
    top = _texts(f"{path}: ", {name: value for name, value in content.items() if name != "profiles"}, _AT_THE_TOP)
    sections = {
        name: _texts(f"{path}: profiles.{name}.", section, tuple(SETTINGS))
        for name, section in _sections(path, content).items()
    }
    named = {
        "--profile": profile,
        _PROFILE_VARIABLE: os.environ.get(_PROFILE_VARIABLE),
        f"{path}: profile": top.pop("profile", None),
    }
    where, chosen = next(((where, name) for where, name in named.items() if name), ("", ""))
    if chosen:
        if chosen not in sections and not may_be_new:
            _require_sign_in(chosen, where, path, sections)
        os.environ[_PROFILE_VARIABLE] = chosen
        if where != _PROFILE_VARIABLE:
            origins.places[_PROFILE_VARIABLE] = where
    section = chosen or _DEFAULT_PROFILE
    settings = {name: (name, value) for name, value in top.items()}
    settings |= {name: (f"profiles.{section}.{name}", value) for name, value in sections.get(section, {}).items()}
    for name, (place, value) in sorted(
        settings.items()
    ):  # the hosts of allow_http before the address that may need them
        if not os.environ.get(SETTINGS[name]) and not os.environ.get(f"{SETTINGS[name]}_FILE"):
            _check(name, value, f"{path}: {place}")
            os.environ[SETTINGS[name]] = value
            origins.places[SETTINGS[name]] = f"{path}: {place}"


def text_of_config() -> str:
    """What the file holds, empty where it is not there.

    Raises:
        BadSetting: it cannot be read.
    """
    path, named = path_of_config(), bool(os.environ.get(_PATH_VARIABLE))
    try:
        return read_small_file(path, _LARGEST_FILE).decode("utf-8-sig").replace("\r\n", "\n")
    except (FileNotFoundError, NotADirectoryError):
        if named:
            _end(f"{path}: there is no such file, and {_PATH_VARIABLE} names it")
        return ""
    except PermissionError as problem:
        if named or os.path.exists(path):  # noqa: PTH110 (pathlib's raises where a folder may not be read)
            _end(f"{path}: {problem.strerror}")
        return ""  # a home that is somebody else's
    except (OSError, UnicodeDecodeError) as problem:
        _end(f"{path}: {getattr(problem, 'strerror', None) or problem}")


def profiles() -> list[str]:
    """The names of the file's sections, none where it cannot be read."""
    try:
        path = path_of_config()
        return list(_sections(path, _content(path)))
    except BadSetting:
        return []


def check_setting(name: str, value: str) -> None:
    """Make sure that a setting of the file may have this value; an empty one takes it away.

    Raises:
        BadSetting: there is no such setting, or the value is none of it.
    """
    _texts("", {name: value or "none"}, (*SETTINGS, "profile"))
    if value and name in _CHECKS:
        _check(name, value, name)


def _check(name: str, value: str, place: str) -> None:
    try:
        _CHECKS[name](value)
    except ConfigurationError as problem:
        _end(f"{place}: {problem}")


def _content(path: Path) -> Mapping[str, Any]:
    text = text_of_config()
    try:
        return tomllib.loads(text)
    except RecursionError:
        _end(f"{path}: this is nested too deeply for a config file")
    except tomllib.TOMLDecodeError as problem:
        _end(f"{path}: {problem}")


def _require_sign_in(name: str, where: str, path: Path, sections: Collection[str]) -> None:
    from spotify_ads_async.auth.profiles import Profiles  # noqa: PLC0415 - looking for a keyring takes its time

    signed_in = Profiles().names()
    if name not in signed_in:
        _end(
            f"{where}: there is no profile {name}; signed in: {', '.join(signed_in) or 'none'}; "
            f"sections of {path}: {', '.join(sections) or 'none'}; `spotify-ads login --profile {name}` makes it"
        )


def _require_form(output: str) -> None:
    if output not in set(Output):
        raise ConfigurationError(f"{output!r} is not one of {', '.join(Output)}")


def _require_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ConfigurationError(f"{name!r} is no time zone: write one such as Europe/Berlin or UTC") from None


def _require_address(base_url: str) -> None:
    require_secure(Secret(base_url), transport_from(os.environ).allow_http)


# Each setting is looked at here, where its place in the file is known: later it would be called by its variable.
_CHECKS: Mapping[str, Callable[[str], object]] = {
    "ad_account": str,
    "allow_http": str,
    "base_url": _require_address,
    "ca_file": lambda file: TransportOptions(ca_file=file).checked(),
    "api_document": str,
    "limits": parse_limits,
    "no_proxy": str,
    "output": _require_form,
    "proxy": lambda proxy: TransportOptions(proxy=proxy).checked(),
    "store": functools.partial(open_store, timeout=1.0),
    "zone": _require_zone,
}


def _sections(path: Path, content: Mapping[str, Any]) -> Mapping[str, Mapping[str, object]]:
    sections: Any = content.get("profiles", {})
    if not isinstance(sections, dict) or not all(
        isinstance(section, dict) for section in cast("dict[str, object]", sections).values()
    ):
        _end(f"{path}: profiles holds sections, as in [profiles.work]")
    return cast("Mapping[str, Mapping[str, object]]", sections)


def _texts(place: str, section: Mapping[str, object], known: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in section.items():
        if _SECRET_NAME.search(name.lower()):
            _end(f"{place}{name}: no secrets here; `spotify-ads login` keeps them in the keyring")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            _end(f"{place}{name}: there is no such setting; {hint}")
        if not isinstance(value, str) or not value:
            _end(f'{place}{name}: a text in quotation marks is wanted, as in {name} = "…"')
        found[name] = value
    return found


def _end(problem: str) -> NoReturn:
    raise BadSetting(problem)

"""The root of the command line. Its commands are imported when they are used."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import os
from collections.abc import Callable, Generator, Mapping
from typing import Annotated, Any, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from spotify_ads_cli.conversion import convert_what_needs_it

__all__ = ["COMMANDS", "Entry", "app"]


class Entry(NamedTuple):
    """Where a command is found: ``attribute`` is a typer app for a group, or a function.

    With ``makes_profile``, ``--profile`` may name one that is not there yet. One that is ``tolerant`` goes on with a
    broken config file.
    """

    module: str
    attribute: str
    help: str
    makes_profile: bool = False
    tolerant: bool = False


COMMANDS: Mapping[str, Entry] = {
    "demo": Entry("demo", "demo", "See everything work against an emulator on this machine."),
    "login": Entry("login", "login", "Sign in with Spotify and keep the tokens on this machine.", makes_profile=True),
    "whoami": Entry("identity", "whoami", "Show as whom commands run, and where each setting came from."),
    "logout": Entry("identity", "logout", "Forget a sign-in that is kept on this machine."),
    "config": Entry("configuring", "app", "Show and change the config file.", tolerant=True),
    "doctor": Entry(
        "doctor.command", "doctor", "Find out what keeps this from working, and what to do.", tolerant=True
    ),
    "accounts": Entry("listing", "accounts", "List the ad accounts you can use."),
    "businesses": Entry("listing", "businesses", "List the businesses you belong to."),
    "campaigns": Entry("entities", "campaigns", "List, read, create, change and clone campaigns."),
    "ad-sets": Entry("entities", "ad_sets", "List, read, create, change and clone ad sets."),
    "ads": Entry("entities", "ads", "List, read, create and change ads."),
    "assets": Entry("library", "assets", "List, read, upload and rename assets."),
    "audiences": Entry("library", "audiences", "List, read, create, change and delete audiences."),
    "bulk": Entry("bulk", "app", "Plan, apply, resume and undo many changes."),
    "report": Entry("report", "report", "Report metrics of any range, as rows or as a chart."),
    "upload": Entry("upload", "upload", "Upload media files and customer lists."),
    "export": Entry("export", "export", "Write campaigns, ad sets, ads or the whole tree to a file."),
    "import": Entry("importing", "import_", "Make campaigns from an exported tree, as drafts."),
    "drafts": Entry("drafts", "app", "List, validate, publish and delete drafts of campaigns."),
    "quota": Entry("quota", "quota", "Show how full the windows are."),
    "call": Entry("call", "call", "Call any operation of the API."),
    "proxy": Entry("proxy", "proxy", "Share the quota with programs in any language."),
    "api": Entry("api", "app", "Say what has changed in the API since this version was made."),
    "mcp": Entry("mcp", "mcp", "Give an agent tools for the Ads API."),
    "emulate": Entry("emulate", "emulate", "Serve an Ads API on this machine, for trying and testing."),
}


_PROFILE_HELP = "Use this sign-in and its section of the config file."
_PROXY_HELP = (
    "Reach https through this HTTP proxy. A password belongs in SPOTIFY_ADS_PROXY, where no list of processes shows it."
)
_DEBUG_HELP = "Log each request to stderr: method, path, status, times and trace ID; no secret."
_PROXY_VARIABLE = "SPOTIFY_ADS_PROXY"
_KINDS: Mapping[str, str] = {
    "str": "TEXT",
    "file": "FILE",
    "path": "FILE",
    **dict.fromkeys(("int", "int range", "float", "float range"), "NUMBER"),
}
"""Values of options that are named after a type of Python, as people call them."""
_MAKERS = frozenset(name for name, entry in COMMANDS.items() if entry.makes_profile)
_TOLERANT = frozenset(name for name, entry in COMMANDS.items() if entry.tolerant)


class _Root(TyperGroup):
    """A group that knows its commands' names and imports a command when it is asked for."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - typer's own
        super().__init__(**attributes)
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]  # names alone, for suggestions

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Take `version` and `help` as words too: `help bulk plan` is `bulk plan --help`."""
        match args:
            case ["version"]:
                args = ["--version"]
            case ["help", *words]:
                args = [*words, "--help"]
            case _:
                pass
        return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # noqa: ANN401 - typer's own
        """Run a command; what is wrong with its words is said in words of our own."""
        try:
            return super().invoke(ctx)
        except typer.TyperException as problem:
            cast("Any", problem).message = _in_words(problem)
            raise

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # type: ignore[override]  # noqa: ANN401 - typer's own
        """The command; a word that is one of a group's commands is answered with where it is."""
        if args[0] and args[0] not in COMMANDS and not ctx.resilient_parsing:
            from spotify_ads_cli.examples import places_of  # noqa: PLC0415 - only errors need it

            if places := places_of(args[0]):
                ctx.fail(f"{args[0]!r} is no command by itself: {', '.join(places)}")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]  # noqa: ANN401 - typer's own
        del ctx
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else load(cmd_name, entry)

    def shell_complete(self, ctx: typer.Context, incomplete: str) -> Any:  # type: ignore[override]  # noqa: ANN401 - typer's own
        del ctx
        # Typer asks each command for its help, which would import them all.
        names = TyperGroup(
            name=self.name,
            commands={name: TyperCommand(name, help=entry.help) for name, entry in COMMANDS.items()},
            params=self.params,
        )
        return names.shell_complete(typer.Context(names), incomplete)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ANN401 - typer's own
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def format_epilog(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ANN401 - typer's own
        del ctx
        _write_examples("spotify-ads", formatter)


def _in_words(problem: Any) -> str:  # noqa: ANN401 - typer keeps its errors' types to itself
    """What is wrong with an option or its value, without words of the library that typer checks it with."""
    if not hasattr(problem.__cause__, "errors"):
        return f"{problem.message}{_other_way(problem.ctx, getattr(problem, 'option_name', ''))}"
    fault: Mapping[str, Any] = problem.__cause__.errors()[0]
    value, facts = fault["input"], fault.get("ctx", {})
    match fault["type"]:
        case "int_parsing" | "int_from_float":
            return f"{value} is no whole number"
        case "float_parsing":
            return f"{value} is no number"
        case "greater_than_equal":
            return f"{value} is too little: {facts['ge']:g} is the least"
        case "less_than_equal":
            return f"{value} is too much: {facts['le']:g} is the most"
        case _:
            return problem.message.removeprefix("Value error, ")


def _other_way(command: Any, option: str) -> str:  # noqa: ANN401 - the same
    """How a command takes a field or a parameter of the API that somebody gave as an option, if it does."""
    takes = {one.name for one in command.command.params} if command and option.startswith("--") else set[str]()
    if "where" not in takes:
        return ""
    from spotify_ads_async.bulk.listed import KINDS  # noqa: PLC0415 - errors alone need it

    name, called = option[2:].replace("-", "_"), {command.info_name, command.parent.info_name}
    # Some commands are about any of them.
    kinds = [kind for plural, kind in KINDS.items() if plural.replace(" ", "-") in called] or KINDS.values()
    if any(name in kind.answer_columns for kind in kinds):
        return f"; a field's value is chosen as in --where {name}=VALUE"
    asked = "query" in takes and any(name in kind.list.query for kind in kinds)
    return f"; the API chooses by it as in --query {name}=VALUE" if asked else ""


def load(name: str, entry: Entry) -> Any:  # noqa: ANN401 - typer's own
    """The command itself."""
    with _nothing_is_garbage():
        found = getattr(importlib.import_module(f"spotify_ads_async.cli.{entry.module}"), entry.attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(name)(found)
        found = single
    command = get_command(found)
    command.name = name
    _add_examples(command, f"spotify-ads {name}")
    options = _common_options()
    if entry.makes_profile:
        options[0].help = "Keep the sign-in under this name."
    _add_options(command, options)
    return command


@contextlib.contextmanager
def _nothing_is_garbage() -> Generator[None]:
    """Keep the search for garbage away from what is imported in the block.

    All of it stays, and searching it costs a third of the start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # also for the search at the end of the process
        gc.enable()


def _add_options(command: Any, options: list[Any]) -> None:  # noqa: ANN401 - typer's own
    """Let every command take the common options behind its name too.

    And read the config file before anything asks the environment.
    """
    if isinstance(command, TyperGroup):
        for inner in command.commands.values():
            _add_options(inner, options)
    else:
        command.params.extend(options)
        for param in command.params:
            param.display_type_rich = functools.partial(_value_in_words, param, param.display_type_rich)


def _value_in_words(param: Any, typed: Callable[..., str], ctx: Any) -> str:  # noqa: ANN401 - typer's own
    """What stands behind an option's or argument's name: its choices, or what kind of value; no type of Python."""
    kind = typed(ctx=ctx)
    plain = kind.removeprefix("<").removesuffix(">")
    if param.param_type_name == "argument":
        return kind if "|" in kind else ""
    return _KINDS.get(plain, kind)


def _add_examples(command: Any, words: str) -> None:  # noqa: ANN401 - typer's own
    """Let help end with lines of the manual that call the command."""
    for name, inner in getattr(command, "commands", {}).items():
        inner.short_help = (inner.help or "").partition("\n\n")[0]  # whole, and not cut to a line
        _add_examples(inner, f"{words} {name}")

    fields_and_options = command.format_help

    def format_help(ctx: typer.Context, formatter: Any) -> None:  # noqa: ANN401 - typer's own
        fields_and_options(ctx, formatter)
        _write_examples(words, formatter)

    command.format_help = format_help


def _write_examples(words: str, formatter: Any) -> None:  # noqa: ANN401 - typer's own
    from spotify_ads_cli.examples import wrapped  # noqa: PLC0415 - only help needs them

    formatter.write("".join(f"{line}\n" for line in wrapped(words, formatter.width)))


def _configure(context: typer.Context, profile: str | None) -> None:
    if context.resilient_parsing:  # only completing words
        return
    from spotify_ads_cli import config  # noqa: PLC0415 - help needs none

    command = context
    while command.parent is not None and command.parent.parent is not None:
        command = command.parent  # up to the word behind `spotify-ads`
    name = command.command.name
    config.apply(profile or context.find_root().obj, may_be_new=name in _MAKERS, tolerant=name in _TOLERANT)


def _complete_profile(incomplete: str) -> list[str]:
    """The sign-ins that are kept, and the sections of the config file."""
    from spotify_ads_async.auth.profiles import Profiles  # noqa: PLC0415 - help needs none
    from spotify_ads_cli import config  # noqa: PLC0415 - the same

    return [name for name in sorted({*Profiles().names(), *config.profiles()}) if name.startswith(incomplete)]


def _use_proxy(proxy: str | None) -> None:
    if proxy:
        from spotify_ads_async.cli.origins import origins  # noqa: PLC0415 - help needs none

        origins.places[_PROXY_VARIABLE] = "--proxy"
        os.environ.pop(f"{_PROXY_VARIABLE}_FILE", None)
        os.environ[_PROXY_VARIABLE] = proxy


def _debug(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        import logging  # noqa: PLC0415 - only here

        log = logging.getLogger("spotify_ads_async")
        if not log.handlers:  # given before and behind the command's name
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
            log.addHandler(handler)
            log.setLevel(logging.DEBUG)


def _hold(
    *,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help=_PROFILE_HELP,
            is_eager=True,
            expose_value=False,
            callback=_configure,
            autocompletion=_complete_profile,
        ),
    ] = None,
    proxy: Annotated[
        str | None,
        typer.Option(
            "--proxy", metavar="ADDRESS", help=_PROXY_HELP, is_eager=True, expose_value=False, callback=_use_proxy
        ),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help=_DEBUG_HELP, is_eager=True, expose_value=False, callback=_debug)
    ] = False,
) -> None:
    del profile, proxy, debug


def _common_options() -> list[Any]:
    """The options as typer makes them for a function."""
    app = typer.Typer(add_completion=False)
    app.command()(_hold)
    return [found for found in get_command(app).params if {"--profile", "--proxy", "--debug"} & set(found.opts)]


convert_what_needs_it()
app = typer.Typer(
    name="spotify-ads",
    cls=_Root,
    help="The Spotify Ads API on the command line, within its limits.",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich help takes three times as long to appear
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - only here

        typer.echo(
            f"spotify-ads {version('spotify-ads-async')}"
        )  # the package says the same, and takes half a second to import
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="NAME", help=_PROFILE_HELP, autocompletion=_complete_profile)
    ] = None,
    proxy: Annotated[
        str | None, typer.Option("--proxy", metavar="ADDRESS", help=_PROXY_HELP, callback=_use_proxy)
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help=_DEBUG_HELP, callback=_debug)] = False,
) -> None:
    """The Spotify Ads API on the command line, within its limits."""
    del version, proxy, debug
    context.obj = profile

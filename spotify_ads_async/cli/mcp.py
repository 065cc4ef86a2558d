"""``spotify-ads mcp``: tools for agents, over standard input and output or over HTTP on this machine."""

from __future__ import annotations

import io
import os
import socket
import sys
from contextlib import AsyncExitStack, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from spotify_ads_async.auth.homes import state_folder
from spotify_ads_async.cli.connect import connected
from spotify_ads_async.cli.run import run, say, usage_error
from spotify_ads_async.cli.signals import on_interrupt, on_signals
from spotify_ads_async.money import InvalidAmount, from_micros, read_amount
from spotify_ads_cli.consoles import is_ready

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer
    from typing_extensions import Buffer

__all__ = ["mcp"]


def mcp(
    *,
    http: Annotated[
        bool, typer.Option("--http", help="Serve streamable HTTP on 127.0.0.1 instead of standard input and output.")
    ] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port of --http.")] = 8792,
    allow_writes: Annotated[
        bool, typer.Option("--allow-writes", help="Let the agent plan and apply changes; otherwise it only reads.")
    ] = False,
    most_rows: Annotated[int, typer.Option(min=0, help="Rows that a session may change at most.")] = 1_000,
    most_money: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="By how much a session may let budgets grow, in units of each currency."),
    ] = None,
) -> None:
    """Give an agent tools for the Ads API (Model Context Protocol)."""
    try:
        from spotify_ads_async.mcp import Writer, ads_server  # noqa: PLC0415 - an extra
    except ImportError as missing:
        usage_error(f"the MCP server needs {missing.name}: pip install 'spotify-ads-async[cli,mcp]'")
    try:
        money = None if most_money is None else from_micros(read_amount(most_money))
    except InvalidAmount as problem:
        usage_error(f"--most-money {problem}")

    async def serve() -> None:
        async with connected() as ads, AsyncExitStack() as stack:
            writer: Writer | None = None
            if allow_writes:
                folder = state_folder() / "mcp"
                writer = await stack.enter_async_context(Writer(ads, folder, most_rows=most_rows, most_money=money))
            server = ads_server(ads, writer)
            if http:
                _require_free(port)
                say(f"http://127.0.0.1:{port}/mcp · Ctrl-C ends it")
                await _serve_http(server, port)
            else:
                sys.stdin = io.TextIOWrapper(io.BufferedReader(_UntilToldToEnd(os.dup(0))))
                async with on_interrupt(lambda: None):
                    await server.run_stdio_async()

    run(serve)


async def _serve_http(server: MCPServer, port: int) -> None:
    """Serve until a signal says that it is enough; a second one waits for no call of an agent."""
    import uvicorn  # noqa: PLC0415 - part of the same extra

    app = server.streamable_http_app(host="127.0.0.1")
    serving = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port))
    # It would hear signals itself, and raise them once more when it has served.
    serving.capture_signals = nullcontext  # pyright: ignore[reportAttributeAccessIssue]

    def end() -> None:
        serving.force_exit = serving.should_exit
        serving.should_exit = True

    with on_signals(end):
        await serving.serve()


class _UntilToldToEnd(io.FileIO):
    """Standard input, which ends, too, when the process is told to: no signal ends a read in the server's thread."""

    def readinto(self, buffer: Buffer, /) -> int:
        return super().readinto(buffer) or 0 if is_ready(self.fileno(), to_write=False) else 0


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(sys.platform != "win32"))
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            usage_error(f"cannot listen on 127.0.0.1:{port}: {error.strerror}")

"""The commands as people and programs use them.

Results on stdout, the rest on stderr, exit codes that say how it went.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import fcntl
import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

from spotify_ads_async.cli.demo import changes_file
from spotify_ads_async.cli.output import Output, Rows
from spotify_ads_async.governor import Governor, Limit
from tests.support import demo_changes
from tests.support.emulator_process import RunningEmulator
from tests.support.raw_server import answer
from tests.support.server_thread import server_in_a_thread

from .conftest import CommandLine

DONE, FAILED, USAGE, REFUSED, INTERRUPTED = 0, 1, 2, 3, 130


def ids(spotify_ads: CommandLine, count: int = 3) -> list[str]:
    return [
        json.loads(line)["id"]
        for line in spotify_ads.out("ad-sets", "list", "--limit", str(count), "-o", "jsonl").splitlines()
    ]


def changes(spotify_ads: CommandLine, rows: list[list[str]], header: str = "ad_set_id,name") -> Path:
    path = spotify_ads.folder / "changes.csv"
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return path


def imported(names: set[str], *arguments: str, environment: dict[str, str] | None = None) -> tuple[str, set[str]]:
    """What a command writes, and which of the modules it has imported when it ends."""
    program = (
        f"import atexit, sys; sys.argv = ['spotify-ads', *{arguments}]; from spotify_ads_cli import main; "
        f"atexit.register(lambda: print(*({names} & sys.modules.keys()))); main()"
    )
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    *lines, last = ended.stdout.splitlines()
    return "\n".join(lines), set(last.split())


def test_help_imports_no_sdk() -> None:
    written, modules = imported({"aiohttp", "rich"}, "--help")
    assert modules == set()
    assert "ad-sets     List, read, create, change and clone ad sets." in written


def test_the_version_is_said_without_the_package() -> None:
    assert imported({"aiohttp", "rich"}, "--version") == (f"spotify-ads {metadata.version('spotify-ads-async')}", set())


NEWER = {"id": "d1f5ad71-4a32-4d25-a3e2-8e5f0f25a6a1", "name": "Autumn", "status": "NEW", "x": {"y": [1]}}


@pytest.mark.parametrize(
    "words",
    [
        ("campaigns", "list", "-o", "json"),
        ("campaigns", "list", "-o", "jsonl", "--where", "name~autumn"),
        ("campaigns", "get", NEWER["id"]),
        ("campaigns", "get", NEWER["id"], "-o", "jsonl"),
        ("campaigns", "update", NEWER["id"], "--set", "name=Autumn"),
        ("call", "getCampaign", "--path", f"campaign_id={NEWER['id']}"),
        ("call", "getCampaigns", "--all"),
        ("call", "getCampaigns"),
    ],
)
def test_json_holds_what_is_newer_than_the_package(spotify_ads: CommandLine, words: tuple[str, ...]) -> None:
    paging = {"page_size": 50, "total_results": 1, "offset": 0}
    with server_in_a_thread(answer(200, {**NEWER, "campaigns": [NEWER], "paging": paging})) as server:
        found = json.loads(spotify_ads.out(*words, SPOTIFY_ADS_BASE_URL=server.base_url))
    (row,) = found if isinstance(found, list) else found.get("campaigns", [found])
    assert {name: row.get(name) for name in NEWER} == NEWER


def test_a_list_in_a_pipe_imports_only_what_it_needs(spotify_ads: CommandLine) -> None:
    names = {
        "pydantic",
        "aiohttp",
        "keyring",
        "pyarrow",
        "rich.console",
        "rich.progress",
        "spotify_ads_async.reports",
        "spotify_ads_async.trees",
    }
    written, modules = imported(names, "ad-sets", "list", "--limit", "2", environment=spotify_ads.environment)
    assert len(written.splitlines()) == 3
    assert modules == {"aiohttp"}


def test_a_file_that_is_named_needs_no_conversion(spotify_ads: CommandLine) -> None:
    to = spotify_ads.folder / "template.xlsx"
    _, modules = imported({"pydantic"}, "bulk", "template", "--to", str(to), environment=spotify_ads.environment)
    assert (to.exists(), modules) == (True, set())


def test_the_search_for_garbage_leaves_out_what_a_command_imports() -> None:
    program = (
        "import atexit, gc, sys; sys.argv = ['spotify-ads', 'ad-sets', '--help']; from spotify_ads_cli import main; "
        "atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > len(gc.get_objects()))); main()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "True True"


@pytest.mark.soak
def test_help_answers_at_once() -> None:
    program = Path(sys.executable).with_name("spotify-ads")

    def seconds(*command: str) -> float:
        begun = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        return time.perf_counter() - begun

    # By turns, and the best of each: other work on the machine slows both.
    pairs = [(seconds(str(program), "--help"), seconds(sys.executable, "-c", "import rich")) for _ in range(30)]
    assert min(shown for shown, _ in pairs) <= 4 * min(imported for _, imported in pairs)


@pytest.mark.parametrize("group", ["bulk", "ad-sets", "campaigns", "ads", "assets", "audiences"])
def test_every_group_and_command_has_help(spotify_ads: CommandLine, group: str) -> None:
    assert "Commands:" in spotify_ads.out(group, "--help")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bulks"], "Did you mean 'bulk'?"),
        (["undo", "a.plan"], "'undo' is no command by itself: spotify-ads bulk undo"),
        ([""], "No such command ''"),
        (["ad-sets", "list", "--status", "ACTIVE"], "chosen as in --where status=VALUE"),
        (["export", "ad-sets", "--status", "ACTIVE"], "chosen as in --where status=VALUE"),
        (["campaigns", "list", "--updated-at-gte", "x"], "chooses by it as in --query updated_at_gte=VALUE"),
        (["call", "getCampaigs"], "did you mean getCampaigns"),
        (["ad-sets", "list", "--where", "stauts=ACTIVE"], "did you mean status?"),
        (["ad-sets", "list", "--where", "campaign_id=abc"], "--where campaign_id=abc: must be a UUID"),
        (["ad-sets", "update", "x", "--set", "nmae=ab"], "did you mean name?"),
        (["ad-sets", "update", "x"], "either --body or --set"),
        (["bulk", "plan"], "either a file of changes"),
        (["bulk", "apply", "nothing.csv"], "nothing.csv"),
        (
            ["bulk", "plan", "--where", "name=x", "--set", "bid_amount=1", "--leave-out", "2", "--sheet", "a"],
            "--sheet and --leave-out: for files of changes, and --where selects what is there",
        ),
        (["bulk", "resume", "nothing.plan"], "there is no plan"),
        (["call", "getAdSetById", "--query", "x=1"], "no such parameter"),
        (["call", "getAds", "--limit", "2"], "add --all"),
        (["call", "getAds", "--all", "--fields", "nmae"], "did you mean name?"),
        (["ads", "list", "--limit", "x"], "'--limit': x is no whole number"),
        (["ads", "list", "--limit", "0"], "0 is too little: 1 is the least"),
        (["ads", "list", "-o", "tabel"], "'tabel' is not one of"),
        (["emulate", "--port", "70000"], "70000 is too much: 65535 is the most"),
    ],
)
def test_mistakes_get_the_nearest_right_word(spotify_ads: CommandLine, arguments: list[str], said: str) -> None:
    ended = spotify_ads.run(*arguments)
    assert ended.returncode == USAGE, ended.stderr
    assert said in " ".join(ended.stderr.split())
    assert ended.stdout == ""


def test_without_an_account_or_credentials(spotify_ads: CommandLine) -> None:
    ended = spotify_ads.run("ad-sets", "list", SPOTIFY_ADS_AD_ACCOUNT_ID="")
    assert (ended.returncode, "which ad account?" in ended.stderr) == (USAGE, True)
    ended = spotify_ads.run("ad-sets", "list", SPOTIFY_ADS_ACCESS_TOKEN="")
    assert (ended.returncode, "no credentials" in ended.stderr) == (USAGE, True)


def test_lists_in_every_form(spotify_ads: CommandLine, emulator: RunningEmulator) -> None:
    rows = json.loads(spotify_ads.out("ad-sets", "list", "-o", "json"))
    assert len(rows) == 120
    assert [json.loads(line) for line in spotify_ads.out("ad-sets", "list", "-o", "jsonl").splitlines()] == rows
    table = list(csv.DictReader(io.StringIO(spotify_ads.out("ad-sets", "list", "-o", "csv"))))
    assert [row["id"] for row in table] == [row["id"] for row in rows]
    shown = spotify_ads.out("ad-sets", "list")
    assert shown.splitlines()[0].split()[:3] == ["NAME", "STATUS", "DELIVERY"]
    assert len(shown.splitlines()) == 121
    some = spotify_ads.out(
        "ad-sets", "list", "--where", "budget.type=DAILY", "--fields", "id,budget.micro_amount", "-o", "csv"
    )
    assert some.splitlines()[0] == "id,budget.micro_amount"
    assert len(some.splitlines()) == 1 + sum(row["budget"]["type"] == "DAILY" for row in rows)
    assert emulator.ad_account_id in spotify_ads.out("accounts")
    assert len(spotify_ads.out("campaigns", "list", "-o", "jsonl").splitlines()) == 6
    assert len(spotify_ads.out("ads", "list", "-o", "jsonl").splitlines()) == 12


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(spotify_ads: CommandLine) -> None:
    command = " ".join([*spotify_ads.command("ad-sets", "list", "-o", "jsonl"), "| head -1; echo ${PIPESTATUS[0]}"])
    ended = subprocess.run(
        ["bash", "-c", command],
        env=spotify_ads.environment,
        cwd=spotify_ads.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    first, status = ended.stdout.splitlines()
    assert json.loads(first)["id"]
    assert (status, ended.stderr) == ("0", "")


def test_the_first_row_comes_before_the_last_page_is_read(spotify_ads: CommandLine) -> None:
    with subprocess.Popen(
        spotify_ads.command("ad-sets", "list", "-o", "jsonl"),
        env=spotify_ads.environment,
        cwd=spotify_ads.folder,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["id"]
        process.stdout.close()
        assert process.wait(timeout=120) == DONE


def test_one_thing_is_read_changed_and_created(spotify_ads: CommandLine) -> None:
    (one,) = ids(spotify_ads, 1)
    changed = json.loads(spotify_ads.out("ad-sets", "update", one, "--set", "name=Renamed", "--set", "delivery=OFF"))
    assert (changed["name"], changed["delivery"]) == ("Renamed", "OFF")
    read = json.loads(spotify_ads.out("ad-sets", "get", one))
    assert read == changed
    assert json.loads(spotify_ads.out("call", "getAdSetById", "--path", f"ad_set_id={one}")) == read
    made = json.loads(spotify_ads.out("campaigns", "create", "--set", "name=Made here", "--set", "objective=REACH"))
    assert made["name"] == "Made here"
    archived = spotify_ads.out("campaigns", "update", made["id"], "--body", '{"status": "ARCHIVED"}', "--yes")
    assert json.loads(archived)["status"] == "ARCHIVED"


def test_what_is_not_there_fails_and_what_is_illegal_is_refused(spotify_ads: CommandLine) -> None:
    (one,) = ids(spotify_ads, 1)
    missing = spotify_ads.run("ad-sets", "get", "00000000-0000-4000-8000-000000000000", one)
    assert missing.returncode == FAILED
    assert [row["id"] for row in json.loads(missing.stdout)] == [one]
    assert missing.stderr.startswith("failed: could not read one ad set: ")
    assert "sp_trace_id" in missing.stderr
    walked = spotify_ads.run("ads", "list", "--ad-account", "00000000-0000-4000-8000-000000000000")
    assert (walked.returncode, len(walked.stderr.splitlines())) == (FAILED, 1), "a note for programs"
    assert walked.stderr.startswith("failed: could not list ads: ")
    illegal = spotify_ads.run("ad-sets", "update", one, "--body", '{"name": "x"}')
    assert (illegal.returncode, illegal.stdout) == (REFUSED, "")
    assert "  name: must be text" in illegal.stderr


def test_any_call_and_any_list(spotify_ads: CommandLine) -> None:
    wanting = spotify_ads.run("call", "getAggregateReport")
    assert (wanting.returncode, "--query entity_type=…" in wanting.stderr) == (REFUSED, True)
    answer = json.loads(
        spotify_ads.out("call", "getAdSetsByAdAccountId", "--query", "limit=2", "--query", "statuses=ACTIVE")
    )
    assert len(answer["ad_sets"]) == 2
    walk = ("call", "getAdSetsByAdAccountId", "--all")
    assert len(spotify_ads.out(*walk).splitlines()) == 120
    listed = ("--where", "name~coffee", "--fields", "name,status", "--limit", "2", "-o", "csv")
    assert spotify_ads.out(*walk, *listed) == spotify_ads.out("ad-sets", "list", *listed)
    assert spotify_ads.out(*walk, "--all-accounts", *listed).startswith("ad_account_id,name,status")
    assert "there is nothing" in spotify_ads.run("call", "getExperimentAvailability", "--all", "-o", "table").stderr


def test_an_export_comes_straight_back_in(spotify_ads: CommandLine) -> None:
    assert "name a .csv, .jsonl or .xlsx file" in spotify_ads.run("export", "ads", "--to", "ads.doc").stderr
    for kind in ("ad-sets", "campaigns", "ads"):
        for form in ("csv", "jsonl"):
            file = spotify_ads.folder / f"{kind}.{form}"
            spotify_ads.out("export", kind, "--to", str(file), "-o", form)
            ended = spotify_ads.run("bulk", "plan", str(file), "--plan", f"{kind}.{form}.plan", "-o", "jsonl")
            assert (ended.returncode, ended.stdout) == (DONE, ""), ended.stderr
            assert "0 refused" in ended.stderr


def test_plan_apply_undo(spotify_ads: CommandLine) -> None:
    some = ids(spotify_ads, 5)
    before = spotify_ads.out("ad-sets", "get", *some, "--fields", "id,name", "-o", "csv")
    planned = spotify_ads.run(
        "bulk", "plan", str(changes(spotify_ads, [[one, "Planned"] for one in some])), "--plan", "a.plan", "-o", "jsonl"
    )
    assert planned.returncode == DONE
    assert [json.loads(line)["after"] for line in planned.stdout.splitlines()] == ["Planned"] * 5
    assert "5 ad sets change with 5 requests" in planned.stderr
    assert spotify_ads.run("bulk", "apply", "a.plan", "--dry-run").returncode == DONE
    assert "nothing to take back" in spotify_ads.run("bulk", "undo", "a.plan", "--yes").stderr
    assert spotify_ads.run("bulk", "apply", "a.plan", "--yes").returncode == DONE
    results = list(csv.DictReader(io.StringIO((spotify_ads.folder / "a.results.csv").read_text())))
    assert [(row["id"], row["outcome"]) for row in results] == [(one, "done") for one in some]
    assert spotify_ads.run("bulk", "apply", "a.plan", "--yes").returncode == REFUSED
    resumed = spotify_ads.run("bulk", "resume", "a.plan", "--yes")
    assert (resumed.returncode, resumed.stderr.splitlines()[-1]) == (DONE, "spotify-ads bulk undo a.plan takes it back")
    assert "5 done" in spotify_ads.run("bulk", "show", "a.plan").stderr
    assert spotify_ads.run("bulk", "undo", "a.plan", "--yes").returncode == DONE
    assert spotify_ads.out("ad-sets", "get", *some, "--fields", "id,name", "-o", "csv") == before


def test_a_stop_at_a_surprise_ends_with_results_and_is_no_success(
    spotify_ads: CommandLine, emulator: RunningEmulator
) -> None:
    (one,) = ids(spotify_ads, 1)
    file = str(changes(spotify_ads, [[one, "Surprising"]]))
    assert spotify_ads.run("bulk", "plan", file, "--plan", "a.plan").returncode == DONE
    (spotify_ads.folder / "a.results.csv").write_text("of an earlier run")
    emulator.ask("POST", "/_emulator/faults", {"kind": "unknown_fields", "operations": ["getAdSetById"], "times": 1})
    ended = spotify_ads.run("bulk", "apply", "a.plan", "--yes")
    assert "stopped: the server changed more of" in ended.stderr
    assert ended.returncode == FAILED
    (row,) = csv.DictReader(io.StringIO((spotify_ads.folder / "a.results.csv").read_text(encoding="utf-8-sig")))
    assert (row["id"], row["outcome"]) == (one, "done")
    assert spotify_ads.run("bulk", "resume", "a.plan", "--yes").returncode == DONE


def test_a_file_is_planned_and_applied_at_once(spotify_ads: CommandLine) -> None:
    (one,) = ids(spotify_ads, 1)
    ended = spotify_ads.run("bulk", "apply", str(changes(spotify_ads, [[one, "At once"]])), "--yes")
    assert ended.returncode == DONE, ended.stderr
    assert "1 done" in ended.stderr
    assert {path.suffix for path in spotify_ads.folder.glob("changes.*")} == {".csv", ".plan"}


def test_bad_rows_are_refused_with_their_place(spotify_ads: CommandLine) -> None:
    (one,) = ids(spotify_ads, 1)
    file = changes(spotify_ads, [[one, "Skipped past"], ["nothing", "Bad"]])
    ended = spotify_ads.run("bulk", "apply", str(file), "--plan", "a.plan")
    assert (ended.returncode, ended.stdout) == (REFUSED, "")
    assert f"{file}:3: ad_set_id: 'nothing' is no id" in ended.stderr
    assert not (spotify_ads.folder / "a.plan").exists()
    skipped = spotify_ads.run("bulk", "apply", str(file), "--plan", "a.plan", "--skip-bad-rows", "--yes")
    assert skipped.returncode == REFUSED
    assert "1 done · 1 refused" in skipped.stderr


def test_a_selection_is_planned(spotify_ads: CommandLine) -> None:
    ended = spotify_ads.run(
        "bulk", "plan", "--where", "name~students", "--set", "budget.amount=+10%", "--plan", "a.plan", "-o", "csv"
    )
    assert ended.returncode == DONE, ended.stderr
    assert ended.stdout.splitlines()[0] == "name,field,before,after,line,id"
    assert " budgets: " in ended.stderr
    assert "USD (+" in ended.stderr
    assert "a.plan is a plan" in spotify_ads.run("bulk", "apply", "a.plan", "--leave-out", "2").stderr


def test_quota_needs_no_credentials(spotify_ads: CommandLine) -> None:
    store = f"sqlite://{spotify_ads.folder / 'quota.db'}"
    spotify_ads.out("ad-sets", "list", "--limit", "1", SPOTIFY_ADS_STORE=store, SPOTIFY_ADS_LIMITS="ip=500/600")
    (row,) = json.loads(spotify_ads.out("quota", "-o", "json", SPOTIFY_ADS_STORE=store, SPOTIFY_ADS_ACCESS_TOKEN=""))
    assert (row["limit"], row["capacity"]) == ("ip", 500)
    assert row["free"] < 500


def test_the_demos_changes_are_those_of_the_seeded_ad_sets() -> None:
    assert demo_changes.FILE.read_text(encoding="utf-8") == demo_changes.text()
    assert changes_file().samefile(demo_changes.FILE) or changes_file().read_bytes() == demo_changes.FILE.read_bytes()


def test_the_demo(spotify_ads: CommandLine) -> None:
    report: dict[str, Any] = json.loads(spotify_ads.out("demo", "--fast", "--json"))
    assert (report["walked"], report["updated"], report["read_back_equal"], report["refused"]) == (2000, 720, 720, 0)
    assert report["optimal_seconds"] == 1.0
    assert all(window["fullest"] <= window["allowed"] for window in report["windows"].values())


def test_ctrl_c_ends_the_demo_and_leaves_nothing(spotify_ads: CommandLine) -> None:
    environment = spotify_ads.environment | {"TMPDIR": str(spotify_ads.folder / "tmp")}
    (spotify_ads.folder / "tmp").mkdir()
    with subprocess.Popen(
        spotify_ads.cold_command("demo"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 120
        while not list((spotify_ads.folder / "tmp").glob("*/*.plan")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == INTERRUPTED
    assert "interrupted: 2000 ad sets walked" in said
    assert "not sent" in said
    assert list((spotify_ads.folder / "tmp").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes")
def test_a_command_that_is_told_to_end_says_so_and_waits_for_nobody(spotify_ads: CommandLine) -> None:
    pipe = spotify_ads.folder / "nobody-writes.csv"
    os.mkfifo(pipe)
    with subprocess.Popen(
        spotify_ads.cold_command("bulk", "plan", str(pipe)),
        env=spotify_ads.environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        writing = None
        while writing is None and process.poll() is None:
            with contextlib.suppress(OSError):  # until somebody reads
                writing = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=120)
        os.close(writing or 0)
    assert (process.returncode, "ended by SIGTERM" in said) == (128 + signal.SIGTERM, True)


@pytest.mark.skipif(sys.platform != "linux", reason="small pipes")
def test_a_command_whose_output_nobody_reads_is_ended_all_the_same(spotify_ads: CommandLine) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    listing = spotify_ads.cold_command("ad-sets", "list", "-o", "csv")
    with subprocess.Popen(listing, env=spotify_ads.environment, stdout=writer) as process:
        os.close(writer)
        select.select([reader], [], [], 120)
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(timeout=120) == 128 + signal.SIGTERM
        finally:
            os.close(reader)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_command_whose_name_servers_are_silent_is_ended_all_the_same(spotify_ads: CommandLine) -> None:
    program = (
        "import aiohttp, socket, sys, threading; aiohttp.connector.DefaultResolver = aiohttp.ThreadedResolver; "
        "socket.getaddrinfo = lambda *_, **__: print('asked', flush=True) or threading.Event().wait(); "
        "sys.argv = ['spotify-ads', 'accounts']; from spotify_ads_cli import main; main()"
    )
    environment = spotify_ads.environment | {"SPOTIFY_ADS_BASE_URL": "https://silent.example/ads/v3"}
    listing = [sys.executable, "-c", program]
    with subprocess.Popen(listing, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"asked\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=120) == 128 + signal.SIGTERM
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="reads that can be looked at")
def test_a_server_for_agents_is_ended_while_its_agent_says_nothing(spotify_ads: CommandLine) -> None:
    about = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "agent", "version": "1"}}
    hello = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about}) + "\n"
    with subprocess.Popen(
        spotify_ads.cold_command("mcp"), env=spotify_ads.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(hello.encode())
        process.stdin.flush()
        assert b"serverInfo" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="pipes that do not block")
def test_a_pipe_that_does_not_block_gets_everything() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    program = "from spotify_ads_cli.consoles import take_everything as t; t(); print('x' * 300_000, 'end')"
    with subprocess.Popen([sys.executable, "-c", program], stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        with os.fdopen(reader, "rb") as output:
            select.select([output], [], [], 120)
            assert len(output.read()) == 300_005
        assert (process.wait(timeout=120), process.stderr and process.stderr.read()) == (0, b"")


def parquet(spotify_ads: CommandLine, *arguments: str) -> pa.Table:
    """What a command writes as Parquet."""
    ended = subprocess.run(
        spotify_ads.command(*arguments, "-o", "parquet"),
        env=spotify_ads.environment,
        cwd=spotify_ads.folder,
        capture_output=True,
        timeout=120,
        check=True,
    )
    return pq.read_table(io.BytesIO(ended.stdout))


def test_rows_as_parquet_have_types(spotify_ads: CommandLine) -> None:
    rows = json.loads(spotify_ads.out("ad-sets", "list", "-o", "json"))
    table = parquet(
        spotify_ads, "ad-sets", "list", "--fields", "id,bid_micro_amount,budget.micro_amount,start_time,targets"
    )
    assert table.schema.types == [pa.string(), pa.int64(), pa.int64(), pa.timestamp("us", "UTC"), pa.string()]
    assert table.column("id").to_pylist() == [row["id"] for row in rows]
    assert table.column("budget.micro_amount").to_pylist() == [row["budget"]["micro_amount"] for row in rows]
    assert [json.loads(one) for one in table.column("targets").to_pylist()] == [row["targets"] for row in rows]
    assert [f"{one:%Y-%m-%dT%H:%M:%SZ}" for one in table.column("start_time").to_pylist()] == [
        row["start_time"] for row in rows
    ]
    assert parquet(spotify_ads, "ads", "list", "--where", "name=nothing has this name").num_rows == 0


def test_a_report_as_parquet_keeps_money_exact(spotify_ads: CommandLine) -> None:
    arguments = ("report", "campaigns", "--by", "lifetime", "--metrics", "spend,impressions")
    told = list(csv.DictReader(io.StringIO(spotify_ads.out(*arguments, "-o", "csv"))))
    table = parquet(spotify_ads, *arguments)
    assert table.schema.field("spend").type == pa.decimal128(38, 10)
    assert table.column("spend").to_pylist() == [Decimal(row["spend"]) for row in told]
    assert table.column("impressions").to_pylist() == [int(row["impressions"]) for row in told]


def test_parquet_without_its_extra_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(typer.BadParameter, match=r"pip install 'spotify-ads-async\[tables\]'"):
        Rows(Output.PARQUET, ["id"])


def test_parquet_is_not_for_a_terminal(spotify_ads: CommandLine) -> None:
    theirs, ours = pty.openpty()
    try:
        command = spotify_ads.command("ad-sets", "list", "-o", "parquet")
        ended = subprocess.run(
            command,
            env=spotify_ads.environment,
            stdout=ours,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert ended.returncode == USAGE
    assert "no text for a terminal" in " ".join(ended.stderr.split())


def test_a_pause_is_seen_and_lifted(spotify_ads: CommandLine) -> None:
    store = f"sqlite://{spotify_ads.folder / 'paused.db'}"

    async def refused() -> None:
        async with Governor([Limit("client_id", requests=10, window=5.0)], store=store) as governor:
            for client_id in ("ann", "ben"):
                async with governor.scope(client_id=client_id).admit({"client_id"}) as admission:
                    admission.answered(status=429, headers={"Retry-After": "60"})

    asyncio.run(refused())
    ours = spotify_ads.run("quota", "-o", "json", SPOTIFY_ADS_STORE=store)
    assert (json.loads(ours.stdout), "2 windows of other client IDs" in ours.stderr) == ([], True)
    rows = json.loads(spotify_ads.out("quota", "--all", "-o", "json", SPOTIFY_ADS_STORE=store))
    assert all(50.0 < row["paused_for"] <= 60.0 and "Retry-After" in row["pause_cause"] for row in rows)
    assert "client_id of ann: paused for " in spotify_ads.run("quota", "--all", SPOTIFY_ADS_STORE=store).stderr
    asked = spotify_ads.run("quota", "lift", SPOTIFY_ADS_STORE=store)
    assert asked.returncode == 2
    assert "--identity" in asked.stderr
    spotify_ads.out("quota", "lift", "--identity", "ann", SPOTIFY_ADS_STORE=store)
    spotify_ads.out("quota", "lift", "--all", SPOTIFY_ADS_STORE=store)
    rows = json.loads(spotify_ads.out("quota", "--all", "-o", "json", SPOTIFY_ADS_STORE=store))
    assert [row["paused_for"] for row in rows] == [0.0, 0.0]


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full")
def test_a_change_goes_on_where_nobody_reads_what_is_said(spotify_ads: CommandLine) -> None:
    rows = list(csv.DictReader(io.StringIO(spotify_ads.out("ad-sets", "list", "--limit", "5", "-o", "csv"))))
    changes = "".join(f"{row['id']},Unread\n" for row in rows)
    (spotify_ads.folder / "unread.csv").write_text(f"ad_set_id,name\n{changes}", encoding="utf-8")
    applied = " ".join(spotify_ads.cold_command("bulk", "apply", "unread.csv", "--plan", "unread.plan", "--yes"))
    ended = subprocess.run(
        ["bash", "-c", f"(sleep 0.1; {applied} 2>/dev/full; echo $? >status) | true; cat status"],
        env=spotify_ads.environment,
        cwd=spotify_ads.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "0\n"
    assert "5 done" in spotify_ads.run("bulk", "show", "unread.plan").stderr
    refused = " ".join(spotify_ads.cold_command("ad-sets", "list", "--where", "bogus"))
    assert (
        subprocess.run(["bash", "-c", f"{refused} 2>/dev/full"], env=spotify_ads.environment, check=False).returncode
        == 2
    )

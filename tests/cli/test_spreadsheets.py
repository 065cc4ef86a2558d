"""Spreadsheets on the command line: exported, planned, carried out, and asked about."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import openpyxl
import pytest
from support.effort import left_to_soak

from spotify_ads_async.cli.run import DONE, FAILED, REFUSED, USAGE
from tests.support.raw_server import answer
from tests.support.server_thread import server_in_a_thread

from .conftest import CommandLine

MP3 = b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(2000)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)
AD_SET = "0148c61b-81f8-4748-891c-84ed5001afd8"
KINDS = ("ad-sets", "campaigns", "ads")


def ids(command: CommandLine, count: int) -> list[str]:
    return command.out("ad-sets", "list", "--limit", str(count), "--fields", "id", "-o", "csv").split()[1:]


def unchanged(command: CommandLine, file: Path) -> None:
    ended = command.run("bulk", "plan", str(file), "--plan", f"{file.name}.plan", "-o", "jsonl")
    assert (ended.returncode, ended.stdout) == (DONE, ""), ended.stderr
    assert " 0 refused" in ended.stderr


def test_an_exported_workbook_comes_straight_back_and_changes_nothing(spotify_ads: CommandLine) -> None:
    for kind in KINDS:
        file = spotify_ads.folder / f"{kind}.xlsx"
        spotify_ads.out("export", kind, "--to", str(file))
        unchanged(spotify_ads, file)
    sheet = openpyxl.load_workbook(spotify_ads.folder / "ad-sets.xlsx")["ad sets"]
    header = [cell.value for cell in sheet[1]]
    assert sheet.freeze_panes == "B2"
    assert isinstance(sheet.cell(2, header.index("budget.amount") + 1).value, int | float)
    assert header[-1] == "currency"


def test_the_change_is_shown_however_many_rows_before_it_change_nothing(spotify_ads: CommandLine) -> None:
    spotify_ads.out("export", "ad-sets", "--to", "all.csv", "--columns", "name")
    rows = (spotify_ads.folder / "all.csv").read_text(encoding="utf-8").rstrip().splitlines()
    (spotify_ads.folder / "all.csv").write_text("\n".join([*rows[:-1], f"{rows[-1]} anew"]) + "\n", encoding="utf-8")
    ended = spotify_ads.run("bulk", "apply", "all.csv", "--dry-run")
    assert len(rows) > 100
    assert " anew" in ended.stdout
    assert "rows more" not in ended.stderr


@pytest.mark.soak
@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
@pytest.mark.parametrize("form", ["csv", "ods", "xls", "xlsx"])
def test_what_libreoffice_saves_of_an_export_changes_nothing(spotify_ads: CommandLine, form: str) -> None:
    for kind in KINDS:
        file = spotify_ads.folder / f"{kind}.xlsx"
        spotify_ads.out("export", kind, "--to", str(file))
        out = spotify_ads.folder / form
        profile = f"-env:UserInstallation=file://{spotify_ads.folder}/profile"
        command = ["soffice", profile, "--headless", "--convert-to", form, "--outdir", str(out), str(file)]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        unchanged(spotify_ads, out / f"{kind}.{form}")


@pytest.mark.soak
@pytest.mark.skipif(shutil.which("ssconvert") is None, reason="Gnumeric is not installed")
def test_what_gnumeric_saves_of_an_export_changes_nothing(spotify_ads: CommandLine) -> None:
    file, out = spotify_ads.folder / "ad-sets.xlsx", spotify_ads.folder / "out.xlsx"
    spotify_ads.out("export", "ad-sets", "--to", str(file))
    subprocess.run(["ssconvert", str(file), str(out)], check=True, capture_output=True, timeout=300)
    unchanged(spotify_ads, out)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"ad_sets": [{"name": "An ad set"}]}, "a list leaves out the id of one of the ad sets: nothing was exported"),
        ({"ad_sets": [{"id": AD_SET, "budget": {"currency": "JPY"}}]}, f"the budget of {AD_SET} is in JPY"),
        left_to_soak(({"paging": {"total_results": 3}}, "were all read before: the server repeats itself")),
        ({"id": AD_SET}, f"cannot be read: it is about {AD_SET}, and not about"),
    ],
)
def test_what_cannot_be_vouched_for_is_not_exported(
    spotify_ads: CommandLine, told: dict[str, object], said: str
) -> None:
    account = spotify_ads.environment["SPOTIFY_ADS_AD_ACCOUNT_ID"]
    rows = [{"id": AD_SET, "budget": {"currency": "USD", "micro_amount": 1}}, {"id": account}]
    body = {"id": account, "currency_code": "USD", "ad_sets": rows, **told}
    with server_in_a_thread(answer(200, body)) as server:
        for form in ("csv", "xlsx"):
            ended = spotify_ads.run("export", "ad-sets", "--to", f"all.{form}", SPOTIFY_ADS_BASE_URL=server.base_url)
            assert (ended.returncode, said in " ".join(ended.stderr.split())) == (FAILED, True), ended.stderr
            assert not list(spotify_ads.folder.glob("*all*"))


def test_an_exported_csv_file_begins_with_the_mark_that_spreadsheets_need(spotify_ads: CommandLine) -> None:
    spotify_ads.out("export", "ad-sets", "--to", "marked.csv")
    spotify_ads.out("export", "ad-sets", "--to", "plain.csv", "--no-mark")
    assert (spotify_ads.folder / "marked.csv").read_bytes().startswith(b"\xef\xbb\xbfad_set_id")
    assert (spotify_ads.folder / "plain.csv").read_bytes().startswith(b"ad_set_id")
    assert spotify_ads.out("export", "ad-sets").startswith("ad_set_id")
    unchanged(spotify_ads, spotify_ads.folder / "marked.csv")


def test_chosen_columns_in_any_spelling(spotify_ads: CommandLine) -> None:
    out = spotify_ads.out("export", "ad-sets", "--columns", "Name, Budget amount", "--where", "status=ACTIVE")
    assert out.splitlines()[0] == "ad_set_id,name,budget.amount,currency"
    assert "did you mean name?" in spotify_ads.run("export", "ad-sets", "--columns", "nmae").stderr


def test_a_workbook_needs_a_file(spotify_ads: CommandLine) -> None:
    ended = spotify_ads.run("export", "ad-sets", "-o", "xlsx")
    assert ended.returncode == USAGE
    assert "--to ad-sets.xlsx" in ended.stderr


def test_hidden_rows_need_an_option_where_nobody_can_be_asked(spotify_ads: CommandLine) -> None:
    one, two = ids(spotify_ads, 2)
    book = openpyxl.Workbook()
    for row in (["ad_set_id", "name"], [one, "Shown"], [two, "Hidden"]):
        book.active.append(row)
    book.active.row_dimensions[3].hidden = True
    out = io.BytesIO()
    book.save(out)
    (spotify_ads.folder / "book.xlsx").write_bytes(out.getvalue())
    ended = spotify_ads.run("bulk", "plan", "book.xlsx", "--plan", "a.plan")
    assert ended.returncode == USAGE
    assert "a row is hidden (Sheet, row 3)" in ended.stderr
    assert "--hidden include" in ended.stderr
    assert (
        "1 ad set changes with 1 request"
        in spotify_ads.run("bulk", "plan", "book.xlsx", "--plan", "b.plan", "--hidden", "skip").stderr
    )


def test_an_encoding_that_was_guessed_needs_somebody_who_looks(spotify_ads: CommandLine) -> None:
    (one,) = ids(spotify_ads, 1)
    (spotify_ads.folder / "old.csv").write_bytes(f"ad_set_id;name\n{one};Été\n".encode("cp1252"))
    ended = spotify_ads.run("bulk", "apply", "old.csv", "--plan", "a.plan", "--yes")
    assert ended.returncode == USAGE
    assert "--encoding windows-1252" in ended.stderr
    assert (
        spotify_ads.run(
            "bulk", "apply", "old.csv", "--plan", "b.plan", "--yes", "--encoding", "windows-1252"
        ).returncode
        == DONE
    )
    assert "Été" in spotify_ads.out("ad-sets", "get", one)


def test_standard_input_and_zones(spotify_ads: CommandLine) -> None:
    (one,) = ids(spotify_ads, 1)
    text = f"ad_set_id,end_time\n{one},2031-01-31 18:30\n"
    assert spotify_ads.run("bulk", "plan", "-", "--plan", "a.plan", stdin=text).returncode == REFUSED
    ended = spotify_ads.run("bulk", "plan", "-", "--plan", "b.plan", "--zone", "Europe/Berlin", stdin=text)
    assert "2031-01-31T17:30:00Z" in ended.stdout
    assert "Europe/Berlin" in ended.stderr
    assert "there is no such time zone" in spotify_ads.run("bulk", "plan", "-", "--zone", "Nowhere").stderr


def test_the_zone_of_a_profile_holds_for_cells_and_settings(spotify_ads: CommandLine) -> None:
    (one,) = ids(spotify_ads, 1)
    (spotify_ads.folder / "config.toml").write_text('[profiles.default]\nzone = "Europe/Berlin"\n')
    config = {"SPOTIFY_ADS_CONFIG": str(spotify_ads.folder / "config.toml")}
    (spotify_ads.folder / "times.csv").write_text(f"ad_set_id,end_time\n{one},2031-01-31 18:30\n")
    assert "2031-01-31T17:30:00Z" in spotify_ads.out("bulk", "plan", "times.csv", **config)
    stated = spotify_ads.out("bulk", "plan", "times.csv", "--zone", "America/New_York", **config)
    assert "2031-01-31T23:30:00Z" in stated
    setting = ("--where", f"id={one}", "--set", "end_time=2031-01-31T18:30")
    assert "2031-01-31T17:30:00Z" in spotify_ads.out("bulk", "plan", *setting, **config)


def test_from_the_template_to_a_live_campaign_and_back(spotify_ads: CommandLine) -> None:
    spotify_ads.run("bulk", "template", "--to", "plan.xlsx")
    (spotify_ads.folder / "spot.mp3").write_bytes(MP3)
    (spotify_ads.folder / "logo.png").write_bytes(PNG)
    untouched = spotify_ads.run("bulk", "plan", "plan.xlsx", "--plan", "a.plan")
    assert (untouched.returncode, untouched.stderr.count("is the example of the template")) == (REFUSED, 3)
    assert "ad sets!C2: name: is the example" in untouched.stderr
    book = openpyxl.load_workbook(spotify_ads.folder / "plan.xlsx")
    for cell in (cell for sheet in book.worksheets[1:] for row in sheet.iter_rows(min_row=2) for cell in row):
        cell.value = cell.value.replace("EXAMPLE", "OURS") if isinstance(cell.value, str) else cell.value
    book.save(spotify_ads.folder / "plan.xlsx")
    planned = spotify_ads.run("bulk", "plan", "plan.xlsx", "--plan", "a.plan")
    assert planned.returncode == DONE, planned.stderr
    assert "new: 1 campaign, 1 ad set, 1 ad" in planned.stderr
    assert spotify_ads.run("bulk", "apply", "a.plan").returncode == USAGE
    made = spotify_ads.run("bulk", "apply", "a.plan", "--yes", "--results", "made.xlsx")
    assert made.returncode == DONE, made.stderr
    assert "3 are drafts and not live" in made.stderr
    results = openpyxl.load_workbook(spotify_ads.folder / "made.xlsx")["Results"]
    assert [row[5].value for row in results.iter_rows(min_row=2)] == ["made"] * 3
    assert spotify_ads.run("bulk", "resume", "a.plan", "--publish", "--yes").returncode == DONE
    assert "OURS Autumn" in spotify_ads.out("campaigns", "list", "--where", "name~OURS", "-o", "csv")
    left = spotify_ads.run("bulk", "undo", "a.plan", "--yes")
    assert left.returncode == FAILED
    assert "3 are published, and stay: --archive archives them" in left.stderr
    assert "3 new archived" in spotify_ads.run("bulk", "undo", "a.plan", "--archive", "--yes").stderr


def test_the_undo_of_a_mixed_workbook_is_one_plan_and_one_summary(spotify_ads: CommandLine) -> None:
    words = ("campaigns", "list", "--where", "status=ACTIVE", "--limit", "1", "--fields", "id", "-o", "csv")
    changes = f"campaign_id,name,objective\n{spotify_ads.out(*words).split()[1]},Renamed,\n,New,REACH\n"
    (spotify_ads.folder / "new.csv").write_text(changes)
    done = spotify_ads.run("bulk", "apply", "new.csv", "--plan", "a.plan", "--yes")
    assert done.returncode == DONE, done.stderr
    assert "1 campaign done · 1 new made" in done.stderr
    asked = spotify_ads.run("bulk", "undo", "a.plan")
    assert asked.returncode == USAGE
    assert "delete the drafts of 1 new things, with what is in them" in asked.stderr
    undone = spotify_ads.run("bulk", "apply", "a.plan.undo", "--yes")
    assert undone.returncode == DONE, undone.stderr
    assert "1 campaign done · 1 new deleted" in undone.stderr
    names = spotify_ads.out("campaigns", "list", "--fields", "name", "-o", "csv")
    assert "Renamed" not in names


def test_a_copy_may_start_at_a_time_of_a_zone(spotify_ads: CommandLine) -> None:
    campaign = spotify_ads.out(
        "campaigns", "list", "--where", "status=ACTIVE", "--limit", "1", "--fields", "id", "-o", "csv"
    ).split()[1]
    for start, zone in (
        ("2031-03-01T06:00", "Europe/Berlin"),
        ("2031-03-01T05:00:00Z", "Europe/Berlin"),
        ("2031-03-01T05:00", ""),
    ):
        words = ["--start", start, *(["--zone", zone] if zone else []), "--name", f"Copy {start} {zone or 'UTC'}"]
        ended = spotify_ads.run("campaigns", "clone", campaign, *words, "-o", "json", "--yes")
        assert ended.returncode == DONE, ended.stderr
    starts = spotify_ads.out("call", "getAdSetDrafts", "--all").count("2031-03-01T05:00:00Z")
    assert starts >= 3
    assert "is no time" in spotify_ads.run("campaigns", "clone", campaign, "--start", "01/03/2031").stderr
    assert (
        "does not exist"
        in spotify_ads.run(
            "campaigns", "clone", campaign, "--start", "2031-03-30T02:30", "--zone", "Europe/Berlin"
        ).stderr
    )

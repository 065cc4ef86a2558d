"""Files of changes as people and their programs make them, planned against an emulator."""

from __future__ import annotations

import io
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from spotify_ads_async import bulk

from .conftest import World, rows_of

BERLIN = ZoneInfo("Europe/Berlin")
Options = Any


def changed(plan: Path) -> list[dict[str, Any]]:
    """What every row of a plan sets, in its order."""
    return [row.change for row in rows_of(plan)]


class Desk:
    """Somebody who saves files and plans them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ids = [row["id"] for row in world.ad_sets[:6]]
        self._count = 0

    async def plan(self, content: str | bytes, name: str = "changes.csv", **options: Options) -> list[dict[str, Any]]:
        self._count += 1
        path = self.world.folder / f"{self._count}-{name}"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.made = await self.world.plan(path, f"{self._count}.plan", **options)
        return changed(self.made)

    async def refused(self, content: str | bytes, name: str = "changes.csv", **options: Options) -> str:
        with pytest.raises(bulk.BadChanges) as caught:
            await self.plan(content, name, **options)
        return str(caught.value)

    @property
    def remarks(self) -> str:
        with bulk.PlanFile.open(self.made) as plan:
            return plan.header.remarks


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def workbook(*sheets: tuple[str, list[list[Any]]], hidden: tuple[int, ...] = ()) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, lines in sheets:
        sheet = book.create_sheet(title)
        for line in lines:
            sheet.append(line)
        for row in hidden:
            sheet.row_dimensions[row].hidden = True
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


NAMES = [{"name": "Autumn A"}, {"name": "Autumn B"}]


async def test_columns_without_a_name_and_without_a_value_are_not_there(desk: Desk) -> None:
    one, two, *_ = desk.ids
    assert await desk.plan(f"ad_set_id,name,,,\n{one},Autumn A,,,\n{two},Autumn B,,,\n,,,,\n") == NAMES
    assert "'oops' stands in a column without a name" in await desk.refused(f"ad_set_id,name,\n{one},Autumn A,oops\n")


async def test_hidden_columns_are_named_and_hours_are_no_times(desk: Desk) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    sheet.append(["ad_set_id", "name", "end_time"])
    sheet.append([desk.ids[0], "Autumn A", None])
    sheet.column_dimensions["B"].hidden = True
    out = io.BytesIO()
    book.save(out)
    assert await desk.plan(out.getvalue(), "book.xlsx") == NAMES[:1]
    assert "hidden columns are taken as if they were not: name" in desk.remarks
    sheet["C2"], sheet["C2"].number_format = 1.25, "yyyy-mm-dd hh:mm"
    out = io.BytesIO()
    book.save(out)
    assert "a number of hours without a day" in await desk.refused(out.getvalue(), "book.xlsx")


async def test_missing_cells_at_the_end_are_blank(desk: Desk) -> None:
    one, two, *_ = desk.ids
    assert await desk.plan(f"ad_set_id,name,bid_amount\n{one},Autumn A\n{two},Autumn B,\n") == NAMES


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
async def test_encodings(desk: Desk, encoding: str) -> None:
    one, two, *_ = desk.ids
    text = f"ad_set_id\tname\r\n{one}\tSommer \u2013 Jürgen\r\n{two}\tÉté “dernier”\r\n"
    assert [row["name"] for row in await desk.plan(text.encode(encoding))] == ["Sommer \u2013 Jürgen", "Été “dernier”"]
    assert ("Windows-1252" in desk.remarks) == (encoding == "cp1252")


async def test_an_encoding_that_is_stated_is_no_guess(desk: Desk) -> None:
    text = f"ad_set_id;name\n{desk.ids[0]};Лето\n".encode("cp1251")
    assert await desk.plan(text, encoding="windows-1251") == [{"name": "Лето"}]
    assert [line for line in desk.remarks.splitlines() if "ad product" not in line] == []


async def test_headers_as_people_type_them(desk: Desk) -> None:
    text = f"Ad Set ID,Name,Budget (USD),End Time\n{desk.ids[0]},Autumn A,150,2030-01-01T00:00:00Z\n"
    assert await desk.plan(text) == [
        {"name": "Autumn A", "budget.amount": 150_000_000, "end_time": "2030-01-01T00:00:00Z"}
    ]
    assert "“Budget (USD)” is budget.amount" in desk.remarks
    assert "is in EUR, and the account's currency is USD" in await desk.refused(text.replace("USD", "EUR"))


@pytest.mark.parametrize("header", ["AD_SET_ID", "Ad-Set Id", "\u00a0ad set id ", "adsetid", "ad.set.id"])
async def test_spellings_of_a_header(desk: Desk, header: str) -> None:
    assert await desk.plan(f"{header},NAME\n{desk.ids[0]},Autumn A\n") == NAMES[:1]


async def test_unknown_headers_are_all_named_at_once_with_the_remedy(desk: Desk) -> None:
    said = await desk.refused("ad_set_id,nmae,notes\n")
    assert "did you mean name?" in said
    assert "notes: is no column of ad sets" in said
    assert "--ignore notes" in said
    assert await desk.plan(f"ad_set_id,name,My notes\n{desk.ids[0]},Autumn A,x\n", ignore=["my_notes"]) == NAMES[:1]


async def test_two_headers_that_mean_the_same(desk: Desk) -> None:
    assert "means the same as Name" in await desk.refused(f"ad_set_id,Name,name\n{desk.ids[0]},a,b\n")


async def test_a_title_above_the_header(desk: Desk) -> None:
    assert "row 3 looks like the header" in await desk.refused(
        f"Our plan for autumn\n\nad_set_id,name\n{desk.ids[0]},x\n"
    )


async def test_what_a_list_writes_is_no_file_of_changes(desk: Desk) -> None:
    said = await desk.refused(f"id,name,status,campaign_id\n{desk.ids[0]},Autumn A,ACTIVE,{desk.ids[1]}\n")
    assert "is what a list writes" in said
    assert "spotify-ads export" in said
    assert "\n" not in said


async def test_lists_as_people_type_them(desk: Desk) -> None:
    one, two, three, *_ = desk.ids
    read = await desk.plan(
        f'ad_set_id,targets.genders,targets.platforms\n{one},"MALE, FEMALE",IOS\n{two},male;female,"android,'
        f' ios"\n{three},"[""MALE""]",\n'
    )
    assert [row["targets.genders"] for row in read] == [["MALE", "FEMALE"], ["MALE", "FEMALE"], ["MALE"]]
    assert [row.get("targets.platforms") for row in read] == [["IOS"], ["ANDROID", "IOS"], None]


async def test_ranges_of_ages_as_people_type_them(desk: Desk) -> None:
    read = await desk.plan(f'ad_set_id,targets.age_ranges\n{desk.ids[0]},"18-24, 35\u201344"\n')
    assert read == [{"targets.age_ranges": [{"min": 18, "max": 24}, {"min": 35, "max": 44}]}]


async def test_words_in_lower_case(desk: Desk) -> None:
    one, two, three, *_ = desk.ids
    assert await desk.plan(f"ad_set_id,delivery\n{one},off\n{two},Off\n") == [{"delivery": "OFF"}, {"delivery": "OFF"}]
    assert "'TRUE' is none of ON, OFF" in await desk.refused(f"ad_set_id,delivery\n{three},TRUE\n")


async def test_times_need_a_zone(desk: Desk) -> None:
    one, *_ = desk.ids
    local = f"ad_set_id,end_time\n{one},2030-01-31 18:30\n"
    assert "names no time zone" in await desk.refused(local)
    assert await desk.plan(local, zone=BERLIN) == [{"end_time": "2030-01-31T17:30:00Z"}]
    assert "Europe/Berlin" in desk.remarks
    assert await desk.plan(f"ad_set_id,End time (Europe/Berlin)\n{one},2030-01-31 18:30\n") == [
        {"end_time": "2030-01-31T17:30:00Z"}
    ]
    assert "an end needs a time of day" in await desk.refused(f"ad_set_id,end_time\n{one},2030-01-31\n", zone=BERLIN)
    assert "is no time" in await desk.refused(f"ad_set_id,end_time\n{one},31/01/2030\n", zone=BERLIN)
    assert "no time zone: write" in await desk.refused(f"ad_set_id,End time (Nowhere)\n{one},2030-01-31 18:30\n")


@pytest.mark.parametrize(
    ("shown", "said"),
    [("2030-03-31 02:30", "does not exist in Europe/Berlin"), ("2030-10-27 02:30", "is there twice in Europe/Berlin")],
)
async def test_hours_that_clocks_skip_or_repeat(desk: Desk, shown: str, said: str) -> None:
    assert said in await desk.refused(f"ad_set_id,end_time\n{desk.ids[0]},{shown}\n", zone=BERLIN)


async def test_ids_that_were_kept_from_a_spreadsheet(desk: Desk) -> None:
    one, two, *_ = desk.ids
    assert await desk.plan(f'ad_set_id,name\n"=""{one}""",Autumn A\n{{{two.upper()}}},Autumn B\n') == NAMES


@pytest.mark.parametrize("mangled", ["1.2E+17", "2.19E+26", "219E01"])
async def test_ids_that_a_spreadsheet_has_changed(desk: Desk, mangled: str) -> None:
    assert "a spreadsheet has changed it" in await desk.refused(f"ad_set_id,name\n{mangled},Autumn A\n")


async def test_equal_rows_count_once_and_are_mentioned(desk: Desk) -> None:
    one, two, *_ = desk.ids
    assert await desk.plan(f"ad_set_id,name\n{one},Autumn A\n{one},Autumn A\n{two},Autumn B\n") == NAMES
    assert "line 3, which repeats line 2" in desk.remarks
    said = await desk.refused(f"ad_set_id,name\n{two},Autumn B\n{two},Autumn C\n")
    assert ":3: name: contradicts line 2" in said


async def test_white_space_at_the_ends_is_no_change(desk: Desk) -> None:
    live = desk.world.ad_sets[0]
    await desk.plan(f'ad_set_id,name\n{live["id"]},"\u00a0 {live["name"]} "\n')
    (row,) = rows_of(desk.made)
    assert row.outcome is bulk.RowOutcome.UNCHANGED


async def test_a_workbook_of_cells_of_their_own_kinds(desk: Desk) -> None:
    one, two, *_ = desk.ids
    table = [
        ["ad_set_id", "name", "budget.amount", "bid_amount", "end_time"],
        [one, "Autumn A", 15000, 16.5, datetime.fromisoformat("2030-01-31T18:30")],
        [two, 2030, 150.0, 7, None],
    ]
    assert await desk.plan(workbook(("Changes", table), ("Notes", [["not a table"]])), "book.xlsx", zone=BERLIN) == [
        {
            "name": "Autumn A",
            "budget.amount": 15_000_000_000,
            "bid_amount": 16_500_000,
            "end_time": "2030-01-31T17:30:00Z",
        },
        {"name": "2030", "budget.amount": 150_000_000, "bid_amount": 7_000_000},
    ]
    assert "sheet Notes has no id column and is left out" in desk.remarks


async def test_every_bad_cell_of_a_workbook_is_named_by_its_address(desk: Desk) -> None:
    one, two, three, *_ = desk.ids
    table = [
        ["ad_set_id", "name", "budget.amount", "end_time"],
        [one, "=UPPER(1)", None, None],
        [None, None, None, None],
        [two, None, "1,250", None],
        [three, None, None, date(2030, 1, 31)],
        [12345678901234567, "Autumn", None, None],
    ]
    said = await desk.refused(workbook(("Ad sets", table)), "book.xlsx", zone=BERLIN)
    assert "book.xlsx: Ad sets!B2: name: holds a formula that was never calculated" in said
    assert "Ad sets!C4: budget.amount: '1,250'" in said
    assert "Ad sets!D5: end_time: 2030-01-31 is a day" in said
    assert "Ad sets!A6: ad_set_id: holds 1.23456789012346e+16" in said


async def test_a_header_that_cannot_be_read_is_named_by_its_address(desk: Desk) -> None:
    said = await desk.refused(workbook(("Changes", [["ad_set_id", "=1+1"], [desk.ids[0], "x"]])), "book.xlsx")
    assert "Changes!B1: holds a formula that was never calculated" in said


async def test_percentages_and_other_currencies_are_no_amounts(desk: Desk) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["ad_set_id", "budget.amount"])
    for row, (one, number_format) in enumerate(
        zip(desk.ids, ["0%", "#,##0.00 [$€-407]", '"$"#,##0.00'], strict=False), start=2
    ):
        sheet.append([one, 150])
        sheet.cell(row, 2).number_format = number_format
    out = io.BytesIO()
    book.save(out)
    said = await desk.refused(out.getvalue(), "book.xlsx")
    assert "B2: budget.amount: is a percentage" in said
    assert "B3: budget.amount" in said
    assert "B4" not in said


async def test_hidden_rows_are_counted_and_asked_about(desk: Desk) -> None:
    one, two, *_ = desk.ids
    content = workbook(("Changes", [["ad_set_id", "name"], [one, "Autumn A"], [two, "Autumn B"]]), hidden=(3,))
    with pytest.raises(bulk.HiddenRowsFound) as caught:
        await desk.plan(content, "book.xlsx")
    assert caught.value.count == 1
    assert "Changes, row 3" in caught.value.shown
    assert "--hidden include" in str(caught.value)
    assert await desk.plan(content, "book.xlsx", hidden=bulk.HiddenRows.SKIP) == NAMES[:1]
    assert "1 hidden rows are left out" in desk.remarks
    assert await desk.plan(content, "book.xlsx", hidden=bulk.HiddenRows.INCLUDE) == NAMES


async def test_one_sheet_of_several(desk: Desk) -> None:
    one, two, *_ = desk.ids
    content = workbook(
        ("One", [["ad_set_id", "name"], [one, "Autumn A"]]), ("Two", [["ad_set_id", "name"], [two, "Autumn B"]])
    )
    assert await desk.plan(content, "book.xlsx", sheets=["One"]) == NAMES[:1]
    assert "more than one sheet of ad sets (One, Two)" in await desk.refused(content, "book.xlsx")
    assert "has no sheet Three: it has One, Two" in await desk.refused(content, "book.xlsx", sheets=["Three"])


@pytest.mark.parametrize("clutter", [b"%PDF-1.7", b"<html><table>", b"\x1f\x8b\x08", b""])
async def test_what_is_no_table(desk: Desk, clutter: bytes) -> None:
    assert "changes.csv" in await desk.refused(clutter)


async def test_two_tables_are_one_plan_that_is_applied_resumed_and_undone(world: World) -> None:
    one = world.ad_sets[0]
    campaign = next(iter(world.account.campaigns))
    path = world.folder / "two.xlsx"
    tables = [
        ("ad sets", [["ad_set_id", "name"], [one["id"], "Autumn A"]]),
        ("campaigns", [["campaign_id", "name"], [campaign["id"], "Autumn"]]),
    ]
    path.write_bytes(workbook(*tables))
    plan = await world.plan(path, "two.plan")
    assert bulk.is_workbook_plan(plan)
    with pytest.raises(bulk.WrongPlan, match="apply_workbook"):
        bulk.apply(world.ads, plan)
    async with bulk.apply_workbook(world.ads, plan) as run:
        outcomes = [row.outcome async for row in run]
    assert outcomes == [bulk.RowOutcome.DONE] * 2
    live = world.account
    assert (live.ad_sets.get(one["id"])["name"], live.campaigns.get(campaign["id"])["name"]) == ("Autumn A", "Autumn")
    with bulk.WorkbookPlan.open(plan) as opened:
        parts = opened.parts()
    assert [plural for plural, _ in parts] == ["ad sets", "campaigns"]
    for _, part in parts:
        undo = part.with_name(f"{part.name}.undo")
        await bulk.plan_undo(world.ads, part, undo)
        await world.apply(undo)
    assert live.ad_sets.get(one["id"])["name"] == one["name"]


async def test_rows_are_left_out_by_number_place_id_or_name(desk: Desk) -> None:
    one, two, three, *_ = desk.ids
    live = desk.world.ad_sets[2]["name"]
    text = f"ad_set_id,name,bid_amount\n{one},Autumn A,\n{two},Autumn B,nonsense\n{three},,7\n"
    assert await desk.plan(text, leave_out=["3", three]) == NAMES[:1]
    await desk.plan(text, leave_out=["3", "autumn a", live.upper()])
    assert [row.outcome for row in rows_of(desk.made)] == [bulk.RowOutcome.UNCHANGED] * 2
    assert {row.reason for row in rows_of(desk.made)} == {"left out, as asked for"}
    assert "no row to leave out called 9, Nobody" in await desk.refused(text, leave_out=["9", "3", "Nobody"])
    book = workbook(("Sets", [["ad_set_id", "name"], [one, "Autumn A"], [two, "Autumn B"]]))
    assert await desk.plan(book, "book.xlsx", leave_out=["Sets, row 3"]) == NAMES[:1]


async def test_a_new_row_is_left_out_and_what_is_in_it_says_so(world: World) -> None:
    path = world.folder / "new.csv"
    path.write_text("campaign_id,name,objective\n,Autumn,REACH\n,Winter,NONSENSE\n")
    plan = await world.plan(path, "new.plan", leave_out=["winter"])
    with bulk.WorkbookPlan.open(plan) as opened:
        assert [one.name for one in opened.items()] == ["Autumn"]


async def test_failed_rows_are_a_workbook_to_mend_and_apply_again(desk: Desk) -> None:
    world, (one, two, three, *_) = desk.world, desk.ids
    path = world.folder / "changes.csv"
    path.write_text(
        f"ad_set_id,name,budget.amount,targets.genders\n{one},Autumn A,12.5,\n{two},B,7,male\n{three},C1,,\n"
    )
    plan = await world.plan(path, "some.plan", skip_bad_rows=True)
    world.server.add_fault("error", operation="updateAdSet", status=400, times=1)
    await world.apply(plan)
    results = world.folder / "results.xlsx"
    with bulk.PlanFile.open(plan) as opened:
        bulk.write_results(opened.rows(), results, opened.header)
    sheets = openpyxl.load_workbook(results)
    assert sheets.sheetnames[:2] == ["Results", "ad sets"]
    failed = {row[0].value: row for row in sheets["ad sets"].iter_rows(min_row=2)}
    assert set(failed) == {one, two}
    assert "must be text of at least 2 characters" in next(cell.comment.text for cell in failed[two] if cell.comment)
    names = [cell.value for cell in sheets["ad sets"][1]]
    failed[two][names.index("name")].value = "Autumn B"
    sheets.save(results)
    again = await world.plan(results, "again.plan")
    rows, _ = await world.apply(again)
    assert {row.outcome for row in rows} == {bulk.RowOutcome.DONE}
    live = {row["id"]: row for row in world.ad_sets}
    assert (live[one]["name"], live[one]["budget"]["micro_amount"]) == ("Autumn A", 12_500_000)
    assert (live[two]["name"], live[two]["targets"]["genders"]) == ("Autumn B", ["MALE"])


@pytest.mark.parametrize("kind", ["ad_set", "campaign", "ad"])
@pytest.mark.parametrize("others", [0, 4])
async def test_an_id_that_is_not_there_is_a_refused_row(world: World, kind: str, others: int) -> None:
    live = [row["id"] for row in getattr(world.account, f"{kind}s") if row["status"] == "ACTIVE"][:others]
    unknown = "00000000-0000-4000-8000-00000000abcd"
    path = world.folder / "changes.csv"
    path.write_text("\n".join([f"{kind}_id,name", *(f"{one},Autumn" for one in live), f"{unknown},Nobody"]))
    with pytest.raises(bulk.BadChanges) as caught:
        await world.plan(path)
    assert f"there is no {kind.replace('_', ' ')} {unknown} in this ad account" in str(caught.value)
